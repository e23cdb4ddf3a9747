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
