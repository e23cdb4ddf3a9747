-- Payments: what of each can still be refunded, and which items were.

set local search_path = books, pg_temp;

set local role books_owner;

-- What was learnt of a disbursement last.
create view settlement_state with (security_invoker = true) as
  select distinct on (tenant, decision_id) tenant, decision_id, seq, outcome, provider_refund_id, detail, settled_at
  from settlements
  order by tenant, decision_id, seq desc;

-- What was bought, without when it came: of a line that may be told later on.
create function bought(lines jsonb) returns jsonb language sql immutable set search_path = books, pg_temp
begin atomic
  select jsonb_agg(l.line - 'delivered_at' order by l.place) from jsonb_array_elements(lines) with ordinality as l (line, place);
end;

reset role;

set local role books_guard;

-- What was learnt last of a disbursement; NULL before.
create function settled_as(of_tenant text, of_disbursement uuid) returns settlement_outcome
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select s.outcome from settlements s
  where s.tenant = of_tenant and s.decision_id = of_disbursement and of_tenant = tenant() order by s.seq desc limit 1;
end;

-- Whether a refund of the provider is one that this house made.
create function is_ours(of_tenant text, of_refund text) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (
    select from settlements s where s.tenant = of_tenant and s.provider_refund_id = of_refund and of_tenant = tenant());
end;

-- Whether a dispute of a payment is open at the bank.
create function is_disputed(of_tenant text, of_payment text) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (
    select from payments p join orders o on o.tenant = p.tenant and o.order_id = p.order_id
    cross join jsonb_array_elements(o.disputes) as d (said)
    where p.tenant = of_tenant and p.tenant = tenant() and p.payment_id = of_payment and d.said->>'payment_id' = p.payment_id
      and d.said->>'status' = 'open');
end;

-- What was refunded of a payment elsewhere, as the shop's own books say it, and what a bank took in a dispute that was
-- lost. A refund of this house that the shop tells back is counted where it was ordered.
create function made_elsewhere(of_tenant text, of_payment text) returns bigint
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce(sum((m.made->>'amount_minor')::bigint), 0)::bigint
  from payments p join orders o on o.tenant = p.tenant and o.order_id = p.order_id
  cross join lateral (
    select r.made from jsonb_array_elements(o.refunds) as r (made)
    where r.made->>'payment_id' = p.payment_id and not is_ours(p.tenant, r.made->>'refund_id')
    union all
    select d.made from jsonb_array_elements(o.disputes) as d (made)
    where d.made->>'payment_id' = p.payment_id and d.made->>'status' = 'lost'
  ) m
  where p.tenant = of_tenant and p.tenant = tenant() and p.payment_id = of_payment;
end;

-- What of a payment can still be refunded: paid, less what went back elsewhere, less what is ordered here and did not
-- fail, less refunds that only the provider knows. A found refund without a label of ours may be money that went back
-- before this house came or that the shop's books tell of, so of these three the greatest counts.
create function left_of_payment(of_tenant text, of_payment text) returns bigint
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select p.amount_minor - greatest(p.refunded_before_minor, made_elsewhere(p.tenant, p.payment_id), coalesce((
    select sum(f.amount_minor) from found_refunds f
    where f.tenant = p.tenant and f.payment_id = p.payment_id and f.decision_label = '' and not is_ours(f.tenant, f.provider_refund_id)
  ), 0)) - coalesce((
    select sum(f.amount_minor) from found_refunds f
    where f.tenant = p.tenant and f.payment_id = p.payment_id and f.decision_label <> '' and not is_ours(f.tenant, f.provider_refund_id)
  ), 0) - coalesce((
    select sum(d.amount_minor) from disbursements d
    where d.tenant = p.tenant and d.payment_id = p.payment_id and may_be_paid(settled_as(d.tenant, d.decision_id))
  ), 0)
  from payments p where p.tenant = of_tenant and p.payment_id = of_payment and p.tenant = tenant();
end;

-- What was ordered of a payment and did not fail, but for one proposal: a split amount needs the authority of the whole.
create function ordered_of_payment(of_tenant text, of_payment text, but_proposal uuid) returns bigint
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce(sum(d.amount_minor), 0)::bigint from disbursements d
  where d.tenant = of_tenant and d.payment_id = of_payment and d.proposal_id <> but_proposal
    and may_be_paid(settled_as(d.tenant, d.decision_id));
end;

-- To which payments a proposal goes back, with how much of each. A body that names no legs has the one of its columns.
create function legs_in(body text, payment text, amount bigint) returns table (leg bigint, payment_id text, amount_minor bigint)
language sql immutable set search_path = books, pg_temp
begin atomic
  select l.leg, l.said->>'payment_id', (l.said->>'amount_minor')::bigint
  from jsonb_array_elements(body::jsonb->'legs') with ordinality as l (said, leg)
  union all
  select 1, payment, amount where body::jsonb->'legs' is null and payment <> '';
end;

create function legs_of(of_tenant text, of_proposal uuid) returns table (leg bigint, payment_id text, amount_minor bigint)
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select l.leg, l.payment_id, l.amount_minor from proposals p
  cross join lateral legs_in(p.body, p.payment_id, p.amount_minor) l
  where p.tenant = of_tenant and p.proposal_id = of_proposal;
end;

-- How the refund of a proposal ended or stands, over all payments that it goes back to; NULL before anything was learnt.
create function refund_outcome(of_tenant text, of_proposal uuid) returns settlement_outcome
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select outcome_of(array_agg(settled_as(d.tenant, d.decision_id))) from disbursements d
  where d.tenant = of_tenant and d.tenant = tenant() and d.proposal_id = of_proposal;
end;

-- Why a refund is a person's matter, where it is; of several payments the newest says it.
create function refund_question(of_tenant text, of_proposal uuid) returns text
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select s.detail from disbursements d
  cross join lateral (
    select l.outcome, l.detail, l.settled_at from settlements l
    where l.tenant = d.tenant and l.decision_id = d.decision_id order by l.seq desc limit 1
  ) s
  where d.tenant = of_tenant and d.tenant = tenant() and d.proposal_id = of_proposal and s.outcome = 'needs_person'
  order by s.settled_at desc limit 1;
end;

-- Of which lines a proposal gives back how many. Bodies of before orders had lines name items, each by its next line.
create function units_of(of_tenant text, of_proposal uuid) returns table (line_id text, quantity bigint)
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select u.unit->>'line_id', sum((u.unit->>'quantity')::bigint)::bigint
  from proposals p cross join jsonb_array_elements(p.body::jsonb->'lines') as u (unit)
  where p.tenant = of_tenant and p.tenant = tenant() and p.proposal_id = of_proposal group by 1
  union all
  select coalesce(l.line_id, i.item), count(*)
  from (
    select p.tenant, p.order_id, m.item, row_number() over (partition by m.item order by m.place) as nth
    from proposals p cross join jsonb_array_elements_text(p.body::jsonb->'items') with ordinality as m (item, place)
    where p.tenant = of_tenant and p.tenant = tenant() and p.proposal_id = of_proposal
  ) i
  left join (
    select o.tenant, o.order_id, n.line->>'line_id' as line_id, n.line->>'sku' as sku, (n.line->>'quantity')::bigint as quantity,
      sum((n.line->>'quantity')::bigint) over (partition by o.order_id, n.line->>'sku' order by n.place) as upto
    from orders o cross join jsonb_array_elements(o.lines) with ordinality as n (line, place)
    where o.tenant = of_tenant
      and o.order_id = (select p.order_id from proposals p where p.tenant = of_tenant and p.proposal_id = of_proposal)
  ) l on l.tenant = i.tenant and l.order_id = i.order_id and l.sku = i.item and i.nth > l.upto - l.quantity and i.nth <= l.upto
  group by 1;
end;

-- Whether what a proposal gives back of an order, with what went back of it before and did not fail, is more than the
-- order has: of a line more units than were bought, or more of shipping and fees than they cost.
create function units_refunded(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  with mine as (
    select p.tenant, p.proposal_id, p.order_id, p.body::jsonb as body, o.lines, o.charges, o.refunds
    from proposals p left join orders o on o.tenant = p.tenant and o.order_id = p.order_id
    where p.tenant = of_tenant and p.tenant = tenant() and p.proposal_id = of_proposal and p.kind = 'refund'
  ), others as (
    select distinct d.tenant, d.proposal_id from mine
    join disbursements d on d.tenant = mine.tenant and d.order_id = mine.order_id and d.proposal_id <> mine.proposal_id
    where may_be_paid(settled_as(d.tenant, d.decision_id))
  ), elsewhere as (
    select r.made from mine cross join jsonb_array_elements(mine.refunds) as r (made)
    where not is_ours(mine.tenant, r.made->>'refund_id')
  ), gone as (
    select u.line_id, u.quantity from others cross join lateral units_of(others.tenant, others.proposal_id) u
    union all
    select u.unit->>'line_id', (u.unit->>'quantity')::bigint
    from elsewhere cross join jsonb_array_elements(elsewhere.made->'lines') as u (unit)
  )
  select exists (
    select from mine cross join lateral units_of(mine.tenant, mine.proposal_id) w
    where w.quantity + coalesce((select sum(g.quantity) from gone g where g.line_id = w.line_id), 0) > coalesce((
      select (l.line->>'quantity')::bigint from jsonb_array_elements(mine.lines) as l (line)
      where l.line->>'line_id' = w.line_id
    ), 1)
  ) or exists (
    select from mine where (mine.body->>'charges_minor')::bigint > 0 and (mine.body->>'charges_minor')::bigint + coalesce((
      select sum((p.body::jsonb->>'charges_minor')::bigint) from others
      join proposals p on p.tenant = others.tenant and p.proposal_id = others.proposal_id
    ), 0) + coalesce((select sum((e.made->>'charges_minor')::bigint) from elsewhere e), 0) > coalesce((
      select sum((c.charge->>'price_minor')::bigint) from jsonb_array_elements(mine.charges) as c (charge)
    ), 0)
  );
end;

-- What of each line of an order came back to the shop, and how much of it not as it was sold: as the shop's own books say
-- it, or as it was noted beside a case, whichever is more.
create function arrived(of_tenant text, of_order text) returns table (line_id text, quantity bigint, otherwise bigint)
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select s.line_id, max(s.quantity)::bigint, max(s.otherwise)::bigint
  from (
    select n.source, n.line_id, sum(n.quantity) as quantity,
      coalesce(sum(n.quantity) filter (where n.condition <> 'as_sold'), 0) as otherwise
    from (
      select 'shop' as source, r.said->>'line_id' as line_id, (r.said->>'quantity')::bigint as quantity,
        coalesce(r.said->>'condition', 'as_sold') as condition
      from orders o cross join jsonb_array_elements(o.returns) as r (said)
      where o.tenant = of_tenant and o.tenant = tenant() and o.order_id = of_order
      union all
      select 'here', a.line_id, a.quantity, a.condition::text from arrivals a
      where a.tenant = of_tenant and a.tenant = tenant() and a.order_id = of_order
    ) n group by n.source, n.line_id
  ) s group by s.line_id;
end;

-- The units of a proposal that wants the goods back first, each with how many of its line have to be there: its own, and
-- those that a refund was made for before, here or elsewhere, unless the customer kept them.
create function units_to_come(of_tenant text, of_proposal uuid) returns table (line_id text, needed bigint, there bigint, otherwise bigint)
language sql stable security definer set search_path = books, pg_temp
begin atomic
  with mine as (
    select p.tenant, p.proposal_id, p.order_id, o.refunds
    from proposals p join orders o on o.tenant = p.tenant and o.order_id = p.order_id
    where p.tenant = of_tenant and p.tenant = tenant() and p.proposal_id = of_proposal
      and p.kind = 'refund' and (p.body::jsonb->>'goods_first')::boolean
  ), before as (
    select u.line_id, u.quantity from (
      select distinct d.tenant, d.proposal_id from mine
      join disbursements d on d.tenant = mine.tenant and d.order_id = mine.order_id and d.proposal_id <> mine.proposal_id
      join proposals p on p.tenant = d.tenant and p.proposal_id = d.proposal_id
      where may_be_paid(settled_as(d.tenant, d.decision_id)) and (p.body::jsonb->>'kept')::boolean is not true
    ) others cross join lateral units_of(others.tenant, others.proposal_id) u
    union all
    select u.unit->>'line_id', (u.unit->>'quantity')::bigint
    from mine cross join jsonb_array_elements(mine.refunds) as r (made) cross join jsonb_array_elements(r.made->'lines') as u (unit)
    where not is_ours(mine.tenant, r.made->>'refund_id')
  )
  select w.line_id, w.quantity + coalesce((select sum(b.quantity) from before b where b.line_id = w.line_id), 0)::bigint,
    coalesce(a.quantity, 0), coalesce(a.otherwise, 0)
  from mine cross join lateral units_of(mine.tenant, mine.proposal_id) w
  left join lateral arrived(mine.tenant, mine.order_id) a on a.line_id = w.line_id;
end;

-- Whether goods that a proposal wants back first have not all come as they were sold. What does not fit the order any more
-- waits for nothing.
create function awaits_return(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (select from units_to_come(of_tenant, of_proposal) u where u.there - u.otherwise < u.needed)
    and not units_refunded(of_tenant, of_proposal) and not exists (
      select from legs_of(of_tenant, of_proposal) l
      where l.amount_minor > coalesce(left_of_payment(of_tenant, l.payment_id), -1));
end;

-- Whether something was told of an order since: by its shop, by who takes returns in, or by another refund of it.
create function order_touched(of_tenant text, of_order text, since timestamptz) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select of_tenant = tenant() and (
    exists (select from orders o where o.tenant = of_tenant and o.order_id = of_order and o.changed_at > since)
    or exists (select from arrivals a where a.tenant = of_tenant and a.order_id = of_order and a.arrived_at > since)
    or exists (select from disbursements d where d.tenant = of_tenant and d.order_id = of_order and d.ordered_at > since));
end;

-- Whether something of them came otherwise than it was sold: what was countersigned does not fit it.
create function returned_otherwise(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (select from units_to_come(of_tenant, of_proposal) u where u.otherwise > 0);
end;

-- How long after a proposal's time to decide an approval of it may be in force: a parcel takes weeks.
create function time_to_pay(body text) returns interval language sql immutable set search_path = books, pg_temp
begin atomic
  select case when (body::jsonb->>'goods_first')::boolean then interval '45 days' else interval '24 hours' end;
end;

reset role;
