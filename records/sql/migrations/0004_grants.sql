-- The table of roles, as docs/roles.md publishes it. What is not granted here is refused.
set local search_path = books, pg_temp;
set local role books_owner;

grant select on tenants, people, memberships, tokens, authority_rules, orders, payments, policy_documents,
  policy_clauses, cases, case_events, trace_events, model_calls, proposals, votes, decisions, disbursements, sends,
  settlements, messages, replies, claims, flags, audit_events, anchors, case_state, settlement_state to desk;
grant insert on cases, votes, decisions, messages, replies, flags, claims to desk;

grant select on tenants, authority_rules, orders, payments, policy_documents, policy_clauses, cases, case_events,
  trace_events, model_calls, proposals, decisions, disbursements, settlements, messages, flags, case_state,
  settlement_state to graph;
grant insert on cases, case_events, trace_events, model_calls, proposals, disbursements to graph;

grant select on tenants, payments, cases, case_events, proposals, votes, decisions, disbursements, sends, settlements,
  flags, settlement_state to cashier;
grant insert on sends, settlements to cashier;

grant select on tenants, orders, payments, policy_documents, policy_clauses to importer;
grant insert on orders, payments, policy_documents, policy_clauses to importer;

grant select on tenants, audit_events, anchors to anchorer;
grant insert on anchors to anchorer;

reset role;
grant usage on schema public to desk, graph, cashier, anchorer;
grant select on public.countersign_migrations to desk, graph, cashier, anchorer;
