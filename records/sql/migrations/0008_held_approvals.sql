-- An approval at the page can be taken back for a few seconds before it counts.

set local role books_owner;
set local search_path = books, pg_temp;

create type held_end as enum ('given', 'taken_back', 'refused');

-- What a person approved at the page and has not been given yet: no vote and no decision, so nothing is ordered by it.
create table held_approvals (
  tenant tenant_id not null,
  held_id uuid not null,
  case_id uuid not null,
  proposal_id uuid not null,
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  person identifier not null references people,
  note text not null default '' check (length(note) <= 2000),
  held_at timestamptz not null default clock(),
  due_at timestamptz not null,
  address text check (length(address) <= 64),
  primary key (tenant, held_id),
  foreign key (tenant, case_id) references cases,
  check (due_at > held_at and due_at <= held_at + interval '10 minutes')
);
create index held_approvals_of_case on held_approvals (tenant, case_id, held_at desc);
create index held_approvals_due on held_approvals (tenant, due_at);

-- What became of it; whichever comes first stands.
create table held_ends (
  tenant tenant_id not null,
  held_id uuid not null,
  case_id uuid not null,
  word held_end not null,
  why text not null default '' check (length(why) <= 500),
  at timestamptz not null default clock(),
  primary key (tenant, held_id),
  foreign key (tenant, held_id) references held_approvals
);

reset role;

-- The queue begins with what burns; what waits already takes its place now.
update books.waiting set band = 63
where stage < 2 and reason in ('urgent_matter', 'classifier_human_review', 'payment_disputed');
