-- Money: proposals, votes, decisions, disbursements, sends, settlements.

-- insert_proposal --
insert into proposals (
  tenant, proposal_id, case_id, thread_id, digest, body, kind, reason, payment_id, order_id, amount_minor, currency,
  release, graph_version, supersedes, edited_by, edited_upward, expires_at
) values (
  %(tenant)s, %(proposal_id)s, %(case_id)s, %(thread_id)s, %(digest)s, %(body)s, %(kind)s, %(reason)s, %(payment_id)s,
  %(order_id)s, %(amount_minor)s, %(currency)s, %(release)s, %(graph_version)s, %(supersedes)s, %(edited_by)s,
  %(edited_upward)s, clock() + make_interval(hours => %(time_to_decide_hours)s)
)
on conflict do nothing
returning proposal_id;

-- insert_vote --
insert into votes (
  tenant, proposal_id, person, case_id, thread_id, decision_id, word, digest, kind, payment_id, order_id, amount_minor,
  currency, authority, kid, payload, signature, note, decided_at, execute_by, via, address
) values (
  %(tenant)s, %(proposal_id)s, %(person)s, %(case_id)s, %(thread_id)s, %(decision_id)s, %(word)s, %(digest)s, %(kind)s,
  %(payment_id)s, %(order_id)s, %(amount_minor)s, %(currency)s, %(authority)s, %(kid)s, %(payload)s, %(signature)s,
  %(note)s, %(decided_at)s, %(execute_by)s, %(via)s, %(address)s
)
on conflict do nothing
returning person;

-- authority_of_proposal --
-- How many people, and how many specialists of them, a proposal takes; NULL where no rule speaks of it.
select (a).approvals, (a).specialists
from (select authority_of_proposal(tenant(), %(proposal_id)s) as a) r;

-- votes_of --
-- Every vote on a proposal, in the order they were cast.
select * from votes where proposal_id = %(proposal_id)s order by decided_at, person;

-- insert_decision --
-- The word on a proposal, with the limit that its votes agree on; no row where more people must agree.
insert into decisions (
  tenant, decision_id, proposal_id, case_id, thread_id, word, digest, kind, payment_id, order_id, amount_minor, currency,
  code, revised_amount_minor, revised_items, revised_reply, letter, instruction, asks, decided_by, decided_at, execute_by
)
select
  v.tenant, v.decision_id, v.proposal_id, v.case_id, v.thread_id, v.word, v.digest, v.kind, v.payment_id, v.order_id,
  v.amount_minor, v.currency, %(code)s, %(revised_amount_minor)s, %(revised_items)s,
  %(revised_reply)s, %(letter)s, %(instruction)s, %(asks)s, v.person, v.decided_at,
  (select min(o.execute_by) from votes o where o.tenant = v.tenant and o.proposal_id = v.proposal_id and o.word = v.word)
from votes v
where v.proposal_id = %(proposal_id)s and v.person = %(person)s
  and (v.word <> 'approve' or votes_suffice(v.tenant, v.proposal_id))
returning *;

-- decision_by_id --
select * from decisions where decision_id = %(decision_id)s;

-- insert_disbursements --
-- The disbursements of a decision, one a payment: they consume it, all at once; no row where it was consumed before.
insert into disbursements (
  tenant, decision_id, proposal_id, case_id, thread_id, word, digest, kind, payment_id, order_id, amount_minor, currency
)
select %(tenant)s, l.disbursement_id, %(proposal_id)s, %(case_id)s, %(thread_id)s, 'approve', %(digest)s, 'refund',
  l.payment_id, %(order_id)s, l.amount_minor, %(currency)s
from jsonb_to_recordset(%(legs)s) as l (disbursement_id uuid, payment_id text, amount_minor bigint)
on conflict (tenant, decision_id) do nothing
returning decision_id;

-- unsettled --
-- Disbursements that the cashier has not seen the end of, the oldest first, from a place on.
select d.decision_id, d.ordered_at as place
from disbursements d
left join lateral (
  select s.outcome from settlements s where s.tenant = d.tenant and s.decision_id = d.decision_id
  order by s.seq desc limit 1
) s on true
where coalesce(s.outcome, 'pending') in ('pending', 'needs_person')
  and (d.ordered_at, d.decision_id) > (%(after)s, %(after_id)s)
order by d.ordered_at, d.decision_id
limit %(most)s;

-- recently_succeeded --
-- What the provider may still take back: settled within the days in which it tells of late failures.
select d.decision_id, s.settled_at as place
from disbursements d
join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
where s.outcome = 'succeeded' and s.settled_at > clock() - make_interval(days => %(days)s)
  and (s.settled_at, d.decision_id) > (%(after)s, %(after_id)s)
order by s.settled_at, d.decision_id
limit %(most)s;

-- disbursement --
-- A disbursement with its decision, its case's thread and the text of its proposal.
select
  d.*, p.body, x.decision_id as decided_id, x.payment_id as first_payment_id, x.amount_minor as decided_minor, x.execute_by,
  c.thread_id as case_thread_id, x.execute_by <= clock() as past_paying, clock() as now,
  kill_switch(d.tenant) as killed
from disbursements d
join decisions x on x.tenant = d.tenant and x.proposal_id = d.proposal_id
join proposals p on p.tenant = d.tenant and p.proposal_id = d.proposal_id
join cases c on c.tenant = d.tenant and c.case_id = d.case_id
where d.decision_id = %(decision_id)s;

-- sends_of --
select attempt, epoch, key, sent_at, clock() - sent_at as age from sends
where decision_id = %(decision_id)s order by attempt;

-- settlements_of --
select seq, outcome, provider_refund_id, detail, settled_at from settlements
where decision_id = %(decision_id)s order by seq;

-- insert_send --
insert into sends (tenant, decision_id, attempt, epoch, key)
values (tenant(), %(decision_id)s, %(attempt)s, %(epoch)s, %(key)s)
returning sent_at;

-- insert_settlement --
insert into settlements (tenant, decision_id, seq, outcome, provider_refund_id, detail)
values (tenant(), %(decision_id)s, %(seq)s, %(outcome)s, %(provider_refund_id)s, %(detail)s)
returning settled_at;

-- payment --
select p.payment_id, p.order_id, p.amount_minor, p.currency,
  greatest(p.refunded_before_minor, made_elsewhere(p.tenant, p.payment_id)) as refunded_before_minor
from payments p where p.payment_id = %(payment_id)s;

-- known_refunds --
-- What was paid, and which refunds of the payment these books know: disbursements that are under way, refunds that ended
-- one, and what a person said is another matter; and the proposals whose refund may be found.
select p.amount_minor, p.currency,
  greatest(p.refunded_before_minor, made_elsewhere(p.tenant, p.payment_id)) as refunded_before_minor,
  left_of_payment(p.tenant, p.payment_id) as left_minor, is_disputed(p.tenant, p.payment_id) as disputed,
  array(select d.decision_id::text from disbursements d
    left join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
    where d.payment_id = p.payment_id and coalesce(s.outcome, 'pending') in ('pending', 'needs_person')) as under_way,
  array(select n.provider_refund_id from settlements n join disbursements d on d.tenant = n.tenant and d.decision_id = n.decision_id
    where d.payment_id = p.payment_id and n.provider_refund_id is not null) as settled,
  array(select f.provider_refund_id from found_refunds f where f.payment_id = p.payment_id) as found,
  array(select a.provider_refund_id from found_refund_acts a join found_refunds f on f.tenant = a.tenant
    and f.provider_refund_id = a.provider_refund_id where f.payment_id = p.payment_id) as named,
  (select coalesce(jsonb_agg(jsonb_build_array(n.proposal_id, n.case_id, l.leg)), '[]') from proposals n
    cross join lateral legs_in(n.body, n.payment_id, n.amount_minor) l
    where n.order_id = p.order_id and n.kind = 'refund' and l.payment_id = p.payment_id) as proposals
from payments p where p.payment_id = %(payment_id)s;

-- watched_payments --
-- Payments that a refund was proposed of since a moment and is not under way: their provider may know more than these books.
select l.payment_id, max(p.proposed_at) as place from proposals p
cross join lateral legs_in(p.body, p.payment_id, p.amount_minor) l
where p.kind = 'refund' and p.proposed_at > %(since)s and p.proposed_at > clock() - make_interval(days => %(days)s)
  and not exists (
    select from disbursements d left join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
    where d.tenant = p.tenant and d.payment_id = l.payment_id and may_be_paid(s.outcome))
group by l.payment_id order by place limit %(most)s;

-- insert_found_refund --
insert into found_refunds (tenant, provider_refund_id, payment_id, decision_label, amount_minor, currency, case_id)
values (tenant(), %(provider_refund_id)s, %(payment_id)s, %(decision_label)s, %(amount_minor)s, %(currency)s, %(case_id)s)
on conflict do nothing
returning provider_refund_id;

-- insert_stalled_order --
insert into stalled_orders (tenant, decision_id, passes, why) values (tenant(), %(decision_id)s, %(passes)s, %(why)s)
on conflict (tenant, decision_id) do update set passes = excluded.passes, why = excluded.why, at = clock();

-- delete_stalled_order --
delete from stalled_orders where decision_id = %(decision_id)s;

-- left_of_payment --
-- What a payment can still give back.
select left_of_payment(tenant(), %(payment_id)s) as amount_left;

-- ledger --
-- Every disbursement with its sends and its last settlement.
select
  d.decision_id, d.case_id, d.order_id, d.payment_id, d.amount_minor, d.currency, d.ordered_at,
  (select count(*) from sends n where n.tenant = d.tenant and n.decision_id = d.decision_id) as sends,
  (select n.key from sends n where n.tenant = d.tenant and n.decision_id = d.decision_id order by attempt desc limit 1) as key,
  s.outcome, s.provider_refund_id, s.detail, s.settled_at,
  (select string_agg(v.person, ', ' order by v.decided_at) from votes v
   where v.tenant = d.tenant and v.proposal_id = d.proposal_id and v.word = 'approve') as approved_by
from disbursements d
left join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
order by d.ordered_at
limit %(most)s;

-- method_of_payment --
-- What a payment was made with.
select method from payments where payment_id = %(payment_id)s;

-- over_refunded --
-- Payments of which more was ordered back than was paid: always none.
select p.payment_id from payments p
where greatest(p.refunded_before_minor, made_elsewhere(p.tenant, p.payment_id)) + coalesce((
  select sum(d.amount_minor) from disbursements d
  left join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
  where d.tenant = p.tenant and d.payment_id = p.payment_id
    and may_be_paid(s.outcome)), 0) > p.amount_minor
order by p.payment_id;

-- bodies_of --
select body from proposals where case_id = %(case_id)s order by proposed_at, proposal_id;
