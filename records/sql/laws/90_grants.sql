-- Who may do what. Nothing is given that is not listed here.
set local search_path = books, pg_temp;
set local role books_owner;

revoke all on all tables in schema books from desk, graph, cashier, anchorer, importer, books_guard, books_scribe;

grant select on
  anchors, audit_events, authority_rules, case_events, case_state, customers, disbursements, findings,
  found_refunds, heartbeats, library_editions, memberships, model_calls, orders, passwords, payments, people, policy_clauses,
  policy_documents, policy_imports, progress, proposals, provider_answers, release_state_now, sends,
  settlement_state, settlements, shadow_runs, spend, spend_alerts, stalled_orders, tenants, tokens, trace_events,
  waiting, written
  to desk;
grant select, insert on
  arrivals, assignments, case_notes, cases, claims, countersigned_together, decisions, deliveries, flags, found_refund_acts, held_approvals, held_ends, job_failures, messages,
  notice_tries, notices, policy_reviews, provider_acts, ratings, readings, release_steps, releases, replies, saved_views,
  second_reviews, seen_checks, session_ends, sessions,
  shadow_grades, sign_ins, takeovers, unread_answers, votes
  to desk;
grant select, insert, update, delete on
  customer_facts, memory_opt_outs, viewings
  to desk;
grant select, delete on
  conversation_summaries
  to desk;

grant select on
  arrivals, authority_rules, case_state, clause_vectors, customer_facts, customers, decisions, flags, library_editions, memory_opt_outs, messages, orders, payments,
  policy_clauses, policy_documents, policy_reviews, release_state_now, release_steps, releases, settlement_state,
  settlements, spend, takeovers, tenants
  to graph;
grant select, insert on
  case_events, cases, conversation_summaries, disbursements, findings, model_calls, proposals, readings, shadow_runs, spend_alerts, trace_events
  to graph;
grant insert on
  job_failures
  to anchorer, cashier, graph;

grant select on
  case_events, cases, decisions, disbursements, flags, found_refund_acts, payments, proposals, provider_acts,
  settlement_state, tenants, votes
  to cashier;
grant select, insert on
  found_refunds, provider_answers, sends, settlements
  to cashier;
grant select, insert, update, delete on
  stalled_orders
  to cashier;

grant select on
  audit_events, tenants
  to anchorer;
grant select, insert on
  anchors
  to anchorer;

grant select, insert on
  clause_vectors, customers, orders, payments, policy_clauses, policy_documents, policy_imports
  to importer;
grant select on
  tenants
  to importer;

grant select on
  arrivals, authority_rules, case_events, cases, decisions, disbursements, flags, found_refund_acts, found_refunds,
  memberships, messages, orders, payments, people, policy_documents, policy_reviews, proposals, provider_acts,
  readings, release_steps, releases, sends, settlements, takeovers, tenants, votes
  to books_guard;
grant update (tenant) on payments to books_guard;

grant select on
  assignments, cases, customers, decisions, disbursements, found_refunds, memberships, model_calls, proposals
  to books_scribe;
grant select, insert, update, delete on
  heartbeats, progress, waiting
  to books_scribe;
grant select, insert on
  audit_events, case_events
  to books_scribe;
grant select, insert, update on
  library_editions, spend
  to books_scribe;

reset role;

revoke execute on all functions in schema books from public;
grant execute on function
  case_words(text, text, text, text), clock(), customer(), customer_words(text, text, text), legs_in(text, text, bigint), may_be_paid(settlement_outcome), outcome_of(settlement_outcome[]),
  refuse(text, text), tenant(), words_of(text)
  to anchorer, books_guard, books_scribe, cashier, desk, graph, importer;
grant execute on function
  beat(text)
  to anchorer, cashier, desk, graph;
grant execute on function
  hold_case(text, uuid)
  to books_scribe, cashier, desk, graph;
grant execute on function
  check_case_event(), is_true_event(text, uuid, case_status, text, boolean)
  to books_scribe, graph;
grant execute on function
  found_open(text, text), provider_ahead(text, text)
  to cashier, desk;
grant execute on function
  is_ours(text, text), kill_switch(text), left_of_payment(text, text), settled_as(text, uuid), units_of(text, uuid)
  to cashier, desk, graph;
grant execute on function
  made_elsewhere(text, text)
  to cashier, desk;
grant execute on function
  is_disputed(text, text)
  to cashier;
grant execute on function
  customer_orders(text, text), order_of_case(text, uuid)
  to desk, graph;
grant execute on function
  bought(jsonb)
  to importer;
grant execute on function
  refund_outcome(text, uuid)
  to books_scribe, graph;
grant execute on function
  awaits_return(text, uuid), returned_otherwise(text, uuid)
  to books_scribe, desk, graph;
grant execute on function
  refund_question(text, uuid), settled_as(text, uuid)
  to books_scribe;
grant execute on function
  authority_of_proposal(text, uuid), meet(text, text, text, text, jsonb), question_of(text), stated_in(text, text),
  raised_by_reading(text, uuid, text),
  customers_named(text, text), found_cases(text, text, integer), risk_of(case_status, text, proposal_kind), search_of(text),
  units_refunded(text, uuid), votes_suffice(text, uuid), waits_for_a_person(case_status, text)
  to desk;
grant execute on function
  documents_in_force(text, date), is_withdrawn(text, uuid), keeps_releases(), live_release(), release_for(text),
  state_of_release(text)
  to desk, graph;
grant execute on function
  order_touched(text, text, timestamptz)
  to desk, graph;
grant execute on function
  end_without_effect(uuid), endpoint_load(text), tell_progress(uuid, stage, text), thread_case(uuid)
  to graph;

revoke create on schema books from books_guard, books_scribe;
grant usage on schema public to desk, graph, cashier, anchorer;
grant select on public.countersign_migrations to desk, graph, cashier, anchorer;
do $$ begin
  execute format('revoke temporary on database %I from public', current_database());
end $$;
