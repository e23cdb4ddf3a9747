"""Drive: the one seam that moves a case. Start it, resume it, continue it after a crash, or do nothing."""

import logging
from dataclasses import dataclass
from typing import Literal

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from graph.mind import Mind
from graph.refund_graph import RefundGraph
from graph.sight import sight_of
from records.books import Books
from records.cases import Case, case_by_id, standing_still
from refunds.ids import CaseId, TenantId

log = logging.getLogger("countersign.graph")

Durability = Literal["sync", "exit"]
Driven = Literal["started", "resumed", "continued", "nothing", "elsewhere"]

THREAD_LOCK = 11


@dataclass(frozen=True)
class Driver:
    """The graph with its durability."""

    mind: Mind
    graph: RefundGraph
    durability: Durability = "exit"

    @property
    def books(self) -> Books:
        return self.mind.books

    async def drive(self, tenant: TenantId, case_id: CaseId) -> Driven:
        """Move a case as far as it goes now. A second caller for the same case leaves at once."""
        async with self.books.transaction(tenant) as page:
            case = await case_by_id(page, case_id)
        if case is None:
            return "nothing"
        async with self.books.alone(THREAD_LOCK, str(case.thread_id)) as mine:
            return await self._move(case) if mine else "elsewhere"

    async def _move(self, case: Case) -> Driven:
        config: RunnableConfig = {"configurable": {"thread_id": str(case.thread_id)}}
        snapshot = await self.graph.aget_state(config)
        async with self.books.transaction(case.tenant) as page:
            now = await sight_of(page, case)
        started = bool(snapshot.values)
        if snapshot.interrupts:
            # A thread that waits for what a person ended otherwise is brought to its end.
            if not now.due and not now.state.ended:
                return "nothing"
            await self.graph.ainvoke(
                Command(resume={snapshot.interrupts[0].id: "rung"}), config, durability=self.durability
            )
            return "resumed"
        if started and snapshot.next:
            await self.graph.ainvoke(None, config, durability=self.durability)
            return "continued"
        stale = now.state.ended and snapshot.values.get("status") != now.state.status
        if not (now.due or stale) and (started or now.state.ended):
            return "nothing"
        await self.graph.ainvoke({"ticket": case.ticket.to_json()}, config, durability=self.durability)
        return "started"

    async def sweep(self) -> int:
        """Drive every case that stands still; how many moved. The sweep is the retry."""
        moved = 0
        for tenant in await self.books.tenants():
            async with self.books.transaction(tenant) as page:
                still = [case_id async for case_id in standing_still(page)]
            for case_id in still:
                try:
                    driven = await self.drive(tenant, case_id)
                except Exception:
                    log.exception("case %s did not move; the next sweep tries again", case_id)
                    continue
                moved += driven in {"started", "resumed", "continued"}
        return moved
