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
grant create on schema books to books_guard, books_scribe;
