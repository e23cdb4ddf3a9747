-- What is remembered of a customer beside their orders and cases.

set local role books_owner;
set local search_path = books, pg_temp;

alter type model_feature add value 'summarize';
create type memory_kind as enum ('language', 'refund_method', 'accessibility', 'note');
create type memory_source as enum ('customer', 'person');
create type memory_audience as enum ('people', 'people_and_models');

-- A fact that a customer stated or a person noted. It is information: no rule reads it, and it may be changed and erased.
create table customer_facts (
  tenant tenant_id not null references tenants,
  fact_id uuid not null default gen_random_uuid(),
  customer_id identifier not null,
  kind memory_kind not null,
  body text not null check (length(body) between 1 and 500),
  source memory_source not null,
  audience memory_audience not null,
  case_id uuid,
  person identifier not null references people,
  said_at timestamptz not null default clock(),
  expires_at timestamptz not null check (expires_at > said_at),
  primary key (tenant, fact_id),
  foreign key (tenant, case_id) references cases
);
create index customer_facts_of on customer_facts (tenant, customer_id, kind, said_at desc);
create index customer_facts_by_end on customer_facts (tenant, expires_at);

-- Customers of whom nothing is remembered: no fact, no summary, and no earlier case stands before a model.
create table memory_opt_outs (
  tenant tenant_id not null references tenants,
  customer_id identifier not null,
  person identifier not null references people,
  at timestamptz not null default clock(),
  primary key (tenant, customer_id)
);

-- What a model made of the older part of a long conversation, kept with what it was made from.
create table conversation_summaries (
  tenant tenant_id not null,
  case_id uuid not null,
  customer_id identifier not null,
  made_of sha256 not null,
  messages integer not null check (messages > 0),
  body text not null check (length(body) between 1 and 4000),
  model text not null check (length(model) between 1 and 200),
  at timestamptz not null default clock(),
  expires_at timestamptz not null check (expires_at > at),
  primary key (tenant, case_id, made_of),
  foreign key (tenant, case_id) references cases
);
create index conversation_summaries_of on conversation_summaries (tenant, customer_id);
create index conversation_summaries_by_end on conversation_summaries (tenant, expires_at);

reset role;
