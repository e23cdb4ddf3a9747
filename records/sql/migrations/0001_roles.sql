-- The roles of the house. Roles belong to the cluster, so they may be there already.
--
-- desk, graph, cashier, anchorer   log in, one for each process; they own nothing
-- importer                         no login; the owner of the books puts it on to import
-- books_owner                      no login; owns the tables
-- books_guard                      no login; owns the checks of money: passes row security, may only read and lock
-- books_scribe                     no login; owns the writers of the timeline and of the audit chain
do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('desk', 'login'), ('graph', 'login'), ('cashier', 'login'), ('anchorer', 'login'),
      ('importer', 'nologin'), ('books_owner', 'nologin'),
      ('books_guard', 'nologin bypassrls'), ('books_scribe', 'nologin bypassrls')
    ) as roles (name, attributes)
  loop
    if not exists (select from pg_roles where rolname = wanted.name) then
      begin
        execute format('create role %I %s', wanted.name, wanted.attributes);
      exception when duplicate_object or unique_violation then
        null; -- another database of this cluster was migrated in the same instant
      end;
    end if;
  end loop;
end $$;

create schema books authorization books_owner;
create schema checkpoints authorization graph;
create schema jobs authorization books_owner;
revoke all on schema public from public;
grant usage on schema books to desk, graph, cashier, anchorer, importer, books_guard, books_scribe;

-- Models: what one was asked and cost, what it may cost, what was noticed, and which policy counts.
--
--   model_calls     one row before a call and one after it; a crash replays the answer           (graph)
--   spend           the same summed by day and month, of a tenant and of a customer              (books_scribe)
--   spend_alerts    a tenant's month reached a share of its budget, once each                     (graph)
--   findings        what code noticed in a text, a wish or a draft: for the reviewer, not a gate  (graph)
--   progress        what a run does now, for whoever watches; holds no facts                      (books_scribe)
--   policy_imports  which corpus was imported, by its hash                                        (importer)
--   policy_reviews  a named person says yes or no to a document version, by its hash              (desk)
--   clause_vectors  what a clause means to an embedding model; an option                          (importer)
--
-- A case has a mode. What is not `production` has no effect outside: no disbursement and no reply.
do $$
begin
  if exists (select from pg_available_extensions where name = 'vector') then
    create schema if not exists vectors;
    create extension if not exists vector schema vectors;
    grant usage on schema vectors to books_owner, graph;
  end if;
exception when others then
  null; -- where it may not be installed, or is broken or elsewhere, there are arrays
end $$;
