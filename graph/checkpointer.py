"""Checkpoints: a cursor, never evidence. Kept in their own schema, read with a strict serializer."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.serde import _msgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import AsyncConnection, Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from graph.cursor import CursorSaver
from graph.settings import GraphSettings
from records.books import check_when_idle
from records.connection import CONNECT_SECONDS, connection_string

SETUP_LOCK = 4_071_776_003


class LooseSerializer(Exception):
    """Without strict msgpack a checkpoint row could run code: set LANGGRAPH_STRICT_MSGPACK=true and start again."""

    def __init__(self) -> None:
        super().__init__((self.__doc__ or "").strip())


def require_strict_msgpack() -> None:
    """LooseSerializer where this process would load any type that a checkpoint names."""
    if not _msgpack.STRICT_MSGPACK_ENABLED:
        raise LooseSerializer


def strict_serializer() -> JsonPlusSerializer:
    """Loads plain data and nothing else, whatever the environment says."""
    return JsonPlusSerializer(pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=None)


def install_checkpoints(admin_url: str) -> None:
    """LangGraph's own tables, owned by the role of the graph."""
    conninfo = connection_string(admin_url, statement_seconds=0)
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=0, row_factory=dict_row) as connection:
        # Asked for again and again, because a waiting lock would hold a snapshot that the index build waits for.
        while not _locked(connection):
            time.sleep(0.1)
        connection.execute("set role graph")
        connection.execute("set search_path = checkpoints")
        PostgresSaver(connection).setup()


def _locked(connection: Connection[DictRow]) -> bool:
    row = connection.execute("select pg_try_advisory_lock(%s) as mine", (SETUP_LOCK,)).fetchone()
    return bool(row and row["mine"])


@asynccontextmanager
async def create_checkpointer() -> AsyncIterator[CursorSaver]:
    """The saver of a server that loads it by name, from the settings of its process."""
    settings = GraphSettings()
    async with checkpointer(settings.database_url.get_secret_value(), size=2 * settings.concurrency) as saver:
        yield saver


@asynccontextmanager
async def checkpointer(url: str, *, size: int = 8) -> AsyncIterator[CursorSaver]:
    """The saver of a worker, in the role of the graph."""
    require_strict_msgpack()
    conninfo = connection_string(url, search_path="checkpoints")
    kwargs: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        conninfo,
        kwargs=kwargs,
        connection_class=AsyncConnection[DictRow],
        min_size=1,
        max_size=size,
        open=False,
        timeout=CONNECT_SECONDS,
        check=check_when_idle,
    )
    async with pool:
        yield CursorSaver(pool, serde=strict_serializer())
