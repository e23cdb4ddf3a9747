-- What people at the desk write beside a case, see of it, and find it by.

set local role books_owner;
set local search_path = books, pg_temp;

alter type notice add value 'mentioned';

-- What colleagues tell each other of a case; who is named in it is told.
create table case_notes (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq > 0),
  person identifier not null references people,
  body text not null check (length(body) between 1 and 2000),
  mentions text[] not null default '{}' check (cardinality(mentions) <= 20),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases
);
create index case_notes_by_time on case_notes (tenant, at);

-- What the screen said of a case when a person decided it: the effect and each check as they were then.
create table seen_checks (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq > 0),
  digest sha256 not null,
  person identifier not null references people,
  word vote_word not null,
  effect text not null check (length(effect) <= 2000),
  checks jsonb not null check (jsonb_typeof(checks) = 'array'),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases
);

-- Several proposals of one rule that one person countersigned together: whoever looks after them sees that.
create table countersigned_together (
  tenant tenant_id not null,
  batch_id uuid not null,
  case_id uuid not null,
  digest sha256 not null,
  person identifier not null references people,
  of_them integer not null check (of_them between 1 and 200),
  asked_alone boolean not null,
  at timestamptz not null default clock(),
  primary key (tenant, batch_id, case_id),
  foreign key (tenant, case_id) references cases
);
create index countersigned_together_of_case on countersigned_together (tenant, case_id);

-- Which cases a person looks at now. No fact: the row of a page that was closed is old within a minute.
create table viewings (
  tenant tenant_id not null,
  case_id uuid not null,
  person identifier not null references people,
  at timestamptz not null default clock(),
  primary key (tenant, case_id, person)
);
create index viewings_by_time on viewings (tenant, at);

-- Views of the queue that a person keeps; the newest row of a name counts, and an empty address takes it away.
create table saved_views (
  person identifier not null references people,
  name text not null check (length(name) between 1 and 60),
  seq integer not null check (seq > 0),
  address text not null check (length(address) <= 600),
  at timestamptz not null default clock(),
  primary key (person, name, seq)
);

-- Why a job died; the job itself keeps only that it did.
create table job_failures (
  job bigint not null,
  at timestamptz not null default clock(),
  why text not null check (length(why) between 1 and 500)
);
create index job_failures_of on job_failures (job, at desc);

-- The queue: until when the help desk wants it, what it calls the customer, and the ids that it is found by.
alter table waiting
  add column wanted_by timestamptz,
  add column tier smallint not null default 0 check (tier between 0 and 2),
  add column found_by text not null default '';
update waiting set found_by = lower(concat_ws(' ', ticket_id, customer_id, order_id, case_id));
drop index waiting_in_order;
create index waiting_in_order on waiting (tenant, stage, tier, band, received_at) where wanted_by is null or band = 63;
create index waiting_for_person on waiting (tenant, for_person) where for_person is not null;
create index waiting_by_wish on waiting (tenant, stage, wanted_by) where wanted_by is not null and band < 63;

-- Cases and customers are found by words: a text and ids with what joins their parts taken out, so that `r-104` is found
-- by `104`, and the ids whole, so that one is found by how it begins. The indexes stand on these functions: they stay.
create function words_of(said text) returns tsvector language sql immutable parallel safe
set search_path = books, pg_temp
begin atomic
  select to_tsvector('simple', translate(left(coalesce(said, ''), 9000), '-_./@:+', '       '));
end;

create function case_words(ticket text, ticket_id text, customer_id text, order_id text) returns tsvector
language sql immutable parallel safe
set search_path = books, pg_temp
begin atomic
  select words_of((regexp_replace(replace(ticket, '\\', ' '), '\\u(0000|d[89a-f]..)', ' ', 'gi')::jsonb->>'question')
      || ' ' || ticket_id || ' ' || customer_id || ' ' || coalesce(order_id, ''))
    || array_to_tsvector(array[lower(ticket_id), lower(customer_id), lower(coalesce(order_id, ticket_id))]);
end;

create function customer_words(customer_id text, name text, email text) returns tsvector
language sql immutable parallel safe
set search_path = books, pg_temp
begin atomic
  select words_of(customer_id || ' ' || coalesce(name, '') || ' ' || coalesce(email, ''));
end;

create index customers_at_address on customers (tenant, lower(address)) where address is not null;
create index cases_by_words on cases using gin (case_words(ticket, ticket_id, customer_id, order_id));
create index cases_by_time on cases (tenant, received_at desc);
create index customers_by_words on customers using gin (customer_words(customer_id, name, email));

reset role;
