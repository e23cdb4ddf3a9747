-- What a policy library is found by: each edition has a name, and a clause keeps the ways to ask for it. What a model
-- that reads the policy, and one that reads a draft, write down.

set local role books_owner;
set local search_path = books, pg_temp;

alter type model_feature add value 'cite';
alter type model_feature add value 'critique';
alter type finding add value 'criticised';
alter type finding add value 'stopped_draft';

-- Another one after each import, review and reading by a model, at most once a transaction.
create table library_editions (
  tenant tenant_id primary key references tenants,
  edition uuid not null default gen_random_uuid(),
  made_in xid8 not null default pg_current_xact_id()
);
insert into library_editions (tenant) select tenant from tenants;

alter table policy_clauses
  add column asked text[] not null default '{}',
  add column heading text not null default '';

-- A draft that a critic stopped is kept as its model wrote it.
alter table findings drop constraint findings_detail_check;
alter table findings add constraint findings_detail_check check (length(detail) <= 2000);

reset role;
