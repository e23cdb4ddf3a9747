-- Payments: what of each can still be refunded, and which items were.

set local search_path = books, pg_temp;

set local role books_owner;

-- What was learnt of a disbursement last.
create view settlement_state with (security_invoker = true) as
  select distinct on (tenant, decision_id) tenant, decision_id, seq, outcome, provider_refund_id, detail, settled_at
  from settlements
  order by tenant, decision_id, seq desc;

reset role;

set local role books_guard;

-- What of a payment can still be refunded: paid, less what went back before this house came, less what is ordered here
-- and did not fail, less refunds that only the provider knows. A found refund without a label of ours may be money that
-- went back before this house came, so of these two the greater one counts.
create function left_of_payment(of_tenant text, of_payment text) returns bigint
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select p.amount_minor - greatest(p.refunded_before_minor, coalesce((
    select sum(f.amount_minor) from found_refunds f
    where f.tenant = p.tenant and f.payment_id = p.payment_id and f.decision_label = '' and not exists (
      select from settlements s where s.tenant = f.tenant and s.provider_refund_id = f.provider_refund_id)
  ), 0)) - coalesce((
    select sum(f.amount_minor) from found_refunds f
    where f.tenant = p.tenant and f.payment_id = p.payment_id and f.decision_label <> '' and not exists (
      select from settlements s where s.tenant = f.tenant and s.provider_refund_id = f.provider_refund_id)
  ), 0) - coalesce((
    select sum(d.amount_minor) from disbursements d
    where d.tenant = p.tenant and d.payment_id = p.payment_id
      and may_be_paid((
        select s.outcome from settlements s
        where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
      ))
  ), 0)
  from payments p where p.tenant = of_tenant and p.payment_id = of_payment and p.tenant = tenant();
end;

-- What was ordered of a payment and did not fail, but for one decision: a split amount needs the authority of the whole.
create function ordered_of_payment(of_tenant text, of_payment text, but_decision uuid) returns bigint
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce(sum(d.amount_minor), 0)::bigint from disbursements d
  where d.tenant = of_tenant and d.payment_id = of_payment and d.decision_id is distinct from but_decision
    and may_be_paid((
      select s.outcome from settlements s
      where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
    ));
end;

-- Whether the items of a proposal, with those of disbursements that did not fail, are more than the order has. Of two
-- equal items each can be refunded once; one that the order does not have counts as there once.
create function items_refunded(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (
    select from (
      select m.item, count(*) as wanted
      from proposals mine, jsonb_array_elements_text(mine.body::jsonb->'items') as m (item)
      where mine.tenant = of_tenant and mine.proposal_id = of_proposal and mine.kind = 'refund'
      group by m.item
    ) w
    join (
      select x.item, count(*) as gone
      from proposals mine
      join disbursements d on d.tenant = mine.tenant and d.order_id = mine.order_id and d.proposal_id <> mine.proposal_id
      join proposals other on other.tenant = d.tenant and other.proposal_id = d.proposal_id
      cross join jsonb_array_elements_text(other.body::jsonb->'items') as x (item)
      where mine.tenant = of_tenant and mine.proposal_id = of_proposal
        and may_be_paid((
          select s.outcome from settlements s
          where s.tenant = d.tenant and s.decision_id = d.decision_id order by s.seq desc limit 1
        ))
      group by x.item
    ) g on g.item = w.item
    where w.wanted + g.gone > greatest(1, (
      select count(*) from proposals mine
      join orders o on o.tenant = mine.tenant and o.order_id = mine.order_id
      cross join jsonb_array_elements(o.items) as l (line)
      where mine.tenant = of_tenant and mine.proposal_id = of_proposal and l.line->>'sku' = w.item
    ))
  );
end;

reset role;
