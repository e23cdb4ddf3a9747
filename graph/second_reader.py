"""The second reader of a run: it reads after admission, within the run's budget, beside the trained one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from graph.planner import PlanContext
from policies.spending import Sum
from refunds.finding import Finding
from refunds.order import CustomerOrder
from refunds.reading import TicketReading


@dataclass(frozen=True, slots=True)
class SecondRead:
    """A second reading with what it cost and what was noticed on the way; none where nobody could read."""

    reading: TicketReading | None
    spent: Sum
    took_ms: int
    findings: tuple[Finding, ...] = ()


class SecondReader(Protocol):
    """Reads the texts of a case."""

    async def read(
        self, texts: Sequence[str], orders: Sequence[CustomerOrder], plan_context: PlanContext
    ) -> SecondRead: ...
