"""Drive: the one seam that moves a case. Start it, resume it, continue it after a crash, or do nothing."""

import logging
from dataclasses import dataclass
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import Command

from graph.cursor import CursorSaver, goes_on, pauses
from graph.eye import inert
from graph.refund_graph import RefundGraph
from graph.releases import Releases
from graph.services import GraphServices
from graph.shadow import Shadow
from graph.snapshot import CaseSnapshot, case_of_id, driving, read_snapshot
from graph.tracing import trace_id_of
from records.books import Books
from records.cases import Case, idle_cases
from refunds.ids import CaseId, TenantId
from runtime.logs import about

log = logging.getLogger("countersign.graph")

Durability = Literal["sync", "exit"]
Driven = Literal["started", "resumed", "continued", "nothing", "elsewhere"]

THREAD_LOCK = 11


@dataclass(frozen=True)
class Driver:
    """The graph with its durability."""

    services: GraphServices
    graph: RefundGraph
    durability: Durability = "exit"

    @property
    def shadow(self) -> Shadow:
        """What a candidate would do with the same cases."""
        return Shadow(self.books, Releases.of(self.services))

    @property
    def books(self) -> Books:
        return self.services.books

    async def drive(self, tenant: TenantId, case_id: CaseId) -> Driven:
        """Move a case as far as it goes now. A second caller for the same case leaves at once."""
        case = await case_of_id(self.books, tenant, case_id)
        if case is None:
            return "nothing"
        async with self.books.alone(THREAD_LOCK, str(case.thread_id)) as mine:
            return await self._move(case) if mine else "elsewhere"

    async def _move(self, case: Case) -> Driven:
        config: RunnableConfig = {"configurable": {"thread_id": str(case.thread_id)}}
        saver = self.graph.checkpointer
        if not isinstance(saver, CursorSaver):
            raise TypeError("a graph that is driven has a cursor")
        async with saver.read_ahead(config) as found:
            return await self._go(case, config, found)

    async def _go(self, case: Case, config: RunnableConfig, found: CheckpointTuple | None) -> Driven:
        now = await read_snapshot(self.books, case)
        waits = pauses(found) if found else []
        if waits:
            # A thread that waits for what a person ended otherwise is brought to its end.
            if not now.due and not now.state.ended:
                return "nothing"
            await self._run(Command(resume={waits[0].id: "wake-up"}), config, now)
            return "resumed"
        if found and goes_on(found):
            await self._run(None, config, now)
            return "continued"
        shown = found.checkpoint["channel_values"].get("status") if found else None
        stale = now.state.ended and shown != now.state.status
        if not (now.due or stale) and (found or now.state.ended):
            return "nothing"
        await self._run({"ticket": inert(case.ticket.to_json())}, config, now)
        return "started"

    async def _run(
        self, given: Command[Any] | dict[str, Any] | None, config: RunnableConfig, now: CaseSnapshot
    ) -> None:
        first = now.current is None and now.state.status == "received"
        told = about(case=str(now.case.case_id), trace=trace_id_of(now.case.case_id))
        with driving(now), told, self.services.spans.case(now.case, "drive", first=first):
            await self.graph.ainvoke(cast("Any", given), config, durability=self.durability)

    async def sweep(self) -> int:
        """Drive every case that stands still; how many moved. The sweep is the retry."""
        moved = 0
        for tenant in await self.books.tenants():
            async with self.books.transaction(tenant) as tx:
                still = [case_id async for case_id in idle_cases(tx)]
            for case_id in still:
                try:
                    driven = await self.drive(tenant, case_id)
                except Exception:
                    log.exception("case %s did not move; the next sweep tries again", case_id)
                    continue
                moved += driven in {"started", "resumed", "continued"}
        return moved
