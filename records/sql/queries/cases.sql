-- Cases: what came in, where it stands, how it ended.

-- clock --
-- The time of the books.
select books.clock() as now;

-- hold_case --
-- Wait for every other write of this case, until the end of the transaction.
select hold_case(%(tenant)s, %(case_id)s);

-- thread_case --
-- Which case a thread is bound to.
select tenant, case_id from books.thread_case(%(thread_id)s);

-- customer_orders --
-- The newest orders of a customer, and the one that is named.
select customer_orders(%(customer_id)s, %(order_id)s) as orders;

-- case_by_id --
select * from cases where case_id = %(case_id)s;

-- order_of_case --
-- The order that a case last proposed a refund of, or the one that it came with.
select order_of_case(tenant(), %(case_id)s) as order_id;

-- case_by_ticket --
select * from cases where ticket_id = %(ticket_id)s;

-- jti_used --
-- Whether an intake signature has admitted a ticket before.
select true as used from cases where jti = %(jti)s and verdict = 'verified';

-- arrival --
-- The time of the books, how far the releases are, the customer's orders, and the case that a ticket id already is.
select clock() as now, customer_orders(%(customer_id)s, %(order_id)s) as customer_orders, (select jsonb_agg(to_jsonb(l) order by l.place) from release_state_now l) as release_stages, c.*
from (select 1) one left join cases c on c.ticket_id = %(ticket_id)s;

-- insert_case --
-- A ticket becomes a case, once; no row where it already is one.
insert into cases (
  tenant, case_id, thread_id, ticket_id, ticket, ticket_sha256, question_sha256, customer_id, order_id, intent,
  bundle_version, route, verdict, jti, submitted_by, release, graph_version, mode
) values (
  %(tenant)s, %(case_id)s, %(thread_id)s, %(ticket_id)s, %(ticket)s, %(ticket_sha256)s, %(question_sha256)s,
  %(customer_id)s, %(order_id)s, %(intent)s, %(bundle_version)s, %(route)s, %(verdict)s, %(jti)s, %(submitted_by)s,
  %(release)s, %(graph_version)s, nullif(%(mode)s::case_mode, 'production')
)
on conflict do nothing
returning *;

-- insert_case_event --
-- An end, or a stop on the way, that the facts bear out; the number and the time are the books' own.
insert into case_events (tenant, case_id, seq, status, reason, ended)
values (tenant(), %(case_id)s, 1, %(status)s, %(reason)s, %(ended)s)
on conflict do nothing
returning seq;

-- snapshot --
-- Where a case stands: its last event, the open end of its chain, the word on that, and what became of its money.
select
  e.status, e.reason, e.ended, kill_switch(tenant()) as killed, clock() as now, keeps_releases() as keeps_releases,
  release_for((select c.release from cases c where c.case_id = %(case_id)s)) as release_now,
  (select r.body from readings r where r.case_id = %(case_id)s order by r.seq desc limit 1) as reading, s.*
from (
  select status, reason, ended from case_events where case_id = %(case_id)s order by seq desc limit 1
) e
left join lateral (
  select
    p.body, p.digest, p.expires_at, p.expires_at <= clock() as past_deciding,
    is_withdrawn(p.tenant, p.proposal_id) as withdrawn,
    (select count(*) from proposals n where n.tenant = p.tenant and n.case_id = p.case_id) as proposals,
    d.decision_id, d.tenant, d.case_id, d.thread_id, d.proposal_id, d.digest as decided_digest, d.kind, d.word, d.payment_id,
    d.order_id, d.amount_minor, d.currency, d.code, d.revised_amount_minor, d.revised_items, d.revised_reply, d.letter, d.instruction,
    d.asks, d.decided_by,
    d.decided_at, d.execute_by,
    d.asks is not null and not exists (
      select from messages m where m.tenant = d.tenant and m.case_id = d.case_id and m.author = d.asks::text
        and m.at > d.decided_at) as waits_for_answer,
    coalesce(d.execute_by <= clock(), false) as past_paying,
    d.word = 'approve' and not x.ordered and awaits_return(d.tenant, d.proposal_id) as awaits_return,
    d.word = 'approve' and not x.ordered and returned_otherwise(d.tenant, d.proposal_id) as returned_otherwise,
    x.ordered, x.outcome, x.detail, x.provider_refund_id, x.settled_at, x.legs,
    h.amount_minor as set_amount_minor, h.edited_by as set_by
  from proposals p
  left join lateral (
    select n.amount_minor, n.edited_by from proposals n
    where n.tenant = p.tenant and n.case_id = p.case_id and n.edited_by is not null
    order by n.proposed_at desc limit 1
  ) h on true
  left join decisions d on d.tenant = p.tenant and d.proposal_id = p.proposal_id
  left join lateral (
    select count(*) > 0 as ordered, outcome_of(array_agg(t.outcome)) as outcome, max(t.settled_at) as settled_at,
      string_agg(t.provider_refund_id, ', ' order by n.payment_id) as provider_refund_id,
      coalesce((array_agg(t.detail order by t.outcome = 'needs_person' desc, not may_be_paid(t.outcome) desc, t.settled_at desc)
        filter (where t.outcome is not null))[1], '') as detail,
      jsonb_agg(jsonb_build_object('payment_id', n.payment_id, 'outcome', t.outcome)) as legs
    from disbursements n
    left join lateral (
      select outcome, detail, provider_refund_id, settled_at from settlements s
      where s.tenant = n.tenant and s.decision_id = n.decision_id order by s.seq desc limit 1
    ) t on true
    where n.tenant = p.tenant and n.proposal_id = p.proposal_id
  ) x on true
  where p.case_id = %(case_id)s
    and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
) s on true;

-- idle_cases --
-- Cases for which the graph has something to do: never started, stopped on the way, decided, settled or expired.
select c.case_id, c.received_at as place
from cases c
left join lateral (
  select p.* from proposals p where p.tenant = c.tenant and p.case_id = c.case_id
    and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
) p on true
left join lateral (
  select status, reason, ended, at from case_events e where e.tenant = c.tenant and e.case_id = c.case_id order by seq desc limit 1
) e on true
left join decisions d on d.tenant = c.tenant and d.proposal_id = p.proposal_id
left join lateral (
  select count(*) > 0 as ordered, outcome_of(array_agg(settled_as(n.tenant, n.decision_id))) as outcome
  from disbursements n where n.tenant = c.tenant and n.proposal_id = p.proposal_id
) s on true
where not e.ended and e.status <> 'blocked' and (c.received_at, c.case_id) > (%(after)s, %(after_id)s)
  and (c.case_id not in (select n.case_id from case_events n where n.tenant = tenant() and n.ended)
    or c.case_id in (select n.case_id from case_events n where n.tenant = tenant() and n.status = 'refund_failed'))
  and (
    (e.status = 'received' and (p.proposal_id is null or e.reason = 'taken_over'))
    or (e.status = 'bypassed' and e.reason = 'kill_switch' and not kill_switch(c.tenant))
    or (d.word is null and p.expires_at <= clock())
    or (d.word is null and is_withdrawn(p.tenant, p.proposal_id) and not kill_switch(c.tenant))
    or (d.word is not null and not s.ordered and not (
      d.asks is not null and not exists (
        select from messages m where m.tenant = c.tenant and m.case_id = c.case_id and m.author = d.asks::text
          and m.at > d.decided_at))
      and not (e.reason = 'blocked:kill_switch' and kill_switch(c.tenant) and d.execute_by > clock())
      and not (e.reason = 'awaiting_return' and d.execute_by > clock() and (not order_touched(c.tenant, order_of_case(c.tenant, c.case_id), e.at)
        or (awaits_return(c.tenant, p.proposal_id) and not returned_otherwise(c.tenant, p.proposal_id)))))
    or s.outcome in ('succeeded', 'failed', 'refused')
  )
order by c.received_at, c.case_id
limit %(most)s;

-- newest_waiting --
-- The cases that wait for a person's word, the newest first.
select c.case_id, c.received_at
from cases c
join lateral (
  select status from case_events e where e.tenant = c.tenant and e.case_id = c.case_id order by seq desc limit 1
) e on e.status = 'needs_human'
order by c.received_at desc
limit %(most)s;

-- moved_cases --
-- The cases that something happened to since a moment, and the last such moment.
select case_id, max(at) as at from case_events
where tenant = tenant() and at > %(since)s group by case_id order by max(at) limit %(most)s;

-- insert_takeover --
insert into takeovers (
  tenant, takeover_id, case_id, person, act, reply, payment_id, order_id, amount_minor, currency, note, via,
  address
) values (
  tenant(), gen_random_uuid(), %(case_id)s, %(person)s, %(act)s, %(reply)s, %(payment_id)s, %(order_id)s,
  %(amount_minor)s, %(currency)s, %(note)s, %(via)s, %(address)s
)
returning takeover_id;

-- beginning --
-- What a run starts from: where and when its order was made, what the customer wrote since the ticket, and what a
-- person wants proposed and nothing has been proposed for since, and the flags that narrow it.
select o.region, o.ordered_at, clock() as now,
  array(select m.body from messages m where m.case_id = c.case_id and m.author = 'customer' order by m.at, m.message_id)
    as answers,
  t.person, t.reply, t.payment_id, t.order_id as takeover_order_id, t.amount_minor, t.currency,
  (select coalesce(jsonb_agg(jsonb_build_array(f.name, f.value)), '[]') from (
    select distinct on (tenant, name) name, value from flags where name <> 'kill_switch'
    order by tenant, name, set_at desc, seq desc) f) as flags,
  (select coalesce(max(run), 0) + 1 from trace_events e where e.case_id = c.case_id) as run,
  customer_orders(%(customer_id)s, %(order_id)s) as customer_orders,
  (select r.body from readings r where r.case_id = c.case_id and r.reader = 'person' and r.at > coalesce((
    select max(m.at) from messages m where m.case_id = c.case_id and m.author = 'customer'), '-infinity')
    order by r.seq desc limit 1) as corrected,
  coalesce((select max(r.at) from readings r where r.case_id = c.case_id and r.reader = 'person')
    > (select max(d.decided_at) from decisions d join proposals p using (tenant, proposal_id)
       where p.case_id = c.case_id and d.revised_amount_minor is not null), true) as corrected_after_edits,
  k.name as customer_name, k.address as customer_address, k.email as customer_email, k.language
from (select %(case_id)s::uuid as case_id) c
left join customers k on k.customer_id = %(customer_id)s
left join orders o on o.order_id = %(order_id)s
left join lateral (
  select * from takeovers t
  where t.case_id = c.case_id and t.act = 'propose'
    and not exists (select from proposals p where p.tenant = t.tenant and p.case_id = t.case_id and p.proposed_at > t.at)
  order by t.at desc limit 1
) t on true;

-- takeovers_of --
select person, act, reply, amount_minor, currency, note, at from takeovers where case_id = %(case_id)s order by at;

-- insert_arrival --
-- Goods that came back, as somebody notes them beside a case; no row where this arrival is there already.
insert into arrivals (tenant, arrival_id, case_id, order_id, line_id, quantity, condition, person, via, address)
select tenant(), %(arrival_id)s, %(case_id)s, %(order_id)s, l.line_id, l.quantity, %(condition)s, %(person)s, %(via)s, %(address)s
from jsonb_to_recordset(%(lines)s) as l (line_id text, quantity bigint)
on conflict do nothing
returning line_id;

-- insert_message --
-- What a customer or a colleague says of a case; no row where this message is there already.
insert into messages (tenant, message_id, case_id, author, body, body_sha256, person, via, address)
values (tenant(), %(message_id)s, %(case_id)s, %(author)s, %(body)s, %(body_sha256)s, %(person)s, %(via)s, %(address)s)
on conflict do nothing
returning message_id;

-- insert_reading --
-- What a reader found in the words of a case; the number and the time are the books' own.
insert into readings (tenant, case_id, seq, reader, version, body, run, person, via, address)
values (tenant(), %(case_id)s, 1, %(reader)s, %(version)s, %(body)s, %(run)s, %(person)s, %(via)s, %(address)s)
returning seq;

-- written_since --
-- What a customer wrote after a proposal was made.
select true as written from messages m join proposals p using (tenant, case_id)
where p.proposal_id = %(proposal_id)s and m.case_id = %(case_id)s and m.author = 'customer' and m.at > p.proposed_at
limit 1;

-- raised_by_reading --
-- Who has read the case of a proposal so that it asks for more than before.
select distinct r.person from readings r join proposals p using (tenant, case_id)
where p.proposal_id = %(proposal_id)s and r.reader = 'person' and raised_by_reading(tenant(), p.proposal_id, r.person);

-- corrections_of --
-- What people read in the words of cases, the newest of each, with what a program had read before.
select r.case_id, c.ticket, r.person, r.at, r.version, r.body as corrected, k.name, k.address, k.email,
  (select p.body from readings p where p.case_id = r.case_id and p.seq < r.seq order by p.seq desc limit 1) as read
from readings r
join cases c using (tenant, case_id)
left join customers k on k.tenant = c.tenant and k.customer_id = c.customer_id
where r.reader = 'person' and not exists (
  select from readings n where n.tenant = r.tenant and n.case_id = r.case_id and n.reader = 'person' and n.seq > r.seq
)
order by r.at desc
limit %(most)s;

-- messages_of --
select message_id, author, body, at, person from messages where case_id = %(case_id)s order by at, message_id;

-- events_of --
-- The timeline of a case.
select status, reason, at from case_events where case_id = %(case_id)s order by seq;
