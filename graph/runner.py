"""The runner: takes jobs from the queue and drives cases, in the server or in workers."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from graph.drive import Driver
from records.cases import case_by_id, idle_cases
from records.queue import DRIVE, enqueue_idle
from refunds.ids import CaseId, TenantId, ThreadId
from runtime.jobs import Routine, Worker

SWEEP_SECONDS = 10
SHADOW_SECONDS = 5
ENQUEUE_AT_ONCE = 500


class Rows(Protocol):
    """Whoever keeps copies of where threads stand."""

    async def quiet(self, thread_id: ThreadId) -> None:
        """Wait until nothing else runs on a thread."""

    async def refresh(self, tenant: TenantId, case_id: CaseId) -> bool:
        """Look again at a case."""


@dataclass(frozen=True)
class Runner:
    """The queue's consumer; where rows are kept, they are true again after each drive."""

    driver: Driver
    url: str
    concurrency: int
    rows: Rows | None = None

    def worker(self) -> Worker:
        """The process at work."""
        return Worker(
            books=self.driver.books,
            url=self.url,
            queue="graph",
            tasks={DRIVE: self.drive},
            routines={
                "sweep": Routine(SWEEP_SECONDS, self.sweep),
                "shadow": Routine(SHADOW_SECONDS, self.driver.shadow.sweep),
            },
            concurrency=self.concurrency,
        )

    async def drive(self, tenant: str, case_id: str) -> None:
        """Move a case as far as it goes now."""
        of, name = TenantId(tenant), CaseId(UUID(case_id))
        if self.rows is None:
            await self.driver.drive(of, name)
            return
        async with self.driver.books.transaction(of) as tx:
            case = await case_by_id(tx, name)
        if case is None:
            return
        await self.rows.quiet(case.thread_id)
        try:
            await self.driver.drive(of, name)
        finally:
            await self.rows.refresh(of, name)

    async def sweep(self) -> int:
        """Enqueue every idle case that no job is about; how many. The sweep is the retry."""
        enqueued = 0
        for tenant in await self.driver.books.tenants():
            async with self.driver.books.transaction(tenant) as tx:
                still = [case_id async for case_id in idle_cases(tx)]
            for first in range(0, len(still), ENQUEUE_AT_ONCE):
                async with self.driver.books.transaction(tenant) as tx:
                    enqueued += await enqueue_idle(tx, tenant, still[first : first + ENQUEUE_AT_ONCE])
        return enqueued
