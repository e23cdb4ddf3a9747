"""The server's thread rows: what stock interfaces search. They live in the memory of one process and are a copy of
what the books and the checkpoints say; a restart makes them anew.
"""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph_api.state import state_snapshot_to_thread_state
from langgraph_runtime.database import GLOBAL_STORE, connect
from langgraph_runtime.ops import Threads
from langgraph_runtime_inmem.inmem_stream import get_stream_manager

from graph.drive import Driver
from graph.server.bodies import ASSISTANT_ID, GRAPH_ID
from graph.snapshot import CaseSnapshot, case_of_id, read_snapshot
from records.cases import books_now
from refunds.ids import CaseId, PersonId, TenantId, ThreadId

ROWS_KEPT = 500
"""Rows at most; those that wait for nobody leave first. One that is gone comes back when it is asked for by its id."""

RUNS_KEPT = 200
RESTORED = 200

QUIET_SECONDS = 10.0
FOLLOW_SECONDS = 1.0
OVERLAP = timedelta(seconds=2)
"""Longer than an event takes from its time to its commit."""

FOLLOW_BACK = timedelta(minutes=1)
"""From before the start on, because a case may move while the newest rows are brought back."""

UNDER_WAY = frozenset({"pending", "running"})

EXPECTED: dict[UUID, float] = {}
"""Threads whose answer is at the desk, and until when its run is waited for: the runner does not overtake it."""

EXPECTED_SECONDS = 12.0
"""Longer than the desk may take."""


@dataclass
class RowCursor:
    """How far the rows have followed what others drive."""

    due: float = 0.0
    since: dict[TenantId, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class ThreadRows:
    """The rows of the server in this process."""

    driver: Driver
    followed: RowCursor = field(default_factory=RowCursor)

    async def restore(self) -> int:
        """Bring back the newest cases that wait for a person; how many. The others come when they are enqueued."""
        waiting: list[tuple[datetime, TenantId, CaseId]] = []
        for tenant in await self.driver.books.tenants():
            async with self.driver.books.transaction(tenant) as tx:
                rows = await tx.rows("newest_waiting", most=RESTORED)
            waiting += [(row["received_at"], tenant, CaseId(row["case_id"])) for row in rows]
        newest = sorted(waiting)[-RESTORED:]
        for _, tenant, case_id in newest:
            await self.refresh(tenant, case_id)
        return len(newest)

    async def follow(self) -> None:
        """Where others drive: refresh the rows of what moved since the last time, at most once a second."""
        now = asyncio.get_running_loop().time()
        if now < self.followed.due:
            return
        self.followed.due = now + FOLLOW_SECONDS
        for tenant in await self.driver.books.tenants():
            async with self.driver.books.transaction(tenant) as tx:
                since = self.followed.since.get(tenant) or await books_now(tx) - FOLLOW_BACK
                moved = await tx.rows("moved_cases", since=since, most=ROWS_KEPT)
            for row in moved:
                await self.refresh(tenant, CaseId(row["case_id"]))
                self.followed.since[tenant] = row["at"] - OVERLAP

    async def bring_back(self, tenant: TenantId, case_id: CaseId, thread_id: ThreadId) -> None:
        """Make a row for a bound thread that has none here, or one that is not known to be its case's."""
        row = self.row(thread_id)
        if row is None or (row["metadata"].get("tenant"), row["metadata"].get("case_id")) != (
            tenant,
            str(case_id),
        ):
            await self.refresh(tenant, case_id)

    def row(self, thread_id: ThreadId) -> dict[str, Any] | None:
        """The row of a thread, if it has one here."""
        return _row(GLOBAL_STORE, thread_id)

    def has_run(self, thread_id: ThreadId) -> bool:
        """Whether the server ran or runs anything on a thread."""
        return any(run["thread_id"] == thread_id for run in GLOBAL_STORE["runs"])

    def trim(self) -> None:
        """Let what nobody waits for leave."""
        _trim(GLOBAL_STORE)

    async def refresh(self, tenant: TenantId, case_id: CaseId) -> bool:
        """Make the row of a case say what is so."""
        case = await case_of_id(self.driver.books, tenant, case_id)
        if case is None:
            return False
        snapshot = await read_snapshot(self.driver.books, case)
        config: RunnableConfig = {"configurable": {"thread_id": str(case.thread_id)}}
        thread = await self.driver.graph.aget_state(config)
        async with connect() as connection:
            row = _row(connection.store, case.thread_id)
            if row is None:
                row = _new_row(case.thread_id, case.received_at)
                connection.store["threads"].append(row)
            row["created_at"] = case.received_at
            row["metadata"] = {**row["metadata"], **_about(snapshot)}
            if thread.values:
                await Threads.set_status(connection, case.thread_id, _payload(thread), None)
                _hide_settlement(row)
                if thread.created_at:
                    row["updated_at"] = row["state_updated_at"] = datetime.fromisoformat(thread.created_at)
            _trim(connection.store)
        return True

    def make(self, thread_id: ThreadId, tenant: TenantId, person: PersonId) -> None:
        """The row of a thread that a first run brings with it."""
        row = _new_row(thread_id, datetime.now(UTC))
        row["metadata"] = made_by(tenant, person)
        GLOBAL_STORE["threads"].append(row)

    async def quiet(self, thread_id: ThreadId) -> None:
        """Wait, for a bounded time, until the server itself runs nothing on a thread."""
        deadline = asyncio.get_running_loop().time() + QUIET_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            async with connect() as connection:
                expected = EXPECTED.get(thread_id, 0.0) > time.monotonic()
                if not expected and not any(
                    run["thread_id"] == thread_id and run["status"] in UNDER_WAY
                    for run in connection.store["runs"]
                ):
                    return
            await asyncio.sleep(0.05)


def made_by(tenant: TenantId, person: PersonId) -> dict[str, str]:
    """What is known of a thread before it has a case."""
    return {"tenant": tenant, "graph_id": GRAPH_ID, "created_by": person}


def expect_run(thread_id: ThreadId) -> None:
    """An answer is on its way to the desk: its own run comes next, and whoever gave it watches that one."""
    now = time.monotonic()
    for gone in [thread for thread, until in EXPECTED.items() if until < now]:
        del EXPECTED[gone]
    EXPECTED[thread_id] = now + EXPECTED_SECONDS


def expect_no_run(thread_id: UUID) -> None:
    """It is there, or it does not come."""
    EXPECTED.pop(thread_id, None)


def keep_rows_true() -> None:
    """Whatever run of the server ends from now on: its thread's row is as people may see it."""
    end = Threads.set_joint_status

    async def told_end(connection: Any, thread_id: Any, *args: Any, **said: Any) -> Any:  # noqa: ANN401
        ended = await end(connection, thread_id, *args, **said)
        row = _row(connection.store, UUID(str(thread_id)))
        if row is not None:
            _hide_settlement(row)
        return ended

    Threads.set_joint_status = staticmethod(told_end)


def _hide_settlement(row: dict[str, Any]) -> None:
    """A thread that waits for the provider is nobody's work, and is not listed as that."""
    pauses = [pause["value"] for some in (row.get("interrupts") or {}).values() for pause in some]
    if any(isinstance(value, dict) and value.get("waiting_for") == "settlement" for value in pauses):
        row["interrupts"] = {}
        if row["status"] == "interrupted":
            row["status"] = "idle"


def _about(snapshot: CaseSnapshot) -> dict[str, Any]:
    """What stock interfaces can filter by."""
    proposal = snapshot.current.proposal if snapshot.current else None
    return {
        "graph_id": GRAPH_ID,
        "assistant_id": ASSISTANT_ID,
        "tenant": snapshot.case.tenant,
        "case_id": str(snapshot.case.case_id),
        "ticket_id": snapshot.case.ticket_id,
        "status": snapshot.state.status,
        "reason": snapshot.state.reason,
        "kind": proposal.kind if proposal else None,
        "amount_minor": proposal.amount.amount_minor if proposal else None,
        "currency": proposal.amount.currency if proposal else None,
        "expires_at": snapshot.current.expires_at.isoformat() if snapshot.current else None,
    }


def _payload(snapshot: Any) -> Any:  # noqa: ANN401  (LangGraph's own shapes)
    return state_snapshot_to_thread_state(snapshot)


def _row(store: Any, thread_id: UUID) -> dict[str, Any] | None:  # noqa: ANN401
    found: dict[str, Any] | None = next(
        (row for row in store["threads"] if row["thread_id"] == thread_id), None
    )
    return found


def _new_row(thread_id: UUID, created_at: datetime) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "thread_id": thread_id,
        "created_at": created_at,
        "updated_at": now,
        "state_updated_at": now,
        "metadata": {},
        "status": "idle",
        "config": {},
        "values": None,
        "interrupts": {},
    }


def _trim(store: Any) -> None:  # noqa: ANN401
    """Memory stays flat: rows that wait for nobody, and runs that have ended, leave."""
    surplus = len(store["threads"]) - ROWS_KEPT
    if surplus > 0:
        idle = [row for row in store["threads"] if row["status"] == "idle"][:surplus]
        gone = {row["thread_id"] for row in idle} or {
            row["thread_id"] for row in store["threads"][:surplus] if row["status"] != "busy"
        }
        store["threads"][:] = [row for row in store["threads"] if row["thread_id"] not in gone]
    ended = [run for run in store["runs"] if run["status"] not in UNDER_WAY]
    if len(ended) > RUNS_KEPT:
        old = {run["run_id"] for run in ended[: len(ended) - RUNS_KEPT]}
        store["runs"][:] = [run for run in store["runs"] if run["run_id"] not in old]
        _forget_events(old)


def _forget_events(runs: set[UUID]) -> None:
    """What was streamed of runs that have left: the server keeps it for whoever comes late, and for ever."""
    streams = get_stream_manager()
    for kept in (streams.message_stores, streams.control_keys):
        for thread in list(kept):
            for run in runs & kept[thread].keys():
                del kept[thread][run]
            if not kept[thread]:
                del kept[thread]
