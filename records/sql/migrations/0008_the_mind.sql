-- Models: what one was asked and cost, what it may cost, what was noticed, and which policy counts.
--
--   model_calls     one row before a call and one after it; a crash replays the answer           (graph)
--   spend           the same summed by day and month, of a tenant and of a customer              (books_scribe)
--   spend_alerts    a tenant's month reached a share of its budget, once each                     (graph)
--   findings        what code noticed in a text, a wish or a draft: for the reviewer, not a gate  (graph)
--   progress        what a run does now, for whoever watches; holds no facts                      (books_scribe)
--   policy_imports  which corpus was imported, by its hash                                        (importer)
--   policy_reviews  a named person says yes or no to a document version, by its hash              (desk)
--   clause_vectors  what a clause means to an embedding model; an option                          (importer)
--
-- A case has a mode. What is not `production` has no effect outside: no disbursement and no reply.
do $$
begin
  if exists (select from pg_available_extensions where name = 'vector') then
    create schema if not exists vectors;
    create extension if not exists vector schema vectors;
    grant usage on schema vectors to books_owner, graph;
  end if;
exception when others then
  null; -- where it may not be installed, or is broken or elsewhere, there are arrays
end $$;

set local search_path = books, pg_temp;
grant create on schema books to books_guard, books_scribe;
set local role books_owner;

create type case_mode as enum ('production', 'staging', 'dry_run');
create type model_feature as enum ('plan', 'draft', 'moderate', 'embed');
create type model_outcome as enum (
  'answered', 'refused', 'cut_off', 'filtered', 'empty', 'malformed', 'wrong_schema', 'not_an_answer', 'stalled',
  'cut_stream', 'too_long', 'rate_limited', 'quota_exhausted', 'unauthorized', 'bad_request', 'server_error',
  'unreachable', 'timed_out');
create type finding as enum (
  'other_language', 'html', 'pasted_document', 'off_topic', 'injection_pattern', 'forbidden_wish', 'unknown_id',
  'contradiction', 'invalid_answer', 'failed_check', 'moderated', 'without_model', 'retrieval_only', 'fallback_model',
  'fallback_source', 'lexical_only', 'spend_warning', 'budget', 'model_failed');
create type review_verdict as enum ('approve', 'reject');
create type stage as enum ('planning', 'reading_policy', 'reading_order', 'drafting', 'checking');

-- NULL is production: what the audit says of the cases before this column stays as it was.
alter table cases add column mode case_mode check (mode <> 'production');

-- What is known of a customer, so that it can be masked before anything leaves the house.
alter table customers add column name text check (length(name) <= 200);
alter table customers add column address text check (length(address) <= 500);
alter table customers add column language text check (language ~ '^[a-z]{2}$');
create policy own_customer on customers as restrictive for select to graph using (customer_id = customer());
grant select on customers to graph;

alter table model_calls add column feature model_feature not null;
alter table model_calls add column endpoint identifier not null;
alter table model_calls add column release identifier not null;
alter table model_calls add column customer_id identifier not null;
alter table model_calls add column prompt_sha256 sha256 not null;
alter table model_calls add column outcome model_outcome;
alter table model_calls add column input_tokens integer check (input_tokens >= 0);
alter table model_calls add column output_tokens integer check (output_tokens >= 0);
alter table model_calls add column usage_reported boolean;
alter table model_calls add column price text;
alter table model_calls add column latency_ms integer check (latency_ms >= 0);
alter table model_calls add column retry_after_ms integer check (retry_after_ms >= 0);
alter table model_calls add check ((phase = 'settled') = (outcome is not null));
alter table model_calls add check ((phase = 'settled') = (price is not null and usage_reported is not null));
create index model_calls_reserved on model_calls (endpoint, at) where phase = 'reserved';
create index model_calls_settled on model_calls (endpoint, at) where phase = 'settled';
create index model_calls_asked on model_calls (tenant, case_id, run, request_sha256);
create index model_calls_by_time on model_calls (tenant, at) where phase = 'settled';
create index trace_events_by_time on trace_events (tenant, at);
create index case_events_by_time on case_events (tenant, at);

create table spend (
  tenant tenant_id not null,
  period text not null check (period in ('day', 'month')),
  starts_on date not null,
  customer_id text not null default '',
  calls bigint not null default 0,
  tokens bigint not null default 0,
  cost_micros bigint not null default 0,
  primary key (tenant, period, starts_on, customer_id)
);

create table spend_alerts (
  tenant tenant_id not null,
  starts_on date not null,
  share smallint not null check (share in (50, 80)),
  cost_micros bigint not null,
  at timestamptz not null default clock(),
  primary key (tenant, starts_on, share)
);

create table findings (
  tenant tenant_id not null,
  case_id uuid not null,
  run smallint not null check (run > 0),
  place smallint not null check (place > 0),
  kind finding not null,
  detail text not null default '' check (length(detail) <= 300),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, run, place),
  foreign key (tenant, case_id) references cases
);
create index findings_by_time on findings (tenant, at);

create unlogged table progress (
  tenant tenant_id not null,
  case_id uuid not null,
  stage stage not null,
  words text not null default '' check (length(words) <= 8000),
  at timestamptz not null default clock(),
  primary key (tenant, case_id)
);

create table policy_imports (
  tenant tenant_id not null references tenants,
  seq integer not null check (seq > 0),
  corpus_sha256 sha256 not null,
  documents integer not null check (documents > 0),
  at timestamptz not null default clock(),
  primary key (tenant, seq)
);

-- The newest of a version counts, and only for the words it was said of.
create table policy_reviews (
  tenant tenant_id not null,
  document_id identifier not null,
  version integer not null,
  seq smallint not null check (seq > 0),
  sha256 sha256 not null,
  verdict review_verdict not null,
  person identifier references people,
  note text not null default '' check (length(note) <= 500),
  at timestamptz not null default clock(),
  primary key (tenant, document_id, version, seq),
  foreign key (tenant, document_id, version) references policy_documents,
  check (person is not null or note = 'counted before reviews were kept')
);

create table clause_vectors (
  tenant tenant_id not null,
  document_id identifier not null,
  version integer not null,
  clause text not null,
  phrase smallint not null check (phrase > 0),
  model identifier not null,
  vector real[] not null check (cardinality(vector) between 1 and 8192),
  primary key (tenant, document_id, version, clause, phrase, model),
  foreign key (tenant, document_id, version, clause) references policy_clauses
);

do $$
declare
  named text;
begin
  foreach named in array array['spend_alerts', 'findings', 'policy_imports', 'policy_reviews'] loop
    execute format(
      'create trigger sealed before update or delete or truncate on %I for each statement execute function refuse_change()', named);
  end loop;
  foreach named in array array[
    'spend', 'spend_alerts', 'findings', 'progress', 'policy_imports', 'policy_reviews', 'clause_vectors'
  ] loop
    execute format('alter table %I enable row level security', named);
    execute format('alter table %I force row level security', named);
    execute format('create policy tenant_wall on %I using (tenant = tenant())', named);
  end loop;
end $$;

-- The documents that may be cited on a day in a region, in the newest version that a person approved. A withdrawal
-- counts at once: it only takes away.
create function documents_in_force(of_region text, on_date date) returns setof policy_documents
language sql stable set search_path = books, pg_temp
begin atomic
  select (d).* from (
    select distinct on (d.document_id) d
    from policy_documents d
    left join lateral (
      select r.verdict, r.sha256 from policy_reviews r
      where r.tenant = d.tenant and r.document_id = d.document_id and r.version = d.version
      order by r.seq desc limit 1
    ) r on true
    where d.status in ('approved', 'withdrawn') and d.region in (of_region, '*')
      and d.effective_on <= on_date and (d.expires_on is null or d.expires_on > on_date)
      and (d.status = 'withdrawn' or (r.verdict = 'approve' and r.sha256 = d.sha256))
    order by d.document_id, d.version desc
  ) newest
  where (d).status = 'approved';
end;

grant select, insert, update on spend to books_scribe;
grant select, insert, update, delete on progress to books_scribe;
grant select on model_calls to books_scribe;
grant select on policy_documents to books_guard;

-- How near two vectors are, 1 to -1.
do $$
begin
  if to_regtype('vectors.vector') is not null then
    create function similarity(a real[], b real[]) returns double precision language sql immutable strict
    set search_path = books, vectors, pg_temp
    return 1 - (a::vectors.vector operator(vectors.<=>) b::vectors.vector);
  else
    create function similarity(a real[], b real[]) returns double precision language sql immutable strict
    set search_path = books, pg_temp
    return (
      select sum(x::float8 * y::float8) / nullif(sqrt(sum(x::float8 ^ 2)) * sqrt(sum(y::float8 ^ 2)), 0)
      from unnest(a, b) as p (x, y));
  end if;
end $$;
reset role;

-- The sums -------------------------------------------------------------------------------------------------------

set local role books_scribe;

-- A call counts as what was reserved for it until it is settled, in the day and month of its reservation.
create function count_spend() returns trigger language plpgsql security definer
set search_path = books, pg_temp set timezone = 'UTC' as $$
declare
  before model_calls;
  since timestamptz := new.at;
begin
  if new.phase = 'settled' then
    select * into strict before from model_calls where tenant = new.tenant and case_id = new.case_id
      and run = new.run and step = new.step and attempt = new.attempt and phase = 'reserved';
    since := before.at;
  end if;
  insert into spend as s (tenant, period, starts_on, customer_id, calls, tokens, cost_micros)
  select new.tenant, p.period, date_trunc(p.period, since)::date, p.customer_id, (new.phase = 'reserved')::int,
    new.tokens - coalesce(before.tokens, 0), new.cost_micros - coalesce(before.cost_micros, 0)
  from (values ('day', ''), ('month', ''), ('day', new.customer_id::text)) as p (period, customer_id)
  order by p.period, p.customer_id
  on conflict (tenant, period, starts_on, customer_id) do update set
    calls = s.calls + excluded.calls, tokens = s.tokens + excluded.tokens, cost_micros = s.cost_micros + excluded.cost_micros;
  return null;
end $$;

-- How busy and how well an endpoint is, over every process and every tenant: it has one limit for all of them.
create function endpoint_load(
  of_endpoint text, out in_flight bigint, out requests bigint, out tokens bigint, out failures integer,
  out failed_seconds_ago double precision
) language sql stable security definer set search_path = books, pg_temp
begin atomic
  select
    (select count(*) from model_calls r where r.endpoint = of_endpoint and r.phase = 'reserved'
      and r.at > clock() - interval '2 minutes' and not exists (
        select from model_calls s where s.tenant = r.tenant and s.case_id = r.case_id and s.run = r.run
          and s.step = r.step and s.attempt = r.attempt and s.phase = 'settled')),
    (select count(*) from model_calls r where r.endpoint = of_endpoint and r.phase = 'reserved'
      and r.at > clock() - interval '1 minute'),
    (select coalesce(sum(coalesce(s.tokens, r.tokens)), 0) from model_calls r
      left join model_calls s on s.tenant = r.tenant and s.case_id = r.case_id and s.run = r.run
        and s.step = r.step and s.attempt = r.attempt and s.phase = 'settled'
      where r.endpoint = of_endpoint and r.phase = 'reserved' and r.at > clock() - interval '1 minute'),
    f.failures::integer,
    extract(epoch from clock() - f.last_at)::double precision
  from (
    select count(*) filter (where not ended_well) as failures, max(at) filter (where not ended_well) as last_at
    from (
      select at, bool_or(well) over (order by at desc, case_id) as ended_well
      from (
        select at, case_id, outcome not in ('server_error', 'unreachable', 'timed_out', 'stalled', 'cut_stream',
          'rate_limited', 'quota_exhausted', 'unauthorized', 'not_an_answer') as well
        from model_calls where endpoint = of_endpoint and phase = 'settled' and at > clock() - interval '10 minutes'
        order by at desc limit 20
      ) newest
    ) run
  ) f;
end;

create function tell_progress(of_case uuid, now_at stage, so_far text) returns void language plpgsql volatile
security definer set search_path = books, pg_temp as $$
begin
  if now_at is null then
    delete from progress where tenant = tenant() and case_id = of_case;
  elsif exists (select from cases where tenant = tenant() and case_id = of_case) then
    insert into progress (tenant, case_id, stage, words) values (tenant(), of_case, now_at, so_far)
    on conflict (tenant, case_id) do update set stage = excluded.stage, words = excluded.words, at = clock();
  end if;
  perform pg_notify('countersign_desk', tenant() || ' ' || of_case);
end $$;

-- The end of a case that was approved and whose mode lets nothing out.
create function end_without_effect(of_case uuid) returns boolean language plpgsql volatile security definer
set search_path = books, pg_temp as $$
declare
  last case_events;
begin
  perform hold_case(tenant(), of_case);
  select * into last from case_events where tenant = tenant() and case_id = of_case order by seq desc limit 1;
  if last.status is distinct from 'approved' or last.ended or not exists (
    select from cases where tenant = tenant() and case_id = of_case and mode is not null
  ) then
    return false;
  end if;
  insert into case_events (tenant, case_id, seq, status, reason, ended)
  select tenant(), of_case, 1, 'approved', mode::text, true from cases where tenant = tenant() and case_id = of_case;
  return true;
end $$;

reset role;
grant execute on function count_spend() to books_owner;
set local role books_guard;

-- What is not production has no effect outside.
create function check_effect() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if exists (select from cases where tenant = new.tenant and case_id = new.case_id and mode is not null) then
    perform refuse('blocked:mode', 'this case has no effect outside');
  end if;
  return new;
end $$;

-- Who reviews is of the shop and answers for its policy; and what is reviewed is what stands in the books.
create function check_review() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.tenant is distinct from tenant() then
    perform refuse('wrong_tenant');
  end if;
  perform hold_case(new.tenant, '00000000-0000-0000-0000-000000000000');
  if not exists (
    select from memberships m join people p using (person)
    where m.tenant = new.tenant and m.person = new.person and m.role = 'specialist' and p.active
  ) then
    perform refuse('no_authority', 'a specialist of the shop reviews its policy');
  end if;
  if not exists (
    select from policy_documents d where d.tenant = new.tenant and d.document_id = new.document_id
      and d.version = new.version and d.sha256 = new.sha256
  ) then
    perform refuse('stale_review', 'the document has other words');
  end if;
  select coalesce(max(seq), 0) + 1 into new.seq from policy_reviews
  where tenant = new.tenant and document_id = new.document_id and version = new.version;
  new.at := clock();
  return new;
end $$;

reset role;
grant select on policy_reviews to books_guard;
grant select on cases to books_scribe;
grant select on policy_documents to books_scribe;
grant insert on policy_reviews to books_scribe;
-- As one who passes row security: an owner of the database may not, and would find nothing to approve.
set local role books_scribe;
insert into policy_reviews (tenant, document_id, version, seq, sha256, verdict, person, note)
select tenant, document_id, version, 1, sha256, 'approve', null, 'counted before reviews were kept'
from policy_documents where status = 'approved';
reset role;
revoke select on policy_documents from books_scribe;
revoke insert on policy_reviews from books_scribe;
grant execute on function write_audit() to books_owner;
set local role books_owner;

create trigger count_spend after insert on model_calls for each row execute function count_spend();
create trigger check_effect before insert on disbursements for each row execute function check_effect();
create trigger check_effect before insert on replies for each row execute function check_effect();
create trigger check_review before insert on policy_reviews for each row execute function check_review();
create trigger b_audit after insert on policy_reviews for each row execute function write_audit('document_id', 'version', 'seq');

create or replace view written with (security_invoker = true) as
  select 'cases' as subject, case_id::text as subject_key, to_jsonb(t) as said from cases t
  union all select 'case_events', case_id || '/' || seq, to_jsonb(t) from case_events t
  union all select 'trace_events', case_id || '/' || run || '/' || step, to_jsonb(t) from trace_events t
  union all select 'proposals', proposal_id::text, to_jsonb(t) from proposals t
  union all select 'votes', proposal_id || '/' || person, to_jsonb(t) from votes t
  union all select 'decisions', decision_id::text, to_jsonb(t) from decisions t
  union all select 'disbursements', decision_id::text, to_jsonb(t) from disbursements t
  union all select 'sends', decision_id || '/' || attempt, to_jsonb(t) from sends t
  union all select 'settlements', decision_id || '/' || seq, to_jsonb(t) from settlements t
  union all select 'messages', message_id::text, to_jsonb(t) from messages t
  union all select 'replies', case_id || '/' || outcome || '/' || round, to_jsonb(t) from replies t
  union all select 'takeovers', takeover_id::text, to_jsonb(t) from takeovers t
  union all select 'deliveries', case_id || '/' || outcome || '/' || round || '/' || attempt, to_jsonb(t) from deliveries t
  union all select 'claims', case_id || '/' || seq, to_jsonb(t) from claims t
  union all select 'flags', name || '/' || seq, to_jsonb(t) from flags t where t.tenant = tenant()
  union all select 'assignments', case_id || '/' || seq, to_jsonb(t) from assignments t
  union all select 'provider_acts', act_id::text, to_jsonb(t) from provider_acts t
  union all select 'provider_answers', act_id::text, to_jsonb(t) from provider_answers t
  union all select 'second_looks', case_id || '/' || person, to_jsonb(t) from second_looks t
  union all select 'ratings', case_id::text, to_jsonb(t) from ratings t
  union all select 'unread_answers', case_id || '/' || seq, to_jsonb(t) from unread_answers t
  union all select 'policy_reviews', document_id || '/' || version || '/' || seq, to_jsonb(t) from policy_reviews t
    where t.person is not null;

grant select on spend, spend_alerts, findings, policy_reviews, clause_vectors to graph;
grant insert on findings, spend_alerts to graph;
grant select on spend, spend_alerts, findings, progress, policy_imports, policy_reviews to desk;
grant insert on policy_reviews to desk;
grant select, insert on policy_imports to importer;
grant select, insert on clause_vectors to importer;

reset role;
revoke create on schema books from books_guard, books_scribe;
revoke execute on function write_audit(), count_spend() from books_owner;
revoke execute on function count_spend(), endpoint_load(text), tell_progress(uuid, stage, text), end_without_effect(uuid),
  check_effect(), check_review(), documents_in_force(text, date), similarity(real[], real[]) from public;
grant execute on function endpoint_load(text), tell_progress(uuid, stage, text), end_without_effect(uuid) to graph;
grant execute on function documents_in_force(text, date), similarity(real[], real[]) to graph, desk;
