-- The queue: what waits for whom, in which order, and who has it in hand.

-- part_filters --
-- What of the queue is asked for, of a row `w`; nothing of a filter that is not set.
w.tenant = tenant()
      and (%(stage)s::int is null or w.stage = %(stage)s)
      and (%(least_minor)s::bigint is null or coalesce(w.amount_minor, 0) >= %(least_minor)s)
      and (%(most_minor)s::bigint is null or coalesce(w.amount_minor, 0) <= %(most_minor)s)
      and (%(older_hours)s::int is null or w.received_at <= t.now - make_interval(hours => %(older_hours)s))
      and (%(reason)s::text is null or w.reason = %(reason)s)
      and (%(intent)s::intent is null or w.intent = %(intent)s::intent)
      and (%(chosen)s::uuid[] is null or w.case_id = any(%(chosen)s))
      and (%(mine)s::text is null or w.for_person = %(mine)s or w.case_id in (
        select k.case_id from claims k where k.tenant = tenant() and k.person = %(mine)s and k.ends_at > t.now
          and not exists (select from claims o where o.tenant = k.tenant and o.case_id = k.case_id and o.seq > k.seq)))
      and (%(search)s::text is null or w.found_by like %(search)s or w.words @@ t.asked or w.customer_id = any(t.named))

-- part_asked --
-- The moment of the page, what is searched for, and whom by name; `offset 0` keeps it from being asked anew for each row.
(select clock() as now, search_of(%(asked)s) as asked, array(
    select k.customer_id from customers_named(tenant(), %(asked)s) k where %(search)s::text is not null) as named offset 0) t

-- part_shown --
-- What a row of the queue shows, of a row `w` with its moment.
w.case_id, w.ticket_id, w.customer_id, w.order_id, w.intent, w.received_at, w.status, w.reason, w.at, false as ended,
  w.kind, w.amount_minor, w.currency, w.expires_at, w.stage, w.proposed_at, w.for_role, w.wanted_by, w.tier,
  (select a.person from people a where a.person = w.for_person and a.active) as for_person,
  (select left(question_of(c.ticket), 160) from cases c where c.tenant = w.tenant and c.case_id = w.case_id) as wrote,
  (select k.name from customers k where k.tenant = w.tenant and k.customer_id = w.customer_id) as customer_name,
  risk_of(w.status, w.reason, w.kind) as risk, w.weight, w.now, w.burns,
  least(w.wanted_by, coalesce(case w.stage when 0 then w.expires_at end, w.at + make_interval(hours => %(handover_hours)s))) as due_at,
  case when l.ends_at > w.now then l.person end as owner,
  exists (select from held_approvals h where h.tenant = w.tenant and h.case_id = w.case_id
    and h.due_at > w.now - interval '1 hour' and not exists (select from held_ends e where e.tenant = h.tenant and e.held_id = h.held_id)) as held,
  exists (select from votes v join proposals p on p.tenant = v.tenant and p.proposal_id = v.proposal_id
    where w.stage = 0 and v.person = %(me)s and v.tenant = w.tenant and v.case_id = w.case_id
      and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)) as voted,
  (select count(*) from votes v join proposals p on p.tenant = v.tenant and p.proposal_id = v.proposal_id
    where w.stage = 0 and v.word = 'approve' and v.tenant = w.tenant and v.case_id = w.case_id
      and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)) as votes

-- part_weight --
-- Risk × amount × age of a row `n`, in powers of two.
power(2::float8, n.band / 2.0::float8) * extract(epoch from t.now - n.received_at)::float8

-- part_place --
-- What a row `w` is sorted by where the reader says by what.
case %(sort)s when 'newest' then -extract(epoch from w.received_at)::float8 when 'oldest' then extract(epoch from w.received_at)::float8
  when 'amount' then -coalesce(w.amount_minor, 0)::float8
  else extract(epoch from least(w.wanted_by, w.expires_at, w.at + interval '24 hours'))::float8 end

-- part_owner --
-- Who has a case `w` in hand, where the lease has not ended.
left join lateral (
  select k.person, k.ends_at from claims k where k.tenant = w.tenant and k.case_id = w.case_id order by k.seq desc limit 1
) l on true

-- list_waiting --
-- What waits for a person: what burns first; then to decide, to take up, to be answered; in each what the help desk wants by
-- a time, by that time; then by the customer's tier, and by risk × amount × age. The first of each kind are read, and put in order together.
select {part_shown}
from (
  select n.*, t.now, n.band = 63 and n.stage < 2 as burns, {part_weight} as weight
  from {part_asked}
  cross join lateral (
    select n.case_id
    from generate_series(0, 2) as s (stage)
    cross join lateral (
      select f.* from generate_series(0, 2) as r (tier)
      cross join generate_series(0, 63) as b (band)
      cross join lateral (
        select w.case_id, w.received_at, w.band, w.stage, w.tier, w.wanted_by from waiting w
        where {part_filters} and (w.wanted_by is null or w.band = 63)
          and w.stage = s.stage and w.tier = r.tier and w.band = b.band
        order by w.received_at limit %(most)s::int + %(skip)s::int
      ) f
      union all
      (select w.case_id, w.received_at, w.band, w.stage, w.tier, w.wanted_by from waiting w
        where {part_filters} and w.wanted_by is not null and w.band < 63 and w.stage = s.stage
        order by w.wanted_by limit %(most)s::int + %(skip)s::int)
    ) n
    order by n.band = 63 and n.stage < 2 desc, n.stage, n.wanted_by, n.tier desc, {part_weight} desc, n.case_id
    limit %(most)s offset %(skip)s
  ) first
  join waiting n on n.tenant = tenant() and n.case_id = first.case_id
) w
{part_owner}
order by w.burns desc, w.stage, w.wanted_by, w.tier desc, w.weight desc, w.case_id;

-- list_waiting_sorted --
-- The same by what the reader wants: the newest or the oldest first, the largest amount, or what is due soonest.
select {part_shown}
from (
  select n.*, t.now, n.band = 63 and n.stage < 2 as burns, {part_weight} as weight
  from {part_asked}
  cross join lateral (
    select w.case_id from waiting w where {part_filters}
    order by {part_place}, w.case_id
    limit %(most)s offset %(skip)s
  ) first
  join waiting n on n.tenant = tenant() and n.case_id = first.case_id
) w
{part_owner}
order by {part_place}, w.case_id;

-- count_waiting --
-- How many wait, by stage, under the same filters.
select w.stage, count(*) as cases
from waiting w, {part_asked}
where {part_filters}
group by w.stage;

-- found_ended --
-- What a search finds that waits for nobody, the newest first.
select c.case_id, c.ticket_id, c.customer_id, c.order_id, c.received_at, s.status, s.reason, p.amount_minor, p.currency,
  (select k.name from customers k where k.tenant = c.tenant and k.customer_id = c.customer_id) as customer_name
from found_cases(tenant(), %(asked)s, %(most)s::int * 4) f
join cases c on c.tenant = tenant() and c.case_id = f.case_id
join lateral (
  select status, reason from case_events e where e.tenant = c.tenant and e.case_id = c.case_id order by e.seq desc limit 1
) s on true
left join proposals p on p.tenant = c.tenant and p.case_id = c.case_id
  and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
where not exists (select from waiting w where w.tenant = c.tenant and w.case_id = c.case_id)
order by c.received_at desc limit %(most)s;

-- list_cases --
-- Every case, or every one of a status, the newest first; who has claimed it, and until when it is due.
select
  c.case_id, c.ticket_id, c.customer_id, c.order_id, c.intent, c.received_at, s.status, s.reason, s.at, s.ended,
  p.kind, p.amount_minor, p.currency, p.expires_at, p.proposed_at, l.person as owner,
  coalesce(p.expires_at, s.at + make_interval(hours => %(handover_hours)s)) as due_at
from cases c
join lateral (
  select status, reason, at, ended from case_events e where e.tenant = c.tenant and e.case_id = c.case_id
  order by e.seq desc limit 1
) s on true
left join proposals p on p.tenant = c.tenant and p.case_id = c.case_id
  and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
left join lateral (
  select person from (
    select k.person, k.ends_at from claims k where k.tenant = c.tenant and k.case_id = c.case_id order by k.seq desc limit 1
  ) newest where newest.ends_at > clock()
) l on true
where (%(every)s or waits_for_a_person(s.status, s.reason))
  and (%(status)s::case_status is null or s.status = %(status)s::case_status)
  and (%(search)s::text is null or c.ticket_id ilike %(search)s or c.customer_id ilike %(search)s
    or c.order_id ilike %(search)s or c.case_id::text ilike %(search)s or question_of(c.ticket) ilike %(search)s)
order by c.received_at desc, c.case_id
limit %(most)s offset %(skip)s;

-- insert_claim --
-- A lease on a case; one of no minutes gives it back.
insert into claims (tenant, case_id, seq, person, ends_at)
select tenant(), %(case_id)s, coalesce(max(seq), 0) + 1, %(person)s, clock() + make_interval(mins => %(minutes)s)
from claims where case_id = %(case_id)s
returning ends_at;

-- claim_of --
-- Who has claimed a case now: the newest lease, where it has not ended.
select person, claimed_at, ends_at from (
  select person, claimed_at, ends_at from claims where case_id = %(case_id)s order by seq desc limit 1
) newest where ends_at > clock();

-- insert_assignment --
-- A case is for a person or a team from now on; nobody's hand means that the house escalates.
insert into assignments (tenant, case_id, seq, by_person, to_person, to_role, note)
select tenant(), %(case_id)s, coalesce(max(seq), 0) + 1, %(by_person)s, %(to_person)s, %(to_role)s, %(note)s
from assignments where case_id = %(case_id)s
returning seq;

-- assignments_of --
select seq, by_person, to_person, to_role, note, at from assignments where case_id = %(case_id)s order by seq;

-- running_out --
-- What is to be decided and has less than this share of its time left, and is not escalated since it was proposed.
select w.case_id, w.expires_at from waiting w, (select clock() as now) t
where w.tenant = tenant() and w.stage = 0 and w.expires_at > t.now
  and t.now >= w.expires_at - (w.expires_at - w.proposed_at) * %(share)s
  and not exists (select from assignments a where a.tenant = w.tenant and a.case_id = w.case_id
    and a.by_person is null and a.at > w.proposed_at)
order by w.expires_at limit %(most)s;

-- deciders --
-- Who may decide for the tenant, by name and role.
select p.person, p.name, m.role from memberships m join people p on p.person = m.person and p.active
where m.tenant = tenant() and m.role in ('reviewer', 'specialist') order by p.person, m.role;

-- insert_notice --
insert into notices (tenant, case_id, kind, about) values (tenant(), %(case_id)s, %(kind)s, %(about)s)
on conflict do nothing returning notice_id;

-- notices_due --
-- What somebody is to be told and nobody has written down yet.
select due.case_id, due.kind, due.about from (
  select w.case_id, 'new'::notice as kind, (case w.stage when 0 then w.proposed_at else w.at end)::text as about, w.at
  from waiting w where w.tenant = tenant() and w.stage < 2
  union all
  select w.case_id, 'expiring', w.expires_at::text, w.at
  from waiting w where w.tenant = tenant() and w.stage = 0
    and clock() >= w.expires_at - (w.expires_at - w.proposed_at) * %(share)s and w.expires_at > clock()
  union all
  select p.case_id, 'second_approval', p.proposal_id::text, v.decided_at
  from votes v join proposals p on p.tenant = v.tenant and p.proposal_id = v.proposal_id
  where v.word = 'approve' and v.decided_at > clock() - interval '31 days' and p.expires_at > clock()
    and not exists (select from decisions d where d.tenant = v.tenant and d.proposal_id = v.proposal_id)
    and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
  union all
  select n.case_id, 'mentioned', n.seq::text, n.at from case_notes n
  where n.tenant = tenant() and n.mentions <> '{}' and n.at > clock() - interval '31 days'
  union all
  select d.case_id, 'unknown_outcome', d.decision_id::text, d.ordered_at
  from disbursements d
  left join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
  where d.ordered_at > clock() - interval '31 days' and (s.outcome = 'needs_person' or (
    s.outcome is null and d.ordered_at < clock() - make_interval(secs => %(unknown_seconds)s)))
  union all
  -- Of a case, because every notice is: the newest that the release took here.
  select (select c.case_id from cases c where c.release = r.release order by c.received_at desc limit 1),
    'rolled_back', r.release || ': ' || r.reason, r.at
  from release_steps r where r.state = 'rolled_back' and r.person is null
) due
where due.at > clock() - interval '31 days' and due.case_id is not null and not exists (
  select from notices n where n.tenant = tenant() and n.case_id = due.case_id and n.kind = due.kind and n.about = due.about)
order by due.at limit %(most)s;

-- notice --
-- A notice with what may be said of its case outside the house: ids, an amount, a time.
select n.notice_id, n.kind, n.about, n.at, n.case_id, c.ticket_id, s.status, s.reason, p.amount_minor, p.currency, p.expires_at
from notices n
join cases c on c.tenant = n.tenant and c.case_id = n.case_id
join lateral (
  select status, reason from case_events e where e.tenant = n.tenant and e.case_id = n.case_id order by seq desc limit 1
) s on true
left join proposals p on p.tenant = n.tenant and p.case_id = n.case_id
  and not exists (select from proposals o where o.tenant = p.tenant and o.supersedes = p.proposal_id)
where n.notice_id = %(notice_id)s;

-- addresses_of_deciders --
select distinct p.person, p.email from memberships m join people p on p.person = m.person and p.active
where m.tenant = tenant() and p.email is not null
  and m.role = any(%(roles)s::person_role[]) order by p.person;

-- addresses_of_mentioned --
-- Whom a note names, with the address that they are told at.
select distinct p.person, p.email from case_notes n
join memberships m on m.tenant = n.tenant and m.person = any(n.mentions)
join people p on p.person = m.person and p.active
where n.case_id = %(case_id)s and n.seq = %(seq)s and p.email is not null and p.person <> n.person order by p.person;

-- notice_tries_of --
select receiver_sha256, channel, max(attempt) as attempts, bool_or(delivered) as delivered from notice_tries
where notice_id = %(notice_id)s group by receiver_sha256, channel;

-- insert_notice_try --
insert into notice_tries (tenant, notice_id, receiver_sha256, attempt, channel, delivered, detail)
select tenant(), %(notice_id)s, %(receiver_sha256)s::sha256, coalesce(max(attempt), 0) + 1, %(channel)s, %(delivered)s, %(detail)s
from notice_tries where notice_id = %(notice_id)s and receiver_sha256 = %(receiver_sha256)s::sha256
returning attempt;

-- notices_unsent --
-- Notices that somebody was not told of, for another try after a pause that doubles; and those that nobody tried.
select n.notice_id from notices n
where n.at > clock() - interval '1 day' and (
  exists (
    select from (
      select max(t.attempt) as attempts, max(t.at) as at from notice_tries t
      where t.tenant = n.tenant and t.notice_id = n.notice_id group by t.receiver_sha256 having not bool_or(t.delivered)
    ) f
    where f.attempts < %(tries)s and f.at > clock() - interval '1 hour'
      and f.at < clock() - make_interval(secs => 5 * 2 ^ f.attempts))
  or (n.at between clock() - interval '1 hour' and clock() - interval '15 seconds' and not exists (
    select from notice_tries t where t.tenant = n.tenant and t.notice_id = n.notice_id)))
order by n.at desc limit %(most)s;

-- notices_given_up --
-- Who was not reached after every try.
select n.kind, n.case_id, t.channel, t.detail, t.attempt, t.at from notice_tries t
join notices n on n.tenant = t.tenant and n.notice_id = t.notice_id
where t.attempt >= %(tries)s and not t.delivered and t.at > clock() - interval '31 days'
order by t.at desc limit %(most)s;
