"""What a process makes sure of before it works on the books."""

import importlib.util
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from records.books import BooksAway, explained
from records.connection import connection_string
from records.migrate import laws, schema_version

OURS = ("refunds", "policies", "records", "runtime", "tools", "graph", "desk", "cashier", "app", "evals")
"""Our top-level names. They are plain words, so another package could stand in their place."""


class CannotWork(Exception):
    """These books are not for this process; the message says why and what to do."""


def check_names() -> None:
    """CannotWork where a top-level name of ours is somebody else's package."""
    home = Path(__file__).parents[1]
    for name in OURS:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None or Path(found.origin).parents[1] != home:
            where = found.origin if found else "nowhere"
            raise CannotWork(
                f"the package {name} is found at {where}: uninstall what stands before {home / name}"
            )


async def check_books(url: str, *, test_database_allowed: bool = False) -> None:
    """CannotWork where the schema is older or newer than the program, or the clock of the database can be moved."""
    try:
        connection = await AsyncConnection.connect(connection_string(url), autocommit=True)
    except psycopg.Error as error:
        if "password authentication failed" in str(error):
            raise CannotWork(
                "the database does not know this house's passwords: run countersign db migrate as its owner"
            ) from None
        raise BooksAway(str(error).strip().splitlines()[-1]) from None
    async with connection:
        await check_connection(connection, test_database_allowed=test_database_allowed)


async def check_connection(connection: AsyncConnection[Any], *, test_database_allowed: bool = True) -> None:
    """CannotWork, as `check_books` says it, over a connection that is open."""
    try:
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute(
            "select coalesce(max(number), 0) as newest,"
            " coalesce(max(sha256) filter (where number = 0), '') as in_force,"
            " to_regclass('books.test_clock') is not null as movable,"
            " current_setting('session_replication_role') = 'origin' as guarded"
            " from public.countersign_migrations"
        )
        row = await cursor.fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    except psycopg.Error as error:
        raise explained(error) from error
    newest, in_force, movable, guarded = row or (0, "", False, True)
    if not guarded:
        raise CannotWork(
            "the database runs without its triggers (session_replication_role is set on it or on this role):"
            " reset that setting; nothing is checked without them"
        )
    if newest > schema_version():
        raise CannotWork(
            f"the database is newer than this program (schema {newest}, not {schema_version()}): run the newer release"
        )
    if newest < schema_version():
        raise CannotWork(
            f"the schema of the database is {newest}, not {schema_version()}: run countersign db migrate"
        )
    if in_force != laws().sha256:
        raise CannotWork(
            "the functions and views of the database are another release's: run countersign db migrate with this one,"
            " or run that one"
        )
    if movable and not test_database_allowed:
        raise CannotWork("this is a test database (its clock can be moved): set DATABASE_URL to the real one")
