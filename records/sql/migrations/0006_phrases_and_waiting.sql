-- What is found and what waits.
--
--   policy_clauses.phrases   a clause is found by whole phrases: its title, its words, each way to ask for it
--   waiting                  the cases that wait for a person, kept by their timeline                  (books_scribe)
set local search_path = books, pg_temp;
grant create on schema books to books_scribe;
set local role books_owner;

alter table policy_clauses add column phrases jsonb not null default '[]' check (jsonb_typeof(phrases) = 'array');

-- A copy of what the last event of a case says, so that a queue of many is listed without reading those that ended.
create table waiting (
  tenant tenant_id not null,
  case_id uuid not null,
  needs_word boolean not null,
  received_at timestamptz not null,
  primary key (tenant, case_id),
  foreign key (tenant, case_id) references cases
);
create index waiting_in_order on waiting (tenant, (not needs_word), received_at);
alter table waiting enable row level security;
alter table waiting force row level security;
create policy tenant_wall on waiting using (tenant = tenant());
create policy kept_by_the_timeline on waiting to books_scribe using (true);
grant select on waiting to desk;
grant select, insert, update, delete on waiting to books_scribe;
grant select on cases to books_scribe;
create policy kept_by_the_timeline on cases for select to books_scribe using (true);

reset role;
update policy_clauses set phrases = jsonb_build_array('[]'::jsonb, to_jsonb(tsvector_to_array(terms)));
alter table policy_clauses drop column terms;
alter table policy_clauses alter column phrases drop default;

set local role books_scribe;

create function waits_for_a_person(status case_status, reason text) returns boolean language sql immutable
set search_path = books, pg_temp
begin atomic
  select status in ('needs_human', 'bypassed', 'blocked', 'refund_failed') or (status = 'refund_pending'
    and reason not in ('refund_created', 'pending', 'blocked:kill_switch', 'blocked:expired'));
end;

create function keep_waiting() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if waits_for_a_person(new.status, new.reason) then
    insert into waiting (tenant, case_id, needs_word, received_at)
    select tenant, case_id, new.status = 'needs_human', received_at from cases
    where tenant = new.tenant and case_id = new.case_id
    on conflict (tenant, case_id) do update set needs_word = excluded.needs_word;
  else
    delete from waiting where tenant = new.tenant and case_id = new.case_id;
  end if;
  return null;
end $$;

reset role;
grant execute on function keep_waiting() to books_owner;
set local role books_owner;
create trigger c_waiting after insert on case_events for each row execute function keep_waiting();
reset role;
revoke create on schema books from books_scribe;
revoke execute on function keep_waiting() from books_owner;
revoke execute on function keep_waiting(), waits_for_a_person(case_status, text) from public;
grant execute on function waits_for_a_person(case_status, text) to desk;

insert into waiting (tenant, case_id, needs_word, received_at)
select c.tenant, c.case_id, e.status = 'needs_human', c.received_at
from cases c join lateral (
  select status, reason from case_events n where n.tenant = c.tenant and n.case_id = c.case_id order by seq desc limit 1
) e on waits_for_a_person(e.status, e.reason);
