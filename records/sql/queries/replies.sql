-- The outbox: one reply a case and outcome, and each try to send it.

-- recipient_of --
select email, language, name from customers where customer_id = %(customer_id)s;

-- round_of --
-- Which time a case comes to this outcome: a question has the round of its asking, an end that of its being taken up.
select 1 + case
  when %(outcome)s::case_status = 'received' then (
    select count(*) - 1 from decisions where case_id = %(case_id)s and asks = 'customer')
  when %(outcome)s::case_status = 'refund_pending' then (
    select count(*) - 1 from decisions where case_id = %(case_id)s and word = 'approve' and kind = 'refund')
  else (
    select count(*) from case_events where case_id = %(case_id)s and status = 'received' and reason = 'taken_over')
end as round;

-- insert_reply --
insert into replies (tenant, case_id, outcome, round, message_id, recipient_sha256, body, body_sha256)
values (tenant(), %(case_id)s, %(outcome)s, %(round)s, %(message_id)s, %(recipient_sha256)s, %(body)s, %(body_sha256)s)
on conflict do nothing
returning message_id;

-- replies_of --
-- The replies of a case with how often each was tried and whether it went out.
select r.outcome, r.round, r.message_id, r.recipient_sha256, r.body, r.written_at, d.attempts, d.delivered_at
from replies r
cross join lateral (
  select count(*) as attempts, max(d.at) filter (where d.delivered) as delivered_at
  from deliveries d
  where d.tenant = r.tenant and d.case_id = r.case_id and d.outcome = r.outcome and d.round = r.round
) d
where r.case_id = %(case_id)s
order by r.written_at;

-- insert_delivery --
insert into deliveries (tenant, case_id, outcome, round, attempt, channel, delivered, detail)
select tenant(), %(case_id)s, %(outcome)s, %(round)s, coalesce(max(attempt), 0) + 1, %(channel)s, %(delivered)s, %(detail)s
from deliveries where case_id = %(case_id)s and outcome = %(outcome)s and round = %(round)s
on conflict do nothing
returning attempt;

-- replies_due --
-- Cases whose last event calls for a reply that is not written, or that have one which did not go out and is tried again.
-- Where nobody can be reached, because the customer has no address, a try would fail for ever: those are listed apart.
select c.case_id, c.ticket_id, c.customer_id, e.at
from cases c
left join customers k on k.tenant = c.tenant and k.customer_id = c.customer_id
join lateral (
  select status, reason, at, ended from case_events e
  where e.tenant = c.tenant and e.case_id = c.case_id order by seq desc limit 1
) e on true
where c.received_at > clock() - interval '90 days' and c.mode is null and (k.email is not null) = %(reachable)s
  and (%(customers)s::text[] is null or c.customer_id = any(%(customers)s)) and (
  (
    e.at between clock() - make_interval(days => %(days)s) and clock() - interval '5 seconds'
    and (
      (e.status = 'needs_human' and e.reason = 'asked_customer' and (
        select count(*) from decisions d where d.tenant = c.tenant and d.case_id = c.case_id and d.asks = 'customer'
      ) > (
        select count(*) from replies r where r.tenant = c.tenant and r.case_id = c.case_id and r.outcome = 'received'))
      or (
        (e.ended or e.status in ('bypassed', 'blocked') or (e.status = 'refund_pending' and e.reason = 'awaiting_return')
          or (e.status = 'needs_human' and exists (
            select from proposals p where p.tenant = c.tenant and p.case_id = c.case_id and p.kind = 'handoff'
              and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
              and not exists (select from decisions d where d.tenant = p.tenant and d.proposal_id = p.proposal_id))))
        and not (e.status = 'bypassed' and e.reason in ('kill_switch', 'duplicate_ticket'))
        and not (e.status = 'closed_by_human' and not exists (
          select from takeovers t where t.tenant = c.tenant and t.case_id = c.case_id and t.act = 'reply'))
        and not exists (
          select from replies r where r.tenant = c.tenant and r.case_id = c.case_id and r.outcome = e.status
            and r.round = case when e.status = 'refund_pending' then (
              select count(*) from decisions d where d.tenant = c.tenant and d.case_id = c.case_id and d.word = 'approve'
                and d.kind = 'refund') else 1 + (
              select count(*) from case_events n where n.tenant = c.tenant and n.case_id = c.case_id
                and n.status = 'received' and n.reason = 'taken_over') end))
    )
  )
  or %(reachable)s and exists (
    select from replies r
    cross join lateral (
      select count(*) as attempts, coalesce(bool_or(d.delivered), false) as delivered, max(d.at) as last_at
      from deliveries d
      where d.tenant = r.tenant and d.case_id = r.case_id and d.outcome = r.outcome and d.round = r.round
    ) d
    where r.tenant = c.tenant and r.case_id = c.case_id and not d.delivered and d.attempts < %(tries)s
      and r.written_at < clock() - interval '5 seconds'
      and coalesce(d.last_at, '-infinity') < clock() - make_interval(secs => 15 * 2 ^ d.attempts)
  ))
order by e.at
limit %(most)s;
