-- The shop's own books: tenants, people, orders, policy, flags.

-- list_tenants --
select tenant from tenants order by tenant;

-- insert_tenant --
insert into tenants (tenant, name) values (%(tenant)s, %(name)s) on conflict do nothing;

-- insert_authority_rule --
insert into authority_rules (tenant, currency, floor_minor, approvals, specialists)
values (%(tenant)s, %(currency)s, %(floor_minor)s, %(approvals)s, %(specialists)s) on conflict do nothing;

-- enter_tenant --
-- The rows of the rest of this transaction are this tenant's.
select set_config('books.tenant', %(tenant)s, true);

-- insert_person --
insert into people (person, name) values (%(person)s, %(name)s) on conflict do nothing;

-- insert_membership --
insert into memberships (tenant, person, role) values (%(tenant)s, %(person)s, %(role)s) on conflict do nothing;

-- insert_token --
insert into tokens (token_sha256, person, audience, scopes, ceiling_minor, expires_at)
values (%(token_sha256)s, %(person)s, %(audience)s, %(scopes)s, %(ceiling_minor)s, clock() + make_interval(days => %(days)s))
on conflict do nothing;

-- person_of_token --
-- The person that a token speaks for, with every role they have; none where it has ended or they have left.
select t.person, p.name, t.audience, t.scopes, t.ceiling_minor, m.tenant, m.role
from tokens t
join people p on p.person = t.person and p.active
join memberships m on m.person = t.person
where t.token_sha256 = %(token_sha256)s and t.expires_at > clock();

-- order_facts --
select tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, items
from orders where order_id = %(order_id)s;

-- payments_of_order --
select payment_id, method, amount_minor, currency, amount_minor - left_of_payment(tenant, payment_id) as refunded_minor
from payments where order_id = %(order_id)s order by payment_id;

-- insert_order --
insert into orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, items)
values (%(tenant)s, %(order_id)s, %(customer_id)s, %(region)s, %(status)s, %(ordered_at)s, %(delivered_at)s,
  %(currency)s, %(items)s)
on conflict do nothing;

-- insert_customer --
insert into customers (tenant, customer_id, email) values (%(tenant)s, %(customer_id)s, %(email)s) on conflict do nothing;

-- insert_payment --
insert into payments (tenant, payment_id, order_id, method, amount_minor, currency, refunded_before_minor)
values (%(tenant)s, %(payment_id)s, %(order_id)s, %(method)s, %(amount_minor)s, %(currency)s, %(refunded_before_minor)s)
on conflict do nothing;

-- insert_document --
insert into policy_documents (tenant, document_id, version, title, region, status, effective_on, expires_on, rules, sha256)
values (%(tenant)s, %(document_id)s, %(version)s, %(title)s, %(region)s, %(status)s, %(effective_on)s, %(expires_on)s,
  %(rules)s, %(sha256)s)
on conflict do nothing
returning document_id;

-- document_sha256 --
select sha256 from policy_documents where document_id = %(document_id)s and version = %(version)s;

-- insert_clause --
insert into policy_clauses (tenant, document_id, version, clause, quote, terms)
values (%(tenant)s, %(document_id)s, %(version)s, %(clause)s, %(quote)s,
  to_tsvector('english', %(title)s || ' ' || %(quote)s));

-- find_evidence --
-- Clauses that are approved, in force on the day and for the region, by how much of the question's weight they
-- cover. A word that no such clause has weighs most: a question about something else covers little.
with question as (
  select unnest(tsvector_to_array(to_tsvector('english', %(question)s))) as term
), in_force as (
  select distinct on (document_id) document_id, version
  from policy_documents
  where status = 'approved' and region in (%(region)s, '*')
    and effective_on <= %(on_date)s and (expires_on is null or expires_on > %(on_date)s)
  order by document_id, version desc
), eligible as (
  select c.document_id, c.version, c.clause, c.quote, tsvector_to_array(c.terms) as terms
  from policy_clauses c join in_force using (document_id, version)
), weights as (
  select q.term, ln(1 + ((select count(*) from eligible) + 1) / (0.5 + (select count(*) from eligible e where q.term = any(e.terms)))) as weight
  from question q
)
select e.document_id, e.version, e.clause, e.quote,
  (sum(w.weight) filter (where w.term = any(e.terms)) / sum(w.weight))::float8 as coverage
from eligible e cross join weights w
group by e.document_id, e.version, e.clause, e.quote
having sum(w.weight) filter (where w.term = any(e.terms)) > 0
order by coverage desc, e.document_id, e.clause
limit %(most)s;

-- rules_in_force --
-- The refund rules of the documents in force on the day and for the region, each with the clause it cites.
select d.document_id, d.version, r.rule, c.clause, c.quote
from (
  select distinct on (document_id) document_id, version, rules
  from policy_documents
  where status = 'approved' and region in (%(region)s, '*')
    and effective_on <= %(on_date)s and (expires_on is null or expires_on > %(on_date)s)
  order by document_id, version desc
) d
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

-- person_there --
select person from people where person = %(person)s;

-- refunded_items --
-- The items of an order whose refund was ordered and did not fail.
select distinct jsonb_array_elements_text(p.body::jsonb->'items') as sku
from disbursements d
join proposals p on p.tenant = d.tenant and p.proposal_id = d.proposal_id
left join settlement_state s on s.tenant = d.tenant and s.decision_id = d.decision_id
where d.order_id = %(order_id)s and coalesce(s.outcome, 'pending') not in ('failed', 'refused');
