-- What of an order was ordered back is asked at every approval and every order of money, under the lock on its payment.

set local role books_owner;
set local search_path = books, pg_temp;

create index disbursements_of_order on disbursements (tenant, order_id);

reset role;
