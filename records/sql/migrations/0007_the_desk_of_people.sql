-- People at a desk: how they sign in, what they hand on, ask the provider, look at twice, and are told.
--
--   sign_ins, passwords, sessions, session_ends   who is who                                     (desk; passwords: owner)
--   assignments     a case is for a person or a team; the house itself escalates                 (desk)
--   provider_acts   what a named person asks of a disbursement whose outcome is not known      (desk)
--   provider_answers what the cashier found when it did that                                       (cashier)
--   second_looks    what a colleague says of a case that was decided                             (desk)
--   ratings         the customer's thumb                                                         (desk)
--   unread_answers  somebody answered at the server API and nobody could read it                  (desk)
--   notices, notice_tries   who is told of a case, once a reason, and each try to tell them       (desk)
set local search_path = books, pg_temp;
grant create on schema books to books_guard, books_scribe;
set local role books_owner;

create type via as enum ('page', 'api', 'server', 'command');
create type provider_act as enum ('check', 'retry', 'settle');
create type second_verdict as enum ('agree', 'disagree', 'unsure');
create type notice as enum ('new', 'expiring', 'second_approval', 'unknown_outcome');
create type thumb as enum ('up', 'down');

-- Who is who -----------------------------------------------------------------------------------------------

alter table people add column email text
  check (length(email) <= 254 and email ~ '^[^\s@<>",;:]+@[^\s@<>",;:]+$');
-- A person that another house vouches for is known by its name for them, and by nothing that may change hands.
alter table people add column issuer text;
alter table people add column subject text;
alter table people add check ((issuer is null) = (subject is null));
create unique index people_of_issuer on people (issuer, subject) where issuer is not null;

create table passwords (
  person identifier not null references people,
  set_at timestamptz not null default clock(),
  hash text not null check (hash like '$argon2id$%'),
  primary key (person, set_at)
);

-- Names are kept as hashes: what is typed into the wrong field may be a password.
create table sign_ins (
  seq bigint generated always as identity primary key,
  name_sha256 sha256 not null,
  address text not null,
  succeeded boolean not null,
  at timestamptz not null default clock()
);
create index sign_ins_of_name on sign_ins (name_sha256, at);
create index sign_ins_of_address on sign_ins (address, at);

create table sessions (
  session_sha256 sha256 primary key,
  person identifier not null references people,
  began_at timestamptz not null default clock(),
  expires_at timestamptz not null
);
create table session_ends (
  session_sha256 sha256 primary key references sessions,
  at timestamptz not null default clock()
);

-- What a decision says besides its word ----------------------------------------------------------------------

alter table votes add column via via;
alter table votes add column address text check (length(address) <= 64);
alter table messages add column person identifier references people;
alter table messages add column via via;
alter table messages add column address text check (length(address) <= 64);
alter table takeovers add column via via;
alter table takeovers add column address text check (length(address) <= 64);
alter table decisions add column revised_items jsonb check (jsonb_typeof(revised_items) = 'array');
alter table decisions add column revised_reply text check (length(revised_reply) between 1 and 6000);
alter table decisions add column letter text check (length(letter) between 1 and 6000);
alter table decisions add check (word = 'revise' or (revised_items is null and revised_reply is null));
alter table decisions add check (word = 'reject' or letter is null);
alter table decisions add check (revised_items is null or revised_amount_minor is not null);

-- People at work -----------------------------------------------------------------------------------------------

create table assignments (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq > 0),
  by_person identifier references people,
  to_person identifier references people,
  to_role person_role check (to_role in ('reviewer', 'specialist')),
  note text not null default '' check (length(note) <= 2000),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases,
  check ((to_person is null) <> (to_role is null))
);

-- An answer at a pause that nobody could read; the case waits as before.
create table unread_answers (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq > 0),
  person identifier not null references people,
  why text not null check (length(why) between 1 and 300),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases
);

create table provider_acts (
  tenant tenant_id not null,
  act_id uuid not null default gen_random_uuid(),
  decision_id uuid not null,
  person identifier not null references people,
  act provider_act not null,
  provider_refund_id text check (length(provider_refund_id) between 1 and 255),
  note text not null default '' check (length(note) <= 2000),
  via via,
  address text check (length(address) <= 64),
  at timestamptz not null default clock(),
  primary key (tenant, act_id),
  foreign key (tenant, decision_id) references disbursements,
  check ((act = 'settle') = (provider_refund_id is not null))
);
create index provider_acts_of_order on provider_acts (tenant, decision_id, at);

create table provider_answers (
  tenant tenant_id not null,
  act_id uuid not null,
  decision_id uuid not null,
  said text not null check (length(said) between 1 and 500),
  at timestamptz not null default clock(),
  primary key (tenant, act_id),
  foreign key (tenant, act_id) references provider_acts
);

create table second_looks (
  tenant tenant_id not null,
  case_id uuid not null,
  person identifier not null references people,
  verdict second_verdict not null,
  note text not null default '' check (length(note) <= 2000),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, person),
  foreign key (tenant, case_id) references cases
);

create table ratings (
  tenant tenant_id not null,
  case_id uuid not null,
  thumb thumb not null,
  word text not null default '' check (length(word) <= 500),
  at timestamptz not null default clock(),
  primary key (tenant, case_id),
  foreign key (tenant, case_id) references cases
);

-- One notice a case, kind and matter, however often it falls due.
create table notices (
  tenant tenant_id not null,
  notice_id uuid not null default gen_random_uuid(),
  case_id uuid not null,
  kind notice not null,
  about text not null,
  at timestamptz not null default clock(),
  primary key (tenant, notice_id),
  unique (tenant, case_id, kind, about),
  foreign key (tenant, case_id) references cases
);
create table notice_tries (
  tenant tenant_id not null,
  notice_id uuid not null,
  receiver_sha256 sha256 not null,
  attempt smallint not null check (attempt > 0),
  channel text not null check (channel in ('smtp', 'file', 'webhook', 'none')),
  delivered boolean not null,
  detail text not null default '',
  at timestamptz not null default clock(),
  primary key (tenant, notice_id, receiver_sha256, attempt),
  foreign key (tenant, notice_id) references notices
);
create unique index notice_tries_delivered on notice_tries (tenant, notice_id, receiver_sha256) where delivered;

do $$
declare
  named text;
begin
  foreach named in array array[
    'passwords', 'sign_ins', 'sessions', 'session_ends', 'assignments', 'provider_acts', 'provider_answers',
    'second_looks', 'ratings', 'notices', 'notice_tries', 'unread_answers'
  ] loop
    execute format(
      'create trigger sealed before update or delete or truncate on %I for each statement execute function refuse_change()', named);
  end loop;
  foreach named in array array[
    'assignments', 'provider_acts', 'provider_answers', 'second_looks', 'ratings', 'notices', 'notice_tries', 'unread_answers'
  ] loop
    execute format('alter table %I enable row level security', named);
    execute format('alter table %I force row level security', named);
    execute format('create policy tenant_wall on %I using (tenant = tenant())', named);
  end loop;
end $$;
create index claims_of_person on claims (tenant, person, ends_at);

-- The queue ------------------------------------------------------------------------------------------------------
-- Stage 0 is to be decided, 1 to be taken up, 2 waits for an answer. The band is the logarithm of risk × amount, so
-- that within a band age alone orders, and the first of many is found by reading the first of each band.

drop index waiting_in_order;
truncate waiting;
alter table waiting drop column needs_word;
alter table waiting add column stage smallint not null check (stage between 0 and 2);
alter table waiting add column band smallint not null check (band between 0 and 63);
alter table waiting add column status case_status not null;
alter table waiting add column reason text not null;
alter table waiting add column at timestamptz not null;
alter table waiting add column intent intent not null;
alter table waiting add column kind proposal_kind;
alter table waiting add column amount_minor minor;
alter table waiting add column currency currency;
alter table waiting add column proposed_at timestamptz;
alter table waiting add column expires_at timestamptz;
alter table waiting add column ticket_id identifier not null;
alter table waiting add column customer_id identifier not null;
alter table waiting add column order_id identifier;
alter table waiting add column for_person identifier;
alter table waiting add column for_role person_role;
-- What a search finds it by: the words of the ticket as it stands. It is read as text, because not every ticket is a jsonb.
alter table waiting add column words tsvector not null;
create index waiting_in_order on waiting (tenant, stage, band, received_at);

grant select on proposals, assignments, memberships, decisions to books_scribe;
grant select on provider_acts, sends, settlements to books_guard;
reset role;

set local role books_scribe;

-- 1 a plain draft, 2 what the agent or the clock left to people, 3 what failed, was forbidden or may be forged.
create function risk_of(status case_status, reason text, kind proposal_kind) returns integer language sql immutable
set search_path = books, pg_temp
begin atomic
  select case
    when status in ('refund_failed', 'refund_pending', 'blocked') then 3
    when status = 'bypassed' and reason in ('unsigned_intake', 'replayed_intake', 'wrong_tenant', 'expired_intake') then 3
    when kind is distinct from 'handoff' and reason = 'draft_ready_for_review' then 1
    else 2
  end;
end;

-- Twice the binary logarithm of risk × amount; what has no amount counts as ten units of money.
create function band_of(risk integer, amount bigint) returns smallint language sql immutable
set search_path = books, pg_temp
begin atomic
  select least(63, floor(2 * log(2.0, risk * greatest(coalesce(amount, 0), 1000) / 100.0)))::smallint;
end;

create or replace function keep_waiting() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  open proposals;
begin
  if waits_for_a_person(new.status, new.reason) then
    if new.status in ('needs_human', 'refund_failed', 'refund_pending') then
      select p.* into open from proposals p where p.tenant = new.tenant and p.case_id = new.case_id
        and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id);
    end if;
    insert into waiting as w (tenant, case_id, received_at, stage, band, status, reason, at, intent, kind, amount_minor,
      currency, proposed_at, expires_at, ticket_id, customer_id, order_id, for_person,
      for_role, words)
    select c.tenant, c.case_id, c.received_at,
      case when new.status <> 'needs_human' then 1
        when new.reason in ('asked_customer', 'asked_colleague') then 2 else 0 end,
      band_of(risk_of(new.status, new.reason, open.kind), open.amount_minor),
      new.status, new.reason, new.at, c.intent, open.kind, open.amount_minor, open.currency, open.proposed_at,
      open.expires_at, c.ticket_id, c.customer_id, c.order_id, a.to_person, a.to_role,
      to_tsvector('simple', replace(c.ticket, '\n', ' '))
    from cases c
    left join lateral (
      select to_person, to_role from assignments h where h.tenant = c.tenant and h.case_id = c.case_id
        and (h.by_person is not null or h.at > coalesce(open.proposed_at, '-infinity'))
      order by seq desc limit 1
    ) a on true
    where c.tenant = new.tenant and c.case_id = new.case_id
    on conflict (tenant, case_id) do update set stage = excluded.stage, band = excluded.band, status = excluded.status,
      reason = excluded.reason, at = excluded.at, kind = excluded.kind, amount_minor = excluded.amount_minor,
      currency = excluded.currency, proposed_at = excluded.proposed_at, expires_at = excluded.expires_at;
  else
    delete from waiting where tenant = new.tenant and case_id = new.case_id;
  end if;
  -- A hint without rights: who listens asks the books, and polls too.
  perform pg_notify('countersign_desk', new.tenant || ' ' || new.case_id);
  return null;
end $$;

-- For whom a case is, beside its place in the queue.
create function keep_assigned() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  update waiting set for_person = new.to_person, for_role = new.to_role
  where tenant = new.tenant and case_id = new.case_id;
  perform pg_notify('countersign_desk', new.tenant || ' ' || new.case_id);
  return null;
end $$;

create function tell_desk() returns trigger language plpgsql set search_path = books, pg_temp as $$
begin
  perform pg_notify('countersign_desk', new.tenant || ' ' || new.case_id);
  return null;
end $$;

reset role;

-- The checks -----------------------------------------------------------------------------------------------------

set local role books_guard;

-- As before, and: nobody turns down what they submitted either.
create or replace function check_author() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.word = 'approve' and exists (
    select from takeovers where tenant = new.tenant and case_id = new.case_id and person = new.person and act = 'propose'
  ) then
    perform refuse('no_authority', 'nobody approves what they wrote');
  end if;
  if new.word = 'reject' and exists (
    select from cases where tenant = new.tenant and case_id = new.case_id and submitted_by = new.person
  ) then
    perform refuse('no_authority', 'nobody decides a case they submitted');
  end if;
  return new;
end $$;

-- As before, and: the words and the items that a person asked for are those of the next proposal. Words alone change no
-- amount; who changes items names the amount too.
create or replace function check_editor() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  word decisions;
begin
  select * into word from decisions d where d.tenant = new.tenant and d.proposal_id = new.supersedes and d.word = 'revise';
  if new.kind <> 'handoff' and (
    (word.revised_reply is not null and new.body::jsonb->>'draft' is distinct from word.revised_reply)
    or (word.revised_reply is not null and word.revised_amount_minor is null
      and (new.amount_minor, new.kind) is distinct from (word.amount_minor, word.kind))
    or (word.revised_items is not null and new.kind = 'refund' and new.body::jsonb->'items' is distinct from word.revised_items)
  ) and not exists (
    select from takeovers t where t.tenant = new.tenant and t.case_id = new.case_id and t.at > word.decided_at) then
    perform refuse('proposal_mismatch', 'an edited reply or item is the one that was asked for');
  end if;
  if new.edited_by is not null
     and not (word.decided_by is not distinct from new.edited_by and word.revised_amount_minor is not distinct from new.amount_minor)
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

-- One refund of the provider settles one disbursement, whatever each of its settlements says.
create function check_provider_refund() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.provider_refund_id is not null and exists (
    select from settlements where tenant = new.tenant and provider_refund_id = new.provider_refund_id
      and decision_id <> new.decision_id) then
    perform refuse('settlement_mismatch', 'that refund settles another disbursement');
  end if;
  return new;
end $$;

-- A person asks the provider about money whose end is not known, and about no other.
create function check_provider_act() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  ordered disbursements;
  outcome settlement_outcome;
begin
  select * into ordered from disbursements where tenant = new.tenant and decision_id = new.decision_id;
  if not found or new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  perform hold_case(ordered.tenant, ordered.case_id);
  if not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role in ('specialist', 'operator')
  ) then
    perform refuse('no_authority', 'needs a specialist or an operator of this tenant');
  end if;
  select s.outcome into outcome from settlements s where s.tenant = new.tenant and s.decision_id = new.decision_id
    order by s.seq desc limit 1;
  if outcome in ('succeeded', 'failed', 'refused') then
    perform refuse('already_settled', 'the outcome is known: ' || outcome);
  end if;
  if new.act <> 'check' and not exists (
    select from sends where tenant = new.tenant and decision_id = new.decision_id) then
    perform refuse('already_settled', 'nothing was sent yet');
  end if;
  if (select count(*) from provider_acts where tenant = new.tenant and decision_id = new.decision_id) >= 100 then
    perform refuse('too_many_proposals', 'a disbursement is asked about at most 100 times');
  end if;
  new.at := clock();
  return new;
end $$;

reset role;
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

create trigger check_provider_refund before insert on settlements for each row execute function check_provider_refund();
create trigger check_assignment before insert on assignments for each row execute function check_assignment();
create trigger check_provider_act before insert on provider_acts for each row execute function check_provider_act();
reset role;
grant execute on function write_audit(), keep_assigned(), tell_desk() to books_owner;
set local role books_owner;
create trigger b_audit after insert on assignments for each row execute function write_audit('case_id', 'seq');
create trigger b_audit after insert on provider_acts for each row execute function write_audit('act_id');
create trigger b_audit after insert on provider_answers for each row execute function write_audit('act_id');
create trigger b_audit after insert on second_looks for each row execute function write_audit('case_id', 'person');
create trigger b_audit after insert on unread_answers for each row execute function write_audit('case_id', 'seq');
create trigger b_audit after insert on ratings for each row execute function write_audit('case_id');
create trigger c_waiting after insert on assignments for each row execute function keep_assigned();
create trigger c_tell after insert on claims for each row execute function tell_desk();
create trigger c_tell after insert on votes for each row execute function tell_desk();
create trigger c_tell after insert on messages for each row execute function tell_desk();

-- What the audit speaks of: every row that has an event, with what it says now.
create view written with (security_invoker = true) as
  select 'cases' as subject, case_id::text as subject_key, to_jsonb(t) as said from cases t
  union all select 'case_events', case_id || '/' || seq, to_jsonb(t) from case_events t
  union all select 'trace_events', case_id || '/' || run || '/' || step, to_jsonb(t) from trace_events t
  union all select 'proposals', proposal_id::text, to_jsonb(t) from proposals t
  union all select 'votes', proposal_id || '/' || person, to_jsonb(t) from votes t
  union all select 'decisions', decision_id::text, to_jsonb(t) from decisions t
  union all select 'disbursements', decision_id::text, to_jsonb(t) from disbursements t
  union all select 'sends', decision_id || '/' || attempt, to_jsonb(t) from sends t
  union all select 'settlements', decision_id || '/' || seq, to_jsonb(t) from settlements t
  union all select 'messages', message_id::text, to_jsonb(t) from messages t
  union all select 'replies', case_id || '/' || outcome || '/' || round, to_jsonb(t) from replies t
  union all select 'takeovers', takeover_id::text, to_jsonb(t) from takeovers t
  union all select 'deliveries', case_id || '/' || outcome || '/' || round || '/' || attempt, to_jsonb(t) from deliveries t
  union all select 'claims', case_id || '/' || seq, to_jsonb(t) from claims t
  union all select 'flags', name || '/' || seq, to_jsonb(t) from flags t where t.tenant = tenant()
  union all select 'assignments', case_id || '/' || seq, to_jsonb(t) from assignments t
  union all select 'provider_acts', act_id::text, to_jsonb(t) from provider_acts t
  union all select 'provider_answers', act_id::text, to_jsonb(t) from provider_answers t
  union all select 'second_looks', case_id || '/' || person, to_jsonb(t) from second_looks t
  union all select 'ratings', case_id::text, to_jsonb(t) from ratings t
  union all select 'unread_answers', case_id || '/' || seq, to_jsonb(t) from unread_answers t;
grant select on written to desk;

grant select on passwords, sign_ins, sessions, session_ends, assignments, provider_acts, provider_answers, second_looks,
  ratings, notices, notice_tries, unread_answers to desk;
grant insert on sign_ins, sessions, session_ends, assignments, provider_acts, second_looks, ratings, notices,
  notice_tries, unread_answers to desk;
grant select on provider_acts, provider_answers to cashier;
grant insert on provider_answers to cashier;

reset role;
revoke create on schema books from books_guard, books_scribe;
revoke execute on function write_audit(), keep_assigned(), tell_desk() from books_owner;
revoke execute on function risk_of(case_status, text, proposal_kind), band_of(integer, bigint), keep_assigned(),
  tell_desk(), check_assignment(), check_provider_act(), check_provider_refund(), meet(text, text, text, text, jsonb) from public;
grant execute on function meet(text, text, text, text, jsonb), risk_of(case_status, text, proposal_kind) to desk;

insert into waiting (tenant, case_id, received_at, stage, band, status, reason, at, intent, kind, amount_minor, currency,
  proposed_at, expires_at, ticket_id, customer_id, order_id, words)
select c.tenant, c.case_id, c.received_at,
  case when e.status <> 'needs_human' then 1 when e.reason in ('asked_customer', 'asked_colleague') then 2 else 0 end,
  band_of(risk_of(e.status, e.reason, p.kind), p.amount_minor),
  e.status, e.reason, e.at, c.intent, p.kind, p.amount_minor, p.currency, p.proposed_at, p.expires_at, c.ticket_id,
  c.customer_id, c.order_id, to_tsvector('simple', replace(c.ticket, '\n', ' '))
from cases c
join lateral (
  select status, reason, at from case_events n where n.tenant = c.tenant and n.case_id = c.case_id order by seq desc limit 1
) e on waits_for_a_person(e.status, e.reason)
left join proposals p on p.tenant = c.tenant and p.case_id = c.case_id
  and e.status in ('needs_human', 'refund_failed', 'refund_pending')
  and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id);
