-- The books of Countersign: its tables. What holds of them is in `sql/laws`, made anew wherever it changes; a table is
-- changed by a new file here.
--
-- Who writes what, in the order of a case:
--
--   tenants, people, memberships, tokens, authority_rules   the house and its people             (owner)
--   orders, payments, customers            what was bought, by whom, and paid                     (importer)
--   policy_documents, policy_clauses       what the shop promises                                 (importer)
--   policy_imports, clause_vectors         which corpus it is, and what its clauses mean          (importer)
--   policy_reviews                         a named person's yes or no to a document version       (desk)
--   releases, release_steps                which version of the agent may do what                 (desk)
--   cases                                  a ticket came in; its intake was verified here, once   (desk, graph)
--   trace_events, findings                 what the agent asked for and was given; what was noticed  (graph)
--   model_calls, spend, spend_alerts       what models were asked, and cost                       (graph; sums: books_scribe)
--   proposals                              what a person is asked to countersign; a chain, one open end (graph)
--   assignments, claims                    whose case it is                                       (desk)
--   votes                                  what one person said of one proposal, signed           (desk)
--   decisions                              the word on a proposal, completed by a vote            (desk)
--   disbursements                          an approved refund is ordered: one insert consumes a decision (graph)
--   sends, settlements                     the provider is about to be called; what it said       (cashier)
--   stalled_orders                         disbursements that three passes could not bring forward (cashier)
--   provider_acts, provider_answers        what a person asks of the provider, and what was found (desk; cashier)
--   found_refunds, found_refund_acts       refunds that these books do not know, and what they are (cashier; desk)
--   takeovers, messages, replies, deliveries, notices, notice_tries   what people and customers are told (desk)
--   ratings, second_reviews, unread_answers   what was said of a case afterwards, or in vain      (desk)
--   shadow_runs, shadow_grades             what a candidate would have done, and what it is worth (graph; desk)
--   sign_ins, passwords, sessions, session_ends   who is who                                      (desk; passwords: owner)
--   flags, heartbeats, progress, waiting   the kill switch; who is there; what runs; what waits   (desk; books_scribe)
--   case_events                            the timeline; the status of a case is its last event   (books_scribe, graph)
--   audit_events, anchors                  one hash chain a case; all heads signed every minute   (books_scribe; anchorer)
--
-- What Postgres holds, whatever a program does:
--   * absence of a row is absence of money;
--   * money and audit rows are never updated, deleted or truncated, by nobody;
--   * proposal -> decision -> disbursement are chained by keys over tenant, id, digest, kind, payment,
--     order, amount and currency, every column NOT NULL;
--   * the sum of refunds never passes what was paid, under a lock on the payment;
--   * a case writes under one lock (hold_case), taken before the lock on a payment;
--   * time is clock(), never a process's own;
--   * a case whose mode is not `production` has no effect outside: no disbursement and no reply;
--   * once a release is live, only releases say who takes a case, and what a withdrawn one proposed is proposed again;
--   * until a person has said what a found refund is, nobody decides about its payment and nothing is sent for it.
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
create type takeover_act as enum ('reply', 'propose', 'close');
create type asked as enum ('customer', 'colleague');
create type via as enum ('page', 'api', 'server', 'command');
create type provider_act as enum ('check', 'retry', 'settle', 'new_key', 'withdraw');
create type second_verdict as enum ('agree', 'disagree', 'unsure');
create type notice as enum ('new', 'expiring', 'second_approval', 'unknown_outcome', 'rolled_back');
create type thumb as enum ('up', 'down');
create type case_mode as enum ('production', 'staging', 'dry_run');
create type model_feature as enum ('plan', 'draft', 'moderate', 'embed');
create type model_outcome as enum (
  'answered', 'refused', 'cut_off', 'filtered', 'empty', 'malformed', 'wrong_schema', 'not_an_answer', 'stalled',
  'cut_stream', 'too_long', 'rate_limited', 'quota_exhausted', 'unauthorized', 'bad_request', 'server_error',
  'unreachable', 'timed_out');
create type finding as enum (
  'other_language', 'html', 'pasted_document', 'off_topic', 'injection_pattern', 'forbidden_request', 'unknown_id',
  'contradiction', 'invalid_answer', 'failed_check', 'moderated', 'without_model', 'retrieval_only', 'fallback_model',
  'fallback_source', 'lexical_only', 'spend_warning', 'budget', 'model_failed');
create type review_verdict as enum ('approve', 'reject');
create type stage as enum ('planning', 'reading_policy', 'reading_order', 'drafting', 'checking');
create type release_state as enum ('hold', 'eligible_for_shadow', 'shadow', 'canary', 'live', 'rolled_back');
create type found_refund_act as enum ('separate', 'adopt');

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
  created_at timestamptz not null default clock(),
  email text check (length(email) <= 254 and email ~ '^[^\s@<>",;:]+@[^\s@<>",;:]+$'),
  issuer text,
  subject text,
  check ((issuer is null) = (subject is null))
);
create unique index people_of_issuer on people (issuer, subject) where issuer is not null;

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
  expires_at timestamptz not null,
  ceiling_minor minor,
  check (audience <> 'server' or ceiling_minor is not null)
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
  phrases jsonb not null check (jsonb_typeof(phrases) = 'array'),
  primary key (tenant, document_id, version, clause),
  foreign key (tenant, document_id, version) references policy_documents
);

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
  mode case_mode check (mode <> 'production'),
  primary key (tenant, case_id),
  unique (tenant, ticket_id),
  unique (tenant, case_id, thread_id)
);
-- An intake signature admits one ticket, once.
create unique index cases_jti on cases (tenant, jti) where verdict = 'verified';
create index cases_of_customer on cases (tenant, customer_id);
create index cases_by_release on cases (tenant, release, received_at);

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
-- What has ended and did not fail is most of the books and nobody's work: queue and sweep leave it out at once.
create index case_events_ends on case_events (tenant, case_id) where ended;
create index case_events_failures on case_events (tenant, case_id) where status = 'refund_failed';
create index case_events_at on case_events (tenant, at);
create index case_events_by_time on case_events (tenant, at);

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
create index trace_events_by_time on trace_events (tenant, at);

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
  feature model_feature not null,
  endpoint identifier not null,
  release identifier not null,
  customer_id identifier not null,
  prompt_sha256 sha256 not null,
  outcome model_outcome,
  input_tokens integer check (input_tokens >= 0),
  output_tokens integer check (output_tokens >= 0),
  usage_reported boolean,
  price text,
  latency_ms integer check (latency_ms >= 0),
  retry_after_ms integer check (retry_after_ms >= 0),
  primary key (tenant, case_id, run, step, attempt, phase),
  foreign key (tenant, case_id) references cases,
  check ((phase = 'settled') = (outcome is not null)),
  check ((phase = 'settled') = (price is not null and usage_reported is not null))
);
create index model_calls_reserved on model_calls (endpoint, at) where phase = 'reserved';
create index model_calls_settled on model_calls (endpoint, at) where phase = 'settled';
create index model_calls_asked on model_calls (tenant, case_id, run, request_sha256);
create index model_calls_by_time on model_calls (tenant, at) where phase = 'settled';

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
create index proposals_by_release on proposals (tenant, release);

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
  via via,
  address text check (length(address) <= 64),
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
  asks asked,
  revised_items jsonb check (jsonb_typeof(revised_items) = 'array'),
  revised_reply text check (length(revised_reply) between 1 and 6000),
  letter text check (length(letter) between 1 and 6000),
  primary key (tenant, decision_id),
  unique (tenant, proposal_id),
  unique (tenant, case_id, thread_id, decision_id, proposal_id, word, digest, kind, payment_id, order_id, amount_minor, currency),
  foreign key (tenant, case_id, thread_id, proposal_id, digest, kind, payment_id, order_id, amount_minor, currency)
    references proposals (tenant, case_id, thread_id, proposal_id, digest, kind, payment_id, order_id, amount_minor, currency),
  check ((word = 'reject') = (code is not null)),
  check (word = 'revise' or (revised_amount_minor is null and instruction is null)),
  check (word = 'revise' or asks is null),
  check (word = 'revise' or (revised_items is null and revised_reply is null)),
  check (word = 'reject' or letter is null),
  check (revised_items is null or revised_amount_minor is not null)
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
  check (outcome <> 'refused' or provider_refund_id is null),
  check (length(provider_refund_id) <= 255)
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
  person identifier references people,
  via via,
  address text check (length(address) <= 64),
  primary key (tenant, message_id),
  foreign key (tenant, case_id) references cases
);
create index messages_of_case on messages (tenant, case_id, at);

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
  round smallint not null default 1 check (round > 0),
  unique (tenant, message_id),
  foreign key (tenant, case_id) references cases,
  primary key (tenant, case_id, outcome, round)
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
create index claims_of_person on claims (tenant, person, ends_at);

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

create table customers (
  tenant tenant_id not null references tenants,
  customer_id identifier not null,
  email text check (length(email) <= 254 and email ~ '^[^\s@<>",;:]+@[^\s@<>",;:]+$'),
  imported_at timestamptz not null default clock(),
  name text check (length(name) <= 200),
  address text check (length(address) <= 500),
  language text check (language ~ '^[a-z]{2}$'),
  primary key (tenant, customer_id)
);

create table takeovers (
  tenant tenant_id not null,
  takeover_id uuid not null,
  case_id uuid not null,
  person identifier not null references people,
  act takeover_act not null,
  reply text not null default '',
  payment_id text not null default '',
  order_id text not null default '',
  amount_minor minor not null default 0,
  currency currency not null default 'XXX',
  note text not null default '',
  at timestamptz not null default clock(),
  via via,
  address text check (length(address) <= 64),
  primary key (tenant, takeover_id),
  foreign key (tenant, case_id) references cases,
  check ((act = 'propose') = (amount_minor > 0)),
  check ((act = 'propose') = (payment_id <> '' and order_id <> '' and currency <> 'XXX')),
  check (act = 'close' or length(reply) between 1 and 8000)
);
create index takeovers_of_case on takeovers (tenant, case_id);

create table deliveries (
  tenant tenant_id not null,
  case_id uuid not null,
  outcome case_status not null,
  round smallint not null,
  attempt smallint not null check (attempt > 0),
  channel text not null check (channel ~ '^[a-z]{1,16}$'),
  delivered boolean not null,
  detail text not null default '',
  at timestamptz not null default clock(),
  primary key (tenant, case_id, outcome, round, attempt),
  foreign key (tenant, case_id, outcome, round) references replies
);
-- What was delivered is not sent again.
create unique index deliveries_delivered on deliveries (tenant, case_id, outcome, round) where delivered;

create table heartbeats (
  process name not null,
  instance text not null check (length(instance) between 1 and 128),
  at timestamptz not null,
  primary key (process, instance)
);

-- A copy of what the last event of a case says, so that a queue of many is listed without reading those that ended.
create table waiting (
  tenant tenant_id not null,
  case_id uuid not null,
  received_at timestamptz not null,
  stage smallint not null check (stage between 0 and 2),
  band smallint not null check (band between 0 and 63),
  status case_status not null,
  reason text not null,
  at timestamptz not null,
  intent intent not null,
  kind proposal_kind,
  amount_minor minor,
  currency currency,
  proposed_at timestamptz,
  expires_at timestamptz,
  ticket_id identifier not null,
  customer_id identifier not null,
  order_id identifier,
  for_person identifier,
  for_role person_role,
  words tsvector not null,
  primary key (tenant, case_id),
  foreign key (tenant, case_id) references cases
);
create index waiting_in_order on waiting (tenant, stage, band, received_at);

create table passwords (
  person identifier not null references people,
  set_at timestamptz not null default clock(),
  hash text not null check (hash like '$argon2id$%'),
  primary key (person, set_at)
);

-- Names are kept as hashes: what is typed into the wrong field may be a password.
create table sign_ins (
  seq bigint generated always as identity primary key,
  name_sha256 sha256 not null,
  address text not null,
  succeeded boolean not null,
  at timestamptz not null default clock()
);
create index sign_ins_of_name on sign_ins (name_sha256, at);
create index sign_ins_of_address on sign_ins (address, at);

create table sessions (
  session_sha256 sha256 primary key,
  person identifier not null references people,
  began_at timestamptz not null default clock(),
  expires_at timestamptz not null
);

create table session_ends (
  session_sha256 sha256 primary key references sessions,
  at timestamptz not null default clock()
);

-- People at work -----------------------------------------------------------------------------------------------

create table assignments (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq > 0),
  by_person identifier references people,
  to_person identifier references people,
  to_role person_role check (to_role in ('reviewer', 'specialist')),
  note text not null default '' check (length(note) <= 2000),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases,
  check ((to_person is null) <> (to_role is null))
);

-- An answer at a pause that nobody could read; the case waits as before.
create table unread_answers (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq > 0),
  person identifier not null references people,
  why text not null check (length(why) between 1 and 300),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases
);

create table provider_acts (
  tenant tenant_id not null,
  act_id uuid not null default gen_random_uuid(),
  decision_id uuid not null,
  person identifier not null references people,
  act provider_act not null,
  provider_refund_id text check (length(provider_refund_id) between 1 and 255),
  note text not null default '' check (length(note) <= 2000),
  via via,
  address text check (length(address) <= 64),
  at timestamptz not null default clock(),
  primary key (tenant, act_id),
  foreign key (tenant, decision_id) references disbursements,
  check ((act = 'settle') = (provider_refund_id is not null))
);
create index provider_acts_of_order on provider_acts (tenant, decision_id, at);

create table provider_answers (
  tenant tenant_id not null,
  act_id uuid not null,
  decision_id uuid not null,
  said text not null check (length(said) between 1 and 500),
  at timestamptz not null default clock(),
  primary key (tenant, act_id),
  foreign key (tenant, act_id) references provider_acts
);

create table second_reviews (
  tenant tenant_id not null,
  case_id uuid not null,
  person identifier not null references people,
  verdict second_verdict not null,
  note text not null default '' check (length(note) <= 2000),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, person),
  foreign key (tenant, case_id) references cases
);

create table ratings (
  tenant tenant_id not null,
  case_id uuid not null,
  thumb thumb not null,
  word text not null default '' check (length(word) <= 500),
  at timestamptz not null default clock(),
  primary key (tenant, case_id),
  foreign key (tenant, case_id) references cases
);

-- One notice a case, kind and matter, however often it falls due.
create table notices (
  tenant tenant_id not null,
  notice_id uuid not null default gen_random_uuid(),
  case_id uuid not null,
  kind notice not null,
  about text not null,
  at timestamptz not null default clock(),
  primary key (tenant, notice_id),
  unique (tenant, case_id, kind, about),
  foreign key (tenant, case_id) references cases
);

create table notice_tries (
  tenant tenant_id not null,
  notice_id uuid not null,
  receiver_sha256 sha256 not null,
  attempt smallint not null check (attempt > 0),
  channel text not null check (channel in ('smtp', 'file', 'webhook', 'none')),
  delivered boolean not null,
  detail text not null default '',
  at timestamptz not null default clock(),
  primary key (tenant, notice_id, receiver_sha256, attempt),
  foreign key (tenant, notice_id) references notices
);
create unique index notice_tries_delivered on notice_tries (tenant, notice_id, receiver_sha256) where delivered;

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

create table releases (
  tenant tenant_id not null default '*' check (tenant = '*'),
  release identifier not null,
  manifest text not null check (length(manifest) <= 100000),
  manifest_sha256 sha256 not null check (manifest_sha256 = encode(sha256(convert_to(manifest, 'UTF8')), 'hex')),
  code text not null check (length(code) between 1 and 64),
  receipt text not null check (length(receipt) <= 4000000),
  receipt_sha256 sha256 not null check (receipt_sha256 = encode(sha256(convert_to(receipt, 'UTF8')), 'hex')),
  gate text not null check (length(gate) between 1 and 500),
  entered_by identifier not null references people,
  entered_at timestamptz not null default clock(),
  primary key (tenant, release)
);

create table release_steps (
  tenant tenant_id not null default '*',
  release identifier not null,
  seq smallint not null check (seq > 0),
  state release_state not null,
  percent smallint not null default 0 check (percent between 0 and 50),
  tenants text[] not null default '{}' check (cardinality(tenants) <= 100),
  person identifier references people,
  reason text not null check (length(reason) between 1 and 500),
  at timestamptz not null default clock(),
  place bigint generated always as identity,
  primary key (tenant, release, seq),
  foreign key (tenant, release) references releases,
  check (state = 'canary' or (percent = 0 and tenants = '{}')),
  check (state <> 'canary' or percent > 0 or cardinality(tenants) > 0),
  check (person is not null or state = 'rolled_back')
);

create table shadow_runs (
  tenant tenant_id not null,
  release identifier not null,
  case_id uuid not null,
  beside identifier not null,
  status text not null check (status in ('needs_human', 'blocked')),
  kind text not null,
  reason text not null,
  amount_minor minor not null,
  currency text not null,
  citations jsonb not null check (jsonb_typeof(citations) = 'array'),
  path jsonb not null check (jsonb_typeof(path) = 'array'),
  draft text not null check (length(draft) <= 6000),
  differs text[] not null,
  tokens integer not null check (tokens >= 0),
  cost_micros bigint not null check (cost_micros >= 0),
  latency_ms integer not null check (latency_ms >= 0),
  live_cost_micros bigint not null check (live_cost_micros >= 0),
  live_latency_ms integer not null check (live_latency_ms >= 0),
  at timestamptz not null default clock(),
  primary key (tenant, release, case_id),
  foreign key (tenant, case_id) references cases
);
create index shadow_runs_by_time on shadow_runs (tenant, release, at);

create table shadow_grades (
  tenant tenant_id not null,
  release identifier not null,
  case_id uuid not null,
  person identifier not null references people,
  thumb thumb not null,
  note text not null default '' check (length(note) <= 500),
  at timestamptz not null default clock(),
  primary key (tenant, release, case_id, person),
  foreign key (tenant, release, case_id) references shadow_runs
);

create table found_refunds (
  tenant tenant_id not null,
  provider_refund_id text not null check (length(provider_refund_id) between 1 and 255),
  payment_id identifier not null,
  decision_label text not null check (length(decision_label) <= 255),
  amount_minor minor not null,
  currency currency not null,
  case_id uuid,
  found_at timestamptz not null default clock(),
  primary key (tenant, provider_refund_id),
  foreign key (tenant, payment_id) references payments,
  foreign key (tenant, case_id) references cases
);
create index found_refunds_of_payment on found_refunds (tenant, payment_id);

create table found_refund_acts (
  tenant tenant_id not null,
  provider_refund_id text not null,
  person identifier not null references people,
  act found_refund_act not null,
  note text not null default '' check (length(note) <= 2000),
  via via,
  address text check (length(address) <= 64),
  at timestamptz not null default clock(),
  primary key (tenant, provider_refund_id),
  foreign key (tenant, provider_refund_id) references found_refunds
);

create table stalled_orders (
  tenant tenant_id not null,
  decision_id uuid not null,
  passes integer not null check (passes > 0),
  why text not null check (length(why) <= 500),
  at timestamptz not null default clock(),
  primary key (tenant, decision_id),
  foreign key (tenant, decision_id) references disbursements
);

reset role;
