-- What the provider knows and these books do not, and what a person asks of it.

set local search_path = books, pg_temp;

set local role books_guard;

-- One refund of the provider settles one disbursement, whatever each of its settlements says.
create function check_provider_refund() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.provider_refund_id is not null and exists (
    select from settlements where tenant = new.tenant and provider_refund_id = new.provider_refund_id
      and decision_id <> new.decision_id) then
    perform refuse('settlement_mismatch', 'that refund settles another disbursement');
  end if;
  return new;
end $$;

-- A person asks the provider about money whose end is not known, and about no other.
create function check_provider_act() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  ordered disbursements;
  outcome settlement_outcome;
begin
  select * into ordered from disbursements where tenant = new.tenant and decision_id = new.decision_id;
  if not found or new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  perform hold_case(ordered.tenant, ordered.case_id);
  if not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role in ('specialist', 'operator')
  ) then
    perform refuse('no_authority', 'needs a specialist or an operator of this tenant');
  end if;
  select s.outcome into outcome from settlements s where s.tenant = new.tenant and s.decision_id = new.decision_id
    order by s.seq desc limit 1;
  if outcome in ('succeeded', 'failed', 'refused') then
    perform refuse('already_settled', 'the outcome is known: ' || outcome);
  end if;
  if new.act <> 'check' and outcome is distinct from 'needs_person' and not exists (
    select from sends where tenant = new.tenant and decision_id = new.decision_id) then
    perform refuse('already_settled', 'nothing was sent yet');
  end if;
  if (select count(*) from provider_acts where tenant = new.tenant and decision_id = new.decision_id) >= 100 then
    perform refuse('too_many_proposals', 'a disbursement is asked about at most 100 times');
  end if;
  new.at := clock();
  return new;
end $$;

-- Whether a found refund still waits for a person's word: not said what it is, and not the end of a disbursement.
create function found_open(of_tenant text, of_refund text) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select not exists (
    select from found_refund_acts a where a.tenant = of_tenant and a.provider_refund_id = of_refund
  ) and not exists (
    select from settlements s where s.tenant = of_tenant and s.provider_refund_id = of_refund
  );
end;

-- Whether the provider knows more of a payment than these books.
create function provider_ahead(of_tenant text, of_payment text) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (
    select from found_refunds f where f.tenant = of_tenant and f.payment_id = of_payment and f.tenant = tenant()
      and found_open(f.tenant, f.provider_refund_id)
  );
end;

-- Nobody proposes or decides a refund of a payment of which the provider knows more than these books.
create function check_provider_ahead() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.kind = 'refund' and (tg_table_name = 'proposals' or to_jsonb(new)->>'word' <> 'revise') and exists (
    select from legs_in(coalesce(to_jsonb(new)->>'body', (
      select p.body from proposals p where p.tenant = new.tenant and p.proposal_id = new.proposal_id)),
      new.payment_id, new.amount_minor) l
    where provider_ahead(new.tenant, l.payment_id)) then
    perform refuse('provider_ahead', 'the provider has a refund of this payment that these books do not know:'
      ' say what it is first, under unknown outcomes');
  end if;
  return new;
end $$;

create function check_send_behind() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if exists (select from disbursements d where d.tenant = new.tenant and d.decision_id = new.decision_id
             and provider_ahead(d.tenant, d.payment_id)) then
    perform refuse('provider_ahead', 'the provider has a refund of this payment that these books do not know');
  end if;
  return new;
end $$;

-- A found refund is what a specialist or an operator says it is, once.
create function check_found_refund_act() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  found_one found_refunds;
begin
  select * into found_one from found_refunds where tenant = new.tenant and provider_refund_id = new.provider_refund_id;
  if not found or new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  if not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role in ('specialist', 'operator')
  ) then
    perform refuse('no_authority', 'needs a specialist or an operator of this tenant');
  end if;
  if not found_open(new.tenant, new.provider_refund_id) then
    perform refuse('already_settled', 'what this refund is has been said');
  end if;
  if new.act = 'adopt' then
    if found_one.case_id is null or exists (
      select from disbursements d where d.tenant = new.tenant and d.case_id = found_one.case_id
        and may_be_paid((select s.outcome from settlements s where s.tenant = d.tenant and s.decision_id = d.decision_id
          order by s.seq desc limit 1))
    ) then
      perform refuse('not_ours', 'no case of these books waits for this refund: say that it is another matter');
    end if;
    perform hold_case(new.tenant, found_one.case_id);
  end if;
  new.at := clock();
  return new;
end $$;

reset role;

set local role books_scribe;

-- A refund that these books had lost is the end of its case.
create function end_adopted() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.act = 'adopt' then
    insert into case_events (tenant, case_id, seq, status, reason, ended)
    select new.tenant, f.case_id, 1, 'refunded', 'found_at_provider', true from found_refunds f
    where f.tenant = new.tenant and f.provider_refund_id = new.provider_refund_id;
  end if;
  return null;
end $$;

reset role;

set local role books_owner;
create trigger a_end_adopted after insert on found_refund_acts for each row execute function end_adopted();
create trigger check_found_refund_act before insert on found_refund_acts for each row execute function check_found_refund_act();
create trigger check_ahead before insert on proposals for each row execute function check_provider_ahead();
create trigger check_provider_act before insert on provider_acts for each row execute function check_provider_act();
create trigger check_ahead before insert on sends for each row execute function check_send_behind();
create trigger check_provider_refund before insert on settlements for each row execute function check_provider_refund();
create trigger check_ahead before insert on votes for each row execute function check_provider_ahead();
reset role;
