-- Arrivals: goods that a customer sent back, noted by a person or a warehouse beside the case that waits for them.

set local role books_owner;
set local search_path = books, pg_temp;

create type return_condition as enum ('as_sold', 'used', 'damaged', 'incomplete');

create table arrivals (
  tenant tenant_id not null,
  arrival_id uuid not null,
  case_id uuid not null,
  order_id text not null,
  line_id text not null check (length(line_id) between 1 and 128),
  quantity bigint not null check (quantity between 1 and 100000),
  condition return_condition not null,
  arrived_at timestamptz not null default clock(),
  person identifier not null references people,
  via via not null,
  address text check (length(address) <= 64),
  primary key (tenant, arrival_id, line_id),
  foreign key (tenant, case_id) references cases
);
create index arrivals_of_order on arrivals (tenant, order_id);
-- Which cases wait for goods, without a look at all others.
create index case_events_awaiting_return on case_events (tenant, at) where reason = 'awaiting_return';

reset role;
