-- The trace, the audit and the job queue.

-- insert_trace --
-- The steps of one run, under the next run number.
insert into trace_events (
  tenant, case_id, run, step, action, args, checked_args, result, result_sha256, tokens, latency_ms, cost_micros,
  for_customer
)
select tenant(), %(case_id)s, r.run, s.step, s.action, s.args, s.checked_args, s.result, s.result_sha256, s.tokens,
  s.latency_ms, s.cost_micros, %(for_customer)s
from (select coalesce(max(run), 0) + 1 as run from trace_events where case_id = %(case_id)s) r
cross join jsonb_to_recordset(%(steps)s) as s (step integer, action text, args text, checked_args text, result text,
  result_sha256 text, tokens integer, latency_ms integer, cost_micros bigint)
order by s.step;

-- trace_of --
select run, step, action, args, checked_args, result, result_sha256, tokens, latency_ms, cost_micros, for_customer, at
from trace_events where case_id = %(case_id)s order by run, step;

-- last_anchor --
select anchor_no, payload, signature, hash, previous from anchors order by anchor_no desc limit 1;

-- all_anchors --
select anchor_no, payload, signature, hash, previous from anchors order by anchor_no;

-- anchors_after --
select anchor_no, payload, signature, hash, previous from anchors where anchor_no > %(anchor_no)s order by anchor_no;

-- insert_anchor --
insert into anchors (anchor_no, payload, signature, hash, previous)
values (%(anchor_no)s, %(payload)s, %(signature)s, %(hash)s, %(previous)s)
on conflict do nothing
returning anchor_no;

-- audit_of_tenant --
select chain, seq, subject, subject_key, row_sha256, actor,
  to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, previous, hash
from audit_events order by chain, seq;

-- moved_heads --
-- The last event of every chain that moved since a moment.
select distinct on (tenant, chain) tenant, chain, seq, hash
from audit_events
where %(since)s::timestamptz is null or at >= %(since)s
order by tenant, chain, seq desc;

-- lock_anchors --
select pg_advisory_xact_lock(4071776002);

-- audited_rows --
-- Every row that has an event in the chain, with the hash of what it says now.
select subject, subject_key, encode(sha256(convert_to(jsonb_strip_nulls(said)::text, 'UTF8')), 'hex') as row_sha256
from written;
