-- Releases: which version of everything that shapes behaviour may do what, step by step, each by a named operator.
--
--   releases        a manifest under its name, with the receipt that it came with                  (desk)
--   release_steps   how far it has come: append-only, the newest step of a release counts          (desk)
--   shadow_runs     what a release in shadow would have done with a case, beside what was done     (graph)
--   shadow_grades   what a person says of a shadow's draft                                         (desk)
--
-- Until a first release is live a house runs what its processes were started with. From then on only these rows say
-- which release takes a case: one that is neither canary nor live proposes nothing, and what a release proposed that was
-- rolled back since cannot be decided: it is proposed again. The tenant '*' is everybody, as with flags.
set local search_path = books, pg_temp;
grant create on schema books to books_guard, books_scribe;
set local role books_owner;

create type release_state as enum ('hold', 'eligible_for_shadow', 'shadow', 'canary', 'live', 'rolled_back');
alter type notice add value 'rolled_back';

create table releases (
  tenant tenant_id not null default '*' check (tenant = '*'),
  release identifier not null,
  manifest text not null check (length(manifest) <= 100000),
  manifest_sha256 sha256 not null check (manifest_sha256 = encode(sha256(convert_to(manifest, 'UTF8')), 'hex')),
  code text not null check (length(code) between 1 and 64),
  receipt text not null check (length(receipt) <= 4000000),
  receipt_sha256 sha256 not null check (receipt_sha256 = encode(sha256(convert_to(receipt, 'UTF8')), 'hex')),
  gate text not null check (length(gate) between 1 and 500),
  entered_by identifier not null references people,
  entered_at timestamptz not null default clock(),
  primary key (tenant, release)
);

create table release_steps (
  tenant tenant_id not null default '*',
  release identifier not null,
  seq smallint not null check (seq > 0),
  state release_state not null,
  percent smallint not null default 0 check (percent between 0 and 50),
  tenants text[] not null default '{}' check (cardinality(tenants) <= 100),
  person identifier references people,
  reason text not null check (length(reason) between 1 and 500),
  at timestamptz not null default clock(),
  place bigint generated always as identity,
  primary key (tenant, release, seq),
  foreign key (tenant, release) references releases,
  check (state = 'canary' or (percent = 0 and tenants = '{}')),
  check (state <> 'canary' or percent > 0 or cardinality(tenants) > 0),
  check (person is not null or state = 'rolled_back')
);

create table shadow_runs (
  tenant tenant_id not null,
  release identifier not null,
  case_id uuid not null,
  beside identifier not null,
  status text not null check (status in ('needs_human', 'blocked')),
  kind text not null,
  reason text not null,
  amount_minor minor not null,
  currency text not null,
  citations jsonb not null check (jsonb_typeof(citations) = 'array'),
  path jsonb not null check (jsonb_typeof(path) = 'array'),
  draft text not null check (length(draft) <= 6000),
  differs text[] not null,
  tokens integer not null check (tokens >= 0),
  cost_micros bigint not null check (cost_micros >= 0),
  latency_ms integer not null check (latency_ms >= 0),
  live_cost_micros bigint not null check (live_cost_micros >= 0),
  live_latency_ms integer not null check (live_latency_ms >= 0),
  at timestamptz not null default clock(),
  primary key (tenant, release, case_id),
  foreign key (tenant, case_id) references cases
);
create index shadow_runs_by_time on shadow_runs (tenant, release, at);

create table shadow_grades (
  tenant tenant_id not null,
  release identifier not null,
  case_id uuid not null,
  person identifier not null references people,
  thumb thumb not null,
  note text not null default '' check (length(note) <= 500),
  at timestamptz not null default clock(),
  primary key (tenant, release, case_id, person),
  foreign key (tenant, release, case_id) references shadow_runs
);

create index cases_by_release on cases (tenant, release, received_at);
create index proposals_by_release on proposals (tenant, release);

do $$
declare
  named text;
begin
  foreach named in array array['releases', 'release_steps', 'shadow_runs', 'shadow_grades'] loop
    execute format(
      'create trigger sealed before update or delete or truncate on %I for each statement execute function refuse_change()', named);
    execute format('alter table %I enable row level security', named);
    execute format('alter table %I force row level security', named);
  end loop;
end $$;
create policy tenant_wall on releases using (tenant = tenant() or tenant = '*');
create policy tenant_wall on release_steps using (tenant = tenant() or tenant = '*');
create policy tenant_wall on shadow_runs using (tenant = tenant());
create policy tenant_wall on shadow_grades using (tenant = tenant());

-- Where each release stands now.
create view release_state_now with (security_invoker = true) as
  select distinct on (release) release, seq, state, percent, tenants, person, reason, at, place
  from release_steps order by release, seq desc;

grant select on releases, release_steps, tenants, memberships, people to books_guard;

reset role;
set local role books_guard;

-- Whether this house keeps releases: since the first one went live.
create function keeps_releases() returns boolean language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (select from release_steps where state = 'live');
end;

create function state_of_release(of_release text) returns release_state language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select state from release_steps where release = of_release order by seq desc limit 1;
end;

-- The release that is live: of those that stand at live the one that came there last.
create function live_release() returns text language sql stable security definer set search_path = books, pg_temp
begin atomic
  select s.release from release_steps s
  where s.state = 'live' and not exists (select from release_steps n where n.release = s.release and n.seq > s.seq)
  order by s.place desc limit 1;
end;

-- The release under which a case that is bound to one goes on: its own while that is canary or live, the live one where
-- its own was rolled back, none where nothing is live.
create function release_for(of_release text) returns text language sql stable security definer set search_path = books, pg_temp
begin atomic
  select case when state_of_release(of_release) in ('canary', 'live') then of_release else live_release() end;
end;

create function may_propose(of_release text) returns boolean language sql stable security definer set search_path = books, pg_temp
begin atomic
  select not keeps_releases() or coalesce(state_of_release(of_release) in ('canary', 'live'), false);
end;

-- What a release proposed counts no more once it was rolled back. What a person wrote in it does, and a hand-over is a
-- person's in any case.
create function is_withdrawn(of_tenant text, of_proposal uuid) returns boolean language sql stable security definer
set search_path = books, pg_temp
begin atomic
  select coalesce((
    select p.edited_by is null and p.kind <> 'handoff' and state_of_release(p.release) = 'rolled_back' and not exists (
      select from decisions d where d.tenant = p.tenant and d.proposal_id = p.supersedes and d.revised_reply is not null)
    from proposals p where p.tenant = of_tenant and p.proposal_id = of_proposal), false);
end;

-- Who moves a release operates every tenant, because a release is everybody's; and each step follows the one before.
create function check_release_step() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
declare
  last release_steps;
  entered releases;
begin
  if new.tenant is distinct from '*' or tenant() is distinct from '*' then
    perform refuse('wrong_tenant');
  end if;
  perform hold_case('*', '00000000-0000-0000-0000-000000000000');
  if new.person is not null and exists (
    select from tenants t where not exists (
      select from memberships m join people p using (person)
      where m.tenant = t.tenant and m.person = new.person and m.role = 'operator' and p.active)
  ) then
    perform refuse('no_authority', 'a release is everybody''s: who moves it operates every tenant');
  end if;
  select * into entered from releases where release = new.release;
  select * into last from release_steps where release = new.release order by seq desc limit 1;
  if not (
    (last.state is null and new.state = 'hold')
    or (last.state is null and new.state = 'eligible_for_shadow' and entered.gate = 'eligible_for_shadow exact_receipt_pass')
    or (last.state is null and new.state = 'live' and entered.gate = 'eligible_for_shadow exact_receipt_pass'
      and live_release() is null)
    or (last.state = 'eligible_for_shadow' and new.state = 'shadow')
    or (last.state = 'shadow' and new.state = 'canary')
    or (last.state = 'canary' and new.state in ('canary', 'live'))
    or (last.state in ('shadow', 'canary', 'live') and new.state = 'rolled_back')
  ) then
    perform refuse('release_step', format('%s does not become %s', coalesce(last.state::text, 'nothing'), new.state));
  end if;
  if new.state in ('shadow', 'canary') and exists (
    select from releases r where r.release <> new.release and state_of_release(r.release) = new.state
  ) then
    perform refuse('release_step', format('another release is in %s', new.state));
  end if;
  new.seq := coalesce(last.seq, 0) + 1;
  new.at := clock();
  return new;
end $$;

-- A shadow is in shadow, and stops with everything else.
create function check_shadow_run() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.tenant is distinct from tenant() then
    perform refuse('wrong_tenant');
  end if;
  if state_of_release(new.release) is distinct from 'shadow' or kill_switch(new.tenant) then
    perform refuse('release_step', new.release || ' is not in shadow now');
  end if;
  new.at := clock();
  return new;
end $$;

-- A shadow is graded by who decides in its shop.
create function check_shadow_grade() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.tenant is distinct from tenant() then
    perform refuse('wrong_tenant');
  end if;
  if not exists (
    select from memberships m join people p using (person)
    where m.tenant = new.tenant and m.person = new.person and m.role in ('reviewer', 'specialist') and p.active
  ) then
    perform refuse('no_authority', 'a shadow is graded by who decides in its shop');
  end if;
  new.at := clock();
  return new;
end $$;

-- A vote is on what a release proposed that still counts.
create function check_withdrawn() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if exists (
    select from proposals p where p.tenant = new.tenant and p.proposal_id = new.proposal_id
      and is_withdrawn(p.tenant, p.proposal_id)
  ) then
    perform refuse('withdrawn_release', 'the release that proposed this was rolled back: it is proposed again');
  end if;
  return new;
end $$;

-- As before, and: what a release proposed that was rolled back may be followed undecided, and a release proposes only
-- while it is canary or live.
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
    select * into word from decisions where tenant = new.tenant and proposal_id = new.supersedes;
    if not found then
      if not is_withdrawn(before.tenant, before.proposal_id) then
        perform refuse('proposal_open', 'the one before is still to be decided');
      end if;
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

reset role;
grant execute on function write_audit() to books_owner;
set local role books_owner;

create trigger check_release_step before insert on release_steps for each row execute function check_release_step();
create trigger check_shadow_run before insert on shadow_runs for each row execute function check_shadow_run();
create trigger check_shadow_grade before insert on shadow_grades for each row execute function check_shadow_grade();
create trigger check_withdrawn before insert on votes for each row execute function check_withdrawn();
create trigger b_audit after insert on release_steps for each row execute function write_audit('release', 'seq');

create or replace view written with (security_invoker = true) as
  select 'cases' as subject, case_id::text as subject_key, to_jsonb(t) as said from cases t
  union all select 'case_events', case_id || '/' || seq, to_jsonb(t) from case_events t
  union all select 'trace_events', case_id || '/' || run || '/' || step, to_jsonb(t) from trace_events t
  union all select 'proposals', proposal_id::text, to_jsonb(t) from proposals t
  union all select 'votes', proposal_id || '/' || person, to_jsonb(t) from votes t
  union all select 'decisions', decision_id::text, to_jsonb(t) from decisions t
  union all select 'disbursements', decision_id::text, to_jsonb(t) from disbursements t
  union all select 'sends', decision_id || '/' || attempt, to_jsonb(t) from sends t
  union all select 'settlements', decision_id || '/' || seq, to_jsonb(t) from settlements t
  union all select 'messages', message_id::text, to_jsonb(t) from messages t
  union all select 'replies', case_id || '/' || outcome || '/' || round, to_jsonb(t) from replies t
  union all select 'takeovers', takeover_id::text, to_jsonb(t) from takeovers t
  union all select 'deliveries', case_id || '/' || outcome || '/' || round || '/' || attempt, to_jsonb(t) from deliveries t
  union all select 'claims', case_id || '/' || seq, to_jsonb(t) from claims t
  union all select 'flags', name || '/' || seq, to_jsonb(t) from flags t where t.tenant = tenant()
  union all select 'assignments', case_id || '/' || seq, to_jsonb(t) from assignments t
  union all select 'provider_acts', act_id::text, to_jsonb(t) from provider_acts t
  union all select 'provider_answers', act_id::text, to_jsonb(t) from provider_answers t
  union all select 'second_looks', case_id || '/' || person, to_jsonb(t) from second_looks t
  union all select 'ratings', case_id::text, to_jsonb(t) from ratings t
  union all select 'unread_answers', case_id || '/' || seq, to_jsonb(t) from unread_answers t
  union all select 'policy_reviews', document_id || '/' || version || '/' || seq, to_jsonb(t) from policy_reviews t
    where t.person is not null
  union all select 'release_steps', release || '/' || seq, to_jsonb(t) from release_steps t where t.tenant = tenant();

grant select on releases, release_steps, release_state_now, shadow_runs, shadow_grades to desk;
grant insert on releases, release_steps, shadow_grades to desk;
grant select on releases, release_steps, release_state_now, shadow_runs to graph;
grant insert on shadow_runs to graph;

reset role;
revoke create on schema books from books_guard, books_scribe;
revoke execute on function write_audit() from books_owner;
revoke execute on function keeps_releases(), state_of_release(text), live_release(), release_for(text), may_propose(text),
  is_withdrawn(text, uuid), check_release_step(), check_shadow_run(), check_shadow_grade(),
  check_withdrawn() from public;
grant execute on function keeps_releases(), state_of_release(text), live_release(), release_for(text),
  is_withdrawn(text, uuid) to desk, graph;
