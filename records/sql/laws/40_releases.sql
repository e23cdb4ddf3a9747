-- Releases: which one takes a case, and by which steps it comes to that.

set local search_path = books, pg_temp;

set local role books_owner;

-- Where each release stands now.
create view release_state_now with (security_invoker = true) as
  select distinct on (release) release, seq, state, percent, tenants, person, reason, at, place
  from release_steps order by release, seq desc;

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

-- What a release proposed that was rolled back, or what stands on policy or on an order that was changed since, counts no
-- more: it is proposed again. What a person wrote in it waits for a person, and a hand-over is a person's in any case.
create function is_withdrawn(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select coalesce((
    select p.edited_by is null and p.kind <> 'handoff' and (
        state_of_release(p.release) = 'rolled_back' or policy_changed(p.tenant, p.proposal_id)
        or order_changed(p.tenant, p.proposal_id))
      and not exists (
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

create function check_withdrawn() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if exists (
    select from proposals p where p.tenant = new.tenant and p.proposal_id = new.proposal_id
      and state_of_release(p.release) = 'rolled_back' and is_withdrawn(p.tenant, p.proposal_id)
  ) then
    perform refuse('withdrawn_release', 'the release that proposed this was rolled back: it is proposed again');
  end if;
  if new.word = 'approve' and new.kind <> 'handoff' and policy_changed(new.tenant, new.proposal_id) then
    perform refuse('policy_changed', 'the policy that this stands on was changed since: send it back for a new proposal');
  end if;
  if new.word = 'approve' and order_changed(new.tenant, new.proposal_id) and is_withdrawn(new.tenant, new.proposal_id) then
    perform refuse('stale_proposal', 'the shop told something new of the order since: it is proposed again');
  end if;
  return new;
end $$;

reset role;

set local role books_owner;
create trigger check_release_step before insert on release_steps for each row execute function check_release_step();
create trigger check_shadow_grade before insert on shadow_grades for each row execute function check_shadow_grade();
create trigger check_shadow_run before insert on shadow_runs for each row execute function check_shadow_run();
create trigger check_withdrawn before insert on votes for each row execute function check_withdrawn();
reset role;
