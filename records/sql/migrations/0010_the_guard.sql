-- What the provider knows and these books do not, and what a named person says that it is.
--
--   found_refunds       a refund of a payment at the provider that these books do not know         (cashier)
--   found_refund_acts   what a named person says that it is                                        (desk)
--   stalled_orders      disbursements that pass after pass cannot bring forward, and why          (cashier)
--
-- Books can be behind their provider: somebody refunds in its dashboard, or a backup is restored. Until a person has
-- said what a found refund is, nobody decides about its payment and nothing is sent for it.
set local search_path = books, pg_temp;
grant create on schema books to books_guard, books_scribe;
set local role books_owner;

alter type provider_act add value 'new_key';
alter type provider_act add value 'withdraw';
create type found_refund_act as enum ('separate', 'adopt');

create table found_refunds (
  tenant tenant_id not null,
  provider_refund_id text not null check (length(provider_refund_id) between 1 and 255),
  payment_id identifier not null,
  decision_label text not null check (length(decision_label) <= 255),
  amount_minor minor not null,
  currency currency not null,
  case_id uuid,
  found_at timestamptz not null default clock(),
  primary key (tenant, provider_refund_id),
  foreign key (tenant, payment_id) references payments,
  foreign key (tenant, case_id) references cases
);
create index found_refunds_of_payment on found_refunds (tenant, payment_id);

create table found_refund_acts (
  tenant tenant_id not null,
  provider_refund_id text not null,
  person identifier not null references people,
  act found_refund_act not null,
  note text not null default '' check (length(note) <= 2000),
  via via,
  address text check (length(address) <= 64),
  at timestamptz not null default clock(),
  primary key (tenant, provider_refund_id),
  foreign key (tenant, provider_refund_id) references found_refunds
);

create table stalled_orders (
  tenant tenant_id not null,
  decision_id uuid not null,
  passes integer not null check (passes > 0),
  why text not null check (length(why) <= 500),
  at timestamptz not null default clock(),
  primary key (tenant, decision_id),
  foreign key (tenant, decision_id) references disbursements
);

alter table settlements add check (length(provider_refund_id) <= 255) not valid;

do $$
declare
  named text;
begin
  foreach named in array array['found_refunds', 'found_refund_acts'] loop
    execute format(
      'create trigger sealed before update or delete or truncate on %I for each statement execute function refuse_change()',
      named);
  end loop;
  foreach named in array array['found_refunds', 'found_refund_acts', 'stalled_orders'] loop
    execute format('alter table %I enable row level security', named);
    execute format('alter table %I force row level security', named);
    execute format('create policy tenant_wall on %I using (tenant = tenant())', named);
  end loop;
end $$;

grant select on found_refunds, found_refund_acts, policy_reviews, policy_documents to books_guard;
grant select on found_refunds, proposals, disbursements to books_scribe;
reset role;
set local role books_guard;

-- Whether a found refund still waits for a person's word: not said what it is, and not the end of a disbursement.
create function found_open(of_tenant text, of_refund text) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select not exists (
    select from found_refund_acts a where a.tenant = of_tenant and a.provider_refund_id = of_refund
  ) and not exists (
    select from settlements s where s.tenant = of_tenant and s.provider_refund_id = of_refund
  );
end;

-- Whether the provider knows more of a payment than these books.
create function provider_ahead(of_tenant text, of_payment text) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (
    select from found_refunds f where f.tenant = of_tenant and f.payment_id = of_payment and f.tenant = tenant()
      and found_open(f.tenant, f.provider_refund_id)
  );
end;

-- As before, less what was found at the provider and is no order's of these books. What was refunded before this house
-- came has no names, so found refunds without a label may be the same money.
create or replace function left_of_payment(of_tenant text, of_payment text) returns bigint
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select p.amount_minor - greatest(p.refunded_before_minor, coalesce((
    select sum(f.amount_minor) from found_refunds f
    where f.tenant = p.tenant and f.payment_id = p.payment_id and f.decision_label = '' and not exists (
      select from settlements s where s.tenant = f.tenant and s.provider_refund_id = f.provider_refund_id)
  ), 0)) - coalesce((
    select sum(f.amount_minor) from found_refunds f
    where f.tenant = p.tenant and f.payment_id = p.payment_id and f.decision_label <> '' and not exists (
      select from settlements s where s.tenant = f.tenant and s.provider_refund_id = f.provider_refund_id)
  ), 0) - coalesce((
    select sum(d.amount_minor) from disbursements d
    where d.tenant = p.tenant and d.payment_id = p.payment_id
      and coalesce((
        select s.outcome from settlements s
        where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
      ), 'pending') not in ('failed', 'refused')
  ), 0)
  from payments p where p.tenant = of_tenant and p.payment_id = of_payment and p.tenant = tenant();
end;

-- Nobody proposes or decides a refund of a payment of which the provider knows more than these books.
create function check_provider_ahead() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.kind = 'refund' and (tg_table_name = 'proposals' or to_jsonb(new)->>'word' <> 'revise')
     and provider_ahead(new.tenant, new.payment_id) then
    perform refuse('provider_ahead', 'the provider has a refund of this payment that these books do not know:'
      ' say what it is first, under unknown outcomes');
  end if;
  return new;
end $$;

create function check_send_behind() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if exists (select from disbursements d where d.tenant = new.tenant and d.decision_id = new.decision_id
             and provider_ahead(d.tenant, d.payment_id)) then
    perform refuse('provider_ahead', 'the provider has a refund of this payment that these books do not know');
  end if;
  return new;
end $$;

-- A key is given up by a named person, an hour after it was sent last at the earliest: a list may be far behind.
create or replace function check_send() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  ordered disbursements;
  last sends;
begin
  select * into ordered from disbursements where tenant = new.tenant and decision_id = new.decision_id;
  if not found or new.tenant is distinct from tenant() then
    perform refuse('blocked:not_approved');
  end if;
  perform hold_case(ordered.tenant, ordered.case_id);
  if exists (select from settlements where tenant = new.tenant and decision_id = new.decision_id
             and outcome <> 'needs_person') then
    perform refuse('already_settled');
  end if;
  if kill_switch(new.tenant) then
    perform refuse('blocked:kill_switch');
  end if;
  if (select execute_by from decisions where tenant = new.tenant and decision_id = new.decision_id) <= clock() then
    perform refuse('blocked:expired');
  end if;
  select * into last from sends where tenant = new.tenant and decision_id = new.decision_id
    order by attempt desc limit 1;
  if new.attempt <> coalesce(last.attempt, 0) + 1 then
    perform refuse('not_next_attempt');
  end if;
  if last.attempt is null then
    if new.epoch <> 1 then
      perform refuse('not_next_epoch');
    end if;
  elsif new.epoch = last.epoch then
    if new.key <> last.key then
      perform refuse('not_next_epoch', 'an epoch has one key');
    end if;
  elsif new.epoch <> last.epoch + 1 or last.sent_at > clock() - interval '1 hour' or not exists (
    select from provider_acts a where a.tenant = new.tenant and a.decision_id = new.decision_id
      and a.act = 'new_key' and a.at > last.sent_at) then
    perform refuse('not_next_epoch', 'a key is given up by a person, an hour after it was sent last');
  end if;
  return new;
end $$;

-- As before, and: what is a person's and was never sent may be refused.
create or replace function check_settlement() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  ordered disbursements;
  last settlements;
  sent boolean;
begin
  select * into ordered from disbursements where tenant = new.tenant and decision_id = new.decision_id;
  if not found or new.tenant is distinct from tenant() then
    perform refuse('blocked:not_approved');
  end if;
  perform hold_case(ordered.tenant, ordered.case_id);
  perform from payments where tenant = new.tenant and payment_id = ordered.payment_id for update;
  select * into last from settlements where tenant = new.tenant and decision_id = new.decision_id
    order by seq desc limit 1;
  sent := exists (select from sends where tenant = new.tenant and decision_id = new.decision_id);
  if new.seq <> coalesce(last.seq, 0) + 1 then
    perform refuse('already_settled');
  end if;
  if (new.outcome = 'refused' and sent) or (
    new.outcome = 'failed' and not sent and last.outcome is null and new.provider_refund_id is null) then
    perform refuse('settlement_mismatch', 'refused means that nothing was sent, and failed that something was');
  end if;
  if not (
    last.outcome is null
    or (last.outcome = 'pending' and new.outcome in ('succeeded', 'failed', 'needs_person'))
    or (last.outcome = 'needs_person' and new.outcome in ('pending', 'succeeded', 'failed', 'refused'))
    or (last.outcome = 'succeeded' and new.outcome = 'failed')
  ) then
    perform refuse('already_settled', last.outcome || ' does not become ' || new.outcome);
  end if;
  return new;
end $$;

-- A person asks the provider about money whose end is not known, and about no other.
create or replace function check_provider_act() returns trigger language plpgsql security definer
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
  if new.act <> 'check' and outcome is distinct from 'needs_person' and not exists (
    select from sends where tenant = new.tenant and decision_id = new.decision_id) then
    perform refuse('already_settled', 'nothing was sent yet');
  end if;
  if (select count(*) from provider_acts where tenant = new.tenant and decision_id = new.decision_id) >= 100 then
    perform refuse('too_many_proposals', 'a disbursement is asked about at most 100 times');
  end if;
  new.at := clock();
  return new;
end $$;

-- A found refund is what a specialist or an operator says it is, once.
create function check_found_refund_act() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  found_one found_refunds;
begin
  select * into found_one from found_refunds where tenant = new.tenant and provider_refund_id = new.provider_refund_id;
  if not found or new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  if not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role in ('specialist', 'operator')
  ) then
    perform refuse('no_authority', 'needs a specialist or an operator of this tenant');
  end if;
  if not found_open(new.tenant, new.provider_refund_id) then
    perform refuse('already_settled', 'what this refund is has been said');
  end if;
  if new.act = 'adopt' then
    if found_one.case_id is null or exists (
      select from disbursements d where d.tenant = new.tenant and d.case_id = found_one.case_id
        and coalesce((select s.outcome from settlements s where s.tenant = d.tenant and s.decision_id = d.decision_id
          order by s.seq desc limit 1), 'pending') not in ('failed', 'refused')
    ) then
      perform refuse('not_ours', 'no case of these books waits for this refund: say that it is another matter');
    end if;
    perform hold_case(new.tenant, found_one.case_id);
  end if;
  new.at := clock();
  return new;
end $$;

-- The house's own rule of an amount: the books may ask for more and never for less. policies/authority.py says the same,
-- and the cashier counts by it.
create function house_rule(of_amount bigint, out approvals smallint, out specialists smallint) language sql immutable
set search_path = books, pg_temp
begin atomic
  select case when of_amount >= 200000 then 2 else 1 end::smallint, case when of_amount >= 50000 then 1 else 0 end::smallint;
end;

create or replace function authority_of(of_tenant text, of_currency text, of_amount bigint) returns authority_rules
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select r.tenant, r.currency, r.floor_minor, greatest(r.approvals, h.approvals), greatest(r.specialists, h.specialists)
  from authority_rules r, house_rule(of_amount) h
  where r.tenant = of_tenant and r.currency = of_currency and r.floor_minor <= of_amount
  order by r.floor_minor desc limit 1;
end;

-- Whether a clause that a proposal cites counts no more: its document was withdrawn, is approved no more, or has a newer
-- version that counts for the same day. The day is that of the order, or of the proposal where there is no order.
create function policy_changed(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp set timezone = 'UTC'
begin atomic
  select exists (
    select from (
      select p.tenant, p.body, coalesce(o.ordered_at, p.proposed_at)::date as on_date
      from proposals p
      join cases c on c.tenant = p.tenant and c.case_id = p.case_id
      left join orders o on o.tenant = c.tenant and o.order_id = c.order_id
      where p.tenant = of_tenant and p.proposal_id = of_proposal
    ) p
    cross join lateral jsonb_array_elements(p.body::jsonb->'citations') as c (said)
    left join lateral (
      select d.version, d.status from policy_documents d
      left join lateral (
        select r.verdict, r.sha256 from policy_reviews r
        where r.tenant = d.tenant and r.document_id = d.document_id and r.version = d.version
        order by r.seq desc limit 1
      ) r on true
      where d.tenant = p.tenant and d.document_id = c.said->>'document_id' and d.status in ('approved', 'withdrawn')
        and d.effective_on <= p.on_date and (d.expires_on is null or d.expires_on > p.on_date)
        and (d.status = 'withdrawn' or (r.verdict = 'approve' and r.sha256 = d.sha256))
      order by d.version desc limit 1
    ) counts on true
    where counts.version is distinct from (c.said->>'version')::integer or counts.status <> 'approved'
  );
end;

-- What a release proposed that was rolled back, or what stands on policy that was changed, counts no more: it is
-- proposed again. What a person wrote in it waits for a person, and a hand-over is a person's in any case.
create or replace function is_withdrawn(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce((
    select p.edited_by is null and p.kind <> 'handoff' and (
        state_of_release(p.release) = 'rolled_back' or policy_changed(p.tenant, p.proposal_id))
      and not exists (
        select from decisions d where d.tenant = p.tenant and d.proposal_id = p.supersedes and d.revised_reply is not null)
    from proposals p where p.tenant = of_tenant and p.proposal_id = of_proposal), false);
end;

create or replace function check_withdrawn() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if exists (
    select from proposals p where p.tenant = new.tenant and p.proposal_id = new.proposal_id
      and state_of_release(p.release) = 'rolled_back' and is_withdrawn(p.tenant, p.proposal_id)
  ) then
    perform refuse('withdrawn_release', 'the release that proposed this was rolled back: it is proposed again');
  end if;
  if new.word = 'approve' and new.kind <> 'handoff' and policy_changed(new.tenant, new.proposal_id) then
    perform refuse('policy_changed', 'the policy that this stands on was changed since: send it back for a new proposal');
  end if;
  return new;
end $$;

reset role;
set local role books_scribe;

-- A refund that these books had lost is the end of its case.
create function end_adopted() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.act = 'adopt' then
    insert into case_events (tenant, case_id, seq, status, reason, ended)
    select new.tenant, f.case_id, 1, 'refunded', 'found_at_provider', true from found_refunds f
    where f.tenant = new.tenant and f.provider_refund_id = new.provider_refund_id;
  end if;
  return null;
end $$;

reset role;
grant execute on function write_audit(), end_adopted() to books_owner;
set local role books_owner;

create trigger check_ahead before insert on proposals for each row execute function check_provider_ahead();
create trigger check_ahead before insert on votes for each row execute function check_provider_ahead();
create trigger check_ahead before insert on sends for each row execute function check_send_behind();
create trigger check_found_refund_act before insert on found_refund_acts
  for each row execute function check_found_refund_act();
create trigger a_end_adopted after insert on found_refund_acts for each row execute function end_adopted();
create trigger b_audit after insert on found_refunds for each row execute function write_audit('provider_refund_id');
create trigger b_audit after insert on found_refund_acts for each row execute function write_audit('provider_refund_id');

create or replace view written with (security_invoker = true) as
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
  union all select 'unread_answers', case_id || '/' || seq, to_jsonb(t) from unread_answers t
  union all select 'policy_reviews', document_id || '/' || version || '/' || seq, to_jsonb(t) from policy_reviews t
    where t.person is not null
  union all select 'release_steps', release || '/' || seq, to_jsonb(t) from release_steps t where t.tenant = tenant()
  union all select 'found_refunds', provider_refund_id, to_jsonb(t) from found_refunds t
  union all select 'found_refund_acts', provider_refund_id, to_jsonb(t) from found_refund_acts t;

grant select on found_refunds, found_refund_acts, stalled_orders to desk;
grant insert on found_refund_acts to desk;
grant select, insert on found_refunds to cashier;
grant select on found_refund_acts, proposals to cashier;
grant select, insert, update, delete on stalled_orders to cashier;

reset role;
revoke create on schema books from books_guard, books_scribe;
revoke execute on function write_audit(), end_adopted() from books_owner;
revoke execute on function found_open(text, text), provider_ahead(text, text), check_provider_ahead(), check_send_behind(),
  check_found_refund_act(), house_rule(bigint), policy_changed(text, uuid), end_adopted() from public;
grant execute on function found_open(text, text), provider_ahead(text, text) to desk, cashier;
