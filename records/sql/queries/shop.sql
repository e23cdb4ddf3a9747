-- The shop's own books: tenants, people, orders, policy, flags.

-- list_tenants --
select tenant from tenants order by tenant;

-- insert_tenant --
insert into tenants (tenant, name) values (%(tenant)s, %(name)s) on conflict do nothing;

-- insert_authority_rule --
insert into authority_rules (tenant, currency, floor_minor, approvals, specialists)
values (%(tenant)s, %(currency)s, %(floor_minor)s, %(approvals)s, %(specialists)s) on conflict do nothing;

-- delete_authority_rules --
delete from authority_rules where tenant = tenant() and currency = %(currency)s;

-- list_authority_rules --
-- Every rule of a tenant but those of a reply or a hand-over, by currency and floor.
select currency, floor_minor, approvals, specialists from authority_rules
where tenant = tenant() and currency <> 'XXX' order by currency, floor_minor;

-- enter_tenant --
-- The rows of the rest of this transaction are this tenant's.
select set_config('books.tenant', %(tenant)s, true);

-- order_facts --
-- An order with its payments, what of each is gone, and its refunds: those that the shop tells of, and those that were
-- ordered here and did not fail.
select o.tenant, o.order_id, o.customer_id, o.region, o.status, o.ordered_at, o.delivered_at, o.currency, o.lines, o.charges,
  o.discounts, o.disputes, o.returns, o.version,
  (select coalesce(jsonb_agg(jsonb_build_object('line_id', a.line_id, 'quantity', a.quantity, 'condition', a.condition,
      'arrived_at', a.arrived_at) order by a.arrived_at), '[]')
    from arrivals a where a.tenant = o.tenant and a.order_id = o.order_id) as arrivals,
  (select coalesce(jsonb_agg(jsonb_build_object('payment_id', p.payment_id, 'method', p.method, 'kind', p.kind,
      'amount_minor', p.amount_minor, 'currency', p.currency,
      'refunded_minor', least(p.amount_minor, p.amount_minor - left_of_payment(p.tenant, p.payment_id)))
      order by p.payment_id), '[]')
    from payments p where p.tenant = o.tenant and p.order_id = o.order_id) as payments,
  (select coalesce(jsonb_agg(r.made), '[]') from jsonb_array_elements(o.refunds) as r (made)
    where not is_ours(o.tenant, r.made->>'refund_id')) as refunds,
  (select coalesce(jsonb_agg(jsonb_build_object('at', h.at, 'amount_minor', h.amount_minor,
      'charges_minor', coalesce((n.body::jsonb->>'charges_minor')::bigint, 0), 'kept', (n.body::jsonb->>'kept')::boolean,
      'lines', (select coalesce(jsonb_agg(jsonb_build_object('line_id', u.line_id, 'quantity', u.quantity)), '[]')
        from units_of(n.tenant, n.proposal_id) u)) order by h.at), '[]')
    from (
      select d.tenant, d.proposal_id, min(d.ordered_at) as at, sum(d.amount_minor)::bigint as amount_minor
      from disbursements d
      where d.tenant = o.tenant and d.order_id = o.order_id and may_be_paid(settled_as(d.tenant, d.decision_id))
      group by d.tenant, d.proposal_id
    ) h join proposals n on n.tenant = h.tenant and n.proposal_id = h.proposal_id) as refunds_here
from orders o where o.order_id = %(order_id)s;

-- orders_there --
select order_id from orders where tenant = tenant() and order_id = any(%(order_ids)s);

-- insert_orders --
-- Many orders at once; how many were new.
with line as (
  select * from jsonb_to_recordset(%(lines)s) as o (order_id text, customer_id text, region text, status order_status,
    ordered_at timestamptz, delivered_at timestamptz, currency text, lines jsonb, charges jsonb, discounts jsonb, refunds jsonb,
    disputes jsonb, returns jsonb, version bigint)
), written as (
  insert into orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines, charges,
    discounts, refunds, disputes, returns, version)
  select tenant(), order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines, charges, discounts, refunds,
    disputes, returns, version from line
  on conflict do nothing returning order_id
)
select count(*) as orders from written;

-- insert_payments --
-- The payments of orders that are not there yet. What of one went back elsewhere stands with the refunds of its order.
insert into payments (tenant, payment_id, order_id, method, kind, amount_minor, currency)
select tenant(), p.payment_id, l.order_id, p.method, p.kind, p.amount_minor, p.currency
from jsonb_to_recordset(%(lines)s) as l (order_id text, payments jsonb)
cross join jsonb_to_recordset(l.payments) as p (payment_id text, method text, kind payment_kind, amount_minor bigint,
  currency text)
on conflict do nothing;

-- move_orders --
-- An order that is there goes on as its shop says: its status, when it and its lines came, and what was refunded, disputed
-- and returned since. What was bought, and for how much, stays.
update orders o set status = l.status, delivered_at = coalesce(l.delivered_at, o.delivered_at), lines = l.lines,
  refunds = l.refunds, disputes = l.disputes, returns = l.returns, version = l.version, changed_at = clock()
from jsonb_to_recordset(%(lines)s) as l (order_id text, status order_status, delivered_at timestamptz, lines jsonb,
  refunds jsonb, disputes jsonb, returns jsonb, version bigint)
where o.tenant = tenant() and o.order_id = l.order_id
  and (o.status, o.delivered_at, o.lines, o.refunds, o.disputes, o.returns, o.version)
    is distinct from (l.status, coalesce(l.delivered_at, o.delivered_at), l.lines, l.refunds, l.disputes, l.returns, l.version)
returning o.order_id;

-- unfollowable_orders --
-- The lines that cannot be followed: an order that is there with other words, goes back, has less paid, refunded or
-- returned than it had, or names a payment of another.
with line as (
  select * from jsonb_to_recordset(%(lines)s) as l (line integer, order_id text, customer_id text, region text,
    status order_status, currency text, lines jsonb, charges jsonb, discounts jsonb, payments jsonb, refunds jsonb,
    disputes jsonb, returns jsonb, version bigint)
), said as (
  select l.line, l.order_id,
    o.order_id is not null
      and (o.customer_id, o.region, o.currency, bought(o.lines), o.charges, o.discounts)
        is distinct from (l.customer_id, l.region, l.currency, bought(l.lines), l.charges, l.discounts)
      as other,
    o.order_id is not null and (
      l.status < o.status or (o.status = 'delivered' and l.status = 'cancelled') or l.version < o.version) as back,
    o.order_id is not null and (not o.refunds <@ l.refunds or jsonb_array_length(l.returns) < jsonb_array_length(o.returns))
      as fewer,
    exists (
      select from payments p left join jsonb_to_recordset(l.payments) as n (payment_id text, method text, amount_minor bigint,
        currency text) on n.payment_id = p.payment_id
      where p.tenant = tenant() and p.order_id = l.order_id
        and (n.method, n.amount_minor, n.currency) is distinct from (p.method, p.amount_minor::bigint, p.currency::text))
      as otherwise_paid,
    exists (select from jsonb_to_recordset(l.payments) as n (payment_id text) join payments p
      on p.tenant = tenant() and p.payment_id = n.payment_id and p.order_id <> l.order_id) as paid_another
  from line l left join orders o on o.tenant = tenant() and o.order_id = l.order_id
)
select line, order_id, other, back, fewer, otherwise_paid, paid_another from said
where other or back or fewer or otherwise_paid or paid_another order by line;

-- customers_at --
-- The customers with an address: one, or nobody knows whose words came from it.
select customer_id from customers where lower(email) = %(email)s limit 2;

-- write_customers --
-- What a line says takes the place of what was there, unless that is to be kept; what it does not say stays.
insert into customers as c (tenant, customer_id, email, name, address, language)
select tenant(), l.customer_id, l.email, l.name, l.address, l.language
from jsonb_to_recordset(%(lines)s) as l (customer_id text, email text, name text, address text, language text)
where not %(keep)s or not exists (select from customers t where t.tenant = tenant() and t.customer_id = l.customer_id)
on conflict (tenant, customer_id) do update set
  email = coalesce(excluded.email, c.email), name = coalesce(excluded.name, c.name),
  address = coalesce(excluded.address, c.address), language = coalesce(excluded.language, c.language)
returning c.customer_id;

-- insert_document --
insert into policy_documents (tenant, document_id, version, title, region, status, effective_on, expires_on, rules, sha256)
values (%(tenant)s, %(document_id)s, %(version)s, %(title)s, %(region)s, %(status)s, %(effective_on)s, %(expires_on)s,
  %(rules)s, %(sha256)s)
on conflict do nothing
returning document_id;

-- document_sha256 --
select sha256 from policy_documents where tenant = tenant() and document_id = %(document_id)s and version = %(version)s;

-- insert_clause --
insert into policy_clauses (tenant, document_id, version, clause, heading, quote, asked, phrases)
select %(tenant)s, %(document_id)s, %(version)s, %(clause)s, (%(phrases)s::text[])[1], %(quote)s, (%(phrases)s::text[])[3:],
  (select jsonb_agg(tsvector_to_array(to_tsvector('english', p.phrase)) order by p.place)
    from unnest(%(phrases)s::text[]) with ordinality as p (phrase, place));

-- index_clause --
-- What a clause is found by may grow; what it says may not. The library is another edition then.
with grown as (
  update policy_clauses c set phrases = n.phrases, asked = (%(phrases)s::text[])[3:]
  from (select jsonb_agg(tsvector_to_array(to_tsvector('english', p.phrase)) order by p.place) as phrases
    from unnest(%(phrases)s::text[]) with ordinality as p (phrase, place)) n
  where c.tenant = tenant() and c.document_id = %(document_id)s and c.version = %(version)s and c.clause = %(clause)s
    and (c.phrases, c.asked) is distinct from (n.phrases, (%(phrases)s::text[])[3:])
  returning c.tenant, c.document_id, c.version, c.clause
), forgotten as (
  delete from clause_vectors v using grown
  where (v.tenant, v.document_id, v.version, v.clause) = (grown.tenant, grown.document_id, grown.version, grown.clause)
    and v.phrase > 1
)
update policy_documents d set imported_at = clock() from grown
where d.tenant = tenant() and d.document_id = grown.document_id and d.version = %(version)s;

-- words_of --
-- The stems of a question, and which edition of the library there is: another one after each import or review.
select tsvector_to_array(to_tsvector('english', %(question)s)) as words,
  (select edition::text from library_editions where tenant = tenant()) as edition;

-- clauses_to_find --
-- What clauses are found by, so many after the last that was read, and whether a person may approve their documents; in
-- columns, for many rows cost more than they say.
select array_agg(document_id::text) as documents, array_agg(version) as versions, array_agg(clause) as clauses,
  array_agg(phrases::text) as phrases, array_agg(approved) as approved
from (
  select document_id, version, clause, phrases, (
    select d.status = 'approved' from policy_documents d
    where (d.tenant, d.document_id, d.version) = (c.tenant, c.document_id, c.version)) as approved
  from policy_clauses c
  where tenant = tenant() and (document_id, version, clause) > (%(after_document)s, %(after_version)s, %(after_clause)s)
  order by document_id, version, clause limit %(most)s
) page;

-- in_force --
-- The document versions in force for the day and the region.
select array_agg(document_id::text) as documents, array_agg(version) as versions
from documents_in_force(%(region)s, %(on_date)s);

-- clauses_named --
-- These clauses, word for word, with the stems they are found by.
select n.place, c.document_id, c.version, c.clause, c.quote, c.phrases
from unnest(%(documents)s::text[], %(versions)s::integer[], %(clauses)s::text[])
  with ordinality as n (document_id, version, clause, place)
join policy_clauses c using (document_id, version, clause)
where c.tenant = tenant()
order by n.place;

-- rules_in_force --
-- The refund rules of the documents in force on the day and for the region, each with the clause it cites.
select d.document_id, d.version, r.rule, c.clause, c.quote
from documents_in_force(%(region)s, %(on_date)s) d
cross join lateral jsonb_array_elements(d.rules) with ordinality as r (rule, place)
join policy_clauses c on c.document_id = d.document_id and c.version = d.version and c.clause = r.rule->>'clause'
order by d.document_id, r.place;

-- insert_flag --
insert into flags (tenant, name, value, reason, set_by)
values (%(tenant)s, %(name)s, %(value)s, %(reason)s, %(set_by)s) returning set_at;

-- current_flags --
select distinct on (tenant, name) tenant, name, value, reason, set_by, set_at from flags order by tenant, name, set_at desc, seq desc;

-- kill_switch --
select kill_switch(tenant()) as killed;
