"""The books as one process sees them: a pool in its role, transactions of a tenant, queries by name."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, LiteralString, Protocol, Self
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from records.connection import CONNECT_SECONDS, connection_string
from records.named_queries import named_queries, planned_once
from refunds.ids import CustomerId, TenantId

Row = Mapping[str, Any]

IDLE_SECONDS = 1.0
"""A connection that was used within it is taken to be alive."""


COMMITTED: ContextVar[Callable[[], None] | None] = ContextVar("committed", default=None)
"""Called when a transaction of this context ends: what was read before it may not be so any more."""


class Refused(Exception):
    """Postgres refused what must never happen; `reason` is a word of the contract or of the schema."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class BooksAway(Exception):
    """The database cannot be reached or cannot take a write."""


class Transaction:
    """One transaction of one tenant."""

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self.connection = connection
        self._queued: list[tuple[LiteralString, Mapping[str, object]]] = []

    async def rows(self, query: str, /, **values: object) -> list[Row]:
        """All rows of a named query; Refused where Postgres says no."""
        try:
            if self._queued:
                await self._say_queued()
            return await _rows_of(self.connection, query, values)
        except psycopg.Error as error:
            raise explained(error) from error

    def later(self, query: str, /, **values: object) -> None:
        """A named query whose answer nobody needs: it goes before the next one, or with the commit."""
        self._queued.append((named_queries()[query], values))

    async def commit(self) -> None:
        """Keep what was written; what was put off goes in the same round trip."""
        try:
            if self._queued:
                await self._say_queued(commit=True)
            else:
                await self.connection.commit()
        except psycopg.Error as error:
            raise explained(error) from error

    async def _say_queued(self, *, commit: bool = False) -> None:
        queued, self._queued = self._queued, []
        async with self.connection.pipeline():
            for statement, values in queued:
                await self.connection.execute(statement, values)
            if commit:
                await self.connection.execute("commit")

    async def row(self, query: str, /, **values: object) -> Row | None:
        """The first row, or None."""
        found = await self.rows(query, **values)
        return found[0] if found else None


def _died(away: BooksAway) -> bool:
    """Whether a connection was lost, and not a statement stopped or a pool empty."""
    cause = away.__cause__
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return cause.sqlstate in {None, "57P01", "57P02", "57P03"}
    return False


async def answered(cursor: AsyncCursor[DictRow]) -> list[Row]:
    """The rows of a cursor; none where the statement has no answer."""
    # `cursor.description` would describe every column of every look.
    answers = cursor.pgresult is not None and cursor.pgresult.nfields > 0
    return list(await cursor.fetchall()) if answers else []


async def _rows_of(
    connection: AsyncConnection[DictRow], query: str, values: Mapping[str, object]
) -> list[Row]:
    cursor = await connection.execute(named_queries()[query], values, prepare=planned_once(query))
    return await answered(cursor)


def explained(error: psycopg.Error) -> Exception:
    """An error of Postgres as one of the books' own; the error itself where it is none of them."""
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


class Reads(Protocol):
    """What answers named queries: a transaction, or the books themselves."""

    async def rows(self, query: str, /, **values: object) -> list[Row]: ...

    async def row(self, query: str, /, **values: object) -> Row | None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """Named queries that only read, each in one round trip: at READ COMMITTED a transaction would add nothing."""

    books: "Books"
    tenant: TenantId | None
    customer: CustomerId | None

    async def rows(self, query: str, /, **values: object) -> list[Row]:
        return await self.books.read_once(self.tenant, query, self.customer, **values)

    async def row(self, query: str, /, **values: object) -> Row | None:
        found = await self.rows(query, **values)
        return found[0] if found else None


@dataclass(slots=True)
class Waits:
    """How long somebody waited for a connection: the books' restart, or their crowd, is no latency of who asks."""

    seconds: float = 0.0


WAITS: ContextVar[Waits | None] = ContextVar("WAITS", default=None)
"""Where the task that asks the books wants its waits counted."""


class Books:
    """A pool of connections in one role."""

    transaction_type: type[Transaction] = Transaction

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], conninfo: str) -> None:
        self.pool = pool
        self._conninfo = conninfo
        self._known: set[TenantId] = set()
        self._lock_slots = asyncio.Semaphore(max(1, pool.max_size // 2))

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
        """Open the pool for a block. BooksAway where nobody answers."""
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
    ) -> AsyncIterator[Transaction]:
        """One transaction that sees one tenant's rows, and of orders one customer's where one is named."""
        async with self._session(tenant, customer, begin=True) as connection:
            tx = self.transaction_type(connection)
            try:
                yield tx
                await tx.commit()
            finally:
                committed = COMMITTED.get()
                if committed is not None:
                    committed()

    def reading(self, tenant: TenantId | None, customer: CustomerId | None = None) -> Reading:
        """The books for queries that only read."""
        return Reading(self, tenant, customer)

    async def read_once(
        self, tenant: TenantId | None, query: str, /, customer: CustomerId | None = None, **values: object
    ) -> list[Row]:
        """The rows of one named query that only reads, in one round trip."""
        try:
            return await self._read_once(tenant, customer, query, values)
        except BooksAway as away:
            if not _died(away):
                raise
            # The connection died between two looks, as others may have.
            await self.pool.check()
            return await self._read_once(tenant, customer, query, values)

    async def _read_once(
        self, tenant: TenantId | None, customer: CustomerId | None, query: str, values: Mapping[str, object]
    ) -> list[Row]:
        async with self._session(tenant, customer, begin=False) as connection:
            try:
                return await _rows_of(connection, query, values)
            except psycopg.Error as error:
                raise explained(error) from error

    @asynccontextmanager
    async def _session(
        self, tenant: TenantId | None, customer: CustomerId | None, *, begin: bool
    ) -> AsyncIterator[AsyncConnection[DictRow]]:
        """A connection whose session is of this tenant and customer; in a transaction where one is to begin."""
        place = (tenant or "", customer or "")
        asked_at, waits = time.monotonic(), WAITS.get()
        try:
            async with AsyncExitStack() as stack:
                try:
                    connection = await self._enter(stack, place, begin=begin)
                except psycopg.OperationalError:
                    # Nothing was asked yet: the connection died between two transactions, as others may have.
                    await stack.aclose()
                    await self.pool.check()
                    connection = await self._enter(stack, place, begin=begin)
                finally:
                    if waits is not None:
                        waits.seconds += time.monotonic() - asked_at
                try:
                    yield connection
                except BaseException:
                    # A rollback takes the session's tenant back with it.
                    _PLACES.pop(connection, None)
                    raise
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            if isinstance(error, psycopg.Error):
                raise explained(error) from error
            raise BooksAway(str(error)) from error

    async def _enter(
        self, stack: AsyncExitStack, place: tuple[str, str], *, begin: bool
    ) -> AsyncConnection[DictRow]:
        """A connection until the stack ends; it remembers where it was, so that staying there costs no trip."""
        async with AsyncExitStack() as entered:
            connection = await entered.enter_async_context(self.pool.connection())
            # Forget the tenant first: a task that is cancelled halfway leaves a session whose tenant is not known.
            known = _PLACES.pop(connection, None)
            if known != place:
                await connection.execute(
                    "select set_config('books.tenant', %s, false), set_config('books.customer', %s, false)",
                    place,
                )
            if begin:
                await connection.execute("begin", prepare=False)
            _PLACES[connection] = place
            await stack.enter_async_context(entered.pop_all())
            return connection

    @asynccontextmanager
    async def alone(self, space: int, name: str) -> AsyncIterator[bool]:
        """Hold a session's advisory lock for as long as the block takes; False where another has it.

        The lock sits on a connection of its own, so at most half of the pool may hold one: the other
        half does the work that the locks are held for.
        """
        async with self._lock_slots, self.pool.connection() as connection:
            try:
                cursor = await connection.execute(
                    "select pg_try_advisory_lock(%s, hashtext(%s)) as mine", (space, name)
                )
                row = await cursor.fetchone()
            except BaseException:
                await connection.close()  # the lock may have been granted just now; it ends with the session
                raise
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

    async def knows(self, tenant: TenantId) -> bool:
        """Whether a tenant is in the books; once there, it stays."""
        if tenant not in self._known:
            self._known.update(await self.tenants())
        return tenant in self._known

    async def tenants(self) -> list[TenantId]:
        """Every tenant, for work that goes over all of them one by one."""
        async with self.transaction() as tx:
            return [TenantId(row["tenant"]) for row in await tx.rows("list_tenants")]


_PLACES: WeakKeyDictionary[AsyncConnection[DictRow], tuple[str, str]] = WeakKeyDictionary()
"""The tenant and the customer that each session is set to.

Code that takes a connection without going through the books sets its own.
"""

_LAST_USED: WeakKeyDictionary[AsyncConnection[DictRow], float] = WeakKeyDictionary()


async def check_when_idle(connection: AsyncConnection[DictRow]) -> None:
    """Ask a connection whether it lives, unless it answered a moment ago."""
    now = time.monotonic()
    if now - _LAST_USED.get(connection, 0.0) > IDLE_SECONDS:
        await AsyncConnectionPool.check_connection(connection)
    _LAST_USED[connection] = now


async def why_away(url: str) -> str:
    """One line that says why a connection fails, without its password."""
    try:
        connection = await AsyncConnection.connect(connection_string(url))
        await connection.close()
    except psycopg.Error as error:
        return str(error).strip().splitlines()[-1]
    return "the database answers but the pool did not fill"
