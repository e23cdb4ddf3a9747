"""The evidence cache: a question that was read a moment ago, over the same clauses, is not paid for again.

Only readings of policy are kept, never a plan or a draft. What was read is part of the key, clause by clause with its
version, and so are the tenant, the release and the model: another edition of the policy is another question.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from graph.evidence_reader import EvidenceRead, EvidenceReader
from graph.planner import PlanContext
from policies.spending import Sum
from refunds.evidence import Citation, Offer

READINGS_KEPT = 2_000
"""Readings that a process remembers at most."""

Key = tuple[str, str, str, tuple[tuple[str, str, str], ...]]


@dataclass(frozen=True)
class CachedEvidenceReader:
    """Asks the reader behind it once for the same words over the same clauses."""

    reader: EvidenceReader
    kept: "OrderedDict[Key, Citation | None]" = field(default_factory=OrderedDict)

    async def read(self, question: str, offers: Sequence[Offer], plan_context: PlanContext) -> EvidenceRead:
        """The reading, for nothing where it is kept; one that failed is not kept."""
        clauses = tuple((one.citation.citation_id, one.citation.clause, one.citation.quote) for one in offers)
        release = plan_context.release or plan_context.case.release
        key = (plan_context.case.tenant, release, " ".join(question.split()).casefold(), clauses)
        if key in self.kept:
            self.kept.move_to_end(key)
            return EvidenceRead(self.kept[key], Sum(), 0)
        read = await self.reader.read(question, offers, plan_context)
        if read.answer is not None or not read.findings:
            self.kept[key] = read.answer
            while len(self.kept) > READINGS_KEPT:
                self.kept.popitem(last=False)
        return read
