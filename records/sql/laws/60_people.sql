-- People: whose case it is, how they sign in, and what they are told.

set local search_path = books, pg_temp;

set local role books_owner;

-- A person that an issuer vouches for, with the roles it says now. Local people are nobody's to change.
create function meet(of_person text, of_name text, of_issuer text, of_subject text, of_roles jsonb) returns text
language plpgsql volatile security definer set search_path = books, pg_temp as $$
declare
  known people;
  before text := current_setting('books.tenant', true);
  held record;
begin
  if of_issuer is null or of_subject is null then
    perform refuse('no_authority', 'nobody vouches for this person');
  end if;
  perform pg_advisory_xact_lock(hashtextextended('meet:' || of_issuer || ' ' || of_subject, 7));
  select * into known from people where issuer = of_issuer and subject = of_subject;
  if not found then
    if of_roles = '{}'::jsonb then
      return null; -- nobody here, and nobody to be
    end if;
    if exists (select from people where person = of_person) then
      perform refuse('no_authority', 'there is a person of that name whom this issuer does not vouch for');
    end if;
    insert into people (person, name, issuer, subject) values (of_person, of_name, of_issuer, of_subject) returning * into known;
  end if;
  if not known.active then
    perform refuse('no_authority', 'this person has left');
  end if;
  for held in select t.tenant, coalesce(r.roles, '[]'::jsonb) as roles from tenants t
    left join jsonb_each(of_roles) as r (tenant, roles) on r.tenant = t.tenant::text
  loop
    perform set_config('books.tenant', held.tenant, true);
    delete from memberships where tenant = held.tenant and person = known.person
      and not held.roles @> to_jsonb(role::text);
    insert into memberships (tenant, person, role)
    select held.tenant, known.person, said.role::person_role from jsonb_array_elements_text(held.roles) as said (role)
    on conflict do nothing;
  end loop;
  perform set_config('books.tenant', coalesce(before, ''), true);
  return known.person;
end $$;

reset role;

set local role books_guard;

-- A case is handed on by somebody who may decide it to somebody who may; the house hands on by itself.
create function check_assignment() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  perform hold_case(new.tenant, new.case_id);
  if new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  if new.by_person is not null and not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.by_person and p.active and m.role in ('reviewer', 'specialist')
  ) then
    perform refuse('no_authority', 'not a reviewer or specialist of this tenant');
  end if;
  if new.to_person is not null and not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.to_person and p.active and m.role in ('reviewer', 'specialist')
  ) then
    perform refuse('no_authority', new.to_person || ' may not decide for this tenant');
  end if;
  return new;
end $$;

reset role;

set local role books_scribe;

-- Each role may say of itself that it lives, and of nobody else.
create function beat(of_instance text) returns void language sql volatile security definer
set search_path = books, pg_temp
begin atomic
  delete from heartbeats where at < clock_timestamp() - interval '1 day';
  insert into heartbeats (process, instance, at) values (session_user, of_instance, clock_timestamp())
  on conflict (process, instance) do update set at = excluded.at;
end;

-- For whom a case is, beside its place in the queue.
create function keep_assigned() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  update waiting set for_person = new.to_person, for_role = new.to_role
  where tenant = new.tenant and case_id = new.case_id;
  perform pg_notify('countersign_desk', new.tenant || ' ' || new.case_id);
  return null;
end $$;

-- Customers whose name or address somebody searches for; more than these is no search for a person.
create function customers_named(of_tenant text, typed text) returns table (customer_id text) language sql stable
security definer set search_path = books, pg_temp set plan_cache_mode = force_custom_plan
begin atomic
  with worded as materialized (
    select k.tenant, k.customer_id from customers k
    where customer_words(k.customer_id, k.name, k.email) @@ search_of(typed)
  )
  select w.customer_id::text from worded w where w.tenant = of_tenant and w.tenant = tenant() limit 200;
end;

-- Cases whose words, ids or customer somebody searches for, the newest first. The indexes are only used by who sees every
-- row, so the tenant is asked here. What the words find is found first: by time alone every case would be read.
create function found_cases(of_tenant text, typed text, most integer) returns table (case_id uuid) language sql stable
security definer set search_path = books, pg_temp set plan_cache_mode = force_custom_plan
begin atomic
  with worded as materialized (
    select c.tenant, c.case_id, c.received_at from cases c
    where case_words(c.ticket, c.ticket_id, c.customer_id, c.order_id) @@ search_of(typed)
  ), named as materialized (
    select k.customer_id from customers_named(of_tenant, typed) k
  )
  select f.case_id from (
    (select w.case_id, w.received_at from worded w where w.tenant = of_tenant and w.tenant = tenant()
      order by w.received_at desc limit most)
    union
    (select c.case_id, c.received_at from named k
      join cases c on c.tenant = of_tenant and c.tenant = tenant() and c.customer_id = k.customer_id
      order by c.received_at desc limit most)
  ) f order by f.received_at desc limit most;
end;

create function tell_desk() returns trigger language plpgsql set search_path = books, pg_temp as $$
begin
  perform pg_notify('countersign_desk', new.tenant || ' ' || new.case_id);
  return null;
end $$;

reset role;

set local role books_owner;
create trigger c_waiting after insert on assignments for each row execute function keep_assigned();
create trigger check_assignment before insert on assignments for each row execute function check_assignment();
create trigger c_tell after insert on case_notes for each row execute function tell_desk();
create trigger c_tell after insert on claims for each row execute function tell_desk();
create trigger c_tell after insert on held_approvals for each row execute function tell_desk();
create trigger c_tell after insert on held_ends for each row execute function tell_desk();
create trigger c_tell after insert on messages for each row execute function tell_desk();
create trigger c_tell after insert on votes for each row execute function tell_desk();
reset role;
