"""Where a process can die: around every statement, commit, checkpoint and call of the provider.

The seams are the product's own: queries have names, the saver and the processor are handed in.
"""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata

from cashier.processor import Answer, ProviderRefund, RefundRequest
from cashier.simulated_provider import SimulatedProvider
from graph.cursor import CursorSaver
from records.books import Books, Row, Transaction
from refunds.ids import CustomerId, PaymentId, TenantId


class Mortality:
    """Counts the points a process passes, and ends it at one of them, at once and without a word."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.order: list[str] = []
        self.fatal: str | None = None
        self.signal = signal.SIGKILL

    def reach(self, point: str) -> None:
        self.passed[point] += 1
        name = f"{point}#{self.passed[point]}"
        self.order.append(name)
        if name == self.fatal:
            os.kill(os.getpid(), self.signal)


MORTALITY = Mortality()
"""One a process: it dies as a whole."""


class MortalTransaction(Transaction):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.said: list[str] = []

    async def rows(self, query: str, /, **values: object) -> list[Row]:
        MORTALITY.reach(f"before:{query}")
        found = await super().rows(query, **values)
        self.said.append(query)
        MORTALITY.reach(f"after:{query}")
        return found

    def later(self, query: str, /, **values: object) -> None:
        MORTALITY.reach(f"before:{query}")
        super().later(query, **values)
        self.said.append(query)


class MortalBooks(Books):
    transaction_type = MortalTransaction

    async def read_once(
        self, tenant: TenantId | None, query: str, /, customer: CustomerId | None = None, **values: object
    ) -> list[Row]:
        MORTALITY.reach(f"before:{query}")
        found = await super().read_once(tenant, query, customer, **values)
        MORTALITY.reach(f"after:{query}")
        return found

    @asynccontextmanager
    async def transaction(
        self, tenant: TenantId | None = None, customer: CustomerId | None = None
    ) -> AsyncIterator[Transaction]:
        async with super().transaction(tenant, customer) as tx:
            yield tx
        if isinstance(tx, MortalTransaction):
            for query in tx.said:
                MORTALITY.reach(f"committed:{query}")


class MortalSaver(CursorSaver):
    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        MORTALITY.reach("before:checkpoint")
        result = await super().aput(config, checkpoint, metadata, new_versions)
        MORTALITY.reach("after:checkpoint")
        return result

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        MORTALITY.reach("before:checkpoint_writes")
        await super().aput_writes(config, writes, task_id, task_path)
        MORTALITY.reach("after:checkpoint_writes")


class MortalProvider(SimulatedProvider):
    async def refund(self, request: RefundRequest) -> Answer:
        MORTALITY.reach("before:provider_refund")
        answer = await super().refund(request)
        MORTALITY.reach("after:provider_refund")
        return answer

    async def refunds_of(self, tenant: TenantId, payment_id: PaymentId) -> Sequence[ProviderRefund] | None:
        MORTALITY.reach("before:provider_list")
        found = await super().refunds_of(tenant, payment_id)
        MORTALITY.reach("after:provider_list")
        return found
