-- The books of Countersign.
--
-- The life of a refund, table by table:
--
--   orders, payments          what was bought and paid; written by the importer
--   policy_documents/_clauses what the shop promises; written by the importer
--   cases                     a ticket came in; its intake was verified here, once         (desk, graph)
--   trace_events              what the agent asked for and was given                       (graph)
--   proposals                 what a person is asked to countersign; a chain, one open end (graph)
--   votes                     what one person said of one proposal, signed                 (desk)
--   decisions                 the word on a proposal, completed by a vote                  (desk)
--   disbursements             an approved refund is ordered: one insert consumes a decision (graph)
--   sends                     the cashier is about to call the provider, with this key        (cashier)
--   settlements               what the provider said                                       (cashier)
--   case_events               the timeline; the status of a case is its last event
--   audit_events, anchors     one hash chain a case; all heads signed every minute         (anchorer)
--
-- Laws that stand here and not in a program:
--   * absence of a row is absence of money;
--   * money and audit rows are never updated, deleted or truncated, by nobody;
--   * proposal -> decision -> disbursement are chained by keys over tenant, id, digest, kind, payment,
--     order, amount and currency, every column NOT NULL;
--   * the sum of refunds never passes what was paid, under a lock on the payment;
--   * a case writes under one lock (hold_case), taken before the lock on a payment;
--   * time is clock(), never a process's own.
set local role books_owner;
set local search_path = books, pg_temp;

create type intent as enum ('policy_question', 'refund_request', 'order_question', 'account_access', 'other');
create type route as enum ('guarded_agent', 'human_review_now');
create type intake_verdict as enum ('verified', 'unsigned_intake', 'expired_intake', 'replayed_intake', 'wrong_tenant');
create type case_status as enum (
  'received', 'bypassed', 'blocked', 'needs_human', 'approved', 'refund_pending', 'refunded', 'replied',
  'rejected', 'expired', 'refund_failed', 'closed_by_human');
create type proposal_kind as enum ('refund', 'reply', 'handoff');
create type vote_word as enum ('approve', 'reject', 'revise');
create type authority as enum ('reviewer', 'specialist');
create type person_role as enum ('reviewer', 'specialist', 'operator', 'auditor', 'service');
create type audience as enum ('desk', 'server');
create type reject_code as enum (
  'not_eligible', 'outside_window', 'wrong_order', 'insufficient_evidence', 'suspected_abuse',
  'already_refunded', 'wording', 'other');
create type settlement_outcome as enum ('pending', 'succeeded', 'failed', 'refused', 'needs_person');
create type document_status as enum ('draft', 'approved', 'withdrawn', 'private');
create type order_status as enum ('pending', 'processed', 'shipped', 'delivered', 'cancelled');

create domain tenant_id as text check (value ~ '^[!-~]{1,128}$');
create domain identifier as text check (value ~ '^[!-~]{1,128}$');
create domain sha256 as text check (value ~ '^[0-9a-f]{64}$');
create domain currency as text check (value ~ '^[A-Z]{3}$');
create domain minor as bigint check (value between 0 and 1000000000000);

-- Time of the books. A test database replaces it beside a table that no other database has.
create function clock() returns timestamptz language sql volatile set search_path = books, pg_temp
  return clock_timestamp();

-- The tenant and the customer of the transaction; NULL where none was named, and NULL matches no row.
create function tenant() returns text language sql stable
  return nullif(current_setting('books.tenant', true), '');
create function customer() returns text language sql stable
  return nullif(current_setting('books.customer', true), '');

-- People -----------------------------------------------------------------------------------------

create table tenants (
  tenant tenant_id primary key,
  name text not null,
  created_at timestamptz not null default clock()
);

create table people (
  person identifier primary key,
  name text not null,
  active boolean not null default true,
  created_at timestamptz not null default clock()
);

create table memberships (
  tenant tenant_id not null references tenants,
  person identifier not null references people,
  role person_role not null,
  primary key (tenant, person, role)
);

-- A token is kept as its hash; it speaks for one person to one audience until it ends.
create table tokens (
  token_sha256 sha256 primary key,
  person identifier not null references people,
  audience audience not null default 'desk',
  scopes text[] not null default '{}',
  created_at timestamptz not null default clock(),
  expires_at timestamptz not null
);

-- Who must agree: the row with the greatest floor at or below the amount counts. No row, no money.
create table authority_rules (
  tenant tenant_id not null references tenants,
  currency currency not null,
  floor_minor minor not null,
  approvals smallint not null check (approvals between 1 and 5),
  specialists smallint not null check (specialists between 0 and approvals),
  primary key (tenant, currency, floor_minor)
);

-- The shop's own books -----------------------------------------------------------------------------

create table orders (
  tenant tenant_id not null references tenants,
  order_id identifier not null,
  customer_id identifier not null,
  region text not null,
  status order_status not null,
  ordered_at timestamptz not null,
  delivered_at timestamptz,
  currency currency not null,
  items jsonb not null check (jsonb_typeof(items) = 'array'),
  imported_at timestamptz not null default clock(),
  primary key (tenant, order_id)
);

create table payments (
  tenant tenant_id not null,
  payment_id identifier not null,
  order_id identifier not null,
  method text not null,
  amount_minor minor not null,
  currency currency not null,
  refunded_before_minor minor not null default 0 check (refunded_before_minor <= amount_minor),
  primary key (tenant, payment_id),
  unique (tenant, payment_id, order_id, currency),
  foreign key (tenant, order_id) references orders
);
create index payments_of_order on payments (tenant, order_id);

create table policy_documents (
  tenant tenant_id not null references tenants,
  document_id identifier not null,
  version integer not null check (version > 0),
  title text not null,
  region text not null,
  status document_status not null,
  effective_on date not null,
  expires_on date check (expires_on > effective_on),
  rules jsonb not null default '[]' check (jsonb_typeof(rules) = 'array'),
  sha256 sha256 not null,
  imported_at timestamptz not null default clock(),
  primary key (tenant, document_id, version)
);

create table policy_clauses (
  tenant tenant_id not null,
  document_id identifier not null,
  version integer not null,
  clause text not null,
  quote text not null,
  terms tsvector not null,
  primary key (tenant, document_id, version, clause),
  foreign key (tenant, document_id, version) references policy_documents
);
create index policy_clauses_terms on policy_clauses using gin (terms);

-- A case ---------------------------------------------------------------------------------------------

-- `ticket` is canonical JSON as text: a customer's control characters are escapes in it and stay data.
create table cases (
  tenant tenant_id not null references tenants,
  case_id uuid not null,
  thread_id uuid not null unique,
  ticket_id identifier not null,
  ticket text not null,
  ticket_sha256 sha256 not null,
  question_sha256 sha256 not null,
  customer_id identifier not null,
  order_id identifier,
  intent intent not null,
  bundle_version identifier not null,
  route route not null,
  verdict intake_verdict not null,
  jti identifier,
  received_at timestamptz not null default clock(),
  submitted_by identifier not null,
  release identifier not null,
  graph_version identifier not null,
  primary key (tenant, case_id),
  unique (tenant, ticket_id),
  unique (tenant, case_id, thread_id)
);
-- An intake signature admits one ticket, once.
create unique index cases_jti on cases (tenant, jti) where verdict = 'verified';
create index cases_of_customer on cases (tenant, customer_id);

create table case_events (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq > 0),
  status case_status not null,
  reason text not null,
  ended boolean not null default false,
  at timestamptz not null default clock(),
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases
);
-- A thread ends once.
create unique index case_events_ended on case_events (tenant, case_id) where ended;

create table trace_events (
  tenant tenant_id not null,
  case_id uuid not null,
  run smallint not null check (run > 0),
  step smallint not null check (step > 0),
  action text not null,
  args text not null,
  checked_args text,
  result text not null,
  result_sha256 text not null,
  tokens integer not null check (tokens >= 0),
  latency_ms integer not null check (latency_ms >= 0),
  cost_micros bigint not null default 0 check (cost_micros >= 0),
  for_customer identifier not null,
  at timestamptz not null default clock(),
  primary key (tenant, case_id, run, step),
  foreign key (tenant, case_id) references cases
);

-- A model call is reserved before it is made and settled after: two rows, one call.
create table model_calls (
  tenant tenant_id not null,
  case_id uuid not null,
  run smallint not null,
  step smallint not null,
  attempt smallint not null,
  phase text not null check (phase in ('reserved', 'settled')),
  model text not null,
  prompt_version text not null,
  request_sha256 sha256 not null,
  tokens integer not null check (tokens >= 0),
  cost_micros bigint not null check (cost_micros >= 0),
  response text,
  at timestamptz not null default clock(),
  primary key (tenant, case_id, run, step, attempt, phase),
  foreign key (tenant, case_id) references cases
);

-- Money ----------------------------------------------------------------------------------------------

create table proposals (
  tenant tenant_id not null,
  proposal_id uuid not null,
  case_id uuid not null,
  thread_id uuid not null,
  digest sha256 not null,
  body text not null,
  kind proposal_kind not null,
  reason text not null,
  payment_id text not null,
  order_id text not null,
  amount_minor minor not null,
  currency currency not null,
  release identifier not null,
  graph_version identifier not null,
  supersedes uuid,
  edited_by identifier references people,
  edited_upward boolean not null default false,
  proposed_at timestamptz not null default clock(),
  expires_at timestamptz not null,
  primary key (tenant, proposal_id),
  unique (tenant, case_id, thread_id, proposal_id, digest, kind, payment_id, order_id, amount_minor, currency),
  foreign key (tenant, case_id, thread_id) references cases (tenant, case_id, thread_id),
  foreign key (tenant, supersedes) references proposals,
  check (digest = encode(sha256(convert_to(body, 'UTF8')), 'hex')),
  check ((kind = 'refund') = (amount_minor > 0)),
  check ((kind = 'refund') = (payment_id <> '' and order_id <> '')),
  check (kind <> 'refund' or currency <> 'XXX'),
  check (not edited_upward or edited_by is not null)
);
-- A chain with one open end: one first proposal a case, and each is superseded at most once.
create unique index proposals_first on proposals (tenant, case_id) where supersedes is null;
create unique index proposals_superseded on proposals (tenant, supersedes) where supersedes is not null;

create table votes (
  tenant tenant_id not null,
  proposal_id uuid not null,
  person identifier not null references people,
  case_id uuid not null,
  thread_id uuid not null,
  decision_id uuid not null,
  word vote_word not null,
  digest sha256 not null,
  kind proposal_kind not null,
  payment_id text not null,
  order_id text not null,
  amount_minor minor not null,
  currency currency not null,
  authority authority not null,
  kid identifier not null,
  payload text not null,
  signature text not null,
  note text,
  decided_at timestamptz not null,
  execute_by timestamptz not null,
  primary key (tenant, proposal_id, person),
  foreign key (tenant, case_id, thread_id, proposal_id, digest, kind, payment_id, order_id, amount_minor, currency)
    references proposals (tenant, case_id, thread_id, proposal_id, digest, kind, payment_id, order_id, amount_minor, currency)
);

create table decisions (
  tenant tenant_id not null,
  decision_id uuid not null,
  proposal_id uuid not null,
  case_id uuid not null,
  thread_id uuid not null,
  word vote_word not null,
  digest sha256 not null,
  kind proposal_kind not null,
  payment_id text not null,
  order_id text not null,
  amount_minor minor not null,
  currency currency not null,
  code reject_code,
  revised_amount_minor minor,
  instruction text,
  decided_by identifier not null references people,
  decided_at timestamptz not null,
  execute_by timestamptz not null,
  primary key (tenant, decision_id),
  unique (tenant, proposal_id),
  unique (tenant, case_id, thread_id, decision_id, proposal_id, word, digest, kind, payment_id, order_id, amount_minor, currency),
  foreign key (tenant, case_id, thread_id, proposal_id, digest, kind, payment_id, order_id, amount_minor, currency)
    references proposals (tenant, case_id, thread_id, proposal_id, digest, kind, payment_id, order_id, amount_minor, currency),
  check ((word = 'reject') = (code is not null)),
  check (word = 'revise' or (revised_amount_minor is null and instruction is null))
);

create table disbursements (
  tenant tenant_id not null,
  decision_id uuid not null,
  proposal_id uuid not null,
  case_id uuid not null,
  thread_id uuid not null,
  word vote_word not null check (word = 'approve'),
  digest sha256 not null,
  kind proposal_kind not null check (kind = 'refund'),
  payment_id identifier not null,
  order_id identifier not null,
  amount_minor minor not null check (amount_minor > 0),
  currency currency not null,
  ordered_at timestamptz not null default clock(),
  primary key (tenant, decision_id),
  foreign key (tenant, case_id, thread_id, decision_id, proposal_id, word, digest, kind, payment_id, order_id, amount_minor, currency)
    references decisions (tenant, case_id, thread_id, decision_id, proposal_id, word, digest, kind, payment_id, order_id, amount_minor, currency),
  foreign key (tenant, payment_id, order_id, currency) references payments (tenant, payment_id, order_id, currency)
);
create index disbursements_of_payment on disbursements (tenant, payment_id);
create index disbursements_of_case on disbursements (tenant, case_id);

create table sends (
  tenant tenant_id not null,
  decision_id uuid not null,
  attempt smallint not null check (attempt > 0),
  epoch smallint not null check (epoch > 0),
  key text not null check (length(key) between 1 and 255),
  sent_at timestamptz not null default clock(),
  primary key (tenant, decision_id, attempt),
  foreign key (tenant, decision_id) references disbursements
);

create table settlements (
  tenant tenant_id not null,
  decision_id uuid not null,
  seq smallint not null check (seq > 0),
  outcome settlement_outcome not null,
  provider_refund_id text,
  detail text not null default '',
  settled_at timestamptz not null default clock(),
  primary key (tenant, decision_id, seq),
  foreign key (tenant, decision_id) references disbursements,
  check ((outcome in ('pending', 'succeeded')) <= (provider_refund_id is not null)),
  check (outcome <> 'refused' or provider_refund_id is null)
);
-- One refund of the provider settles one disbursement.
create unique index settlements_provider_refund on settlements (tenant, provider_refund_id, outcome)
  where provider_refund_id is not null;

-- People at work -----------------------------------------------------------------------------------------

create table messages (
  tenant tenant_id not null,
  message_id uuid not null default gen_random_uuid(),
  case_id uuid not null,
  author text not null check (author in ('customer', 'colleague')),
  body text not null,
  body_sha256 sha256 not null,
  at timestamptz not null default clock(),
  primary key (tenant, message_id),
  foreign key (tenant, case_id) references cases
);

-- One reply a case and outcome; `message_id` stays the same however often it is sent.
create table replies (
  tenant tenant_id not null,
  case_id uuid not null,
  outcome case_status not null,
  message_id text not null,
  recipient_sha256 sha256 not null,
  body text not null,
  body_sha256 sha256 not null,
  written_at timestamptz not null default clock(),
  primary key (tenant, case_id, outcome),
  unique (tenant, message_id),
  foreign key (tenant, case_id) references cases
);

-- A claim is a lease that ends by itself; the newest that has not ended counts.
create table claims (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq > 0),
  person identifier not null references people,
  claimed_at timestamptz not null default clock(),
  ends_at timestamptz not null,
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases
);

-- Run-time flags, append-only: the newest row of a name counts. The tenant '*' is everybody.
create table flags (
  tenant tenant_id not null,
  seq bigint generated always as identity,
  name text not null check (name ~ '^[a-z_]{1,64}$'),
  value text not null,
  reason text not null check (length(reason) between 1 and 500),
  set_by identifier not null references people,
  set_at timestamptz not null default clock(),
  primary key (tenant, name, seq)
);

-- The audit ------------------------------------------------------------------------------------------------

-- Rows hold ids and hashes, never a customer's words.
create table audit_events (
  tenant tenant_id not null,
  chain text not null,
  seq integer not null check (seq > 0),
  subject text not null,
  subject_key text not null,
  row_sha256 sha256 not null,
  actor text not null,
  at timestamptz not null,
  previous sha256 not null,
  hash sha256 not null,
  primary key (tenant, chain, seq)
);

create table anchors (
  anchor_no integer primary key check (anchor_no > 0),
  payload text not null,
  signature text not null,
  hash sha256 not null unique,
  previous sha256 not null,
  at timestamptz not null default clock()
);
