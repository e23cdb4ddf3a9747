-- A person takes over what the agent could not do; a customer answers; a reply goes out; a process is heard from.
--
--   takeovers     what a person does with a case that nobody proposes for: reply, propose, close  (desk)
--   customers     where a reply goes                                                             (importer)
--   deliveries    each try to send a reply, and whether the channel took it                       (desk)
--   heartbeats    when each process was heard from last                                           (each, of itself)
set local search_path = books, pg_temp;
grant create on schema books to books_guard, books_scribe;
set local role books_owner;

create type takeover_act as enum ('reply', 'propose', 'close');
create type asked as enum ('customer', 'colleague');

-- A token for the server API approves up to its ceiling and no more.
alter table tokens add column ceiling_minor minor;
alter table tokens add check (audience <> 'server' or ceiling_minor is not null);
update tokens set scopes = '{tickets:write,cases:read,cases:decide,messages:write,flags:write,jobs:write}'
where scopes = '{}' and audience = 'desk';

-- Who was asked for more; the case waits for the answer and its clock stands still.
alter table decisions add column asks asked;
alter table decisions add check (word = 'revise' or asks is null);

create table customers (
  tenant tenant_id not null references tenants,
  customer_id identifier not null,
  email text check (length(email) <= 254 and email ~ '^[^\s@<>",;:]+@[^\s@<>",;:]+$'),
  imported_at timestamptz not null default clock(),
  primary key (tenant, customer_id)
);

create table takeovers (
  tenant tenant_id not null,
  takeover_id uuid not null,
  case_id uuid not null,
  person identifier not null references people,
  act takeover_act not null,
  reply text not null default '',
  payment_id text not null default '',
  order_id text not null default '',
  amount_minor minor not null default 0,
  currency currency not null default 'XXX',
  note text not null default '',
  at timestamptz not null default clock(),
  primary key (tenant, takeover_id),
  foreign key (tenant, case_id) references cases,
  check ((act = 'propose') = (amount_minor > 0)),
  check ((act = 'propose') = (payment_id <> '' and order_id <> '' and currency <> 'XXX')),
  check (act = 'close' or length(reply) between 1 and 8000)
);
create index takeovers_of_case on takeovers (tenant, case_id);

create table deliveries (
  tenant tenant_id not null,
  case_id uuid not null,
  outcome case_status not null,
  attempt smallint not null check (attempt > 0),
  channel text not null check (channel ~ '^[a-z]{1,16}$'),
  delivered boolean not null,
  detail text not null default '',
  at timestamptz not null default clock(),
  primary key (tenant, case_id, outcome, attempt),
  foreign key (tenant, case_id, outcome) references replies
);
-- What was delivered is not sent again.
create unique index deliveries_delivered on deliveries (tenant, case_id, outcome) where delivered;
create index messages_of_case on messages (tenant, case_id, at);

create table heartbeats (
  process name not null,
  instance text not null check (length(instance) between 1 and 128),
  at timestamptz not null,
  primary key (process, instance)
);

create trigger sealed before update or delete or truncate on takeovers for each statement execute function refuse_change();
create trigger sealed before update or delete or truncate on deliveries for each statement execute function refuse_change();

do $$
declare
  walled text;
begin
  foreach walled in array array['customers', 'takeovers', 'deliveries'] loop
    execute format('alter table %I enable row level security', walled);
    execute format('alter table %I force row level security', walled);
    execute format('create policy tenant_wall on %I using (tenant = tenant())', walled);
  end loop;
end $$;

-- A case ends with its last event: one that failed late, or that a person takes up again, is open once more.
drop index case_events_ended;
create or replace view case_state with (security_invoker = true) as
  select distinct on (tenant, case_id) tenant, case_id, status, reason, at, ended
  from case_events last
  order by tenant, case_id, seq desc;

grant select on takeovers, messages to books_guard;
grant select, insert, update, delete on heartbeats to books_scribe;
reset role;
set local role books_guard;

create or replace function check_case_event() returns trigger language plpgsql
set search_path = books, pg_temp as $$
declare
  last case_events;
begin
  perform hold_case(new.tenant, new.case_id);
  select * into last from case_events where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1;
  if current_user <> 'books_scribe' then
    if new.ended and last.ended then
      return null; -- two runs of a thread come to the same end; the first one wrote it
    end if;
    if is_true_event(new.tenant, new.case_id, new.status, new.reason, new.ended) is not true then
      perform refuse('untrue_event', new.status || ' is not what the books say');
    end if;
  end if;
  new.seq := coalesce(last.seq, 0) + 1;
  new.at := clock();
  return new;
end $$;

-- A person takes over what waits for nobody's word: a case that was turned away, blocked or failed, or a hand-over.
create function check_takeover() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  last case_events;
begin
  perform hold_case(new.tenant, new.case_id);
  if new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  if not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role in ('reviewer', 'specialist')
  ) then
    perform refuse('no_authority', 'not a reviewer or specialist of this tenant');
  end if;
  select * into last from case_events where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1;
  if not coalesce(last.status in ('bypassed', 'blocked', 'refund_failed') or (
    last.status = 'needs_human' and exists (
      select from proposals p where p.tenant = new.tenant and p.case_id = new.case_id and p.kind = 'handoff'
        and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
        and not exists (select from decisions d where d.tenant = p.tenant and d.proposal_id = p.proposal_id))
  ), false) then
    perform refuse('not_a_handover', 'the case is ' || coalesce(last.status::text, 'unknown') || ': decide it instead');
  end if;
  if (select count(*) from takeovers where tenant = new.tenant and case_id = new.case_id) >= 12 then
    perform refuse('too_many_proposals', 'a case is taken over at most 12 times');
  end if;
  new.at := clock();
  return new;
end $$;

-- An edit has an editor who made it: in the word that sent the case back, in a proposal before, or by taking over.
create function check_editor() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.edited_by is not null
     and not exists (
       select from decisions d where d.tenant = new.tenant and d.proposal_id = new.supersedes and d.word = 'revise'
         and d.decided_by = new.edited_by and d.revised_amount_minor = new.amount_minor)
     and not exists (
       select from proposals p where p.tenant = new.tenant and p.case_id = new.case_id
         and p.edited_by = new.edited_by and p.amount_minor >= new.amount_minor)
     and not exists (
       select from takeovers t where t.tenant = new.tenant and t.case_id = new.case_id and t.act = 'propose'
         and t.person = new.edited_by and t.amount_minor = new.amount_minor and t.currency = new.currency
         and t.payment_id = new.payment_id and t.order_id = new.order_id and t.reply = new.body::jsonb->>'draft') then
    perform refuse('proposal_mismatch', 'nobody of that name asked for this amount');
  end if;
  return new;
end $$;

create function check_author() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.word = 'approve' and exists (
    select from takeovers where tenant = new.tenant and case_id = new.case_id and person = new.person and act = 'propose'
  ) then
    perform refuse('no_authority', 'nobody approves what they wrote');
  end if;
  return new;
end $$;

reset role;
set local role books_scribe;

-- Only where no proposal is open: a hand-over's own decision writes its events.
create function write_takeover() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  last case_events;
begin
  select * into last from case_events where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1;
  if last.status <> 'needs_human' then
    insert into case_events (tenant, case_id, seq, status, reason, ended) values (
      new.tenant, new.case_id, 1,
      case new.act when 'reply' then 'replied'::case_status when 'close' then 'closed_by_human' else 'received' end,
      'taken_over', new.act <> 'propose');
  end if;
  return null;
end $$;

-- What a person asks for waits at the pause; a revision without a question goes back to the agent at once.
create or replace function write_timeline() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  of_case uuid;
  said case_status;
  because text;
begin
  if tg_table_name = 'settlements' then
    select case_id into strict of_case from disbursements
      where tenant = new.tenant and decision_id = (to_jsonb(new)->>'decision_id')::uuid;
  else
    of_case := new.case_id;
  end if;
  case tg_table_name
    when 'cases' then said := 'received'; because := to_jsonb(new)->>'verdict';
    when 'proposals' then said := 'needs_human'; because := to_jsonb(new)->>'reason';
    when 'decisions' then
      case to_jsonb(new)->>'word'
        when 'approve' then said := 'approved'; because := 'approve';
        when 'reject' then said := 'rejected'; because := to_jsonb(new)->>'code';
        else
          said := case when to_jsonb(new)->>'asks' is null then 'received' else 'needs_human' end;
          because := coalesce('asked_' || (to_jsonb(new)->>'asks'), 'revise');
      end case;
    when 'disbursements' then said := 'refund_pending'; because := 'refund_created';
    when 'settlements' then
      because := coalesce(nullif(to_jsonb(new)->>'detail', ''), to_jsonb(new)->>'outcome');
      case to_jsonb(new)->>'outcome'
        when 'succeeded' then said := 'refunded';
        when 'failed' then said := 'refund_failed';
        when 'refused' then said := case because when 'blocked:expired' then 'refund_pending' else 'refund_failed' end;
        else said := 'refund_pending';
      end case;
  end case;
  insert into case_events (tenant, case_id, seq, status, reason) values (new.tenant, of_case, 1, said, because);
  return null;
end $$;

-- Each role may say of itself that it lives, and of nobody else.
create function beat(of_instance text) returns void language sql volatile security definer
set search_path = books, pg_temp
begin atomic
  delete from heartbeats where at < clock_timestamp() - interval '1 day';
  insert into heartbeats (process, instance, at) values (session_user, of_instance, clock_timestamp())
  on conflict (process, instance) do update set at = excluded.at;
end;

reset role;
grant execute on function write_audit() to books_owner;
set local role books_owner;

create trigger check_takeover before insert on takeovers for each row execute function check_takeover();
create trigger check_editor before insert on proposals for each row execute function check_editor();
create trigger check_author before insert on votes for each row execute function check_author();
create trigger a_timeline after insert on takeovers for each row execute function write_takeover();
create trigger b_audit after insert on takeovers for each row execute function write_audit('takeover_id');
create trigger b_audit after insert on deliveries for each row execute function write_audit('case_id', 'outcome', 'attempt');

grant select on customers, takeovers, deliveries, heartbeats to desk;
grant insert on takeovers, deliveries to desk;
grant select on takeovers to graph;
grant select, insert on customers to importer;

reset role;
revoke create on schema books from books_guard, books_scribe;
revoke execute on function write_audit() from books_owner;
revoke execute on function check_takeover(), check_editor(), check_author(), write_takeover(), beat(text) from public;
grant execute on function beat(text) to desk, graph, cashier, anchorer;

