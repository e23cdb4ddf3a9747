-- What models were asked, what they cost, and what was noticed.

-- lock_spend --
-- One reservation at a time, over all processes: what is weighed is what is then reserved.
select pg_advisory_xact_lock(4071776008);

-- load_of_endpoint --
select in_flight, requests, tokens, failures, failed_seconds_ago from endpoint_load(%(endpoint)s);

-- spent_by --
-- The sums of a tenant's day and month, and of a customer's day.
select period, customer_id, tokens, cost_micros from spend
where (period, starts_on) in (('day', (clock() at time zone 'UTC')::date), ('month', date_trunc('month', clock() at time zone 'UTC')::date))
  and customer_id in ('', %(customer_id)s);

-- answer_of_call --
-- What this request of this run was answered before; a call that failed in passing answers nothing.
select tokens, cost_micros, input_tokens, output_tokens, outcome, response, model, latency_ms, usage_reported, price
from model_calls
where case_id = %(case_id)s and run = %(run)s and request_sha256 = %(request_sha256)s and phase = 'settled'
  and outcome in ('answered', 'refused', 'cut_off', 'filtered', 'empty', 'malformed', 'wrong_schema', 'too_long')
order by attempt limit 1;

-- reserve_call --
insert into model_calls (tenant, case_id, run, step, attempt, phase, feature, endpoint, model, release, customer_id,
  prompt_version, prompt_sha256, request_sha256, tokens, cost_micros, at)
select tenant(), %(case_id)s, %(run)s, %(step)s, coalesce(max(attempt), 0) + 1, 'reserved', %(feature)s, %(endpoint)s,
  %(model)s, %(release)s, %(customer_id)s, %(prompt_version)s, %(prompt_sha256)s, %(request_sha256)s, %(tokens)s,
  %(cost_micros)s, clock()
from model_calls where case_id = %(case_id)s and run = %(run)s and step = %(step)s
returning attempt;

-- settle_call --
insert into model_calls (tenant, case_id, run, step, attempt, phase, feature, endpoint, model, release, customer_id,
  prompt_version, prompt_sha256, request_sha256, tokens, cost_micros, outcome, response, input_tokens, output_tokens,
  usage_reported, price, latency_ms, retry_after_ms)
select tenant, case_id, run, step, attempt, 'settled', feature, endpoint, model, release, customer_id, prompt_version,
  prompt_sha256, request_sha256, %(tokens)s, %(cost_micros)s, %(outcome)s, %(response)s, %(input_tokens)s,
  %(output_tokens)s, %(usage_reported)s, %(price)s, %(latency_ms)s, %(retry_after_ms)s
from model_calls
where case_id = %(case_id)s and run = %(run)s and step = %(step)s and attempt = %(attempt)s and phase = 'reserved'
on conflict do nothing;

-- insert_spend_alert --
insert into spend_alerts (tenant, starts_on, share, cost_micros)
values (tenant(), date_trunc('month', clock() at time zone 'UTC')::date, %(share)s, %(cost_micros)s)
on conflict do nothing returning share;

-- insert_findings --
insert into findings (tenant, case_id, run, place, kind, detail)
select tenant(), %(case_id)s, r.run, r.before + f.place, f.kind::finding, f.detail
from (select coalesce(max(run), 0) as run from trace_events where case_id = %(case_id)s) last
cross join lateral (
  select greatest(last.run, 1) as run, coalesce(max(place), 0) as before from findings
  where case_id = %(case_id)s and run = greatest(last.run, 1)
) r
cross join jsonb_to_recordset(%(found)s) as f (place integer, kind text, detail text);

-- findings_of --
select run, kind, detail, at from findings where case_id = %(case_id)s order by run, place;

-- calls_of --
-- The model calls of a case, each with what it cost in the end.
select r.run, r.step, r.attempt, r.feature, r.endpoint, r.model, r.release, r.prompt_version, r.at,
  coalesce(s.tokens, r.tokens) as tokens, coalesce(s.cost_micros, r.cost_micros) as cost_micros, s.outcome, s.latency_ms,
  s.usage_reported, s.price
from model_calls r
left join model_calls s on s.tenant = r.tenant and s.case_id = r.case_id and s.run = r.run and s.step = r.step
  and s.attempt = r.attempt and s.phase = 'settled'
where r.case_id = %(case_id)s and r.phase = 'reserved'
order by r.run, r.step, r.attempt;

-- tell_progress --
select tell_progress(%(case_id)s, %(stage)s::stage, %(words)s);

-- progress_of --
select stage, words, at from progress where case_id = %(case_id)s and at > clock() - interval '2 minutes';

-- end_without_effect --
select end_without_effect(%(case_id)s) as ended;

-- traces_found --
-- The newest so many runs that began since, with what they went through and cost, and where their case stands now; of
-- these, those that fit. NULL is every one.
select c.case_id, c.ticket_id, c.route::text as route, c.release, c.mode::text as mode, e.status::text as status, e.reason,
  t.run, t.at, t.path, t.steps, t.tokens, t.latency_ms, t.cost_micros, coalesce(m.models, '{}') as models,
  coalesce(m.prompts, '{}') as prompts, coalesce(f.kinds, '{}') as findings
from (
  select case_id, run, min(at) as at, string_agg(action || ': ' || result, ' → ' order by step) as path,
    array_agg(action) as actions, array_agg(result) as results, count(*) as steps, sum(tokens) as tokens,
    sum(latency_ms) as latency_ms, sum(cost_micros)::bigint as cost_micros
  from trace_events
  where tenant = tenant() and (case_id, run) in (
    select b.case_id, b.run from trace_events b
    where b.tenant = tenant() and b.step = 1 and b.at >= %(since)s and (%(until)s::timestamptz is null or b.at < %(until)s)
    order by b.at desc limit %(looked)s)
  group by case_id, run
) t
join cases c on c.tenant = tenant() and c.case_id = t.case_id
join lateral (
  select status, reason from case_events n where n.tenant = c.tenant and n.case_id = c.case_id order by seq desc limit 1
) e on true
left join lateral (
  select array_agg(distinct model) as models, array_agg(distinct feature || '-' || prompt_version) as prompts
  from model_calls m where m.tenant = c.tenant and m.case_id = t.case_id and m.run = t.run and m.phase = 'reserved'
) m on true
left join lateral (
  select array_agg(distinct kind::text) as kinds from findings f
  where f.tenant = c.tenant and f.case_id = t.case_id and f.run = t.run
) f on true
where (%(route)s::text is null or c.route::text = %(route)s)
  and (%(release)s::text is null or c.release = %(release)s)
  and (%(reason)s::text is null or e.reason = %(reason)s or e.status::text = %(reason)s or %(reason)s = any(t.results)
    or %(reason)s = any(coalesce(f.kinds, '{}')))
  and (%(model)s::text is null or %(model)s = any(coalesce(m.models, '{}')))
  and (%(prompt)s::text is null or %(prompt)s = any(coalesce(m.prompts, '{}')))
  and (%(tool)s::text is null or %(tool)s = any(t.actions))
order by t.at desc, c.case_id, t.run
limit %(most)s;

-- runs_of_hour --
-- The runs of the last hour, each with its sums, for the meters.
select count(*) as steps, sum(tokens)::bigint as tokens, sum(latency_ms)::bigint as latency_ms,
  sum(cost_micros)::bigint as cost_micros, bool_or(result = 'loop_detected') as looped
from trace_events t where at > clock() - interval '1 hour'
  and not exists (select from cases c where c.tenant = t.tenant and c.case_id = t.case_id and c.mode is not null)
group by case_id, run order by min(at) desc limit 20000;

-- tools_of_hour --
select action, result, count(*) as calls from trace_events
where at > clock() - interval '1 hour' group by action, result order by action, result;

-- calls_of_hour --
select feature::text as feature, endpoint, outcome::text as outcome, count(*) as calls, sum(tokens)::bigint as tokens,
  sum(cost_micros)::bigint as cost_micros
from model_calls where phase = 'settled' and at > clock() - interval '1 hour'
group by feature, endpoint, outcome order by 1, 2, 3;

-- findings_of_hour --
select kind::text as kind, count(*) as findings from findings where at > clock() - interval '1 hour' group by kind order by kind;

-- pauses_of_hour --
-- Where runs came to a stop or an end in the last hour, by every terminal path.
select status::text as status, reason, count(*) as cases from case_events
where at > clock() - interval '1 hour' group by status, reason order by status, reason;

-- spent_now --
-- What a tenant spent on models today and this month, and the shares of its month that people were told of.
select coalesce(sum(cost_micros) filter (where period = 'day'), 0)::bigint as day_micros,
  coalesce(sum(cost_micros) filter (where period = 'month'), 0)::bigint as month_micros,
  coalesce(sum(tokens) filter (where period = 'day'), 0)::bigint as day_tokens,
  coalesce(sum(calls) filter (where period = 'day'), 0)::bigint as day_calls,
  (select coalesce(max(share), 0) from spend_alerts a
    where a.starts_on = date_trunc('month', clock() at time zone 'UTC')::date) as share
from spend
where customer_id = '' and (period, starts_on) in (
  ('day', (clock() at time zone 'UTC')::date), ('month', date_trunc('month', clock() at time zone 'UTC')::date));

-- spend_by --
-- Spend of the last days by release and feature: what each call is attributed to.
select release, feature::text as feature, model, count(*) as calls, sum(tokens)::bigint as tokens,
  sum(cost_micros)::bigint as cost_micros
from model_calls where phase = 'settled' and at > clock() - make_interval(days => %(days)s)
group by release, feature, model order by cost_micros desc limit 50;
