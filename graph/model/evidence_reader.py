"""The evidence reader, a model: which of the nearest clauses answers a question, by the words of the clause that do.

Code looks for those words in the clause, and a second reading in another order has to name the same one. So a
place in a list, or a clause that is only near, answers nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from graph.evidence_reader import EvidenceRead
from graph.model.asking import Asking, ModelResult, call_context
from graph.model.endpoint import ModelQuestion
from graph.model.messages import as_data, fenced, last_answer, sections, shortened, since, written_data
from graph.planner import PlanContext
from policies.spending import Sum
from refunds.evidence import Citation, Offer
from refunds.finding import Finding
from refunds.masking import mask

MOST_TOKENS = 1_000
"""Of an answer, what a model thinks before it included."""

READINGS = 2
CLAUSE_SHOWN = 1_500
LEAST_WORDS = 3
"""Fewer stand in many clauses and prove nothing."""


class ClauseRead(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    clause: int | None
    words: str | None


@dataclass(frozen=True)
class ModelEvidenceReader:
    """Asks a model twice, in two orders of the clauses; what both name and its words prove is the answer."""

    asking: Asking

    async def read(self, question: str, offers: Sequence[Offer], plan_context: PlanContext) -> EvidenceRead:
        """The clause that answers, with what reading cost."""
        started, spent, findings = time.monotonic(), Sum(), list[Finding]()
        named: list[Citation | None] = []
        shown = [offer.citation for offer in offers]
        for order in (shown, _turned(shown)):
            found, cost, noticed = await self._read(question, order, plan_context, spent, since(started))
            spent += cost
            findings += noticed
            named.append(found)
            if found is None:
                break  # one that finds none is not outvoted, and a second call would be paid for nothing
        agreed = len(named) == READINGS and named[0] == named[1]
        if named[0] is not None and not agreed:
            findings.append(Finding("contradiction", "two readings of the policy name different clauses"))
        return EvidenceRead(named[0] if agreed else None, spent, since(started), tuple(findings))

    async def _read(
        self,
        question: str,
        order: Sequence[Citation],
        plan_context: PlanContext,
        spent: Sum,
        took_ms: int,
    ) -> tuple[Citation | None, Sum, list[Finding]]:
        """The clause that one reading names and proves; asked once more where the answer cannot be used."""
        cost, findings, wrong = Sum(), list[Finding](), ""
        for _ in range(2):
            asked = await self._ask(question, order, plan_context, spent + cost, took_ms, wrong)
            cost += asked.spent
            findings += asked.findings
            if asked.value is None:
                if asked.reason is not None or not asked.words:
                    break
                findings.append(Finding("invalid_answer", f"cite: {asked.outcome}"))
                wrong = asked.words
                continue
            if asked.value.clause is None:
                return None, cost, findings
            found, wrong = proved(asked.value, order)
            if found is not None:
                return found, cost, findings
            findings.append(Finding("unproved_words", f"cite: {mask(wrong, plan_context.known)}"[:200]))
        return None, cost, findings

    async def _ask(
        self,
        question: str,
        order: Sequence[Citation],
        plan_context: PlanContext,
        spent: Sum,
        took_ms: int,
        wrong: str,
    ) -> ModelResult[ClauseRead]:
        context, case_id = call_context(plan_context, "cite", spent, took_ms), plan_context.case.case_id
        clauses = [
            {"clause": number, "text": shortened(one.quote, CLAUSE_SHOWN)}
            for number, one in enumerate(order, start=1)
        ]
        work = sections(
            customer=written_data(case_id, "customer", question, plan_context.known),
            clauses=fenced(case_id, "policy", as_data(clauses)),
            last_answer=last_answer(case_id, wrong, plan_context.known),
        )
        return await self.asking.ask(
            context, ModelQuestion(self.asking.prompt.text, work, ClauseRead, MOST_TOKENS), ClauseRead
        )


def proved(answer: ClauseRead, order: Sequence[Citation]) -> tuple[Citation | None, str]:
    """The clause that an answer names, where its words stand in it; else what is wrong, as a model can follow it."""
    if answer.clause is None or not 1 <= answer.clause <= len(order):
        return None, f"there is no clause {answer.clause}"
    named, words = order[answer.clause - 1], _flat(answer.words or "")
    if len(words.split()) < min(LEAST_WORDS, len(named.quote.split())):
        return None, f"words: copy at least {LEAST_WORDS} words of clause {answer.clause} that answer"
    if words not in _flat(named.quote):
        return None, f"“{(answer.words or '')[:60]}” does not stand in clause {answer.clause}"
    return named, ""


def _turned(shown: Sequence[Citation]) -> list[Citation]:
    """The clauses in another order, none where it stood; the same for the same, so that a crash asks it again."""
    half = (len(shown) + 1) // 2
    return [*shown[half:], *shown[:half]]


def _flat(text: str) -> str:
    return " ".join(text.replace("’", "'").split()).lower().strip(" .,;\"“”'")
