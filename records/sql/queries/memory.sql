-- Memory: what is remembered of a customer. Information for people and models; no rule and no check of money reads it.

-- lock_memory --
-- Whoever writes of a customer waits for the other who does: nothing is written beside an opting out.
select pg_advisory_xact_lock(hashtextextended('memory ' || tenant() || ' ' || %(customer_id)s, 8));

-- facts_of --
-- The facts of a customer that have not run out, the newest of each kind first; `counts` says which of a kind counts.
select fact_id, customer_id, kind, body, source, audience, case_id, person, said_at, expires_at,
  row_number() over (partition by kind order by said_at desc, fact_id) = 1 or kind = 'note' as counts
from customer_facts
where tenant = tenant() and customer_id = %(customer_id)s and expires_at > clock()
order by kind, said_at desc, fact_id;

-- insert_fact --
-- Nothing of a customer who wants nothing remembered, and no more than a page of facts.
insert into customer_facts (tenant, customer_id, kind, body, source, audience, case_id, person, expires_at)
select tenant(), %(customer_id)s::text, %(kind)s::memory_kind, %(body)s::text, %(source)s::memory_source,
  %(audience)s::memory_audience, %(case_id)s::uuid, %(person)s::text, clock() + make_interval(days => %(days)s)
where not exists (select from memory_opt_outs o where o.tenant = tenant() and o.customer_id = %(customer_id)s::text)
  and (select count(*) from customer_facts f where f.tenant = tenant() and f.customer_id = %(customer_id)s::text) < %(most)s
returning fact_id;

-- change_fact --
-- All of a fact that has not run out: who says it now says what kind it is and where it is from.
update customer_facts set kind = %(kind)s, body = %(body)s, source = %(source)s, audience = %(audience)s,
  case_id = coalesce(%(case_id)s::uuid, case_id), person = %(person)s, said_at = clock(), expires_at = clock() + make_interval(days => %(days)s)
where tenant = tenant() and customer_id = %(customer_id)s and fact_id = %(fact_id)s and expires_at > clock()
returning fact_id;

-- delete_facts --
-- One fact of a customer, or all of them.
delete from customer_facts
where tenant = tenant() and customer_id = %(customer_id)s and (%(fact_id)s::uuid is null or fact_id = %(fact_id)s)
returning fact_id;

-- delete_summaries --
delete from conversation_summaries where tenant = tenant() and customer_id = %(customer_id)s returning case_id;

-- opt_out --
insert into memory_opt_outs (tenant, customer_id, person) values (tenant(), %(customer_id)s, %(person)s)
on conflict do nothing returning customer_id;

-- opt_in --
delete from memory_opt_outs where tenant = tenant() and customer_id = %(customer_id)s returning customer_id;

-- opted_out --
select person, at from memory_opt_outs where tenant = tenant() and customer_id = %(customer_id)s;

-- episodes_of --
-- What became of a customer's newest cases: what was asked, how it ended, what went back, and how often they wrote.
select c.case_id, c.ticket_id, c.order_id, c.received_at, s.status, s.reason, s.ended,
  (select r.body from readings r where r.tenant = c.tenant and r.case_id = c.case_id order by r.seq desc limit 1) as reading,
  coalesce((select jsonb_agg(jsonb_build_object('amount_minor', d.amount_minor, 'currency', d.currency) order by d.currency)
    from disbursements d where d.tenant = c.tenant and d.case_id = c.case_id
      and settled_as(d.tenant, d.decision_id) = 'succeeded'), '[]') as refunded,
  1 + (select count(*) from messages m where m.tenant = c.tenant and m.case_id = c.case_id) as contacts
from cases c join case_state s on s.tenant = c.tenant and s.case_id = c.case_id
where c.tenant = tenant() and c.customer_id = %(customer_id)s and c.case_id is distinct from %(case_id)s::uuid
order by c.received_at desc, c.case_id limit %(most)s;

-- summaries_of --
select case_id, made_of, messages, body, model, at, expires_at from conversation_summaries
where tenant = tenant() and customer_id = %(customer_id)s and expires_at > clock() order by at desc;

-- summary_made_of --
select body from conversation_summaries
where tenant = tenant() and case_id = %(case_id)s and made_of = %(made_of)s and expires_at > clock();

-- insert_summary --
insert into conversation_summaries (tenant, case_id, customer_id, made_of, messages, body, model, expires_at)
select tenant(), %(case_id)s::uuid, %(customer_id)s::text, %(made_of)s::text, %(messages)s::integer, %(body)s::text, %(model)s::text,
  clock() + make_interval(days => %(days)s)
where not exists (select from memory_opt_outs o where o.tenant = tenant() and o.customer_id = %(customer_id)s::text)
on conflict do nothing;

-- forget_expired --
-- Facts and summaries whose time is over, of the tenant.
with facts as (delete from customer_facts where tenant = tenant() and expires_at <= clock() returning 1),
  summaries as (delete from conversation_summaries where tenant = tenant() and expires_at <= clock() returning 1)
select (select count(*) from facts) as facts, (select count(*) from summaries) as summaries;
