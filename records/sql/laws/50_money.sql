-- Money: from a proposal to its settlement, each step checked against the one before it.

set local search_path = books, pg_temp;

set local role books_owner;

-- What was learnt of a disbursement last.
create view settlement_state with (security_invoker = true) as
  select distinct on (tenant, decision_id) tenant, decision_id, seq, outcome, provider_refund_id, detail, settled_at
  from settlements
  order by tenant, decision_id, seq desc;

reset role;

set local role books_guard;

-- What of a payment can still be refunded: paid, less what went back before this house came, less what is ordered here
-- and did not fail, less refunds that only the provider knows. A found refund without a label of ours may be money that
-- went back before this house came, so of these two the greater one counts.
create function left_of_payment(of_tenant text, of_payment text) returns bigint
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
      and may_be_paid((
        select s.outcome from settlements s
        where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
      ))
  ), 0)
  from payments p where p.tenant = of_tenant and p.payment_id = of_payment and p.tenant = tenant();
end;

-- What was ordered of a payment and did not fail, but for one decision: a split amount needs the authority of the whole.
create function ordered_of_payment(of_tenant text, of_payment text, but_decision uuid) returns bigint
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce(sum(d.amount_minor), 0)::bigint from disbursements d
  where d.tenant = of_tenant and d.payment_id = of_payment and d.decision_id is distinct from but_decision
    and may_be_paid((
      select s.outcome from settlements s
      where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
    ));
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
      and may_be_paid((
        select s.outcome from settlements s
        where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
      ))
      and jsonb_exists_any(mine.body::jsonb->'items', array(select jsonb_array_elements_text(other.body::jsonb->'items')))
  );
end;

-- A proposal says in its body what its columns say; its case is open and its release may propose; it follows the one
-- before it only where that is decided, lapsed or withdrawn; an amount that a person set is raised by nobody but a
-- person; and a refund goes to a payment of the case's own order, within what is left of it.
create function check_proposal() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  said jsonb;
  owner cases;
  before proposals;
  decided decisions;
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
  if new.edited_by is null and new.kind <> 'handoff' and not may_propose(new.release) then
    perform refuse('release_held', new.release || ' is neither canary nor live');
  end if;
  if new.expires_at <= clock() or new.expires_at > clock() + interval '31 days' then
    perform refuse('bad_expiry', 'a proposal expires within 31 days');
  end if;
  if new.supersedes is not null then
    select * into before from proposals where tenant = new.tenant and proposal_id = new.supersedes;
    if not found or before.case_id <> new.case_id then
      perform refuse('unknown_proposal');
    end if;
    select * into decided from decisions where tenant = new.tenant and proposal_id = new.supersedes;
    if not found then
      if not is_withdrawn(before.tenant, before.proposal_id) then
        perform refuse('proposal_open', 'the one before is still to be decided');
      end if;
    elsif decided.word = 'reject' then
      perform refuse('proposal_open', 'a rejected case stays rejected');
    elsif decided.word = 'approve' then
      if exists (select from disbursements where tenant = new.tenant and decision_id = decided.decision_id) then
        if may_be_paid((select s.outcome from settlements s where s.tenant = new.tenant
            and s.decision_id = decided.decision_id order by s.seq desc limit 1)) then
          perform refuse('proposal_open', 'the money of the one before is ordered');
        end if;
      elsif decided.execute_by > clock() and not (
        select status = 'received' and reason = 'taken_over' from case_events
        where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1) then
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
  if decided.word = 'revise' and decided.revised_amount_minor is not null and new.kind <> 'handoff'
     and (new.edited_by is distinct from decided.decided_by or new.amount_minor <> decided.revised_amount_minor) then
    perform refuse('proposal_mismatch', 'an edited amount is the one that was asked for and carries its editor');
  end if;
  if (decided.word is distinct from 'revise' or decided.revised_amount_minor is null) and new.amount_minor > (
    select amount_minor from proposals
    where tenant = new.tenant and case_id = new.case_id and edited_by is not null
    order by proposed_at desc limit 1) and not exists (
    select from takeovers t where t.tenant = new.tenant and t.case_id = new.case_id and t.act = 'propose'
      and t.person = new.edited_by and t.amount_minor = new.amount_minor and t.reply = new.body::jsonb->>'draft') then
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

-- The house's own rule of an amount: the books may ask for more and never for less. policies/authority.py says the same,
-- and the cashier counts by it.
create function house_rule(of_amount bigint, out approvals smallint, out specialists smallint) language sql immutable
set search_path = books, pg_temp
begin atomic
  select case when of_amount >= 200000 then 2 else 1 end::smallint, case when of_amount >= 50000 then 1 else 0 end::smallint;
end;

create function authority_of(of_tenant text, of_currency text, of_amount bigint) returns authority_rules
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select r.tenant, r.currency, r.floor_minor, greatest(r.approvals, h.approvals), greatest(r.specialists, h.specialists)
  from authority_rules r, house_rule(of_amount) h
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
  decided decisions;
  owner cases;
  paid payments;
begin
  if new.tenant is distinct from tenant() then
    perform refuse('blocked:not_approved', 'the tenant of the transaction is another one');
  end if;
  select * into decided from decisions where tenant = new.tenant and decision_id = new.decision_id;
  if not found or decided.word <> 'approve' or decided.kind <> 'refund' then
    perform refuse('blocked:not_approved');
  end if;
  select * into owner from cases where tenant = decided.tenant and case_id = decided.case_id;
  if not found or owner.thread_id <> new.thread_id
     or (decided.case_id, decided.thread_id, decided.proposal_id, decided.digest::text, decided.payment_id, decided.order_id,
         decided.amount_minor::bigint, decided.currency::text)
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
  if decided.execute_by <= clock() then
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

-- A key is given up by a named person, an hour after it was sent last at the earliest: a list may be far behind.
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
  elsif new.epoch <> last.epoch + 1 or last.sent_at > clock() - interval '1 hour' or not exists (
    select from provider_acts a where a.tenant = new.tenant and a.decision_id = new.decision_id
      and a.act = 'new_key' and a.at > last.sent_at) then
    perform refuse('not_next_epoch', 'a key is given up by a person, an hour after it was sent last');
  end if;
  return new;
end $$;

-- A settlement follows the one before it: pending may end, what is a person's may end or be refused unsent, and what
-- succeeded may still fail. Refused means that nothing was sent.
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
    or (last.outcome = 'needs_person' and new.outcome in ('pending', 'succeeded', 'failed', 'refused'))
    or (last.outcome = 'succeeded' and new.outcome = 'failed')
  ) then
    perform refuse('already_settled', last.outcome || ' does not become ' || new.outcome);
  end if;
  return new;
end $$;

-- The proposal after a revision has the reply and the items that the person asked for, and an editor asked for the
-- amount that carries their name. Words alone change no amount; who changes items names the amount too.
create function check_editor() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  decided decisions;
begin
  select * into decided from decisions d where d.tenant = new.tenant and d.proposal_id = new.supersedes and d.word = 'revise';
  if new.kind <> 'handoff' and (
    (decided.revised_reply is not null and new.body::jsonb->>'draft' is distinct from decided.revised_reply)
    or (decided.revised_reply is not null and decided.revised_amount_minor is null
      and (new.amount_minor, new.kind) is distinct from (decided.amount_minor, decided.kind))
    or (decided.revised_items is not null and new.kind = 'refund' and new.body::jsonb->'items' is distinct from decided.revised_items)
  ) and not exists (
    select from takeovers t where t.tenant = new.tenant and t.case_id = new.case_id and t.at > decided.decided_at) then
    perform refuse('proposal_mismatch', 'an edited reply or item is the one that was asked for');
  end if;
  if new.edited_by is not null
     and not (decided.decided_by is not distinct from new.edited_by and decided.revised_amount_minor is not distinct from new.amount_minor)
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

-- What is not production has no effect outside.
create function check_effect() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if exists (select from cases where tenant = new.tenant and case_id = new.case_id and mode is not null) then
    perform refuse('blocked:mode', 'this case has no effect outside');
  end if;
  return new;
end $$;

reset role;

set local role books_scribe;

-- The end of a case that was approved and whose mode lets nothing out.
create function end_without_effect(of_case uuid) returns boolean language plpgsql volatile security definer
set search_path = books, pg_temp as $$
declare
  last case_events;
begin
  perform hold_case(tenant(), of_case);
  select * into last from case_events where tenant = tenant() and case_id = of_case order by seq desc limit 1;
  if last.status is distinct from 'approved' or last.ended or not exists (
    select from cases where tenant = tenant() and case_id = of_case and mode is not null
  ) then
    return false;
  end if;
  insert into case_events (tenant, case_id, seq, status, reason, ended)
  select tenant(), of_case, 1, 'approved', mode::text, true from cases where tenant = tenant() and case_id = of_case;
  return true;
end $$;

reset role;

set local role books_owner;

create trigger check_decision before insert on decisions for each row execute function check_decision();

create trigger check_disbursement before insert on disbursements for each row execute function check_disbursement();

create trigger check_effect before insert on disbursements for each row execute function check_effect();

create trigger check_editor before insert on proposals for each row execute function check_editor();

create trigger check_proposal before insert on proposals for each row execute function check_proposal();

create trigger check_effect before insert on replies for each row execute function check_effect();

create trigger check_send before insert on sends for each row execute function check_send();

create trigger check_settlement before insert on settlements for each row execute function check_settlement();

create trigger check_vote before insert on votes for each row execute function check_vote();

reset role;
