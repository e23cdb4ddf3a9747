-- The job queue, and who was heard from.

-- defer_job --
-- Enqueue: a job in the same transaction as the row that needs it. No queueing lock: it would abort this transaction.
select procrastinate_defer_jobs_v1(array[
  row(%(queue)s, %(task)s, 0, %(lock)s, null, %(args)s::jsonb, null)::procrastinate_job_to_defer_v1
]) as ids;

-- locks_at_work --
-- Which of these locks have a job that waits or runs.
select distinct lock from procrastinate_jobs where lock = any(%(locks)s) and status in ('todo', 'doing');

-- forget_dead_jobs --
-- A job that runs again replaces those of its lock that died.
delete from procrastinate_jobs where lock = %(lock)s and status in ('failed', 'aborted');

-- dead_jobs --
-- Jobs that died, the newest first.
select j.id, j.queue_name as queue, j.task_name as task, j.args, j.attempts, (
  select max(e.at) from procrastinate_events e where e.job_id = j.id) as at,
  coalesce((select f.why from job_failures f where f.job = j.id order by f.at desc limit 1), '') as why
from procrastinate_jobs j
where j.status in ('failed', 'aborted')
order by j.id desc
limit %(most)s;

-- insert_job_failure --
insert into job_failures (job, why) values (%(job)s, %(why)s);

-- replay_job --
update procrastinate_jobs j set status = 'todo', abort_requested = false, scheduled_at = null, worker_id = null
where j.id = %(job)s and j.status in ('failed', 'aborted') and not exists (
  select from procrastinate_jobs o
  where (o.lock = j.lock or o.queueing_lock = j.queueing_lock) and o.status in ('todo', 'doing'))
returning j.id;

-- revive_aborted --
-- What was cut off by a stop goes on; a routine comes round by itself.
with gone as (
  delete from procrastinate_jobs where queue_name = %(queue)s and status = 'aborted' and queueing_lock is not null
)
update procrastinate_jobs j set status = 'todo', abort_requested = false, scheduled_at = null, worker_id = null
where j.queue_name = %(queue)s and j.status = 'aborted' and j.queueing_lock is null;

-- jobs_by_status --
select queue_name as queue, status::text as status, count(*) as jobs from procrastinate_jobs group by 1, 2 order by 1, 2;

-- beat --
select beat(%(instance)s);

-- heard_from --
-- When each process was heard from last, in seconds ago.
select process::text as process, extract(epoch from clock_timestamp() - max(at))::float8 as seconds_ago
from heartbeats group by process order by process;

-- last_anchored --
-- How long ago the heads of the audit were signed last, in seconds; NULL where they never were.
select extract(epoch from clock() - max(at))::float8 as seconds_ago from anchors;

-- cases_by_status --
select s.status::text as status, count(*) as cases from case_state s group by 1 order by 1;

-- unsent_replies --
select count(*) as replies from replies r
where not exists (
  select from deliveries d where d.tenant = r.tenant and d.case_id = r.case_id and d.outcome = r.outcome and d.round = r.round
    and d.delivered);
