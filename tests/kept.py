"""A database that is kept: its sessions stay warm from test to test, and what a test wrote is put back after it.

On a fresh database every session reads the catalogue and plans every statement anew, which costs a test four times what
its story costs. A test that changes the schema leaves a database behind that is not used again; one whose subject is
what a session finds when it connects says so (`fresh_database`) and gets a fresh one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from unittest.mock import patch

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

import graph.checkpointer
from graph.checkpointer import checkpointer
from records.books import Books
from records.connection import connection_string

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

KEPT_TEMPLATE = "template_kept"
TESTS_BEFORE_VACUUM = 20
LOOKS = 300

SEEDS = """
create schema kept;
create table kept.seeds (place regclass, rows bigint, names text, copy text);
create table kept.counters (place regclass, value bigint, called boolean);
create table kept.seen (catalogue text, since xid8);

create function kept.catalogue() returns text language sql as $$
  select concat_ws('/',
    (select concat(count(*), ':', max(xmin::text::bigint)) from pg_class where relpersistence <> 't'),
    (select concat(count(*), ':', max(xmin::text::bigint)) from pg_proc),
    (select concat(count(*), ':', max(xmin::text::bigint)) from pg_trigger),
    (select concat(count(*), ':', max(xmin::text::bigint)) from pg_policy),
    (select concat(count(*), ':', max(xmin::text::bigint)) from pg_constraint),
    (select concat(count(*), ':', max(xmin::text::bigint)) from pg_attribute),
    (select concat(count(*), ':', max(xmin::text::bigint)) from pg_namespace),
    (select concat(count(*), ':', max(xmin::text::bigint)) from pg_db_role_setting
      where setdatabase in (0, (select oid from pg_database where datname = current_database()))))
$$;

create function kept.put_back() returns boolean language plpgsql as $$
declare seed record; counter record; changed boolean; since xid; value bigint; called boolean;
begin
  if (select catalogue from kept.seen) is distinct from kept.catalogue() then return false; end if;
  perform set_config('session_replication_role', 'replica', true), set_config('lock_timeout', '5s', true);
  select seen.since::xid into since from kept.seen;
  for seed in select * from kept.seeds loop
    if seed.rows = 0 then
      execute format('select exists (select from %s)', seed.place) into changed;
    else
      execute format('select count(*) <> $1 or bool_or(age(xmin) < age($2)) from %s', seed.place)
        into changed using seed.rows, since;
    end if;
    if changed then
      execute format('delete from %s', seed.place);
      if seed.rows > 0 then
        execute format('insert into %1$s (%2$s) overriding system value select %2$s from kept.%3$I',
          seed.place, seed.names, seed.copy);
      end if;
    end if;
  end loop;
  for counter in select * from kept.counters loop
    execute format('select last_value, is_called from %s', counter.place) into value, called;
    if (value, called) is distinct from (counter.value, counter.called) then
      perform setval(counter.place, counter.value, counter.called);
    end if;
  end loop;
  update kept.seen set since = pg_current_xact_id();
  return true;
end $$;

do $$
declare found record; n bigint; names text; value bigint; called boolean; number int := 0;
begin
  for found in
    select c.oid, c.oid::regclass as place, c.relkind from pg_class c join pg_namespace s on s.oid = c.relnamespace
    where s.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'kept') and c.relkind in ('r', 'S')
  loop
    if found.relkind = 'S' then
      execute format('select last_value, is_called from %s', found.place) into value, called;
      insert into kept.counters values (found.place, value, called);
      continue;
    end if;
    number := number + 1;
    select string_agg(quote_ident(attname), ', ' order by attnum) into names from pg_attribute
    where attrelid = found.oid and attnum > 0 and not attisdropped and attgenerated = '';
    execute format('select count(*) from %s', found.place) into n;
    if n > 0 then
      execute format('create table kept.%I as select %s from %s', 'seed_' || number, names, found.place);
    end if;
    insert into kept.seeds values (found.place, n, names, 'seed_' || number);
  end loop;
end $$;
insert into kept.seen values ('', pg_current_xact_id());
"""
"""What each table and each counter holds at first, and the function that puts it back: false where the schema changed."""

REMEMBER = "update kept.seen set catalogue = kept.catalogue(), since = pg_current_xact_id()"


@dataclass
class Kept:
    """The database that the tests of a process share, and the sessions on it."""

    url: str
    pools: dict[tuple[str, int], Pool] = field(default_factory=dict)
    savers: dict[str, Any] = field(default_factory=dict)
    owner: AsyncConnection[DictRow] | None = None
    tests: int = 0

    def books_type(self) -> type[Books]:
        """The books of a house on this database: on sessions that stay."""
        kept = self

        class KeptBooks(Books):
            @classmethod
            @asynccontextmanager
            async def open(cls, url: str, *, size: int = 8) -> AsyncIterator[Self]:
                books = cls.at(url, size=size)
                key = (books._conninfo, size)
                if key not in kept.pools:
                    await books.pool.open(wait=True)
                    kept.pools[key] = books.pool
                yield cls(kept.pools[key], books._conninfo)

        return KeptBooks

    @contextmanager
    def checkpoints_kept(self) -> Any:
        """In here a house finds the checkpointer of this database open."""

        @asynccontextmanager
        async def kept_checkpointer(url: str, *, size: int = 8) -> AsyncIterator[Any]:
            if url not in self.savers:
                opened = checkpointer(url, size=size)
                self.savers[url] = (opened, await opened.__aenter__())
            yield self.savers[url][1]

        with patch.object(graph.checkpointer, "checkpointer", kept_checkpointer):
            yield

    async def session(self) -> AsyncConnection[DictRow]:
        """The owner's."""
        if self.owner is None or self.owner.closed:
            self.owner = await AsyncConnection.connect(
                connection_string(self.url, search_path="public"), autocommit=True, row_factory=dict_row
            )
        return self.owner

    async def check(self) -> bool:
        """Sessions that a test ended are opened anew. False where some are not there in time.

        None may be half open when the loop stands still between two tests: its server process would wait for its
        password, and whoever drops a database would wait for it.
        """
        pools: list[Pool] = [*self.pools.values(), *(saver.pool for _, saver in self.savers.values())]
        for pool in pools:
            await pool.check()
        for _ in range(LOOKS):
            counted = [pool.get_stats() for pool in pools]
            if all(one.get("pool_available", 0) == one.get("pool_size", 0) for one in counted):
                return True
            await asyncio.sleep(0.01)  # until they are there, or given back
        return False

    async def put_back(self) -> bool:
        """As it was before the test; False where that cannot be, and the next test needs another database."""
        if not self.pools or any(pool.closed for pool in self.pools.values()):
            return False
        try:
            owner = await self.session()
            await owner.execute("reset all")
            cursor = await owner.execute("select kept.put_back() as done")
            row = await cursor.fetchone()
            if row is None or not row["done"]:
                return False
            self.tests += 1
            if self.tests % TESTS_BEFORE_VACUUM == 0:
                await owner.execute("vacuum")
            return await self.check()
        except psycopg.Error:
            return False

    async def close(self) -> None:
        """Every session, for good."""
        for pool in self.pools.values():
            await pool.close()
        for opened, _ in self.savers.values():
            await opened.__aexit__(None, None, None)
        if self.owner is not None:
            with suppress(psycopg.Error):
                await self.owner.close()


KEPT: list[Kept] = []
"""The one of this process; none before the first test that works on it."""


def kept_at(url: str) -> Kept | None:
    """The kept database, where this is its address."""
    return next((kept for kept in KEPT if kept.url == url), None)
