-- Votes: who may say what of a proposal, how many must, and the decision that their votes complete.

set local search_path = books, pg_temp;

set local role books_guard;

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
    p.amount_minor + coalesce((
      select sum(ordered_of_payment(p.tenant, l.payment_id, p.proposal_id))
      from legs_in(p.body, p.payment_id, p.amount_minor) l)::bigint, 0))
  from proposals p where p.tenant = of_tenant and p.proposal_id = of_proposal;
end;

-- The current proposal of a case, where it can be decided now; refuses otherwise.
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

-- Whether a refund is more than what was proposed before this person said what the customer asks.
create function raised_by_reading(of_tenant text, of_proposal uuid, of_person text) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (
    select from proposals p
    join readings r on r.tenant = p.tenant and r.case_id = p.case_id and r.reader = 'person' and r.person = of_person
      and r.at < p.proposed_at
    where p.tenant = of_tenant and p.proposal_id = of_proposal and p.kind = 'refund' and p.amount_minor > coalesce((
      select b.amount_minor from proposals b
      where b.tenant = p.tenant and b.case_id = p.case_id and b.proposed_at < r.at
      order by b.proposed_at desc limit 1), 0)
  );
end;

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
     (case when new.kind = 'refund' and (select count(*) from legs_of(new.tenant, new.proposal_id)) > 1 then '2' else '1' end,
      new.kid::text, new.tenant::text, new.case_id::text, new.thread_id::text, new.decision_id::text,
      new.word::text, new.proposal_id::text, new.digest::text, new.kind::text, new.payment_id, new.order_id,
      new.amount_minor::bigint, new.currency::text, new.person::text, new.authority::text, new.decided_at,
      new.execute_by) then
    perform refuse('ballot_mismatch', 'the signed text does not say what the columns say');
  end if;
  if said->'legs' is distinct from (select p.body::jsonb->'legs' from proposals p
      where p.tenant = new.tenant and p.proposal_id = new.proposal_id) then
    perform refuse('ballot_mismatch', 'the signed text does not say to which payments the refund goes back');
  end if;
  if new.decided_at not between clock() - interval '1 minute' and clock() + interval '1 second'
     or new.execute_by not between clock() and open.expires_at + time_to_pay(open.body) then
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
    if raised_by_reading(new.tenant, new.proposal_id, new.person) then
      perform refuse('no_authority', 'nobody approves money that their own reading of the case has raised');
    end if;
    if new.kind = 'refund' and exists (
      select from legs_of(new.tenant, new.proposal_id) l where is_disputed(new.tenant, l.payment_id)) then
      perform refuse('stale_proposal', 'a dispute of this payment is open at the bank; turn it down or send it back');
    end if;
    if new.kind = 'refund' and (units_refunded(new.tenant, new.proposal_id) or exists (
      select from legs_of(new.tenant, new.proposal_id) l
      where l.amount_minor > coalesce(left_of_payment(new.tenant, l.payment_id), -1))) then
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
  if new.word = 'approve' and (new.asks is not null) is distinct from coalesce((
      select (p.body::jsonb->>'question')::boolean from proposals p
      where p.tenant = new.tenant and p.proposal_id = new.proposal_id), false) then
    perform refuse('ballot_mismatch', 'an approved question asks the customer, and nothing else that is approved does');
  end if;
  if new.word = 'approve' and not coalesce(votes_suffice(new.tenant, new.proposal_id), false) then
    perform refuse('no_authority', 'more people must agree');
  end if;
  return new;
end $$;

reset role;

set local role books_owner;

create trigger check_decision before insert on decisions for each row execute function check_decision();
create trigger check_vote before insert on votes for each row execute function check_vote();

reset role;
