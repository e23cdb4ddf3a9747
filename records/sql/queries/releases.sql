-- Releases: how far each has come, what a shadow would have done, what the cases of a release came to.

-- release_stages --
-- Where each release stands.
select release, seq, state, percent, tenants, person, reason, at, place from release_state_now order by place;

-- release_steps --
select release, seq, state, percent, tenants, person, reason, at from release_steps order by place desc limit 500;

-- release --
select * from releases where release = %(release)s;

-- releases --
select release, manifest_sha256, code, receipt_sha256, gate, entered_by, entered_at from releases order by entered_at;

-- insert_release --
insert into releases (release, manifest, manifest_sha256, code, receipt, receipt_sha256, gate, entered_by)
values (%(release)s, %(manifest)s, %(manifest_sha256)s, %(code)s, %(receipt)s, %(receipt_sha256)s, %(gate)s, %(person)s)
on conflict do nothing
returning release;

-- insert_release_step --
-- The number and the time are the books' own.
insert into release_steps (release, seq, state, percent, tenants, person, reason)
values (%(release)s, 1, %(state)s, %(percent)s, %(tenants)s, %(person)s, %(reason)s);

-- paused_under --
-- The cases that wait for a word on what a release proposed.
select p.case_id from proposals p
join lateral (
  select status, ended from case_events e where e.tenant = p.tenant and e.case_id = p.case_id order by e.seq desc limit 1
) e on e.status = 'needs_human' and not e.ended
where p.release = %(release)s and is_withdrawn(p.tenant, p.proposal_id)
  and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
  and not exists (select from decisions d where d.tenant = p.tenant and d.proposal_id = p.proposal_id);

-- release_numbers --
-- What became of each case of a release that came in within a window: where it stopped first, what a person said of what
-- was proposed first, and what its first run cost. A case that the release should have taken and that was turned away for
-- it, or that has not stopped in ten minutes, counts as blocked; one that a flag or a person handed over as nothing.
select c.case_id, coalesce(e.status <> 'needs_human', true) as blocked,
  coalesce(p.kind = 'handoff' and p.reason not in ('retrieval_only', 'no_drafts', 'staging', 'kill_switch', 'release_held',
    'proposed_by_person', 'other_language', 'pasted_document'), false) as handed_over,
  d.word is not null as decided, coalesce(d.word = 'approve' and p.kind <> 'handoff', false) as approved,
  coalesce(t.cost_micros, 0)::bigint as cost_micros, coalesce(t.latency_ms, 0)::bigint as latency_ms,
  coalesce(t.path, '') as path
from cases c
left join lateral (
  select status from case_events e where e.tenant = c.tenant and e.case_id = c.case_id
    and (e.status in ('blocked', 'needs_human') or (e.status = 'bypassed' and e.reason = 'release_held'))
  order by e.seq limit 1
) e on true
left join proposals p on p.tenant = c.tenant and p.case_id = c.case_id and p.supersedes is null
left join decisions d on d.tenant = p.tenant and d.proposal_id = p.proposal_id and p.kind <> 'handoff'
left join lateral (
  select sum(cost_micros) as cost_micros, sum(latency_ms) as latency_ms, string_agg(action, ' → ' order by step) as path
  from trace_events t
  where t.tenant = c.tenant and t.case_id = c.case_id and t.run = 1
) t on true
where c.release = %(release)s and c.received_at > clock() - make_interval(mins => %(minutes)s)
  and (e.status is not null or (c.received_at < clock() - interval '10 minutes' and not exists (
    select from case_events o where o.tenant = c.tenant and o.case_id = c.case_id and o.status <> 'received')))
order by c.received_at desc
limit 20000;

-- release_hours --
-- The cases of each release by the hour in which they came in.
select c.release, date_trunc('hour', c.received_at) as hour, count(*) as cases,
  count(*) filter (where e.status = 'blocked') as blocked, count(*) filter (where p.kind = 'handoff') as handed_over,
  coalesce(sum(t.cost_micros), 0)::bigint as cost_micros, coalesce(max(t.latency_ms), 0)::bigint as latency_ms
from cases c
join lateral (
  select status from case_events e where e.tenant = c.tenant and e.case_id = c.case_id
    and e.status in ('blocked', 'needs_human') order by e.seq limit 1
) e on true
left join proposals p on p.tenant = c.tenant and p.case_id = c.case_id and p.supersedes is null
left join lateral (
  select sum(cost_micros) as cost_micros, sum(latency_ms) as latency_ms from trace_events t
  where t.tenant = c.tenant and t.case_id = c.case_id and t.run = 1
) t on true
where c.received_at > clock() - make_interval(hours => %(hours)s)
group by c.release, hour order by hour;

-- shadow_hours --
-- The same of shadow runs, by the hour in which they were made.
select s.release, date_trunc('hour', s.at) as hour, count(*) as cases, count(*) filter (where s.status = 'blocked') as blocked,
  count(*) filter (where s.kind = 'handoff') as handed_over, sum(s.cost_micros)::bigint as cost_micros,
  max(s.latency_ms)::bigint as latency_ms, count(*) filter (where cardinality(s.differs) > 0) as differ
from shadow_runs s where s.at > clock() - make_interval(hours => %(hours)s)
group by s.release, hour order by hour;

-- shadow_due --
-- Cases that came in since the shadow began, that the live release has worked on and nobody has said anything of since, and
-- that the shadow has not: whoever comes later would see another order and other words.
select c.* from cases c
where c.received_at > (select max(at) from release_steps where release = %(release)s and state = 'shadow')
  and c.verdict = 'verified' and c.release = live_release()
  and exists (select from trace_events t where t.tenant = c.tenant and t.case_id = c.case_id)
  and exists (select from case_events e where e.tenant = c.tenant and e.case_id = c.case_id
    and e.status in ('needs_human', 'blocked'))
  and not exists (select from shadow_runs s where s.tenant = c.tenant and s.case_id = c.case_id and s.release = %(release)s)
  and not exists (select from takeovers o where o.tenant = c.tenant and o.case_id = c.case_id)
  and not exists (select from decisions d where d.tenant = c.tenant and d.case_id = c.case_id)
  and not exists (select from messages m where m.tenant = c.tenant and m.case_id = c.case_id)
  and not c.case_id = any(%(but)s::uuid[])
order by c.received_at
limit %(most)s;

-- killed --
-- Whether nothing new runs in a tenant, and where a release stands.
select kill_switch(tenant()) as killed, state_of_release(%(release)s)::text as state, clock() as now;

-- first_done --
-- What was done with a case first.
select e.status::text as status, coalesce(p.kind::text, 'none') as kind,
  case when e.status = 'blocked' then e.reason else p.reason end as reason,
  coalesce(p.amount_minor, 0)::bigint as amount_minor, coalesce(p.currency::text, 'XXX') as currency,
  p.body, t.path, t.cost_micros, t.latency_ms, clock() as now
from (select %(case_id)s::uuid as case_id) c
join lateral (
  select status, reason from case_events e where e.tenant = tenant() and e.case_id = c.case_id
    and e.status in ('blocked', 'needs_human') order by e.seq limit 1
) e on true
left join proposals p on p.tenant = tenant() and p.case_id = c.case_id and p.supersedes is null
left join lateral (
  select coalesce(jsonb_agg(t.action order by t.step), '[]') as path,
    coalesce(sum(t.cost_micros), 0)::bigint as cost_micros, coalesce(sum(t.latency_ms), 0)::bigint as latency_ms
  from trace_events t where t.tenant = tenant() and t.case_id = c.case_id and t.run = 1
) t on true;

-- insert_shadow_run --
insert into shadow_runs (
  tenant, release, case_id, beside, status, kind, reason, amount_minor, currency, citations, path, draft, differs, tokens,
  cost_micros, latency_ms, live_cost_micros, live_latency_ms
) values (
  tenant(), %(release)s, %(case_id)s, %(beside)s, %(status)s, %(kind)s, %(reason)s, %(amount_minor)s, %(currency)s,
  %(citations)s, %(path)s, %(draft)s, %(differs)s, %(tokens)s, %(cost_micros)s, %(latency_ms)s, %(live_cost_micros)s,
  %(live_latency_ms)s
)
on conflict do nothing
returning case_id;

-- shadow_sums --
select count(*) as cases,
  count(*) filter (where 'decision' = any(differs)) as decision, count(*) filter (where 'path' = any(differs)) as path,
  count(*) filter (where 'citations' = any(differs)) as citations, count(*) filter (where 'amount' = any(differs)) as amount,
  coalesce(sum(cost_micros), 0)::bigint as cost_micros, coalesce(sum(live_cost_micros), 0)::bigint as live_cost_micros,
  coalesce(sum(latency_ms), 0)::bigint as latency_ms, coalesce(sum(live_latency_ms), 0)::bigint as live_latency_ms
from shadow_runs where release = %(release)s;

-- shadow_runs --
-- What a shadow would have done, beside what was done, the newest first, with what people say of it.
select s.case_id, c.ticket_id, s.beside, s.status, s.kind, s.reason, s.amount_minor, s.currency, s.citations, s.path, s.draft,
  s.differs, s.cost_micros, s.latency_ms, s.live_cost_micros, s.live_latency_ms, s.at,
  (select coalesce(jsonb_agg(jsonb_build_array(g.person, g.thumb, g.note) order by g.at), '[]') from shadow_grades g
    where g.tenant = s.tenant and g.release = s.release and g.case_id = s.case_id) as grades
from shadow_runs s join cases c on c.tenant = s.tenant and c.case_id = s.case_id
where s.release = %(release)s
order by cardinality(s.differs) > 0 desc, s.at desc
limit %(most)s;

-- shadow_numbers --
-- The same of the cases that a release worked on in shadow.
select s.case_id, s.status = 'blocked' as blocked, s.kind = 'handoff' as handed_over, s.cost_micros, s.latency_ms,
  (select coalesce(string_agg(p.action, ' → ' order by p.place), '') from
    jsonb_array_elements_text(s.path) with ordinality as p (action, place)) as path
from shadow_runs s where s.release = %(release)s and s.at > clock() - make_interval(mins => %(minutes)s)
order by s.at desc limit 20000;

-- shadow_there --
select 1 as there from shadow_runs where release = %(release)s and case_id = %(case_id)s;

-- insert_shadow_grade --
insert into shadow_grades (tenant, release, case_id, person, thumb, note)
values (tenant(), %(release)s, %(case_id)s, %(person)s, %(thumb)s, %(note)s)
on conflict do nothing
returning person;
