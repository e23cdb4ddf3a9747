-- Readings: what was found in the words of a case, by the program as by a person.

set local search_path = books, pg_temp;

set local role books_guard;

-- A reading is of a case of the tenant that is not over; a person's is of somebody who may decide there.
create function check_reading() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  perform hold_case(new.tenant, new.case_id);
  if new.tenant is distinct from tenant()
     or not exists (select from cases where tenant = new.tenant and case_id = new.case_id) then
    perform refuse('unknown_case');
  end if;
  if is_over(new.tenant, new.case_id) then
    perform refuse('case_ended');
  end if;
  if new.person is not null and not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role in ('reviewer', 'specialist')
  ) then
    perform refuse('no_authority', 'not a reviewer or specialist of this tenant');
  end if;
  select coalesce(max(seq), 0) + 1 into new.seq from readings where tenant = new.tenant and case_id = new.case_id;
  new.at := clock();
  return new;
end $$;

reset role;

set local role books_owner;

-- What of a customer's orders their words are read against: the one that is named beside the words, and the newest.
create function customer_orders(of_customer text, named text) returns jsonb language sql stable
set search_path = books, pg_temp
begin atomic
  select coalesce(jsonb_agg(jsonb_build_object('order_id', o.order_id, 'status', o.status, 'region', o.region,
    'ordered_at', o.ordered_at, 'currency', o.currency, 'lines', o.lines) order by o.ordered_at desc, o.order_id), '[]')
  from (
    (select * from orders where tenant = tenant() and customer_id = of_customer
     order by ordered_at desc, order_id limit 40)
    union
    select * from orders where tenant = tenant() and customer_id = of_customer and order_id = named
  ) o;
end;

create trigger check_reading before insert on readings for each row execute function check_reading();
create policy by_a_person on readings as restrictive for insert to desk with check (reader = 'person');
create policy by_a_program on readings as restrictive for insert to graph with check (reader <> 'person');

reset role;
