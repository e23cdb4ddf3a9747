-- Proposals: what may be put before a person.

set local search_path = books, pg_temp;

set local role books_guard;

-- Of which order of its customer a case may propose: the one that it came with; where it came with none, the one that its
-- words name; and one that a person read in them.
create function may_name_order(of_tenant text, of_case uuid, of_order text) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce(bool_or(c.order_id is null or c.order_id = of_order or exists (
    select from readings r cross join lateral jsonb_array_elements(r.body::jsonb->'asks') as a (ask)
    where r.tenant = c.tenant and r.case_id = c.case_id and r.reader = 'person' and a.ask->>'order_id' = of_order)), false)
  from cases c where c.tenant = of_tenant and c.case_id = of_case;
end;

-- A proposal says in its body what its columns say; its case is open and its release may propose; it follows the one
-- before it only where that is decided, lapsed or withdrawn; an amount that a person set is raised by nobody but a
-- person; and a refund goes to a payment of the case's own order, within what is left of it.
create function check_proposal() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  said jsonb;
  owner cases;
  before proposals;
  decided decisions;
  available bigint;
  leg record;
begin
  perform hold_case(new.tenant, new.case_id);
  select * into owner from cases where tenant = new.tenant and case_id = new.case_id;
  if not found or new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  said := new.body::jsonb;
  if (said->>'tenant', said->>'proposal_id', said->>'case_id', said->>'thread_id', said->>'kind', said->>'reason',
      said->>'payment_id', said->>'order_id', (said->>'amount_minor')::bigint, said->>'currency', said->>'release',
      said->>'graph_version', said->>'supersedes', said->>'edited_by', (said->>'edited_upward')::boolean)
    is distinct from
     (new.tenant::text, new.proposal_id::text, new.case_id::text, new.thread_id::text, new.kind::text, new.reason,
      new.payment_id, new.order_id, new.amount_minor::bigint, new.currency::text, new.release::text,
      new.graph_version::text, new.supersedes::text, new.edited_by::text, new.edited_upward) then
    perform refuse('proposal_mismatch', 'the body does not say what the columns say');
  end if;
  if is_over(new.tenant, new.case_id) then
    perform refuse('case_ended');
  end if;
  if new.edited_by is null and new.kind <> 'handoff' and not may_propose(new.release) then
    perform refuse('release_held', new.release || ' is neither canary nor live');
  end if;
  if new.expires_at <= clock() or new.expires_at > clock() + interval '31 days' then
    perform refuse('bad_expiry', 'a proposal expires within 31 days');
  end if;
  if new.supersedes is not null then
    select * into before from proposals where tenant = new.tenant and proposal_id = new.supersedes;
    if not found or before.case_id <> new.case_id then
      perform refuse('unknown_proposal');
    end if;
    select * into decided from decisions where tenant = new.tenant and proposal_id = new.supersedes;
    if not found then
      if not is_withdrawn(before.tenant, before.proposal_id) then
        perform refuse('proposal_open', 'the one before is still to be decided');
      end if;
    elsif decided.word = 'reject' then
      perform refuse('proposal_open', 'a rejected case stays rejected');
    elsif decided.word = 'approve' and decided.asks is null then
      if exists (select from disbursements where tenant = new.tenant and proposal_id = decided.proposal_id) then
        if may_be_paid(refund_outcome(new.tenant, decided.proposal_id)) then
          perform refuse('proposal_open', 'the money of the one before is ordered');
        end if;
      elsif decided.execute_by > clock() and not returned_otherwise(new.tenant, decided.proposal_id) and not (
        select status = 'received' and reason = 'taken_over' from case_events
        where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1) then
        perform refuse('proposal_open', 'the approval of the one before is in force');
      end if;
    end if;
    if (select count(*) from proposals where tenant = new.tenant and case_id = new.case_id) >= 12 then
      perform refuse('too_many_proposals', 'a case has at most 12');
    end if;
  end if;
  if new.edited_upward is distinct from
     (new.edited_by is not null and new.amount_minor > coalesce(before.amount_minor, 0)) then
    perform refuse('proposal_mismatch', 'edited_upward says whether a person raised the amount');
  end if;
  if decided.word = 'revise' and decided.revised_amount_minor is not null and new.kind <> 'handoff'
     and (new.edited_by is distinct from decided.decided_by or new.amount_minor <> decided.revised_amount_minor) then
    perform refuse('proposal_mismatch', 'an edited amount is the one that was asked for and carries its editor');
  end if;
  if (decided.word is distinct from 'revise' or decided.revised_amount_minor is null) and new.amount_minor > (
    select amount_minor from proposals
    where tenant = new.tenant and case_id = new.case_id and edited_by is not null
    order by proposed_at desc limit 1) and not exists (
    select from takeovers t where t.tenant = new.tenant and t.case_id = new.case_id and t.act = 'propose'
      and t.person = new.edited_by and t.amount_minor = new.amount_minor and t.reply = new.body::jsonb->>'draft')
     and not exists (
    select from readings r where r.tenant = new.tenant and r.case_id = new.case_id and r.reader = 'person' and r.at > (
      select max(p.proposed_at) from proposals p
      where p.tenant = new.tenant and p.case_id = new.case_id and p.edited_by is not null)) then
    perform refuse('proposal_mismatch', 'a person set the amount; nobody but a person raises it');
  end if;
  if new.kind = 'refund' then
    if (select (count(*), count(distinct l.payment_id), sum(l.amount_minor), (array_agg(l.payment_id order by l.leg))[1])
        is distinct from (count(*), count(*), new.amount_minor::numeric, new.payment_id) or bool_or(l.amount_minor <= 0)
        from legs_in(new.body, new.payment_id, new.amount_minor) l) is not false then
      perform refuse('proposal_mismatch', 'the payments that it goes back to do not sum to it');
    end if;
    if not may_name_order(new.tenant, new.case_id, new.order_id) or exists (
      select from legs_in(new.body, new.payment_id, new.amount_minor) l where not exists (
        select from orders o join payments p on p.tenant = o.tenant and p.order_id = o.order_id
        where o.tenant = new.tenant and o.order_id = new.order_id and o.customer_id = owner.customer_id
          and p.payment_id = l.payment_id and p.currency = new.currency)
    ) then
      perform refuse('foreign_order', 'a refund goes back to the payment of the order of the case''s customer');
    end if;
    for leg in select * from legs_in(new.body, new.payment_id, new.amount_minor) loop
      available := left_of_payment(new.tenant, leg.payment_id);
      if available is null or leg.amount_minor > available then
        perform refuse('blocked:over_refund', format('%s asked, %s left', leg.amount_minor, available));
      end if;
    end loop;
  end if;
  return new;
end $$;

-- The proposal after a revision has the reply and the items that the person asked for, and an editor asked for the
-- amount that carries their name. Words alone change no amount; who changes items names the amount too.
create function check_editor() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  decided decisions;
begin
  select * into decided from decisions d where d.tenant = new.tenant and d.proposal_id = new.supersedes and d.word = 'revise';
  if new.kind <> 'handoff' and (
    (decided.revised_reply is not null and new.body::jsonb->>'draft' is distinct from decided.revised_reply)
    or (decided.revised_reply is not null and decided.revised_amount_minor is null
      and (new.amount_minor, new.kind) is distinct from (decided.amount_minor, decided.kind))
    or (decided.revised_items is not null and new.kind = 'refund' and new.body::jsonb->'lines' is distinct from decided.revised_items)
  ) and not exists (
    select from takeovers t where t.tenant = new.tenant and t.case_id = new.case_id and t.at > decided.decided_at) then
    perform refuse('proposal_mismatch', 'an edited reply or item is the one that was asked for');
  end if;
  if new.edited_by is not null
     and not (decided.decided_by is not distinct from new.edited_by and decided.revised_amount_minor is not distinct from new.amount_minor)
     and not exists (
       select from proposals p where p.tenant = new.tenant and p.case_id = new.case_id
         and p.edited_by = new.edited_by and p.amount_minor >= new.amount_minor)
     and not exists (
       select from takeovers t where t.tenant = new.tenant and t.case_id = new.case_id and t.act = 'propose'
         and t.person = new.edited_by and t.amount_minor = new.amount_minor and t.currency = new.currency
         and t.payment_id = new.payment_id and t.order_id = new.order_id and t.reply = new.body::jsonb->>'draft') then
    perform refuse('proposal_mismatch', 'nobody of that name asked for this amount');
  end if;
  return new;
end $$;

reset role;

set local role books_owner;

create trigger check_editor before insert on proposals for each row execute function check_editor();
create trigger check_proposal before insert on proposals for each row execute function check_proposal();

reset role;
