-- Disbursements: what is ordered, sent and settled, each checked against what was decided.

set local search_path = books, pg_temp;

set local role books_guard;

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
  select * into decided from decisions where tenant = new.tenant and proposal_id = new.proposal_id;
  if not found or decided.word <> 'approve' or decided.kind <> 'refund' then
    perform refuse('blocked:not_approved');
  end if;
  select * into owner from cases where tenant = decided.tenant and case_id = decided.case_id;
  if not found or owner.thread_id <> new.thread_id
     or (decided.case_id, decided.thread_id, decided.proposal_id, decided.digest::text, decided.order_id,
         decided.currency::text)
        is distinct from
        (new.case_id, new.thread_id, new.proposal_id, new.digest::text, new.order_id::text, new.currency::text)
     or not exists (
       select from legs_of(new.tenant, new.proposal_id) l
       where l.payment_id = new.payment_id and l.amount_minor = new.amount_minor
         and (l.leg = 1) = (new.decision_id = decided.decision_id)) then
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
  if exists (select from disbursements
             where tenant = new.tenant and proposal_id = new.proposal_id and payment_id = new.payment_id) then
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
     or units_refunded(new.tenant, new.proposal_id) then
    perform refuse('blocked:over_refund');
  end if;
  if owner.mode is not null then
    return new; -- check_effect says that nothing of it leaves the house
  end if;
  if returned_otherwise(new.tenant, new.proposal_id) then
    perform refuse('blocked:expired', 'the goods came back otherwise than they were sold: a person decides anew');
  end if;
  if awaits_return(new.tenant, new.proposal_id) then
    perform refuse('blocked:awaiting_return', 'the goods are wanted back first');
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
  if (select execute_by from decisions where tenant = new.tenant and proposal_id = ordered.proposal_id) <= clock() then
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

-- What is not production has no effect outside.
create function check_effect() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if exists (select from cases where tenant = new.tenant and case_id = new.case_id and mode is not null) then
    perform refuse('blocked:mode', 'this case has no effect outside');
  end if;
  return new;
end $$;

-- What arrives is of the case's own order and customer, no more of a line than it has, and noted by somebody of the shop.
create function check_arrival() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  owner cases;
  bought bigint;
begin
  if new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  perform hold_case(new.tenant, new.case_id);
  select * into owner from cases where tenant = new.tenant and case_id = new.case_id;
  select (l.line->>'quantity')::bigint into bought from orders o cross join jsonb_array_elements(o.lines) as l (line)
    where o.tenant = new.tenant and o.order_id = order_of_case(new.tenant, new.case_id) and o.customer_id = owner.customer_id
      and l.line->>'line_id' = new.line_id;
  if bought is null or new.order_id is distinct from order_of_case(new.tenant, new.case_id) then
    perform refuse('foreign_order', 'no such line of the order of this case');
  end if;
  perform from payments where tenant = new.tenant and order_id = new.order_id order by payment_id for update;
  if exists (select from arrivals where tenant = new.tenant and arrival_id = new.arrival_id and line_id = new.line_id) then
    return new; -- the key refuses the second one; it is the same again
  end if;
  if new.quantity + coalesce((
    select sum(a.quantity) from arrivals a
    where a.tenant = new.tenant and a.order_id = new.order_id and a.line_id = new.line_id), 0) > bought then
    perform refuse('more_than_bought', 'more of a line came back than was bought');
  end if;
  if new.quantity > (
    select min(u.needed - u.there) from proposals p cross join lateral units_to_come(p.tenant, p.proposal_id) u
    where p.tenant = new.tenant and p.case_id = new.case_id and u.line_id = new.line_id
      and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)) then
    perform refuse('more_than_bought', 'more of a line than this case still waits for');
  end if;
  if not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role in ('reviewer', 'specialist', 'operator', 'service')
  ) then
    perform refuse('no_authority', 'not of this tenant');
  end if;
  new.arrived_at := clock();
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

create trigger check_arrival before insert on arrivals for each row execute function check_arrival();
create trigger check_disbursement before insert on disbursements for each row execute function check_disbursement();
create trigger check_effect before insert on disbursements for each row execute function check_effect();
create trigger check_effect before insert on replies for each row execute function check_effect();
create trigger check_send before insert on sends for each row execute function check_send();
create trigger check_settlement before insert on settlements for each row execute function check_settlement();

reset role;
