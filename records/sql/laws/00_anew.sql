-- Functions, views, triggers, policies and grants are made anew where the text of this folder is another than the one
-- that made them: what was there goes first, so that nothing is in force that does not stand here.
-- What the tables and their indexes stand on (clock, tenant, customer, the words that are searched) is theirs, and stays.
grant create on schema books to books_guard, books_scribe;
set local role books_owner;
do $$
declare
  old record;
  named text;
begin
  for old in select policyname as name, tablename as place from pg_policies where schemaname = 'books' loop
    execute format('drop policy %I on books.%I', old.name, old.place);
  end loop;
  for old in
    select t.tgname as name, c.relname as place
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = 'books'::regnamespace and not t.tgisinternal
  loop
    execute format('drop trigger %I on books.%I', old.name, old.place);
  end loop;
  for old in select relname as name from pg_class where relnamespace = 'books'::regnamespace and relkind = 'v' loop
    execute format('drop view if exists books.%I cascade', old.name);
  end loop;
  foreach named in array array(
    select oid::regprocedure::text from pg_proc
    where pronamespace = 'books'::regnamespace and proname not in ('clock', 'tenant', 'customer', 'words_of', 'case_words',
      'customer_words')
  ) loop
    execute format('drop function if exists %s cascade', named);
  end loop;
end $$;
reset role;
