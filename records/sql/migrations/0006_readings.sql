-- Readings: what a reader finds in the words of a case; and questions that keep their case open for the answer.

set local role books_owner;
set local search_path = books, pg_temp;

alter type intent add value 'cancellation';
alter type intent add value 'exchange';
alter type intent add value 'refund_status';
alter type intent add value 'dispute';
alter type intent add value 'complaint';

create type reader_kind as enum ('trained', 'model', 'person');

create table readings (
  tenant tenant_id not null,
  case_id uuid not null,
  seq integer not null check (seq between 1 and 1000),
  reader reader_kind not null,
  version text not null check (length(version) between 1 and 64),
  body text not null check (length(body) between 2 and 60000),
  run integer check (run >= 1),
  person identifier references people,
  via via,
  address text check (length(address) <= 64),
  at timestamptz not null default clock(),
  primary key (tenant, case_id, seq),
  foreign key (tenant, case_id) references cases,
  check ((reader = 'person') = (person is not null)),
  check ((person is null) = (via is null)),
  check ((person is null) = (run is not null))
);

-- An approved question asks the customer, as a revision may.
do $$
declare
  old text;
begin
  select conname into strict old from pg_constraint
  where conrelid = 'books.decisions'::regclass and contype = 'c'
    and pg_get_constraintdef(oid) ~ 'asks IS NULL' and pg_get_constraintdef(oid) !~ 'revised';
  execute format('alter table decisions drop constraint %I', old);
end $$;
alter table decisions add check (word = 'revise' or asks is null or (word = 'approve' and kind = 'reply' and asks = 'customer'));

create index orders_of_customer on orders (tenant, customer_id, ordered_at desc);

reset role;
