-- A model may read beside the trained reader; mails find their customers.

set local role books_owner;
set local search_path = books, pg_temp;

alter type model_feature add value 'read';
alter type finding add value 'unproved_words';

-- A mail finds its customer by the address that it comes from.
create index customers_at on customers (tenant, lower(email));

-- What people corrected is collected for training.
create index readings_by_people on readings (tenant, at desc) where reader = 'person';

reset role;
