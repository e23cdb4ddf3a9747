-- Cases: their timeline, what is true of it, what waits for a person, and the kill switch.

set local search_path = books, pg_temp;

set local role books_owner;

create view case_state with (security_invoker = true) as
  select distinct on (tenant, case_id) tenant, case_id, status, reason, at, ended
  from case_events last
  order by tenant, case_id, seq desc;

reset role;

set local role books_guard;

-- Every write of a case waits for the one before it. Taken first, so that locks have one order.
-- The checks read what was committed before they got the lock, which only READ COMMITTED shows them.
create function hold_case(tenant text, case_id uuid) returns void language plpgsql volatile
set search_path = books, pg_temp as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    perform refuse('wrong_isolation', 'the books are written in READ COMMITTED');
  end if;
  perform pg_advisory_xact_lock(hashtextextended(tenant || ':' || case_id::text, 7));
end $$;

create function kill_switch(of_tenant text) returns boolean language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select coalesce(bool_or(f.value = 'on'), false)
  from (
    select distinct on (tenant) value from flags
    where name = 'kill_switch' and flags.tenant in (of_tenant, '*')
    order by tenant, set_at desc, seq desc
  ) f;
end;

create function thread_case(of_thread uuid) returns table (tenant text, case_id uuid) language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select c.tenant::text, c.case_id from cases c where c.thread_id = of_thread;
end;

-- Whether a case has an end that nothing follows. A refund that failed and a case that was turned away may be
-- taken up again; what is then proposed says so as the last event.
create function is_over(of_tenant text, of_case uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce((
    select status in ('replied', 'rejected', 'expired', 'closed_by_human', 'refunded')
    from case_events where tenant = of_tenant and case_id = of_case order by seq desc limit 1), false);
end;

-- The order that a case is about: the one that it last proposed a refund of, or the one that it came with.
create function order_of_case(of_tenant text, of_case uuid) returns text language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select coalesce((
    select p.order_id from proposals p where p.tenant = c.tenant and p.case_id = c.case_id and p.kind = 'refund'
    order by p.proposed_at desc limit 1), c.order_id::text)
  from cases c where c.tenant = of_tenant and c.case_id = of_case;
end;

-- Whether the books bear out an end, or a stop on the way, that a program wants to write.
create function is_true_event(of_tenant text, of_case uuid, said case_status, because text, ending boolean) returns boolean
language plpgsql security definer set search_path = books, pg_temp as $$
declare
  open proposals;
  word decisions;
  outcome settlement_outcome;
  ordered boolean;
  last case_events;
begin
  if of_tenant is distinct from tenant() then
    return false;
  end if;
  select p.* into open from proposals p where p.tenant = of_tenant and p.case_id = of_case
    and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id);
  select * into word from decisions where tenant = of_tenant and proposal_id = open.proposal_id;
  ordered := exists (select from disbursements where tenant = of_tenant and proposal_id = open.proposal_id);
  outcome := refund_outcome(of_tenant, open.proposal_id);
  select * into last from case_events where tenant = of_tenant and case_id = of_case order by seq desc limit 1;
  return case said
    when 'bypassed' then not ending and open.proposal_id is null and because in (
      'stale_intake_bundle', 'classifier_human_review', 'unsigned_intake', 'expired_intake', 'replayed_intake',
      'wrong_tenant', 'duplicate_ticket', 'kill_switch', 'release_held')
    when 'received' then not ending and open.proposal_id is null and not kill_switch(of_tenant)
      and last.status = 'bypassed' and last.reason = 'kill_switch'
    when 'blocked' then not ending and because in (
        'invalid_decision', 'invalid_action', 'forbidden_action', 'invalid_arguments', 'missing_arguments',
        'unexpected_arguments', 'invalid_argument_types', 'invalid_state_transition')
      and (open.proposal_id is null or word.word = 'revise' or word.asks is not null
        or (word.word = 'approve' and not ordered and (word.execute_by <= clock() or returned_otherwise(of_tenant, open.proposal_id)))
        or (word.word is null and is_withdrawn(of_tenant, open.proposal_id)) or not may_be_paid(outcome))
    when 'expired' then word.word is null and open.expires_at <= clock()
    when 'rejected' then word.word = 'reject'
    when 'replied' then word.word = 'approve' and open.kind = 'reply' and word.asks is null
    when 'closed_by_human' then word.word = 'approve' and open.kind = 'handoff'
    when 'refunded' then outcome = 'succeeded'
    when 'refund_failed' then not may_be_paid(outcome) or (
      word.word = 'approve' and open.kind = 'refund' and not ordered
      and because in ('blocked:approval_mismatch', 'blocked:not_approved', 'blocked:over_refund'))
    when 'refund_pending' then not ending and word.word = 'approve' and open.kind = 'refund' and not ordered
      and (because = 'blocked:kill_switch' or (because = 'awaiting_return' and awaits_return(of_tenant, open.proposal_id)))
    else false
  end;
end $$;

create function check_case_event() returns trigger language plpgsql
set search_path = books, pg_temp as $$
declare
  last case_events;
begin
  perform hold_case(new.tenant, new.case_id);
  select * into last from case_events where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1;
  if current_user <> 'books_scribe' then
    if last.ended or (new.ended and last.status = 'received' and last.reason = 'taken_over') then
      return null; -- written by a run that looked before the case ended or a person took it up: it is not so any more
    end if;
    if is_true_event(new.tenant, new.case_id, new.status, new.reason, new.ended) is not true then
      perform refuse('untrue_event', new.status || ' is not what the books say');
    end if;
  end if;
  new.seq := coalesce(last.seq, 0) + 1;
  new.at := clock();
  return new;
end $$;

-- The newest flag is the one that was committed last, so its time is taken under the lock.
create function check_flag() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.tenant is distinct from tenant() then
    perform refuse('wrong_tenant');
  end if;
  perform hold_case(new.tenant, '00000000-0000-0000-0000-000000000000');
  new.set_at := clock();
  return new;
end $$;

-- An intake admits one ticket; a case belongs to the tenant of the transaction.
create function check_case() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.tenant is distinct from tenant() then
    perform refuse('wrong_tenant');
  end if;
  perform hold_case(new.tenant, new.case_id);
  return new;
end $$;

-- A person takes over what waits for nobody's word: a case that was turned away, blocked or failed, a hand-over, or
-- a question that nobody answers. A proposal of their own may stand in the place of any that is open.
create function check_takeover() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  last case_events;
begin
  perform hold_case(new.tenant, new.case_id);
  if new.tenant is distinct from tenant() then
    perform refuse('unknown_case');
  end if;
  if not exists (
    select from memberships m join people p on p.person = m.person
    where m.tenant = new.tenant and m.person = new.person and p.active and m.role in ('reviewer', 'specialist')
  ) then
    perform refuse('no_authority', 'not a reviewer or specialist of this tenant');
  end if;
  select * into last from case_events where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1;
  if not coalesce(last.status in ('bypassed', 'blocked', 'refund_failed')
    or (last.status = 'refund_pending' and last.reason = 'awaiting_return')
    or (last.status = 'needs_human' and last.reason in ('asked_customer', 'asked_colleague')) or (
    last.status = 'needs_human' and exists (
      select from proposals p where p.tenant = new.tenant and p.case_id = new.case_id and (p.kind = 'handoff' or new.act = 'propose')
        and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id)
        and not exists (select from decisions d where d.tenant = p.tenant and d.proposal_id = p.proposal_id))
  ), false) then
    perform refuse('not_a_handover', 'the case is ' || coalesce(last.status::text, 'unknown') || ': decide it instead');
  end if;
  if (select count(*) from takeovers where tenant = new.tenant and case_id = new.case_id) >= 12 then
    perform refuse('too_many_proposals', 'a case is taken over at most 12 times');
  end if;
  new.at := clock();
  return new;
end $$;

-- Maker and checker of a hand-over: nobody approves what they proposed in a takeover, nor rejects a case that they
-- submitted.
create function check_author() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.word = 'approve' and exists (
    select from takeovers where tenant = new.tenant and case_id = new.case_id and person = new.person and act = 'propose'
  ) then
    perform refuse('no_authority', 'nobody approves what they wrote');
  end if;
  if new.word = 'reject' and exists (
    select from cases where tenant = new.tenant and case_id = new.case_id and submitted_by = new.person
  ) then
    perform refuse('no_authority', 'nobody decides a case they submitted');
  end if;
  return new;
end $$;

reset role;

set local role books_scribe;

-- What a person asks for waits at the pause; a revision without a question goes back to the agent at once.
create function write_timeline() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  of_case uuid;
  of_proposal uuid;
  said case_status;
  because text;
  outcome settlement_outcome;
begin
  if tg_table_name = 'settlements' then
    select case_id, proposal_id into strict of_case, of_proposal from disbursements
      where tenant = new.tenant and decision_id = (to_jsonb(new)->>'decision_id')::uuid;
  elsif tg_table_name = 'disbursements' and exists (
    select from disbursements d join decisions x on x.tenant = d.tenant and x.proposal_id = d.proposal_id
    where d.tenant = new.tenant and d.decision_id = (to_jsonb(new)->>'decision_id')::uuid and x.decision_id <> d.decision_id
  ) then
    return null; -- of a refund to several payments the first one tells
  else
    of_case := new.case_id;
  end if;
  case tg_table_name
    when 'cases' then said := 'received'; because := to_jsonb(new)->>'verdict';
    when 'proposals' then said := 'needs_human'; because := to_jsonb(new)->>'reason';
    when 'decisions' then
      case to_jsonb(new)->>'word'
        when 'approve' then
          said := case when to_jsonb(new)->>'asks' is null then 'approved' else 'needs_human' end;
          because := coalesce('asked_' || (to_jsonb(new)->>'asks'), 'approve');
        when 'reject' then said := 'rejected'; because := to_jsonb(new)->>'code';
        else
          said := case when to_jsonb(new)->>'asks' is null then 'received' else 'needs_human' end;
          because := coalesce('asked_' || (to_jsonb(new)->>'asks'), 'revise');
      end case;
    when 'disbursements' then said := 'refund_pending'; because := 'refund_created';
    when 'settlements' then
      outcome := refund_outcome(new.tenant, of_proposal);
      because := coalesce(nullif(to_jsonb(new)->>'detail', ''), outcome::text);
      case outcome
        when 'succeeded' then said := 'refunded';
        when 'failed' then
          said := 'refund_failed';
          if 'succeeded' = any (array(select settled_as(d.tenant, d.decision_id) from disbursements d
              where d.tenant = new.tenant and d.proposal_id = of_proposal)) then
            because := 'partly_refunded';
          end if;
        when 'pending' then said := 'refund_pending'; because := 'pending';
        when 'needs_person' then
          said := 'refund_pending';
          because := coalesce(nullif(refund_question(new.tenant, of_proposal), ''), 'needs_person');
        when 'refused' then said := case because when 'blocked:expired' then 'refund_pending' else 'refund_failed' end;
        else said := 'refund_pending';
      end case;
  end case;
  insert into case_events (tenant, case_id, seq, status, reason) values (new.tenant, of_case, 1, said, because);
  return null;
end $$;

-- Only where no proposal is open: a hand-over's own decision writes its events.
create function write_takeover() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  last case_events;
begin
  select * into last from case_events where tenant = new.tenant and case_id = new.case_id order by seq desc limit 1;
  if last.status <> 'needs_human' or last.reason in ('asked_customer', 'asked_colleague') then
    insert into case_events (tenant, case_id, seq, status, reason, ended) values (
      new.tenant, new.case_id, 1,
      case new.act when 'reply' then 'replied'::case_status when 'close' then 'closed_by_human' else 'received' end,
      'taken_over', new.act <> 'propose');
  end if;
  return null;
end $$;

-- What the customer wrote, out of the ticket's JSON. It is searched without the rest, whose signature is a text of
-- random letters. A NUL and halves of pairs, which no text of Postgres can hold, are left out, and so are backslashes.
create function stated_in(ticket text, field text) returns text language sql immutable
set search_path = books, pg_temp
begin atomic
  select regexp_replace(replace(ticket, '\\', ' '), '\\u(0000|d[89a-f]..)', ' ', 'gi')::jsonb->>field;
end;

create function question_of(ticket text) returns text language sql immutable
set search_path = books, pg_temp
begin atomic
  select stated_in(ticket, 'question');
end;

create function waits_for_a_person(status case_status, reason text) returns boolean language sql immutable
set search_path = books, pg_temp
begin atomic
  select status in ('needs_human', 'bypassed', 'blocked', 'refund_failed') or (status = 'refund_pending'
    and reason not in ('refund_created', 'pending', 'blocked:kill_switch', 'blocked:expired', 'awaiting_return'));
end;

create function keep_waiting() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  open proposals;
begin
  if waits_for_a_person(new.status, new.reason) then
    if new.status in ('needs_human', 'refund_failed', 'refund_pending') then
      select p.* into open from proposals p where p.tenant = new.tenant and p.case_id = new.case_id
        and not exists (select from proposals n where n.tenant = p.tenant and n.supersedes = p.proposal_id);
    end if;
    insert into waiting as w (tenant, case_id, received_at, stage, band, status, reason, at, intent, kind, amount_minor,
      currency, proposed_at, expires_at, ticket_id, customer_id, order_id, for_person,
      for_role, wanted_by, tier, words, found_by)
    select c.tenant, c.case_id, c.received_at,
      case when new.status <> 'needs_human' then 1
        when new.reason in ('asked_customer', 'asked_colleague') then 2 else 0 end,
      case when burns(new.reason, c.ticket) then 63
        else band_of(risk_of(new.status, new.reason, open.kind), open.amount_minor) end,
      new.status, new.reason, new.at, c.intent, open.kind, open.amount_minor, open.currency, open.proposed_at,
      open.expires_at, c.ticket_id, c.customer_id, c.order_id, a.to_person, a.to_role,
      wanted_by(c.ticket), tier_of(c.ticket), case_words(c.ticket, c.ticket_id, c.customer_id, c.order_id),
      lower(concat_ws(' ', c.ticket_id, c.customer_id, c.order_id, c.case_id))
    from cases c
    left join lateral (
      select to_person, to_role from assignments h where h.tenant = c.tenant and h.case_id = c.case_id
        and (h.by_person is not null or h.at > coalesce(open.proposed_at, '-infinity'))
      order by seq desc limit 1
    ) a on true
    where c.tenant = new.tenant and c.case_id = new.case_id
    on conflict (tenant, case_id) do update set stage = excluded.stage, band = excluded.band, status = excluded.status,
      reason = excluded.reason, at = excluded.at, kind = excluded.kind, amount_minor = excluded.amount_minor,
      currency = excluded.currency, proposed_at = excluded.proposed_at, expires_at = excluded.expires_at,
      words = excluded.words;
  else
    delete from waiting where tenant = new.tenant and case_id = new.case_id;
  end if;
  -- A hint without rights: who listens asks the books, and polls too.
  perform pg_notify('countersign_desk', new.tenant || ' ' || new.case_id);
  return null;
end $$;

-- 1 a plain draft, 2 what the agent or the clock left to people, 3 what failed, was forbidden or may be forged.
create function risk_of(status case_status, reason text, kind proposal_kind) returns integer language sql immutable
set search_path = books, pg_temp
begin atomic
  select case
    when status in ('refund_failed', 'refund_pending', 'blocked') then 3
    when status = 'bypassed' and reason in ('unsigned_intake', 'replayed_intake', 'wrong_tenant', 'expired_intake') then 3
    when kind is distinct from 'handoff' and reason = 'draft_ready_for_review' then 1
    else 2
  end;
end;

-- What stands before everything else: law, safety, fraud, an open dispute, and what the help desk calls urgent.
create function burns(reason text, ticket text) returns boolean language sql immutable
set search_path = books, pg_temp
begin atomic
  select reason in ('urgent_matter', 'classifier_human_review', 'payment_disputed')
    or stated_in(ticket, 'priority') is not distinct from 'urgent';
end;

-- Until when the help desk wants a ticket answered; a text that is no moment is none.
create function wanted_by(ticket text) returns timestamptz language sql stable
set search_path = books, pg_temp
begin atomic
  select case when pg_input_is_valid(stated_in(ticket, 'due_at'), 'timestamptz')
    then stated_in(ticket, 'due_at')::timestamptz end;
end;

-- How a shop ranks the customer: 2 vip, 1 premium, 0 everybody else.
create function tier_of(ticket text) returns smallint language sql immutable
set search_path = books, pg_temp
begin atomic
  select case stated_in(ticket, 'tier') when 'vip' then 2 when 'premium' then 1 else 0 end::smallint;
end;

-- What somebody types as a search: every word of it, the last as far as it is written; or an id from its beginning.
create function search_of(typed text) returns tsquery language sql stable
set search_path = books, pg_temp
begin atomic
  select coalesce((nullif(plainto_tsquery('simple', translate(typed, '-_./@:+', '       '))::text, '') || ':*')::tsquery, ''::tsquery)
    || case when typed ~ '\S' and typed !~ '\s' then
      ('''' || replace(replace(lower(typed), '\', '\\'), '''', '''''') || ''':*')::tsquery else ''::tsquery end;
end;

-- Twice the binary logarithm of risk × amount; what has no amount counts as ten units of money. 63 is what burns.
create function band_of(risk integer, amount bigint) returns smallint language sql immutable
set search_path = books, pg_temp
begin atomic
  select least(62, floor(2 * log(2.0, risk * greatest(coalesce(amount, 0), 1000) / 100.0)))::smallint;
end;

create function tell_progress(of_case uuid, now_at stage, so_far text) returns void language plpgsql volatile
security definer set search_path = books, pg_temp as $$
begin
  if now_at is null then
    delete from progress where tenant = tenant() and case_id = of_case;
  elsif exists (select from cases where tenant = tenant() and case_id = of_case) then
    insert into progress (tenant, case_id, stage, words) values (tenant(), of_case, now_at, so_far)
    on conflict (tenant, case_id) do update set stage = excluded.stage, words = excluded.words, at = clock();
  end if;
  perform pg_notify('countersign_desk', tenant() || ' ' || of_case);
end $$;

reset role;

set local role books_owner;
create trigger c_waiting after insert on case_events for each row execute function keep_waiting();
create trigger check_case_event before insert on case_events for each row execute function check_case_event();
create trigger a_timeline after insert on cases for each row execute function write_timeline();
create trigger check_case before insert on cases for each row execute function check_case();
create trigger a_timeline after insert on decisions for each row execute function write_timeline();
create trigger a_timeline after insert on disbursements for each row execute function write_timeline();
create trigger check_flag before insert on flags for each row execute function check_flag();
create trigger a_timeline after insert on proposals for each row execute function write_timeline();
create trigger a_timeline after insert on settlements for each row execute function write_timeline();
create trigger a_timeline after insert on takeovers for each row execute function write_takeover();
create trigger check_takeover before insert on takeovers for each row execute function check_takeover();
create trigger check_author before insert on votes for each row execute function check_author();
reset role;
