"""The cursor: LangGraph's saver, with as few commits as a cursor needs.

The books decide and a checkpoint only says where to go on, so whatever a crash takes from it is done again
harmlessly: an input before its first step, and what a single node wrote before the checkpoint that holds the
same, are not written at all; the checkpoint before a pause is written with the pause, in one commit.
"""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.types import Interrupt
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

HELD = 512
"""Threads whose checkpoint waits for its pause, in one process at most."""

VERSION_DIGITS = 32

PAUSING = frozenset({"branch:to:approval", "branch:to:settlement"})
"""A checkpoint with one of these is followed by a pause or by the next step, always."""

Statement = tuple[str, tuple[object, ...]]

_READ_AHEAD: ContextVar[list[tuple[str, CheckpointTuple | None]] | None] = ContextVar(
    "read_ahead", default=None
)


def pauses(found: CheckpointTuple) -> list[Interrupt]:
    """The pauses that a thread waits at."""
    return [
        pause for _, channel, value in found.pending_writes or () if channel == INTERRUPT for pause in value
    ]


def goes_on(found: CheckpointTuple) -> bool:
    """Whether a node of the thread is still to run."""
    return any(channel.startswith("branch:to:") for channel in found.checkpoint["channel_values"])


class CursorSaver(AsyncPostgresSaver):
    """A saver on a pool.

    It shares no connection, so it takes no lock; its values are small, so it serializes them without a thread.
    """

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], serde: SerializerProtocol | None = None
    ) -> None:
        super().__init__(pool, serde=serde)
        self.lock = cast("Any", nullcontext())
        self.pool = pool
        self._held: OrderedDict[tuple[str, str | None], list[Statement]] = OrderedDict()

    @asynccontextmanager
    async def read_ahead(self, config: RunnableConfig) -> AsyncIterator[CheckpointTuple | None]:
        """Where a thread stands; a run within the block need not ask again. Only for who holds the thread's lock."""
        found = await super().aget_tuple(config)
        token = _READ_AHEAD.set([(config["configurable"]["thread_id"], found)])
        try:
            yield found
        finally:
            _READ_AHEAD.reset(token)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        place = config["configurable"]
        ahead = _READ_AHEAD.get()
        if ahead and ahead[0][0] == place["thread_id"] and not place.get("checkpoint_id"):
            return ahead.pop()[1]
        return await super().aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint, or hold it where the pause that follows will bring it along."""
        place = config["configurable"]
        thread, space = place["thread_id"], place["checkpoint_ns"]
        after: RunnableConfig = {
            "configurable": {"thread_id": thread, "checkpoint_ns": space, "checkpoint_id": checkpoint["id"]}
        }
        if metadata.get("source") == "input":
            return after
        plain = {k: v for k, v in checkpoint["channel_values"].items() if _is_plain(v)}
        blobs = {k: v for k, v in checkpoint["channel_values"].items() if k not in plain}
        versions = {k: v for k, v in new_versions.items() if k in blobs}
        statements: list[Statement] = [
            (self.UPSERT_CHECKPOINT_BLOBS_SQL, row)
            for row in self._dump_blobs(thread, space, blobs, versions)
        ]
        row = {**checkpoint, "channel_values": plain}
        said = get_serializable_checkpoint_metadata(config, metadata)
        statements.append(
            (
                self.UPSERT_CHECKPOINTS_SQL,
                (thread, space, checkpoint["id"], place.get("checkpoint_id"), Jsonb(row), Jsonb(said)),
            )
        )
        statements = self._held_before(thread, place.get("checkpoint_id")) + statements
        if PAUSING & checkpoint["channel_values"].keys():
            self._hold(thread, checkpoint["id"], statements)
        else:
            await self._write(statements)
        return after

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write a pause or an error; what a finished node wrote stands in the next checkpoint."""
        if not any(channel in WRITES_IDX_MAP for channel, _ in writes):
            return
        place = config["configurable"]
        thread = place["thread_id"]
        rows = self._dump_writes(
            thread, place["checkpoint_ns"], place["checkpoint_id"], task_id, task_path, writes
        )
        statements: list[Statement] = [(self.UPSERT_CHECKPOINT_WRITES_SQL, row) for row in rows]
        await self._write(self._held_before(thread, place["checkpoint_id"]) + statements)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Greater as text than `current`, also where that is of the server's own saver, which writes this form.

        A thread that still has the short form of before keeps it: what is greater in one is smaller in the other.
        """
        del channel
        digits = str(current).partition(".")[0] if current is not None else ""
        width = len(digits) if 0 < len(digits) < VERSION_DIGITS else VERSION_DIGITS
        return f"{int(digits or 0) + 1:0{width}d}.{secrets.token_hex(2)}"

    def _held_before(self, thread: str, checkpoint_id: str | None) -> list[Statement]:
        """What is held of the checkpoint that this one follows; what a dead run held is lost with it."""
        return self._held.pop((thread, checkpoint_id), [])

    def _hold(self, thread: str, checkpoint_id: str, statements: list[Statement]) -> None:
        self._held[thread, checkpoint_id] = statements
        while len(self._held) > HELD:
            self._held.popitem(last=False)

    async def _write(self, statements: list[Statement]) -> None:
        """All of it in one round trip and one commit."""
        async with self.pool.connection() as connection, connection.pipeline():
            for statement, values in statements:
                await connection.execute(cast("Any", statement), values, binary=True)


def _is_plain(value: object) -> bool:
    """Whether a value stands in the checkpoint's own row."""
    return value is None or isinstance(value, str | int | float | bool)
