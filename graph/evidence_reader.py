"""The evidence reader of a run: who reads the clauses nearest to a question, and says which one answers it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from graph.planner import PlanContext
from policies.spending import Sum
from refunds.evidence import Citation, Offer
from refunds.finding import Finding


@dataclass(frozen=True, slots=True)
class EvidenceRead:
    """The clause that answers, by its reader; None where none does, two readings differ, or nobody could read."""

    answer: Citation | None
    spent: Sum
    took_ms: int
    findings: tuple[Finding, ...] = ()


class EvidenceReader(Protocol):
    """Reads clauses for an answer."""

    async def read(
        self, question: str, offers: Sequence[Offer], plan_context: PlanContext
    ) -> EvidenceRead: ...
