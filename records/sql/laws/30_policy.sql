-- Policy: which document version counts, and who said so.

set local search_path = books, pg_temp;

set local role books_owner;

-- The documents that may be cited on a day in a region, in the newest version that a person approved. A withdrawal
-- counts at once: it only takes away.
create function documents_in_force(of_region text, on_date date) returns setof policy_documents
language sql stable set search_path = books, pg_temp
begin atomic
  select (d).* from (
    select distinct on (d.document_id) d
    from policy_documents d
    left join lateral (
      select r.verdict, r.sha256 from policy_reviews r
      where r.tenant = d.tenant and r.document_id = d.document_id and r.version = d.version
      order by r.seq desc limit 1
    ) r on true
    where d.status in ('approved', 'withdrawn') and d.region in (of_region, '*')
      and d.effective_on <= on_date and (d.expires_on is null or d.expires_on > on_date)
      and (d.status = 'withdrawn' or (r.verdict = 'approve' and r.sha256 = d.sha256))
    order by d.document_id, d.version desc
  ) newest
  where (d).status = 'approved';
end;

reset role;

set local role books_guard;

-- Who reviews is of the shop and answers for its policy; and what is reviewed is what stands in the books.
create function check_review() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  if new.tenant is distinct from tenant() then
    perform refuse('wrong_tenant');
  end if;
  perform hold_case(new.tenant, '00000000-0000-0000-0000-000000000000');
  if not exists (
    select from memberships m join people p using (person)
    where m.tenant = new.tenant and m.person = new.person and m.role = 'specialist' and p.active
  ) then
    perform refuse('no_authority', 'a specialist of the shop reviews its policy');
  end if;
  if not exists (
    select from policy_documents d where d.tenant = new.tenant and d.document_id = new.document_id
      and d.version = new.version and d.sha256 = new.sha256
  ) then
    perform refuse('stale_review', 'the document has other words');
  end if;
  select coalesce(max(seq), 0) + 1 into new.seq from policy_reviews
  where tenant = new.tenant and document_id = new.document_id and version = new.version;
  new.at := clock();
  return new;
end $$;

-- Whether the shop told something new of a proposal's order since: a refund, a dispute, a return, a delivery.
create function order_changed(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp
begin atomic
  select exists (
    select from proposals p join cases c on c.tenant = p.tenant and c.case_id = p.case_id
    join orders o on o.tenant = c.tenant and o.order_id = order_of_case(c.tenant, c.case_id)
    where p.tenant = of_tenant and p.proposal_id = of_proposal and (o.changed_at > p.proposed_at or exists (
      select from arrivals a where a.tenant = o.tenant and a.order_id = o.order_id and a.arrived_at > p.proposed_at)));
end;

-- Whether a clause that a proposal cites counts no more: its document was withdrawn, is approved no more, or has a newer
-- version that counts for the same day. The day is that of the order, or of the proposal where there is no order.
create function policy_changed(of_tenant text, of_proposal uuid) returns boolean
language sql stable security definer set search_path = books, pg_temp set timezone = 'UTC'
begin atomic
  select exists (
    select from (
      select p.tenant, p.body, coalesce(o.ordered_at, p.proposed_at)::date as on_date
      from proposals p
      join cases c on c.tenant = p.tenant and c.case_id = p.case_id
      left join orders o on o.tenant = c.tenant and o.order_id = order_of_case(c.tenant, c.case_id)
      where p.tenant = of_tenant and p.proposal_id = of_proposal
    ) p
    cross join lateral jsonb_array_elements(p.body::jsonb->'citations') as c (said)
    left join lateral (
      select d.version, d.status from policy_documents d
      left join lateral (
        select r.verdict, r.sha256 from policy_reviews r
        where r.tenant = d.tenant and r.document_id = d.document_id and r.version = d.version
        order by r.seq desc limit 1
      ) r on true
      where d.tenant = p.tenant and d.document_id = c.said->>'document_id' and d.status in ('approved', 'withdrawn')
        and d.effective_on <= p.on_date and (d.expires_on is null or d.expires_on > p.on_date)
        and (d.status = 'withdrawn' or (r.verdict = 'approve' and r.sha256 = d.sha256))
      order by d.version desc limit 1
    ) counts on true
    where counts.version is distinct from (c.said->>'version')::integer or counts.status <> 'approved'
  );
end;

reset role;

set local role books_scribe;

-- What a process remembers of a library is of one edition of it.
create function library_moved() returns trigger language plpgsql security definer
set search_path = books, pg_temp as $$
begin
  insert into library_editions as e (tenant) values (new.tenant)
  on conflict (tenant) do update set edition = excluded.edition, made_in = excluded.made_in
  where e.made_in <> excluded.made_in;
  return null;
end $$;

reset role;

set local role books_owner;
create trigger check_review before insert on policy_reviews for each row execute function check_review();
create trigger library_moved after insert or update on policy_documents for each row execute function library_moved();
create trigger library_moved after insert on policy_reviews for each row execute function library_moved();
create trigger library_moved after insert on clause_vectors for each row execute function library_moved();
reset role;
