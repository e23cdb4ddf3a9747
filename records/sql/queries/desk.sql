-- The desk's pages: what lies around one case, what the provider is asked, what is looked at twice, how it all goes.

-- proposals_of --
-- Every proposal of a case in order, with the word on each.
select p.proposal_id, p.digest, p.body, p.kind, p.reason, p.edited_by, p.edited_upward, p.proposed_at, p.expires_at,
  d.word, d.code, d.instruction, d.asks, d.decided_by, d.decided_at, d.revised_amount_minor, d.revised_reply is not null
    as revised_reply, d.revised_items is not null as revised_items
from proposals p left join decisions d on d.tenant = p.tenant and d.proposal_id = p.proposal_id
where p.case_id = %(case_id)s order by p.proposed_at;

-- cases_of_customer --
-- The other cases of a customer, the newest first.
select c.case_id, c.ticket_id, c.received_at, c.order_id, c.intent, s.status, s.reason, p.amount_minor, p.currency
from cases c
join lateral (
  select status, reason from case_events e where e.tenant = c.tenant and e.case_id = c.case_id order by seq desc limit 1
) s on true
left join proposals p on p.tenant = c.tenant and p.case_id = c.case_id
  and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
where c.customer_id = %(customer_id)s and c.case_id <> %(case_id)s
order by c.received_at desc limit %(most)s;

-- cases_of_order --
-- The other cases about an order, the newest first.
select c.case_id, c.ticket_id, c.received_at, s.status, s.reason, p.amount_minor, p.currency
from cases c
join lateral (
  select status, reason from case_events e where e.tenant = c.tenant and e.case_id = c.case_id order by seq desc limit 1
) s on true
left join proposals p on p.tenant = c.tenant and p.case_id = c.case_id
  and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
where c.customer_id = %(customer_id)s and c.order_id = %(order_id)s and c.case_id <> %(case_id)s
order by c.received_at desc limit %(most)s;

-- customer_year --
-- What a customer bought, asked and got back within a year, and what fraud teams look at; information, never a decision.
select k.name, k.language,
  (select count(*) from orders o where o.tenant = tenant() and o.customer_id = %(customer_id)s and o.ordered_at > y.since) as orders,
  (select coalesce(jsonb_object_agg(m.currency, m.minor), '{}') from (
    select p.currency, sum(p.amount_minor)::bigint as minor from orders o
    join payments p on p.tenant = o.tenant and p.order_id = o.order_id
    where o.tenant = tenant() and o.customer_id = %(customer_id)s and o.ordered_at > y.since group by p.currency) m) as paid,
  (select count(*) from cases c where c.tenant = tenant() and c.customer_id = %(customer_id)s and c.received_at > y.since) as cases,
  (select count(distinct d.case_id) from cases c join disbursements d on d.tenant = c.tenant and d.case_id = c.case_id
    where c.tenant = tenant() and c.customer_id = %(customer_id)s and d.ordered_at > y.since
      and may_be_paid(settled_as(d.tenant, d.decision_id))) as refunds,
  (select coalesce(jsonb_object_agg(m.currency, m.minor), '{}') from (
    select d.currency, sum(d.amount_minor)::bigint as minor from cases c
    join disbursements d on d.tenant = c.tenant and d.case_id = c.case_id
    where c.tenant = tenant() and c.customer_id = %(customer_id)s and d.ordered_at > y.since
      and may_be_paid(settled_as(d.tenant, d.decision_id)) group by d.currency) m) as refunded,
  (select count(*) from customers o where o.tenant = k.tenant and lower(o.address) = lower(k.address)
    and o.customer_id <> k.customer_id) as at_this_address,
  (select count(*) from customers o where o.tenant = k.tenant and lower(o.email) = lower(k.email)
    and o.customer_id <> k.customer_id) as at_this_mail
from (select clock() - interval '1 year' as since) y
left join customers k on k.tenant = tenant() and k.customer_id = %(customer_id)s;

-- orders_with_sums --
-- The newest orders of a customer with what was paid and what of it went back.
select o.order_id, o.ordered_at, o.status, o.currency,
  (select string_agg(l.line->>'name', ', ') from jsonb_array_elements(o.lines) as l (line)) as goods,
  coalesce(sum(p.amount_minor), 0)::bigint as paid_minor,
  coalesce(sum(p.amount_minor - greatest(left_of_payment(p.tenant, p.payment_id), 0)), 0)::bigint as back_minor
from orders o left join payments p on p.tenant = o.tenant and p.order_id = o.order_id
where o.tenant = tenant() and o.customer_id = %(customer_id)s
group by o.tenant, o.order_id, o.ordered_at, o.status, o.currency, o.lines
order by o.ordered_at desc limit %(most)s;

-- skus_refunded --
-- The goods that went back to a customer within a year, once for each case and kind of goods.
select distinct d.case_id, l.line->>'sku' as sku
from cases c
join disbursements d on d.tenant = c.tenant and d.case_id = c.case_id and may_be_paid(settled_as(d.tenant, d.decision_id))
join orders o on o.tenant = d.tenant and o.order_id = d.order_id
cross join lateral units_of(d.tenant, d.proposal_id) u
cross join lateral jsonb_array_elements(o.lines) as l (line)
where c.tenant = tenant() and c.customer_id = %(customer_id)s and d.ordered_at > clock() - interval '1 year'
  and l.line->>'line_id' = u.line_id and u.quantity > 0;

-- votes_of_case --
-- Every vote on every proposal of a case, in the order they were cast.
select v.person, v.word, v.note, v.via, v.decided_at, v.authority, v.digest from votes v
where v.case_id = %(case_id)s order by v.decided_at, v.person;

-- insert_case_note --
insert into case_notes (tenant, case_id, seq, person, body, mentions)
select tenant(), %(case_id)s, coalesce(max(seq), 0) + 1, %(person)s, %(body)s, %(mentions)s
from case_notes where case_id = %(case_id)s having count(*) < %(most)s
returning seq;

-- case_notes_of --
select seq, person, body, mentions, at from case_notes where case_id = %(case_id)s order by seq;

-- insert_seen_checks --
-- What stood on the screen when a person decided.
insert into seen_checks (tenant, case_id, seq, digest, person, word, effect, checks)
select tenant(), %(case_id)s, coalesce(max(seq), 0) + 1, %(digest)s, %(person)s, %(word)s, %(effect)s, %(checks)s
from seen_checks where case_id = %(case_id)s having count(*) < 200;

-- seen_checks_of --
select digest, person, word, effect, checks, at from seen_checks where case_id = %(case_id)s order by seq;

-- insert_countersigned --
insert into countersigned_together (tenant, batch_id, case_id, digest, person, of_them, asked_alone)
values (tenant(), %(batch_id)s, %(case_id)s, %(digest)s, %(person)s, %(of_them)s, %(asked_alone)s)
on conflict do nothing;

-- countersigned_of --
-- Whether a person decided a case together with others, and how many they were.
select batch_id, digest, person, of_them, asked_alone, at from countersigned_together
where case_id = %(case_id)s order by at;

-- tell_viewing --
-- That a person has a case open now; what nobody has open any more is forgotten.
with gone as (
  delete from viewings where tenant = tenant() and at < clock() - interval '10 minutes'
)
insert into viewings (tenant, case_id, person) values (tenant(), %(case_id)s, %(person)s)
on conflict (tenant, case_id, person) do update set at = clock();

-- viewers_of --
-- Who has a case open, besides one.
select person from viewings where tenant = tenant() and case_id = %(case_id)s and person <> %(person)s
  and at > clock() - make_interval(secs => %(seconds)s) order by person;

-- insert_saved_view --
insert into saved_views (person, name, seq, address)
select a.person, a.name, coalesce((select max(v.seq) from saved_views v where v.person = a.person and v.name = a.name), 0) + 1,
  a.address
from (select %(person)s::identifier as person, %(name)s::text as name, %(address)s::text as address) a
where (select count(distinct v.name) from saved_views v where v.person = a.person) < %(most)s
  or exists (select from saved_views v where v.person = a.person and v.name = a.name)
returning seq;

-- saved_views_of --
select v.name, v.address from saved_views v
where v.person = %(person)s and v.address <> '' and not exists (
  select from saved_views n where n.person = v.person and n.name = v.name and n.seq > v.seq)
order by v.name;

-- my_votes --
-- What a person decided since a moment, the newest first, and what became of it.
select v.case_id, c.ticket_id, v.word, case
    when t.act is not null then 'took_' || t.act
    when d.asks is not null and d.word = 'revise' then 'asked'
    when d.revised_amount_minor is not null or d.revised_reply is not null then 'edited'
    when v.word = 'revise' and exists (select from readings r where r.tenant = v.tenant and r.case_id = v.case_id
      and r.person = v.person and r.at between v.decided_at - interval '2 seconds' and v.decided_at + interval '2 seconds') then 'corrected'
    else v.word::text end as did, v.decided_at, v.amount_minor, v.currency, e.status, e.reason, e.at as since,
  (select s.verdict from second_reviews s where s.tenant = v.tenant and s.case_id = v.case_id order by s.at desc limit 1) as verdict,
  exists (select from votes o where o.tenant = v.tenant and o.proposal_id = v.proposal_id and o.person <> v.person and o.word <> v.word) as disagreed
from votes v
join cases c on c.tenant = v.tenant and c.case_id = v.case_id
left join decisions d on d.tenant = v.tenant and d.proposal_id = v.proposal_id and d.decided_by = v.person
left join takeovers t on t.tenant = v.tenant and t.case_id = v.case_id and t.person = v.person
  and t.at between v.decided_at - interval '2 seconds' and v.decided_at + interval '2 seconds'
join lateral (
  select status, reason, at from case_events e where e.tenant = v.tenant and e.case_id = v.case_id order by seq desc limit 1
) e on true
where v.person = %(person)s and v.decided_at > clock() - make_interval(hours => %(hours)s)
order by v.decided_at desc limit %(most)s;

-- came_back_to --
-- What a person decided or took up within some days and that waits for somebody again, or was answered by the customer since.
select distinct on (w.case_id) w.case_id, w.ticket_id, w.status, w.reason, w.at, w.amount_minor, w.currency
from votes v join waiting w on w.tenant = v.tenant and w.case_id = v.case_id
where v.person = %(person)s and v.decided_at > clock() - make_interval(days => %(days)s) and w.stage < 2
  and w.at > v.decided_at and not exists (select from takeovers t where t.tenant = v.tenant and t.case_id = v.case_id
    and t.person = v.person and t.act = 'propose' and t.at >= v.decided_at - interval '2 seconds')
order by w.case_id, w.at desc limit %(most)s;

-- notes_that_name --
-- Notes of colleagues in which a person is named.
select n.case_id, c.ticket_id, n.person, n.body, n.at from case_notes n
join cases c on c.tenant = n.tenant and c.case_id = n.case_id
where n.tenant = tenant() and n.mentions @> array[%(person)s::text] and n.at > clock() - make_interval(days => %(days)s)
order by n.at desc limit %(most)s;

-- open_proposals --
-- What is proposed in some cases and not decided.
select p.case_id, p.digest, p.body from proposals p
where p.tenant = tenant() and p.case_id = any(%(case_ids)s) and p.expires_at > clock()
  and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
  and not exists (select from decisions d where d.tenant = p.tenant and d.proposal_id = p.proposal_id);

-- load_of_deciders --
-- How many open cases each colleague has in hand or handed to them.
select p.person, array_agg(distinct m.role::text order by m.role::text) as roles,
  (select count(*) from waiting w where w.tenant = tenant() and w.for_person = p.person) +
  (select count(*) from claims k where k.tenant = tenant() and k.person = p.person and k.ends_at > clock()
    and not exists (select from claims o where o.tenant = k.tenant and o.case_id = k.case_id and o.seq > k.seq)) as in_hand
from memberships m join people p on p.person = m.person and p.active
where m.tenant = tenant() and m.role in ('reviewer', 'specialist') group by p.person order by in_hand, p.person;

-- policy_found --
-- Every version of a tenant's policy that holds some words, the newest first.
select d.document_id, d.version, d.title, d.status, d.effective_on, c.clause, c.quote
from policy_documents d
join policy_clauses c on c.tenant = d.tenant and c.document_id = d.document_id and c.version = d.version
where d.tenant = tenant() and to_tsvector('simple', d.title || ' ' || d.document_id || ' ' || c.quote) @@ search_of(%(asked)s)
order by d.document_id, d.version desc, c.clause limit %(most)s;

-- came_in_by_hour --
-- Cases in, decisions, approvals, seconds until a decision, spend and the provider's seconds, by the hour or the day.
with span as (
  select date_trunc(%(unit)s, clock() - %(back)s::interval) as since
), arrived as (
  select date_trunc(%(unit)s, c.received_at) as hour, count(*) as came_in from cases c, span
  where c.tenant = tenant() and c.received_at >= span.since group by 1
), decided as (
  select date_trunc(%(unit)s, x.decided_at) as hour, count(*) as decided, count(*) filter (where x.word = 'approve') as approved,
    percentile_cont(0.5) within group (order by extract(epoch from x.decided_at - p.proposed_at))::float8 as waited
  from span, decisions x join proposals p on p.tenant = x.tenant and p.proposal_id = x.proposal_id
  where x.tenant = tenant() and x.decided_at >= span.since group by 1
), paid as (
  select date_trunc(%(unit)s, n.ordered_at) as hour,
    percentile_cont(0.5) within group (order by extract(epoch from t.settled_at - n.ordered_at))::float8 as provider_seconds
  from span, disbursements n join settlement_state t on t.tenant = n.tenant and t.decision_id = n.decision_id
  where n.tenant = tenant() and n.ordered_at >= span.since and t.outcome = 'succeeded' group by 1
), spent as (
  select date_trunc(%(unit)s, m.at) as hour, sum(m.cost_micros)::bigint as cost_micros from model_calls m, span
  where m.tenant = tenant() and m.phase = 'settled' and m.at >= span.since group by 1
)
select h.hour, coalesce(a.came_in, 0) as came_in, coalesce(d.decided, 0) as decided, coalesce(d.approved, 0) as approved, d.waited,
  p.provider_seconds, coalesce(s.cost_micros, 0) as cost_micros
from span, generate_series(span.since, clock(), %(step)s::interval) as h (hour)
left join arrived a on a.hour = h.hour left join decided d on d.hour = h.hour
left join paid p on p.hour = h.hour left join spent s on s.hour = h.hour
order by h.hour;

-- clause_now --
-- Whether a quoted clause stands in a document that counts today, and which version of it does.
select d.status, d.title, d.effective_on, d.expires_on, c.quote, n.version is not distinct from d.version as in_force,
  n.version as newest
from policy_documents d
left join policy_clauses c on c.tenant = d.tenant and c.document_id = d.document_id and c.version = d.version
  and c.clause = %(clause)s
left join lateral (
  select f.version from documents_in_force(d.region, %(today)s) f
  where f.tenant = d.tenant and f.document_id = d.document_id
) n on true
where d.tenant = tenant() and d.document_id = %(document_id)s and d.version = %(version)s;

-- trace_timed --
-- Every step of every run of a case.
select run, step, action, args, result, tokens, latency_ms, cost_micros, at from trace_events
where case_id = %(case_id)s order by run, step;

-- units_gone --
-- Whether a unit of a proposal was refunded before.
select units_refunded(tenant(), %(proposal_id)s) as gone;

-- insert_provider_act --
insert into provider_acts (tenant, decision_id, person, act, provider_refund_id, note, via, address)
values (tenant(), %(decision_id)s, %(person)s, %(act)s, %(provider_refund_id)s, %(note)s, %(via)s, %(address)s)
returning act_id;

-- provider_act_due --
-- The newest thing that a person asked of a disbursement and the cashier has not answered.
select a.act_id, a.person, a.act, a.provider_refund_id, a.at from provider_acts a
where a.decision_id = %(decision_id)s and not exists (
  select from provider_answers r where r.tenant = a.tenant and r.act_id = a.act_id)
order by a.at desc limit 1;

-- insert_provider_answer --
insert into provider_answers (tenant, act_id, decision_id, said)
select tenant(), a.act_id, a.decision_id, %(said)s from provider_acts a
where a.decision_id = %(decision_id)s and a.at <= (select at from provider_acts where act_id = %(act_id)s)
  and not exists (select from provider_answers r where r.tenant = a.tenant and r.act_id = a.act_id)
on conflict do nothing;

-- provider_acts_of --
select a.act, a.person, a.provider_refund_id, a.note, a.at, r.said, r.at as said_at from provider_acts a
left join provider_answers r on r.tenant = a.tenant and r.act_id = a.act_id
where a.decision_id = %(decision_id)s order by a.at;

-- unknown_outcomes --
-- Disbursements without a known end: not settled after the seconds that one takes, pending, or a person's matter.
select d.decision_id, d.case_id, c.ticket_id, d.payment_id, d.order_id, d.amount_minor, d.currency, d.ordered_at,
  s.outcome, s.detail, s.provider_refund_id, s.settled_at, x.decided_by, x.execute_by, clock() as now,
  (select coalesce(jsonb_agg(jsonb_build_object('attempt', n.attempt, 'epoch', n.epoch, 'key', n.key, 'sent_at', n.sent_at)
    order by n.attempt), '[]') from sends n where n.tenant = d.tenant and n.decision_id = d.decision_id) as sends
from disbursements d
join cases c on c.tenant = d.tenant and c.case_id = d.case_id
join decisions x on x.tenant = d.tenant and x.proposal_id = d.proposal_id
left join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
where (s.outcome in ('pending', 'needs_person')
  or (s.outcome is null and d.ordered_at < clock() - make_interval(secs => %(unknown_seconds)s)))
  and (%(decision_id)s::uuid is null or d.decision_id = %(decision_id)s)
order by (s.outcome = 'needs_person') desc nulls last, d.ordered_at
limit %(most)s;

-- found_refunds --
-- Refunds at the provider that these books do not know and nobody has said what they are, the oldest first.
select f.provider_refund_id, f.payment_id, p.order_id, f.decision_label, f.amount_minor, f.currency, f.found_at, f.case_id,
  c.ticket_id
from found_refunds f
join payments p on p.tenant = f.tenant and p.payment_id = f.payment_id
left join cases c on c.tenant = f.tenant and c.case_id = f.case_id
where found_open(f.tenant, f.provider_refund_id)
order by f.found_at limit %(most)s;

-- found_refund --
select provider_refund_id, payment_id, case_id from found_refunds where provider_refund_id = %(provider_refund_id)s;

-- insert_found_refund_act --
insert into found_refund_acts (tenant, provider_refund_id, person, act, note, via, address)
values (tenant(), %(provider_refund_id)s, %(person)s, %(act)s, %(note)s, %(via)s, %(address)s)
returning provider_refund_id;

-- orders_of_payment --
-- Disbursements of a payment that wait for a person.
select d.decision_id from disbursements d join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
where d.payment_id = %(payment_id)s and s.outcome = 'needs_person';

-- stalled_orders --
select s.decision_id, c.ticket_id, s.passes, s.why from stalled_orders s
join disbursements d on d.tenant = s.tenant and d.decision_id = s.decision_id
join cases c on c.tenant = d.tenant and c.case_id = d.case_id
where s.passes >= %(passes)s order by s.at limit %(most)s;

-- to_look_at_again --
-- A sample of what was decided and nobody has looked at twice: some of each kind, the same all day for everybody.
select * from (
  select c.case_id, c.ticket_id, c.received_at, e.status, e.reason, e.at, p.amount_minor, p.currency, d.decided_by,
    row_number() over (partition by e.status order by hashtext(c.case_id::text || current_date::text)) as place
  from case_events e
  join cases c on c.tenant = e.tenant and c.case_id = e.case_id
  left join proposals p on p.tenant = c.tenant and p.case_id = c.case_id
    and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
  left join decisions d on d.tenant = p.tenant and d.proposal_id = p.proposal_id
  where e.at > clock() - make_interval(days => %(days)s)
    and e.status in ('refunded', 'replied', 'rejected', 'bypassed', 'blocked')
    and not exists (select from case_events n where n.tenant = e.tenant and n.case_id = e.case_id and n.seq > e.seq)
    and not exists (select from second_reviews s where s.tenant = c.tenant and s.case_id = c.case_id)
    and d.decided_by is distinct from %(person)s
) sample where place <= %(each)s order by status, place;

-- took_part --
-- Whether a person had a say in how a case went.
select exists (select from votes where case_id = %(case_id)s and person = %(person)s)
  or exists (select from takeovers where case_id = %(case_id)s and person = %(person)s) as took_part;

-- insert_second_review --
insert into second_reviews (tenant, case_id, person, verdict, note)
values (tenant(), %(case_id)s, %(person)s, %(verdict)s, %(note)s) on conflict do nothing returning person;

-- second_reviews_of --
select person, verdict, note, at from second_reviews where case_id = %(case_id)s order by at;

-- insert_unread_answer --
insert into unread_answers (tenant, case_id, seq, person, why)
select tenant(), %(case_id)s, coalesce(max(seq), 0) + 1, %(person)s, %(why)s
from unread_answers where case_id = %(case_id)s having count(*) < %(most)s;

-- insert_rating --
insert into ratings (tenant, case_id, thumb, word) values (tenant(), %(case_id)s, %(thumb)s, %(word)s)
on conflict do nothing returning case_id;

-- rating_of --
select thumb, word, at from ratings where case_id = %(case_id)s;

-- ratings_counted --
select thumb, count(*) as ratings from ratings where at > clock() - make_interval(days => %(days)s) group by thumb;

-- newest_ratings --
select case_id, thumb, word, at from ratings where at > clock() - make_interval(days => %(days)s) and word <> ''
order by at desc limit %(most)s;

-- decisions_by_person --
-- What each person said, and how long a proposal had waited for it; the quick ones and the longest run of yeses tell of
-- somebody who is tired.
select v.person, count(*) as votes,
  count(*) filter (where v.word = 'approve') as approved,
  count(*) filter (where v.word = 'reject') as rejected,
  count(*) filter (where v.word = 'revise') as revised,
  percentile_cont(0.5) within group (order by extract(epoch from v.decided_at - p.proposed_at))::float8 as median_seconds,
  count(*) filter (where v.decided_at - v.before < interval '5 seconds') as quick,
  count(*) filter (where v.decided_at > clock() - interval '1 hour') as last_hour,
  max(v.run) as longest_run
from (
  select w.*, count(*) filter (where w.word <> 'approve') over (partition by w.person order by w.decided_at) as breaks,
    lag(w.decided_at) over (partition by w.person order by w.decided_at) as before,
    case when w.word = 'approve' then row_number() over (partition by w.person, w.word, w.block order by w.decided_at) else 0 end as run
  from (
    select o.*, count(*) filter (where o.word <> 'approve') over (partition by o.person order by o.decided_at) as block
    from votes o where o.decided_at > clock() - make_interval(days => %(days)s)
  ) w
) v
join proposals p on p.tenant = v.tenant and p.proposal_id = v.proposal_id
group by v.person order by votes desc, v.person;

-- ends_counted --
-- How cases ended; an expiry is nobody's no.
select status, count(*) as cases from case_events
where ended and at > clock() - make_interval(days => %(days)s) group by status order by status;

-- disagreements --
-- Proposals on which one said yes and another did not.
select v.case_id, v.proposal_id, max(v.decided_at) as at,
  jsonb_object_agg(v.person, v.word) as words
from votes v where v.decided_at > clock() - make_interval(days => %(days)s)
group by v.case_id, v.proposal_id having count(distinct v.word) > 1 order by at desc limit %(most)s;

-- second_reviews_counted --
select verdict, count(*) as reviews from second_reviews where at > clock() - make_interval(days => %(days)s) group by verdict;

-- hand_offs_by_reason --
select reason, count(*) as cases from case_events
where status in ('needs_human', 'bypassed', 'blocked') and at > clock() - make_interval(days => %(days)s)
group by reason order by cases desc, reason limit 40;

-- spent --
select count(distinct t.case_id) as cases, count(*) as steps, coalesce(sum(t.tokens), 0)::bigint as tokens,
  coalesce(sum(t.cost_micros), 0)::bigint as cost_micros,
  (select coalesce(jsonb_object_agg(currency, minor), '{}') from (
    select d.currency, sum(d.amount_minor)::bigint as minor from disbursements d
    join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id and s.outcome = 'succeeded'
    where s.settled_at > clock() - make_interval(days => %(days)s) group by d.currency) m) as refunded
from trace_events t where t.at > clock() - make_interval(days => %(days)s);

-- decided_by_hour --
-- Decisions of the last day by the hour, for the eye.
select date_trunc('hour', d.decided_at) as hour, d.word, count(*) as decisions
from decisions d where d.decided_at > clock() - interval '24 hours' group by 1, 2 order by 1, 2;

-- acts --
-- Who did what, when, on which digest, from where: every act of a named person, the newest first.
select * from (
  select v.decided_at as at, v.person, v.word::text as act, v.case_id, v.digest::text as digest, v.amount_minor, v.currency::text as currency,
    v.via::text as via, v.address, v.note, v.authority::text as authority
  from votes v
  union all
  select t.at, t.person, 'take over: ' || t.act, t.case_id, null, nullif(t.amount_minor, 0), nullif(t.currency, 'XXX'),
    t.via::text, t.address, t.note, null
  from takeovers t
  union all
  select a.at, a.person, 'ask provider: ' || a.act, d.case_id, d.digest, d.amount_minor, d.currency, a.via::text, a.address,
    coalesce(a.provider_refund_id || ' ', '') || a.note, null
  from provider_acts a join disbursements d on d.tenant = a.tenant and d.decision_id = a.decision_id
  union all
  select h.at, coalesce(h.by_person::text, 'the house'), 'hand over to ' || coalesce(h.to_person::text, h.to_role::text || 's'), h.case_id, null,
    null, null, null, null, h.note, null
  from assignments h
  union all
  select k.claimed_at, k.person, case when k.ends_at > k.claimed_at + interval '1 second' then 'claim' else 'give back' end, k.case_id, null, null, null, null, null, null, null
  from claims k
  union all
  select s.at, s.person, 'second review: ' || s.verdict, s.case_id, null, null, null, null, null, s.note, null
  from second_reviews s
  union all
  select m.at, m.person, 'message of the ' || m.author, m.case_id, null, null, null, m.via::text, m.address, null, null
  from messages m where m.person is not null
  union all
  select u.at, u.person, 'answer not read', u.case_id, null, null, null, 'server', null, u.why, null
  from unread_answers u
  union all
  select h.held_at, h.person, 'press approve', h.case_id, h.digest, null, null, 'page', h.address, h.note, null
  from held_approvals h
  union all
  select e.at, h.person, 'take back the approval', h.case_id, h.digest, null, null, 'page', h.address, null, null
  from held_ends e join held_approvals h on h.tenant = e.tenant and h.held_id = e.held_id where e.word = 'taken_back'
  union all
  select f.set_at, f.set_by, f.name || ' ' || f.value || case f.tenant when '*' then ' for everybody' else '' end, null, null,
    null, null, null, null, f.reason, null
  from flags f
) done
where (%(person)s::text is null or person = %(person)s)
  and (%(case_id)s::uuid is null or case_id = %(case_id)s)
  and (%(act)s::text is null or act like %(act)s || '%%')
  and (%(since)s::timestamptz is null or at >= %(since)s)
  and (%(before)s::timestamptz is null or at < %(before)s)
order by at desc limit %(most)s offset %(skip)s;

-- chain_of --
-- The chain of one case, or of every case of the tenant; the text of each row is what its hash was taken over.
select a.tenant, a.chain, a.seq, a.subject, a.subject_key, a.row_sha256, a.actor,
  to_char(a.at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, a.previous, a.hash, jsonb_strip_nulls(s.said)::text as row
from audit_events a left join written s on s.subject = a.subject and s.subject_key = a.subject_key
where %(chain)s::text is null or a.chain = %(chain)s
order by a.chain, a.seq;

-- handed_over_since --
-- Cases that the agent handed over instead of drafting.
select c.case_id, c.ticket_id, c.release, p.reason, p.proposed_at as at
from proposals p join cases c on c.tenant = p.tenant and c.case_id = p.case_id
where p.kind = 'handoff' and p.proposed_at > clock() - make_interval(days => %(days)s)
order by p.proposed_at desc limit %(most)s;

-- changed_since --
-- Proposals that a person sent back and the one that followed, where a person is the editor of that.
select c.case_id, c.ticket_id, c.release, n.edited_by, p.body as before, n.body as after, n.proposed_at as at
from proposals n
join proposals p on p.tenant = n.tenant and p.proposal_id = n.supersedes
join cases c on c.tenant = n.tenant and c.case_id = n.case_id
where n.edited_by is not null and n.proposed_at > clock() - make_interval(days => %(days)s)
order by n.proposed_at desc limit %(most)s;

-- came_again_since --
-- The newest ticket of each order about which a customer wrote more than once.
select distinct on (c.order_id) c.case_id, c.ticket_id, c.release, c.received_at as at,
  count(*) over (partition by c.order_id) as times
from cases c
where c.order_id is not null and c.received_at > clock() - make_interval(days => %(days)s)
  and exists (select from cases o where o.tenant = c.tenant and o.order_id = c.order_id and o.customer_id = c.customer_id
    and o.case_id <> c.case_id and o.received_at > clock() - make_interval(days => %(days)s))
order by c.order_id, c.received_at desc limit %(most)s;

-- goods_awaited --
-- Cases whose refund waits for goods to come back, the longest waiting first, and until when its approval is in force.
select c.case_id, c.ticket_id, c.tenant, c.customer_id, c.order_id, e.at, d.execute_by, d.amount_minor, d.currency
from case_events e
join cases c on c.tenant = e.tenant and c.case_id = e.case_id
join decisions d on d.tenant = e.tenant and d.case_id = e.case_id and d.word = 'approve'
where e.tenant = tenant() and e.reason = 'awaiting_return' and e.status = 'refund_pending' and not exists (
  select from case_events n where n.tenant = e.tenant and n.case_id = e.case_id and n.seq > e.seq)
  and not exists (
    select from decisions n where n.tenant = d.tenant and n.case_id = d.case_id and n.decided_at > d.decided_at)
order by e.at limit %(most)s;

-- known_customer --
-- What is known of a customer, to be masked.
select name, address, email from customers where customer_id = %(customer_id)s;

-- hold_approval --
-- Hold an approval for so many seconds; nothing where one of the same proposal is held by the same person.
insert into held_approvals (tenant, held_id, case_id, proposal_id, digest, person, note, due_at, address)
select tenant(), %(held_id)s, %(case_id)s, p.proposal_id, %(digest)s, %(person)s, %(note)s,
  clock() + make_interval(secs => %(seconds)s), %(address)s
from proposals p where p.tenant = tenant() and p.case_id = %(case_id)s and p.digest = %(digest)s
  and not exists (select from held_approvals h where h.tenant = tenant() and h.case_id = %(case_id)s
    and h.due_at > clock() - interval '1 hour' and not exists (select from held_ends e where e.tenant = h.tenant and e.held_id = h.held_id))
returning held_id, due_at;

-- end_held --
-- What became of a held approval; nothing where it has an end already.
insert into held_ends (tenant, held_id, case_id, word, why)
select h.tenant, h.held_id, h.case_id, %(word)s, %(why)s from held_approvals h
where h.tenant = tenant() and h.held_id = %(held_id)s
on conflict do nothing returning at;

-- held_of_case --
-- The newest approval of a case that was held, with its end, and whether it is still held.
select h.held_id, h.case_id, h.digest, h.person, h.note, h.due_at, h.address, coalesce(e.word::text, case when h.due_at <= clock() - interval '1 hour' then 'refused' end) as word,
  coalesce(e.why, case when h.due_at <= clock() - interval '1 hour' then 'the desk was away when it was due' end) as why,
  e.word is null and h.due_at > clock() - interval '1 hour' as held, clock() as now
from held_approvals h left join held_ends e on e.tenant = h.tenant and e.held_id = h.held_id
where h.tenant = tenant() and h.case_id = %(case_id)s order by h.held_at desc limit 1;

-- written_after --
-- What a customer wrote in a case after a moment.
select true as written from messages m
where m.tenant = tenant() and m.case_id = %(case_id)s and m.author = 'customer' and m.at > %(since)s limit 1;

-- held_and_due --
-- What is to be given now; what is an hour late has been given up.
select h.held_id, h.case_id, h.digest, h.person, h.note, h.address, h.held_at, clock() - h.due_at as late
from held_approvals h
where h.tenant = tenant() and h.due_at <= clock() and h.due_at > clock() - interval '1 hour'
  and not exists (select from held_ends e where e.tenant = h.tenant and e.held_id = h.held_id)
order by h.due_at limit 200;
