"""The summarizer of a run: what the older part of a long conversation says, for models that work on its newest part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from graph.planner import PlanContext
from policies.spending import Sum
from refunds.finding import Finding


@dataclass(frozen=True, slots=True)
class Summarized:
    """A summary with what it cost; none where nobody could write one."""

    text: str | None
    spent: Sum
    findings: tuple[Finding, ...] = ()


class Summarizer(Protocol):
    """Says in a few sentences what messages say."""

    @property
    def model(self) -> str: ...

    async def summarized(self, texts: Sequence[str], plan_context: PlanContext) -> Summarized: ...
