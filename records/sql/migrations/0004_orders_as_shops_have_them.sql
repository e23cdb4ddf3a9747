-- Orders as shops have them: lines with quantities, discounts and tax, shipping and fees, refunds made elsewhere, disputes
-- and returns; and refunds that go back to several payments.

set local role books_owner;
set local search_path = books, pg_temp;

create type payment_kind as enum ('card', 'wallet', 'bank', 'gift_card', 'store_credit', 'cash');

-- The owner converts every tenant's rows; the laws, which follow, build the wall anew.
alter table orders no force row level security;
alter table payments no force row level security;
do $$ begin
  if exists (select from pg_trigger where tgrelid = 'payments'::regclass and tgname = 'sealed') then
    drop trigger sealed on payments;
  end if;
end $$;

alter table orders rename column items to lines;
alter table orders
  add column charges jsonb not null default '[]' check (jsonb_typeof(charges) = 'array'),
  add column discounts jsonb not null default '[]' check (jsonb_typeof(discounts) = 'array'),
  add column refunds jsonb not null default '[]' check (jsonb_typeof(refunds) = 'array'),
  add column disputes jsonb not null default '[]' check (jsonb_typeof(disputes) = 'array'),
  add column returns jsonb not null default '[]' check (jsonb_typeof(returns) = 'array'),
  add column version bigint not null default 0 check (version >= 0),
  add column changed_at timestamptz;
-- Equal items are units of one line, called by the place of the first.
update orders set lines = coalesce((
  select jsonb_agg(jsonb_build_object('line_id', place::text, 'sku', line->'sku', 'name', line->'name',
    'category', line->'category', 'unit_price_minor', line->'price_minor', 'quantity', quantity) order by place)
  from (
    select line, min(place) as place, count(*) as quantity
    from jsonb_array_elements(lines) with ordinality as l (line, place) group by line
  ) units), '[]');

alter table payments add column kind payment_kind not null default 'card';
update payments set kind = case
  when method ~* '^gift' then 'gift_card'
  when method ~* '^store_credit' then 'store_credit'
  when method ~* '^(paypal|apple_pay|google_pay)' then 'wallet'
  when method ~* '^(bank|sepa)' then 'bank'
  when method ~* '^cash' then 'cash'
  else 'card' end::payment_kind;

-- A decision is one disbursement a payment that it goes back to. `decision_id` of a disbursement, and of what is sent,
-- settled and asked of it, is the disbursement's own name: that of the first payment is its decision's.
alter table decisions add unique (tenant, case_id, thread_id, proposal_id, word, digest, kind, order_id, currency);
do $$
declare
  old text;
begin
  select conname into strict old from pg_constraint
    where conrelid = 'disbursements'::regclass and confrelid = 'decisions'::regclass and contype = 'f';
  execute format('alter table disbursements drop constraint %I', old);
end $$;
alter table disbursements
  add unique (tenant, proposal_id, payment_id),
  add foreign key (tenant, case_id, thread_id, proposal_id, word, digest, kind, order_id, currency)
    references decisions (tenant, case_id, thread_id, proposal_id, word, digest, kind, order_id, currency);

reset role;
