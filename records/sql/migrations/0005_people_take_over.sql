-- A person takes over what the agent could not do; a customer answers; a reply goes out; a process is heard from.
--
--   takeovers     what a person does with a case that nobody proposes for: reply, propose, close  (desk)
--   customers     where a reply goes                                                             (importer)
--   deliveries    each try to send a reply, and whether the channel took it                       (desk)
--   heartbeats    when each process was heard from last                                           (each, of itself)
set local search_path = books, pg_temp;
grant create on schema books to books_guard, books_scribe;
set local role books_owner;

create type takeover_act as enum ('reply', 'propose', 'close');
create type asked as enum ('customer', 'colleague');

-- A token for the server API approves up to its ceiling and no more.
alter table tokens add column ceiling_minor minor;
update tokens set ceiling_minor = 0 where audience = 'server';
alter table tokens add check (audience <> 'server' or ceiling_minor is not null);
update tokens set scopes = '{tickets:write,cases:read,cases:decide,messages:write,flags:write,jobs:write}'
where scopes = '{}' and audience = 'desk';

-- Who was asked for more; the case waits for the answer and its clock stands still.
alter table decisions add column asks asked;
alter table decisions add check (word = 'revise' or asks is null);

create table customers (
  tenant tenant_id not null references tenants,
  customer_id identifier not null,
  email text check (length(email) <= 254 and email ~ '^[^\s@<>",;:]+@[^\s@<>",;:]+$'),
  imported_at timestamptz not null default clock(),
  primary key (tenant, customer_id)
);

create table takeovers (
  tenant tenant_id not null,
  takeover_id uuid not null,
  case_id uuid not null,
  person identifier not null references people,
  act takeover_act not null,
  reply text not null default '',
  payment_id text not null default '',
  order_id text not null default '',
  amount_minor minor not null default 0,
  currency currency not null default 'XXX',
  note text not null default '',
  at timestamptz not null default clock(),
  primary key (tenant, takeover_id),
  foreign key (tenant, case_id) references cases,
  check ((act = 'propose') = (amount_minor > 0)),
  check ((act = 'propose') = (payment_id <> '' and order_id <> '' and currency <> 'XXX')),
  check (act = 'close' or length(reply) between 1 and 8000)
);
create index takeovers_of_case on takeovers (tenant, case_id);

-- One reply a case, outcome and round: what a person takes up again may come to the same outcome once more.
alter table replies add column round smallint not null default 1 check (round > 0);
alter table replies drop constraint replies_pkey;
alter table replies add primary key (tenant, case_id, outcome, round);
drop trigger b_audit on replies;

create table deliveries (
  tenant tenant_id not null,
  case_id uuid not null,
  outcome case_status not null,
  round smallint not null,
  attempt smallint not null check (attempt > 0),
  channel text not null check (channel ~ '^[a-z]{1,16}$'),
  delivered boolean not null,
  detail text not null default '',
  at timestamptz not null default clock(),
  primary key (tenant, case_id, outcome, round, attempt),
  foreign key (tenant, case_id, outcome, round) references replies
);
-- What was delivered is not sent again.
create unique index deliveries_delivered on deliveries (tenant, case_id, outcome, round) where delivered;
-- What has ended and did not fail is most of the books and nobody's work: queue and sweep leave it out at once.
create index case_events_ends on case_events (tenant, case_id) where ended;
create index case_events_failures on case_events (tenant, case_id) where status = 'refund_failed';
create index case_events_at on case_events (tenant, at);
create index messages_of_case on messages (tenant, case_id, at);

create table heartbeats (
  process name not null,
  instance text not null check (length(instance) between 1 and 128),
  at timestamptz not null,
  primary key (process, instance)
);

create trigger sealed before update or delete or truncate on takeovers for each statement execute function refuse_change();
create trigger sealed before update or delete or truncate on deliveries for each statement execute function refuse_change();

do $$
declare
  walled text;
begin
  foreach walled in array array['customers', 'takeovers', 'deliveries'] loop
    execute format('alter table %I enable row level security', walled);
    execute format('alter table %I force row level security', walled);
    execute format('create policy tenant_wall on %I using (tenant = tenant())', walled);
  end loop;
end $$;

-- A case ends with its last event: one that failed late, or that a person takes up again, is open once more.
drop index case_events_ended;
create or replace view case_state with (security_invoker = true) as
  select distinct on (tenant, case_id) tenant, case_id, status, reason, at, ended
  from case_events last
  order by tenant, case_id, seq desc;

grant select on takeovers, messages to books_guard;
grant select, insert, update, delete on heartbeats to books_scribe;
reset role;
set local role books_guard;

create or replace function check_case_event() returns trigger language plpgsql
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

-- A person takes over what waits for nobody's word: a case that was turned away, blocked or failed, a hand-over, or
-- a question that nobody answers.
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
    or (last.status = 'needs_human' and last.reason in ('asked_customer', 'asked_colleague')) or (
    last.status = 'needs_human' and exists (
      select from proposals p where p.tenant = new.tenant and p.case_id = new.case_id and p.kind = 'handoff'
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

-- As before, and: what a person took over may follow an approval that was never ordered, and may raise an amount.
create or replace function check_proposal() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  said jsonb;
  owner cases;
  before proposals;
  word decisions;
  available bigint;
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
  if new.expires_at <= clock() or new.expires_at > clock() + interval '31 days' then
    perform refuse('bad_expiry', 'a proposal expires within 31 days');
  end if;
  if new.supersedes is not null then
    select * into before from proposals where tenant = new.tenant and proposal_id = new.supersedes;
    if not found or before.case_id <> new.case_id then
      perform refuse('unknown_proposal');
    end if;
    select * into word from decisions where tenant = new.tenant and proposal_id = new.supersedes;
    if not found then
      perform refuse('proposal_open', 'the one before is still to be decided');
    elsif word.word = 'reject' then
      perform refuse('proposal_open', 'a rejected case stays rejected');
    elsif word.word = 'approve' then
      if exists (select from disbursements where tenant = new.tenant and decision_id = word.decision_id) then
        if coalesce((select s.outcome from settlements s where s.tenant = new.tenant
            and s.decision_id = word.decision_id order by s.seq desc limit 1), 'pending') not in ('failed', 'refused') then
          perform refuse('proposal_open', 'the money of the one before is ordered');
        end if;
      elsif word.execute_by > clock() and not (
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
  if word.word = 'revise' and word.revised_amount_minor is not null and new.kind <> 'handoff'
     and (new.edited_by is distinct from word.decided_by or new.amount_minor <> word.revised_amount_minor) then
    perform refuse('proposal_mismatch', 'an edited amount is the one that was asked for and carries its editor');
  end if;
  if (word.word is distinct from 'revise' or word.revised_amount_minor is null) and new.amount_minor > (
    select amount_minor from proposals
    where tenant = new.tenant and case_id = new.case_id and edited_by is not null
    order by proposed_at desc limit 1) and not exists (
    select from takeovers t where t.tenant = new.tenant and t.case_id = new.case_id and t.act = 'propose'
      and t.person = new.edited_by and t.amount_minor = new.amount_minor and t.reply = new.body::jsonb->>'draft') then
    perform refuse('proposal_mismatch', 'a person set the amount; nobody but a person raises it');
  end if;
  if new.kind = 'refund' then
    if new.order_id is distinct from owner.order_id::text or not exists (
      select from orders o join payments p on p.tenant = o.tenant and p.order_id = o.order_id
      where o.tenant = new.tenant and o.order_id = new.order_id and o.customer_id = owner.customer_id
        and p.payment_id = new.payment_id and p.currency = new.currency
    ) then
      perform refuse('foreign_order', 'a refund goes back to the payment of the order of the case''s customer');
    end if;
    available := left_of_payment(new.tenant, new.payment_id);
    if available is null or new.amount_minor > available then
      perform refuse('blocked:over_refund', format('%s asked, %s left', new.amount_minor, available));
    end if;
  end if;
  return new;
end $$;

-- An edit has an editor who made it: in the word that sent the case back, in a proposal before, or by taking over.
create function check_editor() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.edited_by is not null
     and not exists (
       select from decisions d where d.tenant = new.tenant and d.proposal_id = new.supersedes and d.word = 'revise'
         and d.decided_by = new.edited_by and d.revised_amount_minor = new.amount_minor)
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

create function check_author() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.word = 'approve' and exists (
    select from takeovers where tenant = new.tenant and case_id = new.case_id and person = new.person and act = 'propose'
  ) then
    perform refuse('no_authority', 'nobody approves what they wrote');
  end if;
  return new;
end $$;

reset role;
set local role books_scribe;

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

-- What a person asks for waits at the pause; a revision without a question goes back to the agent at once.
create or replace function write_timeline() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  of_case uuid;
  said case_status;
  because text;
begin
  if tg_table_name = 'settlements' then
    select case_id into strict of_case from disbursements
      where tenant = new.tenant and decision_id = (to_jsonb(new)->>'decision_id')::uuid;
  else
    of_case := new.case_id;
  end if;
  case tg_table_name
    when 'cases' then said := 'received'; because := to_jsonb(new)->>'verdict';
    when 'proposals' then said := 'needs_human'; because := to_jsonb(new)->>'reason';
    when 'decisions' then
      case to_jsonb(new)->>'word'
        when 'approve' then said := 'approved'; because := 'approve';
        when 'reject' then said := 'rejected'; because := to_jsonb(new)->>'code';
        else
          said := case when to_jsonb(new)->>'asks' is null then 'received' else 'needs_human' end;
          because := coalesce('asked_' || (to_jsonb(new)->>'asks'), 'revise');
      end case;
    when 'disbursements' then said := 'refund_pending'; because := 'refund_created';
    when 'settlements' then
      because := coalesce(nullif(to_jsonb(new)->>'detail', ''), to_jsonb(new)->>'outcome');
      case to_jsonb(new)->>'outcome'
        when 'succeeded' then said := 'refunded';
        when 'failed' then said := 'refund_failed';
        when 'refused' then said := case because when 'blocked:expired' then 'refund_pending' else 'refund_failed' end;
        else said := 'refund_pending';
      end case;
  end case;
  insert into case_events (tenant, case_id, seq, status, reason) values (new.tenant, of_case, 1, said, because);
  return null;
end $$;

-- Each role may say of itself that it lives, and of nobody else.
create function beat(of_instance text) returns void language sql volatile security definer
set search_path = books, pg_temp
begin atomic
  delete from heartbeats where at < clock_timestamp() - interval '1 day';
  insert into heartbeats (process, instance, at) values (session_user, of_instance, clock_timestamp())
  on conflict (process, instance) do update set at = excluded.at;
end;

reset role;
grant execute on function write_audit() to books_owner;
set local role books_owner;

create trigger check_takeover before insert on takeovers for each row execute function check_takeover();
create trigger check_editor before insert on proposals for each row execute function check_editor();
create trigger check_author before insert on votes for each row execute function check_author();
create trigger a_timeline after insert on takeovers for each row execute function write_takeover();
create trigger b_audit after insert on takeovers for each row execute function write_audit('takeover_id');
create trigger b_audit after insert on deliveries for each row execute function write_audit('case_id', 'outcome', 'round', 'attempt');
create trigger b_audit after insert on replies for each row execute function write_audit('case_id', 'outcome', 'round');

grant select on customers, takeovers, deliveries, heartbeats to desk;
grant insert on takeovers, deliveries to desk;
grant select on takeovers to graph;
grant select, insert on customers to importer;

reset role;
revoke create on schema books from books_guard, books_scribe;
revoke execute on function write_audit() from books_owner;
revoke execute on function check_takeover(), check_editor(), check_author(), write_takeover(), beat(text) from public;
grant execute on function beat(text) to desk, graph, cashier, anchorer;

