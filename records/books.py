"""The books as one process sees them: a pool in its role, transactions of a tenant, queries by name."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, LiteralString, Self
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from refunds.ids import CustomerId, TenantId

Row = Mapping[str, Any]

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30
"""No statement of the house takes a second; one that takes thirty holds somebody's lock."""


LOCK_SECONDS = 15

IDLE_SECONDS = 1.0
"""A connection that was used within it is taken to be alive."""


class Refused(Exception):
    """Postgres refused what must never happen; `reason` is a word of the contract or of the schema."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class BooksAway(Exception):
    """The database cannot be reached or cannot take a write."""


@cache
def named_queries() -> dict[str, LiteralString]:
    """Every statement the program can send, by name."""
    queries: dict[str, LiteralString] = {}
    for file in sorted((Path(__file__).parent / "sql/queries").glob("*.sql")):
        parts = re.split(r"^-- (\w+) --\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in queries:
                raise ValueError(f"two queries are called {name}")
            queries[name] = text.strip()
    return queries


class Page:
    """One transaction of one tenant."""

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self.connection = connection

    async def rows(self, query: str, /, **values: object) -> list[Row]:
        """All rows of a named query; Refused where Postgres says no."""
        try:
            cursor = await self.connection.execute(named_queries()[query], values)
            # `cursor.description` would describe every column of every look.
            answers = cursor.pgresult is not None and cursor.pgresult.nfields > 0
            return list(await cursor.fetchall()) if answers else []
        except psycopg.Error as error:
            raise explained(error) from error

    async def row(self, query: str, /, **values: object) -> Row | None:
        """The first row, or None."""
        found = await self.rows(query, **values)
        return found[0] if found else None


def explained(error: psycopg.Error) -> Exception:
    """The same error in the words of the house, or the error itself."""
    match error.sqlstate:
        case "CS001":
            return Refused(error.diag.message_primary or "refused", error.diag.message_detail or "")
        case (
            "57014"
            | "40P01"
            | "55P03"
            | "53100"
            | "53200"
            | "53300"
            | "57P01"
            | "57P02"
            | "57P03"
            | "57P05"
            | "25006"
            | "25P03"
        ):
            return BooksAway(str(error).splitlines()[0])
        case None if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return BooksAway((str(error) or "the connection is closed").splitlines()[0])
        case _:
            return error


class Books:
    """A pool of connections in one role."""

    page: type[Page] = Page

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], conninfo: str) -> None:
        self.pool = pool
        self._conninfo = conninfo
        self._lock_seats = asyncio.Semaphore(max(1, pool.max_size // 2))

    @classmethod
    def at(cls, url: str, *, size: int = 8) -> Self:
        """The books at a database URL, still closed."""
        conninfo = connection_string(url)
        pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            conninfo,
            kwargs={"row_factory": dict_row, "autocommit": True},
            connection_class=AsyncConnection[DictRow],
            min_size=1,
            max_size=size,
            open=False,
            timeout=CONNECT_SECONDS,
            check=check_when_idle,
        )
        return cls(pool, conninfo)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """The same, open; BooksAway where nobody answers."""
        try:
            await self.pool.open(wait=True, timeout=CONNECT_SECONDS)
        except PoolTimeout:
            await self.pool.close()
            raise BooksAway(await why_away(self._conninfo)) from None
        try:
            yield self
        finally:
            await self.pool.close()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, size: int = 8) -> AsyncIterator[Self]:
        """The books at a database URL, open for as long as the block takes."""
        async with cls.at(url, size=size).opened() as books:
            yield books

    @asynccontextmanager
    async def transaction(
        self, tenant: TenantId | None = None, customer: CustomerId | None = None
    ) -> AsyncIterator[Page]:
        """One transaction that sees one tenant's rows, and of orders one customer's where one is named."""
        try:
            async with AsyncExitStack() as stack:
                try:
                    connection = await self._begin(stack, tenant, customer)
                except psycopg.OperationalError:
                    # Nothing was asked yet: the connection died between two transactions, as others may have.
                    await stack.aclose()
                    await self.pool.check()
                    connection = await self._begin(stack, tenant, customer)
                yield self.page(connection)
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            if isinstance(error, psycopg.Error):
                raise explained(error) from error
            raise BooksAway(str(error)) from error

    async def _begin(
        self, stack: AsyncExitStack, tenant: TenantId | None, customer: CustomerId | None
    ) -> AsyncConnection[DictRow]:
        """A transaction that ends with the stack."""
        async with AsyncExitStack() as begun:
            connection = await begun.enter_async_context(self.pool.connection())
            await begun.enter_async_context(connection.transaction())
            await connection.execute(
                "select set_config('books.tenant', %s, true), set_config('books.customer', %s, true)",
                (tenant or "", customer or ""),
            )
            await stack.enter_async_context(begun.pop_all())
            return connection

    @asynccontextmanager
    async def alone(self, space: int, name: str) -> AsyncIterator[bool]:
        """Hold a session's advisory lock for as long as the block takes; False where another has it.

        The lock sits on a connection of its own, so at most half of the pool may hold one: the other
        half does the work that the locks are held for.
        """
        async with self._lock_seats, self.pool.connection() as connection:
            cursor = await connection.execute(
                "select pg_try_advisory_lock(%s, hashtext(%s)) as mine", (space, name)
            )
            row = await cursor.fetchone()
            mine = bool(row and row["mine"])
            try:
                yield mine
            finally:
                if mine:
                    try:
                        await connection.execute("select pg_advisory_unlock(%s, hashtext(%s))", (space, name))
                    except BaseException:
                        await connection.close()  # the session ends, and its lock with it
                        raise

    async def tenants(self) -> list[TenantId]:
        """Every tenant, for work that goes over all of them one by one."""
        async with self.transaction() as page:
            return [TenantId(row["tenant"]) for row in await page.rows("list_tenants")]


_LAST_USED: WeakKeyDictionary[AsyncConnection[DictRow], float] = WeakKeyDictionary()


async def check_when_idle(connection: AsyncConnection[DictRow]) -> None:
    """Ask a connection whether it lives, unless it answered a moment ago."""
    now = time.monotonic()
    if now - _LAST_USED.get(connection, 0.0) > IDLE_SECONDS:
        await AsyncConnectionPool.check_connection(connection)
    _LAST_USED[connection] = now


def connection_string(url: str) -> str:
    """The URL with the house's limits and search path."""
    return make_conninfo(
        url,
        connect_timeout=CONNECT_SECONDS,
        options=f"-c search_path=books,jobs -c timezone=UTC"
        f" -c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={LOCK_SECONDS}s"
        f" -c idle_in_transaction_session_timeout={STATEMENT_SECONDS}s",
    )


async def why_away(url: str) -> str:
    """One line that says why a connection fails, without its password."""
    try:
        connection = await AsyncConnection.connect(connection_string(url))
        await connection.close()
    except psycopg.Error as error:
        return str(error).strip().splitlines()[-1]
    return "the database answers but the pool did not fill"
