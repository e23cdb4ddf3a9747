"""The books as a wall: roles, enums, seals, row security, migrations."""

import asyncio
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from stage import Cluster, Stage

import records.migrate
from app.shop import DEMO
from records.books import Books, Refused
from records.migrate import MigrationRefused, migrate, migrations, refuse_what_does_not_agree
from records.named_queries import named_queries, planned_once
from refunds.ids import TenantId
from refunds.vocabulary import POSTGRES_ENUMS
from runtime.startup import CannotWork, check_books

ROOT = Path(__file__).parents[2]
ROLES = ("desk", "graph", "cashier", "importer", "anchorer", "books_guard", "books_scribe")
VERBS = {"SELECT": "s", "INSERT": "i", "UPDATE": "u", "DELETE": "d", "TRUNCATE": "t"}


def published() -> dict[tuple[str, str], str]:
    """The table of docs/roles.md."""
    found: dict[tuple[str, str], str] = {}
    for line in (ROOT / "docs/roles.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "table":
            for role, verbs in zip(ROLES, cells[1:], strict=True):
                found[cells[0], role] = verbs
    return found


async def test_every_role_may_do_what_is_published_and_nothing_else(stage: Stage) -> None:
    tables = [
        row["relname"]
        for row in await stage.sql(
            "select relname from pg_class where relnamespace = 'books'::regnamespace and relkind in ('r', 'v')"
            " and relname <> 'test_clock' order by 1"
        )
    ]
    allowed: dict[tuple[str, str], str] = {}
    for table in tables:
        for role in ROLES:
            verbs = ""
            for verb, letter in VERBS.items():
                row = await stage.sql(
                    f"select has_table_privilege('{role}', 'books.{table}', '{verb}') as may"
                )
                verbs += letter if row[0]["may"] else ""
            allowed[table, role] = verbs
    assert allowed == published()


async def test_only_the_guards_lock_column_is_granted_by_column(stage: Stage) -> None:
    rows = await stage.sql(
        "select table_name, column_name, grantee, privilege_type from information_schema.column_privileges"
        " where table_schema = 'books' and privilege_type in ('UPDATE', 'REFERENCES') and grantee <> 'books_owner' and table_name not in ('heartbeats', 'waiting', 'spend', 'progress', 'stalled_orders', 'viewings', 'library_editions', 'customer_facts', 'memory_opt_outs')"
    )
    assert [(row["grantee"], row["table_name"], row["column_name"]) for row in rows] == [
        ("books_guard", "payments", "tenant")
    ]


async def test_no_role_that_logs_in_owns_anything_or_passes_row_security(stage: Stage) -> None:
    rows = await stage.sql("select rolname, rolcanlogin, rolbypassrls, rolsuper, rolcreaterole from pg_roles")
    roles = {row["rolname"]: row for row in rows}
    for role in ("desk", "graph", "cashier", "anchorer"):
        assert roles[role]["rolcanlogin"]
        assert not roles[role]["rolbypassrls"]
        assert not roles[role]["rolsuper"]
        assert not roles[role]["rolcreaterole"]
    for role in ("importer", "books_owner", "books_guard", "books_scribe"):
        assert not roles[role]["rolcanlogin"]
    owned = await stage.sql(
        "select relname from pg_class where relnamespace = 'books'::regnamespace and relkind in ('r', 'v')"
        " and relname <> 'test_clock' and pg_get_userbyid(relowner) <> 'books_owner'"
    )
    assert owned == []


async def test_no_function_of_the_books_is_open_to_everybody(stage: Stage) -> None:
    rows = await stage.sql(
        "select proname from pg_proc where pronamespace = 'books'::regnamespace"
        " and has_function_privilege('public', oid, 'execute')"
    )
    assert rows == []


async def test_every_definer_function_pins_its_search_path(stage: Stage) -> None:
    rows = await stage.sql(
        "select proname from pg_proc where pronamespace = 'books'::regnamespace and prosecdef"
        " and not coalesce(proconfig @> array['search_path=books, pg_temp'], false)"
    )
    assert rows == []


async def test_python_and_postgres_have_the_same_closed_sets(stage: Stage) -> None:
    """Broken? A word was added in refunds/vocabulary.py or in a migration, and not in the other."""
    rows = await stage.sql(
        "select typname, array_agg(enumlabel::text order by enumsortorder) as labels from pg_type"
        " join pg_enum on enumtypid = pg_type.oid where typnamespace = 'books'::regnamespace group by typname"
    )
    assert {row["typname"]: tuple(row["labels"]) for row in rows} == POSTGRES_ENUMS


SEALED = [
    "anchors", "audit_events", "case_events", "cases", "claims", "decisions", "disbursements", "flags", "messages",
    "deliveries", "model_calls", "payments", "proposals", "replies", "sends", "settlements", "takeovers", "trace_events",
    "votes",
]  # fmt: skip


@pytest.mark.parametrize("table", SEALED)
async def test_nobody_changes_the_past(stage: Stage, table: str) -> None:
    """Not even the owner or a superuser, by UPDATE, DELETE or TRUNCATE."""
    column = "payload" if table == "anchors" else "tenant"
    for statement in (
        f"update books.{table} set {column} = {column}",
        f"delete from books.{table}",
        f"truncate books.{table} cascade",
    ):
        with pytest.raises(psycopg.Error, match="append-only"):
            await stage.sql(statement)


async def test_every_table_with_a_tenant_has_forced_row_security(stage: Stage) -> None:
    rows = await stage.sql(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'"
        " where c.relnamespace = 'books'::regnamespace and c.relkind = 'r' and c.relname not in ('tenants')"
        " and not (c.relrowsecurity and c.relforcerowsecurity)"
    )
    assert rows == []


@pytest.mark.parametrize("role", ["desk", "graph", "cashier"])
@pytest.mark.parametrize("tenant", ["", "other"])
async def test_without_the_right_tenant_there_are_no_rows(stage: Stage, role: str, tenant: str) -> None:
    await stage.ordered()
    await stage.finish()
    books = {
        "desk": stage.house.desk_books,
        "graph": stage.house.driver.books,
        "cashier": stage.house.executor.books,
    }
    for table in ("cases", "proposals", "decisions", "disbursements", "settlements", "payments"):
        async with books[role].pool.connection() as connection, connection.transaction():
            await connection.execute("select set_config('books.tenant', %s, true)", (tenant,))
            cursor = await connection.execute(f"select count(*) as n from books.{table}")
            row = await cursor.fetchone()
            assert row is not None
            assert row["n"] == 0


async def test_the_models_hands_see_one_customers_orders(stage: Stage) -> None:
    async with stage.house.driver.books.pool.connection() as connection, connection.transaction():
        await connection.execute(
            "select set_config('books.tenant', 'demo', true), set_config('books.customer', 'C100', true)"
        )
        orders = await (await connection.execute("select order_id from books.orders")).fetchall()
        payments = await (await connection.execute("select payment_id from books.payments")).fetchall()
    assert [row["order_id"] for row in orders] == ["D300"]
    assert [row["payment_id"] for row in payments] == ["pay_D300"]


@pytest.mark.parametrize(
    "status", ["refunded", "replied", "rejected", "expired", "closed_by_human", "approved", "needs_human"]
)
async def test_the_graph_cannot_write_an_end_that_the_facts_do_not_bear_out(
    stage: Stage, status: str
) -> None:
    case, _ = await stage.paused()
    async with stage.house.driver.books.pool.connection() as connection, connection.transaction():
        await connection.execute("select set_config('books.tenant', 'demo', true)")
        with pytest.raises(psycopg.Error, match="untrue_event"):
            await connection.execute(
                "insert into books.case_events (tenant, case_id, seq, status, reason, ended)"
                " values ('demo', %s, 1, %s, 'forged', true)",
                (case.case_id, status),
            )


def test_an_edited_migration_is_refused() -> None:
    known = list(migrations())
    done = {migration.number: (migration.name, migration.sha256) for migration in known}
    refuse_what_does_not_agree(known, done)
    with pytest.raises(MigrationRefused, match="was edited"):
        refuse_what_does_not_agree(known, done | {1: (known[0].name, "0" * 64)})
    with pytest.raises(MigrationRefused, match="newer"):
        refuse_what_does_not_agree(known, done | {999: ("0999_future.sql", "0" * 64)})


def test_migrations_are_safe_to_repeat_and_to_run_at_once(cluster: Cluster, url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    assert migrate(url) == []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "drop schema books cascade; drop schema jobs cascade; drop schema checkpoints cascade"
        )
        connection.execute("drop table public.countersign_migrations")
    with ThreadPoolExecutor(4) as pool:
        done = [
            future.result()
            for future in [pool.submit(migrate, url, cluster.home.passwords()) for _ in range(4)]
        ]
    assert sorted(map(len, done)) == [0, 0, 0, len(list(migrations())) + 1]


SCHEMA = """
  select 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull::text
  from pg_attribute join pg_class c on c.oid = attrelid
  where relnamespace = 'books'::regnamespace and relkind in ('r', 'v') and attnum > 0 and not attisdropped
  union all select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), ''
  from pg_constraint where connamespace = 'books'::regnamespace
  union all select 'index', tablename, indexname, indexdef, '' from pg_indexes where schemaname = 'books'
  union all select 'function', oid::regprocedure::text, proowner::regrole::text, pg_get_functiondef(oid),
    (select string_agg(one::text, ' ' order by one::text) from unnest(proacl) one)
  from pg_proc where pronamespace = 'books'::regnamespace
  union all select 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), tgenabled::text
  from pg_trigger t join pg_class c on c.oid = tgrelid where relnamespace = 'books'::regnamespace and not tgisinternal
  union all select 'policy', tablename, policyname, concat(permissive, roles, cmd), concat(qual, with_check)
  from pg_policies where schemaname = 'books'
  union all select 'relation', oid::regclass::text, concat(relowner::regrole, relkind, relrowsecurity, relforcerowsecurity),
    case relkind when 'v' then pg_get_viewdef(oid) end,
    (select string_agg(one::text, ' ' order by one::text) from unnest(relacl) one)
  from pg_class where relnamespace = 'books'::regnamespace and relkind in ('r', 'v', 'S') and relname <> 'test_clock'
  union all select 'type', t.oid::regtype::text, typtype::text, string_agg(enumlabel, ' ' order by enumsortorder), ''
  from pg_type t left join pg_enum on enumtypid = t.oid
  where typnamespace = 'books'::regnamespace and typtype in ('e', 'd') group by t.oid
"""
"""All that stands in the schema of the books, a row a thing."""

ANOTHER_RELEASE = """
  create or replace function books.may_be_paid(last books.settlement_outcome) returns boolean
    language sql immutable return false;
  create function books.of_another_release() returns int language sql return 1;
  create view books.cases_of_another_release as select case_id, books.of_another_release() from books.cases;
  drop trigger sealed on books.votes;
  create trigger of_another_release after insert on books.votes for each row execute function books.refuse_change();
  drop policy tenant_wall on books.orders;
  create policy of_another_release on books.orders using (true);
  revoke select on books.cases from desk;
  grant insert on books.settlements to graph;
  update public.countersign_migrations set sha256 = 'another' where number = 0;
"""


def test_a_database_that_comes_from_another_release_is_then_as_a_fresh_one(url: str) -> None:
    """Tables by numbered files, everything else anew: what the other release had besides is gone."""

    def there(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
        return sorted(connection.execute(SCHEMA).fetchall(), key=str)

    with psycopg.connect(url, autocommit=True) as connection:
        fresh = there(connection)
        assert len(fresh) > 900
        connection.execute(ANOTHER_RELEASE)
        assert there(connection) != fresh
        assert migrate(url) == ["laws"]
        assert there(connection) == fresh
        assert migrate(url) == []


async def test_a_process_refuses_the_laws_of_another_release(cluster: Cluster, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update public.countersign_migrations set sha256 = 'another' where number = 0")
    with pytest.raises(CannotWork, match="another release's: run countersign db migrate"):
        await check_books(cluster.home.role_url("desk", url))


def test_every_named_query_is_used_and_every_used_one_is_named() -> None:
    source = "\n".join(
        file.read_text()
        for folder in ("records", "runtime", "tools", "graph", "desk", "cashier", "app", "evals", "cli")
        for file in (ROOT / folder).rglob("*.py")
    )
    used = set(
        re.findall(
            r"""(?:\.rows?|\.later|\.read_once|_listed|_disbursements)\(\s*(?:books,\s*person,\s*|tenant, )?"(\w+)\"""",
            source,
        )
    )
    assert used == set(named_queries())


def test_a_query_whose_filters_may_be_unset_is_planned_for_the_values_it_is_sent_with() -> None:
    """Sent often, Postgres would keep one plan for all: a search over 100,000 cases then took 13 s."""
    for query in ("list_waiting", "list_waiting_sorted", "count_waiting", "acts", "traces_found"):
        assert planned_once(query) is False, query
    for query in ("case_by_id", "insert_vote"):
        assert planned_once(query) is None, query


def test_a_migration_is_never_renumbered() -> None:
    numbers = [migration.number for migration in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert records.migrate.schema_version() == numbers[-1]


async def test_a_session_forgets_its_tenant_before_it_serves_another(stage: Stage) -> None:
    """Sessions remember whose they are; nobody sees through one what is another's."""
    books = stage.house.desk_books
    count = "select count(*) as n from cases"
    await stage.submit()
    for tenant, seen in ((DEMO, 1), (TenantId("rival"), 0), (None, 0), (DEMO, 1)):
        async with books.transaction(tenant) as tx:
            cursor = await tx.connection.execute(count)
            assert await cursor.fetchall() == [{"n": seen}]
    with pytest.raises(ZeroDivisionError):
        async with books.transaction(TenantId("rival")):
            raise ZeroDivisionError
    async with books.transaction(DEMO) as tx:
        assert await (await tx.connection.execute(count)).fetchall() == [{"n": 1}]
    assert await books.reading(None).rows("newest_waiting", most=5) == []


async def test_what_is_put_off_is_said_in_order_and_with_the_commit(stage: Stage) -> None:
    books = stage.house.desk_books
    with pytest.raises(Refused, match="wrong_tenant"):
        async with books.transaction(DEMO) as tx:
            tx.later(
                "insert_flag",
                tenant="rival",
                name="kill_switch",
                value="on",
                reason="x",
                set_by="demo-reviewer",
            )
    async with books.transaction(DEMO) as tx:
        assert (await tx.rows("current_flags")) == []


async def test_a_caller_that_is_cancelled_leaves_no_session_in_another_tenant(stage: Stage) -> None:
    """Cancelled at every instant on the way into a tenant: whoever comes next is where they asked to be."""
    async with Books.open(stage.house.home.role_url("desk", stage.url), size=1) as books:

        async def here() -> list[dict[str, Any]]:
            async with books.transaction(DEMO) as tx:
                return await (await tx.connection.execute("select tenant() as tenant")).fetchall()

        for turns in range(120):
            assert await here() == [{"tenant": DEMO}]
            task = asyncio.create_task(books.read_once(TenantId("rival"), "kill_switch"))
            for _ in range(turns % 12):
                await asyncio.sleep(0)
            if turns >= 60:
                await asyncio.sleep((turns % 30) * 2e-5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_caller_that_is_cancelled_leaves_no_lock_behind(stage: Stage) -> None:
    async def hold(books: Books) -> None:
        async with books.alone(99, "x"):
            await asyncio.Event().wait()  # held until it is cancelled

    async with Books.open(stage.house.home.role_url("desk", stage.url), size=4) as books:
        for turns in range(60):
            task = asyncio.create_task(hold(books))
            for _ in range(turns % 20):
                await asyncio.sleep(0)
            if turns >= 20:
                await asyncio.sleep(turns * 1e-5)
            while (
                not task.done()
            ):  # the pool's wait may lose one cancellation: `asyncio.wait_for` before Python 3.12
                task.cancel()
                await asyncio.wait([task], timeout=1)
        locks = "select count(*) as n from pg_locks where locktype = 'advisory' and classid = 99"
        deadline = asyncio.get_running_loop().time() + 10
        while (await stage.sql(locks))[0]["n"] and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # a closed session ends in its own time
        assert (await stage.sql(locks))[0]["n"] == 0
