-- The audit: what is written down by itself, in one chain a case.

set local search_path = books, pg_temp;

set local role books_owner;

create view written with (security_invoker = true) as
  select 'cases' as subject, case_id::text as subject_key, to_jsonb(t) as said from cases t
  union all select 'case_events', case_id || '/' || seq, to_jsonb(t) from case_events t
  union all select 'trace_events', case_id || '/' || run || '/' || step, to_jsonb(t) from trace_events t
  union all select 'proposals', proposal_id::text, to_jsonb(t) from proposals t
  union all select 'votes', proposal_id || '/' || person, to_jsonb(t) from votes t
  union all select 'decisions', decision_id::text, to_jsonb(t) from decisions t
  union all select 'disbursements', decision_id::text, to_jsonb(t) from disbursements t
  union all select 'sends', decision_id || '/' || attempt, to_jsonb(t) from sends t
  union all select 'settlements', decision_id || '/' || seq, to_jsonb(t) from settlements t
  union all select 'arrivals', arrival_id || '/' || line_id, to_jsonb(t) from arrivals t
  union all select 'held_approvals', held_id::text, to_jsonb(t) from held_approvals t
  union all select 'held_ends', held_id::text, to_jsonb(t) from held_ends t
  union all select 'messages', message_id::text, to_jsonb(t) from messages t
  union all select 'replies', case_id || '/' || outcome || '/' || round, to_jsonb(t) from replies t
  union all select 'takeovers', takeover_id::text, to_jsonb(t) from takeovers t
  union all select 'deliveries', case_id || '/' || outcome || '/' || round || '/' || attempt, to_jsonb(t) from deliveries t
  union all select 'claims', case_id || '/' || seq, to_jsonb(t) from claims t
  union all select 'flags', name || '/' || seq, to_jsonb(t) from flags t where t.tenant = tenant()
  union all select 'assignments', case_id || '/' || seq, to_jsonb(t) from assignments t
  union all select 'provider_acts', act_id::text, to_jsonb(t) from provider_acts t
  union all select 'provider_answers', act_id::text, to_jsonb(t) from provider_answers t
  union all select 'second_reviews', case_id || '/' || person, to_jsonb(t) from second_reviews t
  union all select 'ratings', case_id::text, to_jsonb(t) from ratings t
  union all select 'unread_answers', case_id || '/' || seq, to_jsonb(t) from unread_answers t
  union all select 'policy_reviews', document_id || '/' || version || '/' || seq, to_jsonb(t) from policy_reviews t
    where t.person is not null
  union all select 'release_steps', release || '/' || seq, to_jsonb(t) from release_steps t where t.tenant = tenant()
  union all select 'found_refunds', provider_refund_id, to_jsonb(t) from found_refunds t
  union all select 'found_refund_acts', provider_refund_id, to_jsonb(t) from found_refund_acts t;

reset role;

set local role books_scribe;

create function chain_text(variadic parts text[]) returns text language sql immutable
set search_path = books, pg_temp
begin atomic
  select string_agg(length(part) || ':' || part, ',' order by place) from unnest(parts) with ordinality as p (part, place);
end;

create function write_audit() returns trigger language plpgsql security definer
set search_path = books, pg_temp set timezone = 'UTC' as $$
declare
  said jsonb := jsonb_strip_nulls(to_jsonb(new));
  event audit_events;
  last audit_events;
begin
  event.tenant := new.tenant;
  event.chain := coalesce(said->>'case_id', (
    select d.case_id::text from disbursements d
    where d.tenant = new.tenant and d.decision_id = (said->>'decision_id')::uuid), 'tenant');
  perform hold_case(event.tenant, case event.chain when 'tenant' then '00000000-0000-0000-0000-000000000000'
    else event.chain::uuid end);
  select * into last from audit_events where tenant = event.tenant and chain = event.chain order by seq desc limit 1;
  event.seq := coalesce(last.seq, 0) + 1;
  event.previous := coalesce(last.hash::text, repeat('0', 64));
  event.subject := tg_table_name;
  select string_agg(said->>key, '/' order by place) into strict event.subject_key
    from unnest(tg_argv) with ordinality as k (key, place);
  event.row_sha256 := encode(sha256(convert_to(said::text, 'UTF8')), 'hex');
  event.actor := session_user;
  event.at := clock();
  event.hash := encode(sha256(convert_to(chain_text(
    event.previous, event.tenant, event.chain, event.seq::text, event.subject, event.subject_key, event.row_sha256,
    event.actor, to_char(event.at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'UTF8')), 'hex');
  insert into audit_events select (event).*;
  return null;
end $$;

reset role;

set local role books_owner;
create trigger b_audit after insert on arrivals for each row execute function write_audit('arrival_id', 'line_id');
create trigger b_audit after insert on assignments for each row execute function write_audit('case_id', 'seq');
create trigger b_audit after insert on case_events for each row execute function write_audit('case_id', 'seq');
create trigger b_audit after insert on cases for each row execute function write_audit('case_id');
create trigger b_audit after insert on claims for each row execute function write_audit('case_id', 'seq');
create trigger b_audit after insert on decisions for each row execute function write_audit('decision_id');
create trigger b_audit after insert on deliveries for each row execute function write_audit('case_id', 'outcome', 'round', 'attempt');
create trigger b_audit after insert on disbursements for each row execute function write_audit('decision_id');
create trigger b_audit after insert on flags for each row execute function write_audit('name', 'seq');
create trigger b_audit after insert on found_refund_acts for each row execute function write_audit('provider_refund_id');
create trigger b_audit after insert on found_refunds for each row execute function write_audit('provider_refund_id');
create trigger b_audit after insert on held_approvals for each row execute function write_audit('held_id');
create trigger b_audit after insert on held_ends for each row execute function write_audit('held_id');
create trigger b_audit after insert on messages for each row execute function write_audit('message_id');
create trigger b_audit after insert on policy_reviews for each row execute function write_audit('document_id', 'version', 'seq');
create trigger b_audit after insert on proposals for each row execute function write_audit('proposal_id');
create trigger b_audit after insert on provider_acts for each row execute function write_audit('act_id');
create trigger b_audit after insert on provider_answers for each row execute function write_audit('act_id');
create trigger b_audit after insert on ratings for each row execute function write_audit('case_id');
create trigger b_audit after insert on release_steps for each row execute function write_audit('release', 'seq');
create trigger b_audit after insert on replies for each row execute function write_audit('case_id', 'outcome', 'round');
create trigger b_audit after insert on second_reviews for each row execute function write_audit('case_id', 'person');
create trigger b_audit after insert on sends for each row execute function write_audit('decision_id', 'attempt');
create trigger b_audit after insert on settlements for each row execute function write_audit('decision_id', 'seq');
create trigger b_audit after insert on takeovers for each row execute function write_audit('takeover_id');
create trigger b_audit after insert on trace_events for each row execute function write_audit('case_id', 'run', 'step');
create trigger b_audit after insert on unread_answers for each row execute function write_audit('case_id', 'seq');
create trigger b_audit after insert on votes for each row execute function write_audit('proposal_id', 'person');
reset role;
