-- The laws of the books: who may do what, what must never happen, and what is written down by itself.
set local search_path = books, pg_temp;
set local role books_owner;

-- Nobody changes the past ------------------------------------------------------------------------------

create function refuse(reason text, detail text default '') returns void language plpgsql
set search_path = books, pg_temp as $$
begin
  raise exception using errcode = 'CS001', message = reason, detail = detail;
end $$;

create function refuse_change() returns trigger language plpgsql set search_path = books, pg_temp as $$
begin
  raise exception using errcode = 'CS002', message = format('%s is append-only: %s refused', tg_table_name, tg_op);
end $$;

do $$
declare
  sealed text;
begin
  foreach sealed in array array[
    'cases', 'case_events', 'trace_events', 'model_calls', 'proposals', 'votes', 'decisions', 'disbursements',
    'sends', 'settlements', 'messages', 'replies', 'claims', 'flags', 'audit_events', 'anchors', 'payments'
  ] loop
    execute format(
      'create trigger sealed before update or delete or truncate on %I for each statement execute function refuse_change()',
      sealed);
  end loop;
end $$;

-- Row security ---------------------------------------------------------------------------------------

do $$
declare
  walled text;
begin
  foreach walled in array array[
    'memberships', 'authority_rules', 'orders', 'payments', 'policy_documents', 'policy_clauses', 'cases',
    'case_events', 'trace_events', 'model_calls', 'proposals', 'votes', 'decisions', 'disbursements', 'sends',
    'settlements', 'messages', 'replies', 'claims', 'flags', 'audit_events'
  ] loop
    execute format('alter table %I enable row level security', walled);
    execute format('alter table %I force row level security', walled);
    if walled = 'flags' then
      execute 'create policy tenant_wall on flags using (tenant = tenant() or tenant = ''*'')';
    else
      execute format('create policy tenant_wall on %I using (tenant = tenant())', walled);
    end if;
  end loop;
end $$;

-- The model's hands see the orders of the customer of their case and of nobody else.
create policy own_orders on orders as restrictive for select to graph using (customer_id = customer());
create policy own_payments on payments as restrictive for select to graph
  using (exists (select from orders o where o.tenant = payments.tenant and o.order_id = payments.order_id));
-- A person is known before a tenant is; an anchor covers every tenant.
create policy sign_in on memberships for select to desk using (true);
create policy every_head on audit_events for select to anchorer using (true);

-- The status of a case is its last event.
create view case_state with (security_invoker = true) as
  select distinct on (tenant, case_id)
    tenant, case_id, status, reason, at,
    exists (select from case_events e where e.tenant = last.tenant and e.case_id = last.case_id and e.ended) as ended
  from case_events last
  order by tenant, case_id, seq desc;

-- What was learnt of a disbursement last.
create view settlement_state with (security_invoker = true) as
  select distinct on (tenant, decision_id) tenant, decision_id, seq, outcome, provider_refund_id, detail, settled_at
  from settlements
  order by tenant, decision_id, seq desc;

reset role;

-- The checks of money -----------------------------------------------------------------------------------
-- Owned by books_guard: it passes row security, so each compares the tenants of the rows it joins.

set local role books_guard;

-- Every write of a case waits for the one before it. Taken first, so that locks have one order.
-- The checks read what was committed before they got the lock, which only READ COMMITTED shows them.
create function hold_case(tenant text, case_id uuid) returns void language plpgsql volatile
set search_path = books, pg_temp as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    perform refuse('wrong_isolation', 'the books are written in READ COMMITTED');
  end if;
  perform pg_advisory_xact_lock(hashtextextended(tenant || ':' || case_id::text, 7));
end $$;

create function kill_switch(of_tenant text) returns boolean language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select coalesce(bool_or(f.value = 'on'), false)
  from (
    select distinct on (tenant) value from flags
    where name = 'kill_switch' and flags.tenant in (of_tenant, '*')
    order by tenant, set_at desc, seq desc
  ) f;
end;

create function thread_case(of_thread uuid) returns table (tenant text, case_id uuid) language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select c.tenant::text, c.case_id from cases c where c.thread_id = of_thread;
end;

-- What a payment can still give back: paid, less what was refunded before, less every disbursement
-- that did not definitely fail.
create function left_of_payment(of_tenant text, of_payment text) returns bigint language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select p.amount_minor - p.refunded_before_minor - coalesce((
    select sum(d.amount_minor) from disbursements d
    where d.tenant = p.tenant and d.payment_id = p.payment_id
      and coalesce((
        select s.outcome from settlements s
        where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
      ), 'pending') not in ('failed', 'refused')
  ), 0)
  from payments p where p.tenant = of_tenant and p.payment_id = of_payment and p.tenant = tenant();
end;

-- What was ordered of a payment and did not fail, but for one decision: a split amount needs the authority of the whole.
create function ordered_of_payment(of_tenant text, of_payment text, but_decision uuid) returns bigint
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce(sum(d.amount_minor), 0)::bigint from disbursements d
  where d.tenant = of_tenant and d.payment_id = of_payment and d.decision_id is distinct from but_decision
    and coalesce((
      select s.outcome from settlements s
      where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
    ), 'pending') not in ('failed', 'refused');
end;

-- Whether an item of a proposal is among those of a disbursement that did not fail.
create function items_refunded(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (
    select from proposals mine
    join disbursements d on d.tenant = mine.tenant and d.order_id = mine.order_id and d.proposal_id <> mine.proposal_id
    join proposals other on other.tenant = d.tenant and other.proposal_id = d.proposal_id
    where mine.tenant = of_tenant and mine.proposal_id = of_proposal and mine.kind = 'refund'
      and coalesce((
        select s.outcome from settlements s
        where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
      ), 'pending') not in ('failed', 'refused')
      and jsonb_exists_any(mine.body::jsonb->'items', array(select jsonb_array_elements_text(other.body::jsonb->'items')))
  );
end;

-- Whether a case has an end that nothing follows. A refund that failed and a case that was turned away may be
-- taken up again; what is then proposed says so as the last event.
create function is_over(of_tenant text, of_case uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce((
    select status in ('replied', 'rejected', 'expired', 'closed_by_human', 'refunded')
    from case_events where tenant = of_tenant and case_id = of_case order by seq desc limit 1), false);
end;

create function check_proposal() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  said jsonb;
  owner cases;
  before proposals;
  word decisions;
  available bigint;
begin
  perform hold_case(new.tenant, new.case_id);
  select * into owner from cases where tenant = new.tenant and case_id = new.case_id;
  if not found or new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  said := new.body::jsonb;
  if (said->>'tenant', said->>'proposal_id', said->>'case_id', said->>'thread_id', said->>'kind', said->>'reason',
      said->>'payment_id', said->>'order_id', (said->>'amount_minor')::bigint, said->>'currency', said->>'release',
      said->>'graph_version', said->>'supersedes', said->>'edited_by', (said->>'edited_upward')::boolean)
    is distinct from
     (new.tenant::text, new.proposal_id::text, new.case_id::text, new.thread_id::text, new.kind::text, new.reason,
      new.payment_id, new.order_id, new.amount_minor::bigint, new.currency::text, new.release::text,
      new.graph_version::text, new.supersedes::text, new.edited_by::text, new.edited_upward) then
    perform refuse('proposal_mismatch', 'the body does not say what the columns say');
  end if;
  if is_over(new.tenant, new.case_id) then
    perform refuse('case_ended');
  end if;
  if new.expires_at <= clock() or new.expires_at > clock() + interval '31 days' then
    perform refuse('bad_expiry', 'a proposal expires within 31 days');
  end if;
  if new.supersedes is not null then
    select * into before from proposals where tenant = new.tenant and proposal_id = new.supersedes;
    if not found or before.case_id <> new.case_id then
      perform refuse('unknown_proposal');
    end if;
    select * into word from decisions where tenant = new.tenant and proposal_id = new.supersedes;
    if not found then
      perform refuse('proposal_open', 'the one before is still to be decided');
    elsif word.word = 'reject' then
      perform refuse('proposal_open', 'a rejected case stays rejected');
    elsif word.word = 'approve' then
      if exists (select from disbursements where tenant = new.tenant and decision_id = word.decision_id) then
        if coalesce((select s.outcome from settlements s where s.tenant = new.tenant
            and s.decision_id = word.decision_id order by s.seq desc limit 1), 'pending') not in ('failed', 'refused') then
          perform refuse('proposal_open', 'the money of the one before is ordered');
        end if;
      elsif word.execute_by > clock() then
        perform refuse('proposal_open', 'the approval of the one before is in force');
      end if;
    end if;
    if (select count(*) from proposals where tenant = new.tenant and case_id = new.case_id) >= 12 then
      perform refuse('too_many_proposals', 'a case has at most 12');
    end if;
  end if;
  if new.edited_upward is distinct from
     (new.edited_by is not null and new.amount_minor > coalesce(before.amount_minor, 0)) then
    perform refuse('proposal_mismatch', 'edited_upward says whether a person raised the amount');
  end if;
  if word.word = 'revise' and word.revised_amount_minor is not null and new.kind <> 'handoff'
     and (new.edited_by is distinct from word.decided_by or new.amount_minor <> word.revised_amount_minor) then
    perform refuse('proposal_mismatch', 'an edited amount is the one that was asked for and carries its editor');
  end if;
  if (word.word is distinct from 'revise' or word.revised_amount_minor is null) and new.amount_minor > (
    select amount_minor from proposals
    where tenant = new.tenant and case_id = new.case_id and edited_by is not null
    order by proposed_at desc limit 1) then
    perform refuse('proposal_mismatch', 'a person set the amount; nobody but a person raises it');
  end if;
  if new.kind = 'refund' then
    if new.order_id is distinct from owner.order_id::text or not exists (
      select from orders o join payments p on p.tenant = o.tenant and p.order_id = o.order_id
      where o.tenant = new.tenant and o.order_id = new.order_id and o.customer_id = owner.customer_id
        and p.payment_id = new.payment_id and p.currency = new.currency
    ) then
      perform refuse('foreign_order', 'a refund goes back to the payment of the order of the case''s customer');
    end if;
    available := left_of_payment(new.tenant, new.payment_id);
    if available is null or new.amount_minor > available then
      perform refuse('blocked:over_refund', format('%s asked, %s left', new.amount_minor, available));
    end if;
  end if;
  return new;
end $$;

-- The rule of an amount; no row, no authority.
create function authority_of(of_tenant text, of_currency text, of_amount bigint) returns authority_rules
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select r from authority_rules r
  where r.tenant = of_tenant and r.currency = of_currency and r.floor_minor <= of_amount
  order by r.floor_minor desc limit 1;
end;

-- The rule of a proposal: of its amount and of what was ordered of the same payment before.
create function authority_of_proposal(of_tenant text, of_proposal uuid) returns authority_rules
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select authority_of(p.tenant, p.currency,
    p.amount_minor + ordered_of_payment(p.tenant, p.payment_id, (
      select d.decision_id from decisions d where d.tenant = p.tenant and d.proposal_id = p.proposal_id)))
  from proposals p where p.tenant = of_tenant and p.proposal_id = of_proposal;
end;

-- The open end of a case's chain that can be decided now; refuses otherwise.
create function check_open(of_tenant text, of_proposal uuid) returns proposals language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  open proposals;
begin
  select * into open from proposals where tenant = of_tenant and proposal_id = of_proposal;
  if not found then
    perform refuse('unknown_proposal');
  end if;
  perform hold_case(open.tenant, open.case_id);
  if exists (select from decisions where tenant = of_tenant and proposal_id = of_proposal) then
    perform refuse('already_decided');
  end if;
  if exists (select from proposals where tenant = of_tenant and supersedes = of_proposal) then
    perform refuse('stale_proposal');
  end if;
  if open.expires_at <= clock() or is_over(open.tenant, open.case_id) then
    perform refuse('expired');
  end if;
  return open;
end $$;

create function check_vote() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  said jsonb;
  open proposals;
  rule authority_rules;
begin
  if new.tenant is distinct from tenant() then
    perform refuse('unknown_proposal');
  end if;
  open := check_open(new.tenant, new.proposal_id);
  said := new.payload::jsonb;
  if (said->>'version', said->>'kid', said->>'tenant', said->>'case', said->>'thread', said->>'decision', said->>'word',
      said->>'proposal', said->>'digest', said->>'kind', said->>'payment', said->>'order',
      (said->>'amount_minor')::bigint, said->>'currency', said->>'person', said->>'authority',
      (said->>'decided_at')::timestamptz, (said->>'execute_by')::timestamptz)
    is distinct from
     ('1', new.kid::text, new.tenant::text, new.case_id::text, new.thread_id::text, new.decision_id::text,
      new.word::text, new.proposal_id::text, new.digest::text, new.kind::text, new.payment_id, new.order_id,
      new.amount_minor::bigint, new.currency::text, new.person::text, new.authority::text, new.decided_at,
      new.execute_by) then
    perform refuse('ballot_mismatch', 'the signed text does not say what the columns say');
  end if;
  if new.decided_at not between clock() - interval '1 minute' and clock() + interval '1 second'
     or new.execute_by not between clock() and open.expires_at + interval '24 hours' then
    perform refuse('ballot_mismatch', 'a ballot is of now and in force for a bounded time');
  end if;
  if exists (select from votes where tenant = new.tenant and proposal_id = new.proposal_id
             and decision_id <> new.decision_id) then
    perform refuse('ballot_mismatch', 'the votes of a proposal are for one decision');
  end if;
  if not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role::text = new.authority::text
  ) then
    perform refuse('no_authority', 'not a ' || new.authority || ' of this tenant');
  end if;
  if new.word = 'approve' then
    rule := authority_of_proposal(new.tenant, new.proposal_id);
    if rule is null then
      perform refuse('no_authority', 'no rule of authority for ' || new.currency);
    end if;
    if new.authority <> 'specialist' and rule.approvals - rule.specialists < 1 then
      perform refuse('no_authority', 'this amount needs a specialist');
    end if;
    if exists (select from cases where tenant = new.tenant and case_id = new.case_id and submitted_by = new.person) then
      perform refuse('no_authority', 'nobody approves a case they submitted');
    end if;
    if exists (select from proposals where tenant = new.tenant and case_id = new.case_id
               and edited_upward and edited_by = new.person) then
      perform refuse('no_authority', 'nobody approves an amount they raised');
    end if;
    if new.kind = 'refund' and (items_refunded(new.tenant, new.proposal_id)
       or new.amount_minor > coalesce(left_of_payment(new.tenant, new.payment_id), -1)) then
      perform refuse('stale_proposal', 'money of this order was ordered since; turn it down or send it back');
    end if;
  end if;
  if new.word = 'revise' and (
    select count(*) from proposals where tenant = new.tenant and case_id = new.case_id) >= 12 then
    perform refuse('too_many_proposals', 'this case has had 12: approve or reject');
  end if;
  return new;
end $$;

-- Whether the approving votes of people who still have their role fill the rule of a proposal.
create function votes_suffice(of_tenant text, of_proposal uuid) returns boolean language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select coalesce((
    select count(v.person) >= (rule).approvals
       and count(v.person) filter (where v.authority = 'specialist') >= (rule).specialists
    from votes v
    join people on people.person = v.person and people.active
    join memberships m on m.tenant = v.tenant and m.person = v.person and m.role::text = v.authority::text
    where v.tenant = p.tenant and v.proposal_id = p.proposal_id and v.word = 'approve'
  ), false)
  from (
    select tenant, proposal_id, authority_of_proposal(tenant, proposal_id) as rule
    from proposals where tenant = of_tenant and proposal_id = of_proposal
  ) p;
end;

create function check_decision() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  cast_vote votes;
begin
  if new.tenant is distinct from tenant() then
    perform refuse('unknown_proposal');
  end if;
  perform check_open(new.tenant, new.proposal_id);
  select * into cast_vote from votes
    where tenant = new.tenant and proposal_id = new.proposal_id and person = new.decided_by;
  if not found or cast_vote.word <> new.word or cast_vote.decision_id <> new.decision_id
     or cast_vote.decided_at <> new.decided_at then
    perform refuse('no_vote', 'a decision is completed by a vote of its word');
  end if;
  if new.execute_by <> (select min(execute_by) from votes
      where tenant = new.tenant and proposal_id = new.proposal_id and word = new.word) then
    perform refuse('ballot_mismatch', 'the first limit of the votes counts');
  end if;
  if new.word = 'approve' and not coalesce(votes_suffice(new.tenant, new.proposal_id), false) then
    perform refuse('no_authority', 'more people must agree');
  end if;
  return new;
end $$;

create function check_disbursement() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  word decisions;
  owner cases;
  paid payments;
begin
  if new.tenant is distinct from tenant() then
    perform refuse('blocked:not_approved', 'the tenant of the transaction is another one');
  end if;
  select * into word from decisions where tenant = new.tenant and decision_id = new.decision_id;
  if not found or word.word <> 'approve' or word.kind <> 'refund' then
    perform refuse('blocked:not_approved');
  end if;
  select * into owner from cases where tenant = word.tenant and case_id = word.case_id;
  if not found or owner.thread_id <> new.thread_id
     or (word.case_id, word.thread_id, word.proposal_id, word.digest::text, word.payment_id, word.order_id,
         word.amount_minor::bigint, word.currency::text)
        is distinct from
        (new.case_id, new.thread_id, new.proposal_id, new.digest::text, new.payment_id::text, new.order_id::text,
         new.amount_minor::bigint, new.currency::text) then
    perform refuse('blocked:approval_mismatch');
  end if;
  perform hold_case(new.tenant, new.case_id);
  perform from payments where tenant = new.tenant and order_id = new.order_id order by payment_id for update;
  select * into paid from payments where tenant = new.tenant and payment_id = new.payment_id;
  if not found or paid.order_id <> new.order_id or paid.currency <> new.currency or not exists (
    select from orders o where o.tenant = new.tenant and o.order_id = new.order_id and o.customer_id = owner.customer_id
  ) then
    perform refuse('blocked:approval_mismatch', 'no such payment of this customer');
  end if;
  if exists (select from disbursements where tenant = new.tenant and decision_id = new.decision_id) then
    return new; -- the key refuses the second one; it is a duplicate and nothing worse
  end if;
  if exists (select from proposals where tenant = new.tenant and supersedes = new.proposal_id)
     or (select status from case_events where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1)
        not in ('approved', 'refund_pending') then
    perform refuse('blocked:not_approved');
  end if;
  if kill_switch(new.tenant) then
    perform refuse('blocked:kill_switch');
  end if;
  if word.execute_by <= clock() then
    perform refuse('blocked:expired');
  end if;
  if new.amount_minor > left_of_payment(new.tenant, new.payment_id)
     or items_refunded(new.tenant, new.proposal_id) then
    perform refuse('blocked:over_refund');
  end if;
  if not coalesce(votes_suffice(new.tenant, new.proposal_id), false) then
    perform refuse('blocked:not_approved');
  end if;
  return new;
end $$;

create function check_send() returns trigger language plpgsql security definer
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
  elsif new.epoch <> last.epoch + 1 or last.sent_at > clock() - interval '5 minutes' then
    perform refuse('not_next_epoch', 'a key is given up after five minutes at the earliest');
  end if;
  return new;
end $$;

create function check_settlement() returns trigger language plpgsql security definer
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
    or (last.outcome = 'needs_person' and new.outcome in ('pending', 'succeeded', 'failed'))
    or (last.outcome = 'succeeded' and new.outcome = 'failed')
  ) then
    perform refuse('already_settled', last.outcome || ' does not become ' || new.outcome);
  end if;
  return new;
end $$;

-- Whether the books bear out an end, or a stop on the way, that a program wants to write.
create function is_true_event(of_tenant text, of_case uuid, said case_status, because text, ending boolean) returns boolean
language plpgsql security definer set search_path = books, pg_temp as $$
declare
  open proposals;
  word decisions;
  outcome settlement_outcome;
  ordered boolean;
  last case_events;
begin
  if of_tenant is distinct from tenant() then
    return false;
  end if;
  select p.* into open from proposals p where p.tenant = of_tenant and p.case_id = of_case
    and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id);
  select * into word from decisions where tenant = of_tenant and proposal_id = open.proposal_id;
  ordered := exists (select from disbursements where tenant = of_tenant and decision_id = word.decision_id);
  select s.outcome into outcome from settlements s where s.tenant = of_tenant and s.decision_id = word.decision_id
    order by s.seq desc limit 1;
  select * into last from case_events where tenant = of_tenant and case_id = of_case order by seq desc limit 1;
  return case said
    when 'bypassed' then not ending and open.proposal_id is null and because in (
      'stale_intake_bundle', 'classifier_human_review', 'unsigned_intake', 'expired_intake', 'replayed_intake',
      'wrong_tenant', 'duplicate_ticket', 'kill_switch', 'release_held')
    when 'received' then not ending and open.proposal_id is null and not kill_switch(of_tenant)
      and last.status = 'bypassed' and last.reason = 'kill_switch'
    when 'blocked' then not ending and because in (
        'invalid_decision', 'invalid_action', 'forbidden_action', 'invalid_arguments', 'missing_arguments',
        'unexpected_arguments', 'invalid_argument_types', 'invalid_state_transition')
      and (open.proposal_id is null or word.word = 'revise'
        or (word.word = 'approve' and not ordered and word.execute_by <= clock()) or outcome in ('failed', 'refused'))
    when 'expired' then word.word is null and open.expires_at <= clock()
    when 'rejected' then word.word = 'reject'
    when 'replied' then word.word = 'approve' and open.kind = 'reply'
    when 'closed_by_human' then word.word = 'approve' and open.kind = 'handoff'
    when 'refunded' then outcome = 'succeeded'
    when 'refund_failed' then outcome in ('failed', 'refused') or (
      word.word = 'approve' and open.kind = 'refund' and not ordered
      and because in ('blocked:approval_mismatch', 'blocked:not_approved', 'blocked:over_refund'))
    when 'refund_pending' then not ending and word.word = 'approve' and open.kind = 'refund' and not ordered
      and because = 'blocked:kill_switch'
    else false
  end;
end $$;

-- The facts write their own events as books_scribe; whoever else writes one must be borne out by them. With the
-- rights of the caller, because only so does current_user say who that is.
create function check_case_event() returns trigger language plpgsql
set search_path = books, pg_temp as $$
begin
  perform hold_case(new.tenant, new.case_id);
  if current_user <> 'books_scribe'
     and is_true_event(new.tenant, new.case_id, new.status, new.reason, new.ended) is not true then
    perform refuse('untrue_event', new.status || ' is not what the books say');
  end if;
  select coalesce(max(seq), 0) + 1 into new.seq from case_events where tenant = new.tenant and case_id = new.case_id;
  new.at := clock();
  return new;
end $$;

-- The newest flag is the one that was committed last, so its time is taken under the lock.
create function check_flag() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.tenant is distinct from tenant() then
    perform refuse('wrong_tenant');
  end if;
  perform hold_case(new.tenant, '00000000-0000-0000-0000-000000000000');
  new.set_at := clock();
  return new;
end $$;

-- An intake admits one ticket; a case belongs to the tenant of the transaction.
create function check_case() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.tenant is distinct from tenant() then
    perform refuse('wrong_tenant');
  end if;
  perform hold_case(new.tenant, new.case_id);
  return new;
end $$;

reset role;

-- The writers of the timeline and the chain ---------------------------------------------------------------

set local role books_scribe;

create function write_timeline() returns trigger language plpgsql security definer
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
        else said := 'received'; because := 'revise';
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

create function chain_text(variadic parts text[]) returns text language sql immutable
set search_path = books, pg_temp
begin atomic
  select string_agg(length(part) || ':' || part, ',' order by place) from unnest(parts) with ordinality as p (part, place);
end;

create function write_audit() returns trigger language plpgsql security definer
set search_path = books, pg_temp set timezone = 'UTC' as $$
declare
  said jsonb := jsonb_strip_nulls(to_jsonb(new));
  event audit_events;
  last audit_events;
begin
  event.tenant := new.tenant;
  event.chain := coalesce(said->>'case_id', (
    select d.case_id::text from disbursements d
    where d.tenant = new.tenant and d.decision_id = (said->>'decision_id')::uuid), 'tenant');
  perform hold_case(event.tenant, case event.chain when 'tenant' then '00000000-0000-0000-0000-000000000000'
    else event.chain::uuid end);
  select * into last from audit_events where tenant = event.tenant and chain = event.chain order by seq desc limit 1;
  event.seq := coalesce(last.seq, 0) + 1;
  event.previous := coalesce(last.hash::text, repeat('0', 64));
  event.subject := tg_table_name;
  select string_agg(said->>key, '/' order by place) into strict event.subject_key
    from unnest(tg_argv) with ordinality as k (key, place);
  event.row_sha256 := encode(sha256(convert_to(said::text, 'UTF8')), 'hex');
  event.actor := session_user;
  event.at := clock();
  event.hash := encode(sha256(convert_to(chain_text(
    event.previous, event.tenant, event.chain, event.seq::text, event.subject, event.subject_key, event.row_sha256,
    event.actor, to_char(event.at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'UTF8')), 'hex');
  insert into audit_events select (event).*;
  return null;
end $$;

reset role;

-- Who owns what, and what fires ----------------------------------------------------------------------------

set local role books_owner;

grant select on tenants, people, memberships, authority_rules, orders, payments, cases, case_events, proposals, votes,
  decisions, disbursements, sends, settlements, flags to books_guard;
grant update (tenant) on payments to books_guard; -- a row lock needs it; the seal refuses the update itself
grant select, insert on case_events, audit_events to books_scribe;
grant select on disbursements to books_scribe;

create trigger check_case before insert on cases for each row execute function check_case();
create trigger check_proposal before insert on proposals for each row execute function check_proposal();
create trigger check_vote before insert on votes for each row execute function check_vote();
create trigger check_decision before insert on decisions for each row execute function check_decision();
create trigger check_disbursement before insert on disbursements for each row execute function check_disbursement();
create trigger check_send before insert on sends for each row execute function check_send();
create trigger check_settlement before insert on settlements for each row execute function check_settlement();
create trigger check_case_event before insert on case_events for each row execute function check_case_event();
create trigger check_flag before insert on flags for each row execute function check_flag();

create trigger a_timeline after insert on cases for each row execute function write_timeline();
create trigger a_timeline after insert on proposals for each row execute function write_timeline();
create trigger a_timeline after insert on decisions for each row execute function write_timeline();
create trigger a_timeline after insert on disbursements for each row execute function write_timeline();
create trigger a_timeline after insert on settlements for each row execute function write_timeline();

create trigger b_audit after insert on cases for each row execute function write_audit('case_id');
create trigger b_audit after insert on case_events for each row execute function write_audit('case_id', 'seq');
create trigger b_audit after insert on trace_events for each row execute function write_audit('case_id', 'run', 'step');
create trigger b_audit after insert on proposals for each row execute function write_audit('proposal_id');
create trigger b_audit after insert on votes for each row execute function write_audit('proposal_id', 'person');
create trigger b_audit after insert on decisions for each row execute function write_audit('decision_id');
create trigger b_audit after insert on disbursements for each row execute function write_audit('decision_id');
create trigger b_audit after insert on sends for each row execute function write_audit('decision_id', 'attempt');
create trigger b_audit after insert on settlements for each row execute function write_audit('decision_id', 'seq');
create trigger b_audit after insert on messages for each row execute function write_audit('message_id');
create trigger b_audit after insert on replies for each row execute function write_audit('case_id', 'outcome');
create trigger b_audit after insert on claims for each row execute function write_audit('case_id', 'seq');
create trigger b_audit after insert on flags for each row execute function write_audit('name', 'seq');

reset role;
revoke create on schema books from books_guard, books_scribe;
revoke execute on all functions in schema books from public;
grant execute on function tenant(), customer(), clock(), refuse(text, text) to desk, graph, cashier, anchorer, importer, books_guard, books_scribe;
grant execute on function hold_case(text, uuid) to books_scribe, desk, graph, cashier;
grant execute on function kill_switch(text) to desk, graph, cashier;
grant execute on function left_of_payment(text, text) to desk, graph, cashier;
grant execute on function votes_suffice(text, uuid), authority_of_proposal(text, uuid) to desk;
grant execute on function check_case_event(), is_true_event(text, uuid, case_status, text, boolean) to graph, books_scribe;
grant execute on function thread_case(uuid) to graph;

-- A table of one's own with a trigger of one's own is a place to hide; nobody needs one.
do $$
begin
  execute format('revoke temporary on database %I from public', current_database());
end $$;
