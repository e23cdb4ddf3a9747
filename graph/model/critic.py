"""The critic: a model that reads a finished draft beside the decision and the asks, and says whether it fits them.

It is asked with another prompt, and where the manifest names one as another model. Its no costs the drafter one more
attempt; it has no other say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from graph.model.asking import Asking, ModelResult, call_context
from graph.model.endpoint import ModelQuestion
from graph.model.messages import as_data, fenced, last_answer, sections, written_data
from graph.planner import PlanContext
from policies.spending import Sum
from refunds.finding import Finding
from refunds.masking import mask

MOST_TOKENS = 1_000
"""Of an answer, what a model thinks before it included."""

WORDS_SHOWN = 280
"""Characters of what it finds wrong."""


class Critique(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    says_the_decision: bool
    answers_every_ask: bool
    what_is_wrong: str | None


@dataclass(frozen=True, slots=True)
class Criticised:
    """What a critic says of a draft; `wrong` is None where it finds nothing, or where nobody could be asked."""

    wrong: str | None
    spent: Sum
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class ModelCritic:
    """Asks a model whether a draft says what is decided; once more where its answer cannot be read."""

    asking: Asking

    async def criticised(
        self,
        letter: str,
        decided: str,
        asked_by: str,
        asks: Sequence[str],
        plan_context: PlanContext,
        spent: Sum,
        took_ms: int,
    ) -> Criticised:
        cost, findings, last = Sum(), list[Finding](), ""
        for _ in range(2):
            asked = await self._ask(
                letter, decided, asked_by, asks, plan_context, spent + cost, took_ms, last
            )
            cost += asked.spent
            findings += asked.findings
            if asked.value is not None:
                return Criticised(wrong_by(asked.value), cost, tuple(findings))
            if asked.reason is not None or not asked.words:
                break
            findings.append(Finding("invalid_answer", f"critique: {asked.outcome}"))
            last = asked.words
        findings.append(Finding("without_model", "the draft was read by no critic"))
        return Criticised(None, cost, tuple(findings))

    async def _ask(
        self,
        letter: str,
        decided: str,
        asked_by: str,
        asks: Sequence[str],
        plan_context: PlanContext,
        spent: Sum,
        took_ms: int,
        last: str,
    ) -> ModelResult[Critique]:
        context, case_id = call_context(plan_context, "critique", spent, took_ms), plan_context.case.case_id
        known = plan_context.known
        work = sections(
            asks=as_data(list(asks)),
            customer=written_data(case_id, "customer", asked_by, known),
            decision=fenced(case_id, "decision", mask(decided, known)),
            letter=fenced(case_id, "letter", mask(letter, known)),
            last_answer=last_answer(case_id, last, known),
        )
        question = ModelQuestion(self.asking.prompt.text, work, Critique, MOST_TOKENS)
        return await self.asking.ask(context, question, Critique)


def wrong_by(critique: Critique) -> str | None:
    """What a critique finds wrong, in its own words where it has some."""
    if critique.says_the_decision and critique.answers_every_ask:
        return None
    missed = "it does not say what is decided" if not critique.says_the_decision else "an ask is not answered"
    return (critique.what_is_wrong or missed).strip()[:WORDS_SHOWN] or missed
