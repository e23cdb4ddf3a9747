-- Rows: nobody changes the past, and a tenant sees its own.

set local search_path = books, pg_temp;

set local role books_owner;

-- Nobody changes the past ------------------------------------------------------------------------------

-- Whether a disbursement's money is out or may still be: not where the provider failed it or it was never sent.
create function may_be_paid(last settlement_outcome) returns boolean language sql immutable
  return coalesce(last, 'pending') not in ('failed', 'refused');

-- How a refund stands whose money goes to several payments: a person's matter where one is, then under way, then ended.
create function outcome_of(outcomes settlement_outcome[]) returns settlement_outcome language sql immutable
set search_path = books, pg_temp
begin atomic
  select case
    when 'needs_person' = any (outcomes) then 'needs_person'
    when array_position(outcomes, null) is not null and num_nonnulls(variadic outcomes) = 0 then null
    when array_position(outcomes, null) is not null or 'pending' = any (outcomes) then 'pending'
    when 'succeeded' = all (outcomes) then 'succeeded'
    when 'refused' = all (outcomes) then 'refused'
    when outcomes is not null then 'failed'
  end::settlement_outcome;
end;

create function refuse(reason text, detail text default '') returns void language plpgsql
set search_path = books, pg_temp as $$
begin
  raise exception using errcode = 'CS001', message = reason, detail = detail;
end $$;

create function refuse_change() returns trigger language plpgsql set search_path = books, pg_temp as $$
begin
  raise exception using errcode = 'CS002', message = format('%s is append-only: %s refused', tg_table_name, tg_op);
end $$;

reset role;

set local role books_owner;

-- Append-only: no row of these is ever updated, deleted or truncated, by nobody.
do $$
declare
  sealed text;
begin
  foreach sealed in array array[
    'anchors', 'arrivals', 'assignments', 'audit_events', 'case_events', 'case_notes', 'cases', 'claims',
    'countersigned_together', 'decisions', 'deliveries',
    'disbursements', 'findings', 'flags', 'found_refund_acts', 'found_refunds', 'held_approvals', 'held_ends', 'job_failures',
    'messages', 'model_calls', 'notice_tries', 'notices', 'passwords', 'payments', 'policy_imports', 'policy_reviews', 'proposals',
    'provider_acts', 'provider_answers', 'ratings', 'readings', 'release_steps', 'releases', 'replies', 'saved_views', 'second_reviews',
    'seen_checks', 'sends',
    'session_ends', 'sessions', 'settlements', 'shadow_grades', 'shadow_runs', 'sign_ins', 'spend_alerts',
    'takeovers', 'trace_events', 'unread_answers', 'votes'
  ] loop
    execute format(
      'create trigger sealed before update or delete or truncate on %I for each statement execute function refuse_change()',
      sealed);
  end loop;
end $$;

-- A session sees the rows of the tenant that it names; of flags and releases also those that are everybody's.
do $$
declare
  walled text;
begin
  foreach walled in array array[
    'arrivals', 'assignments', 'audit_events', 'authority_rules', 'case_events', 'case_notes', 'cases', 'claims',
    'clause_vectors', 'conversation_summaries', 'countersigned_together', 'customer_facts', 'customers', 'decisions', 'deliveries', 'disbursements', 'findings', 'found_refund_acts', 'found_refunds',
    'held_approvals', 'held_ends', 'library_editions', 'viewings', 'memberships', 'memory_opt_outs', 'messages', 'model_calls', 'notice_tries', 'notices', 'orders', 'payments', 'policy_clauses',
    'policy_documents', 'policy_imports', 'policy_reviews', 'progress', 'proposals', 'provider_acts',
    'provider_answers', 'ratings', 'readings', 'replies', 'second_reviews', 'seen_checks', 'sends', 'settlements', 'shadow_grades',
    'shadow_runs', 'spend', 'spend_alerts', 'stalled_orders', 'takeovers', 'trace_events', 'unread_answers',
    'votes', 'waiting'
  ] loop
    execute format('alter table %I enable row level security', walled);
    execute format('alter table %I force row level security', walled);
    execute format('create policy tenant_wall on %I using (tenant = tenant())', walled);
  end loop;
  foreach walled in array array['flags', 'release_steps', 'releases'] loop
    execute format('alter table %I enable row level security', walled);
    execute format('alter table %I force row level security', walled);
    execute format('create policy tenant_wall on %I using (tenant = tenant() or tenant = ''*'')', walled);
  end loop;
end $$;

-- The model's hands see the orders of the customer of their case and of nobody else.
create policy own_orders on orders as restrictive for select to graph using (customer_id = customer());
create policy own_payments on payments as restrictive for select to graph
  using (exists (select from orders o where o.tenant = payments.tenant and o.order_id = payments.order_id));
create policy own_arrivals on arrivals as restrictive for select to graph
  using (exists (select from orders o where o.tenant = arrivals.tenant and o.order_id = arrivals.order_id));
-- A person is known before a tenant is; an anchor covers every tenant.
create policy sign_in on memberships for select to desk using (true);
create policy every_head on audit_events for select to anchorer using (true);
create policy kept_by_the_timeline on waiting to books_scribe using (true);
create policy kept_by_the_timeline on cases for select to books_scribe using (true);
create policy found_by_words on customers for select to books_scribe using (true);
create policy own_customer on customers as restrictive for select to graph using (customer_id = customer());

reset role;
