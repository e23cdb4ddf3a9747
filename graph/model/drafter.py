"""The drafter that is a model: it says what code has decided. Kind, amount and payee are not its to choose."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from graph.drafter import Draft, Worded
from graph.model.asking import Asking, ModelResult, call_context
from graph.model.endpoint import ModelQuestion
from graph.model.messages import (
    as_data,
    facts_shown,
    fenced,
    last_answer,
    quotes_shown,
    sections,
    since,
    written_data,
)
from graph.model.moderation import Moderator
from graph.model.partial import reply_so_far
from graph.planner import PlanContext
from policies.draft_checks import DraftFacts, Quoted, wrong_with
from policies.spending import Sum
from refunds.finding import Finding
from refunds.masking import mask

MOST_TOKENS = 2_500
"""Of an answer, what a model thinks before it included."""

OnWords = Callable[[str], Awaitable[None]]


class Cited(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    citation_id: str
    clause: str
    quote: str


class Reply(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reply: str
    citations: list[Cited]


@dataclass(frozen=True)
class ModelDrafter:
    """Asks a model for the words of a draft, checks every one, and asks once more where something is wrong."""

    asking: Asking
    moderator: Moderator

    async def word(self, draft: Draft, asked_by: str, plan_context: PlanContext, watch: OnWords) -> Worded:
        """The draft in a model's words. What it cannot say rightly is handed over, never sent."""
        if plan_context.order is None:
            return Worded(None)
        facts = _facts(draft, plan_context)
        spent, findings, wrong = Sum(), list[Finding](), ""
        started = time.monotonic()
        checked = False
        for _ in range(2):
            asked = await self._ask(draft, asked_by, plan_context, spent, since(started), wrong, watch)
            spent += asked.spent
            findings += asked.findings
            if asked.reason is not None:
                return Worded(None, spent.tokens, spent.cost_micros, tuple(findings), asked.reason)
            if asked.value is None:
                if not asked.words:
                    break
                findings.append(Finding("invalid_answer", f"draft: {asked.outcome}"))
                wrong = asked.words
                continue
            checked = True
            reply = asked.value
            quoted = [Quoted(one.citation_id, one.clause, one.quote) for one in reply.citations]
            wrong = wrong_with(reply.reply, quoted, facts) or ""
            if not wrong:
                moderated = await self.moderator.wrong_with(mask(reply.reply, plan_context.known))
                if moderated is None:
                    return Worded(reply.reply.strip(), spent.tokens, spent.cost_micros, tuple(findings))
                findings.append(Finding("moderated", moderated))
                wrong = f"the reply is not fit to be sent: {moderated}"
            findings.append(Finding("failed_check", mask(wrong, plan_context.known)))
        if checked:
            return Worded(None, spent.tokens, spent.cost_micros, tuple(findings), "draft_failed_checks")
        findings.append(Finding("without_model", "drafted by rule"))
        return Worded(None, spent.tokens, spent.cost_micros, tuple(findings))

    async def _ask(
        self,
        draft: Draft,
        asked_by: str,
        plan_context: PlanContext,
        spent: Sum,
        took_ms: int,
        wrong: str,
        watch: OnWords,
    ) -> ModelResult[Reply]:
        context = call_context(plan_context, "draft", spent, took_ms)
        question = ModelQuestion(
            self.asking.prompt.text, _work(draft, asked_by, plan_context, wrong), Reply, MOST_TOKENS
        )

        async def words(text: str) -> None:
            await watch(mask(reply_so_far(text), plan_context.known))

        return await self.asking.ask(context, question, Reply, words)


def decision_shown(draft: Draft) -> dict[str, object]:
    """What is decided, as the reply is to say it."""
    return {
        "kind": draft.kind,
        "amount": str(draft.amount) if draft.kind == "refund" else None,
        "goes_back_to": "the original payment method" if draft.kind == "refund" else None,
        "rule": draft.rule or None,
        "in_plain_words": draft.text,
    }


def _facts(draft: Draft, plan_context: PlanContext) -> DraftFacts:
    assert plan_context.order is not None  # noqa: S101  (the caller has looked)
    shown = facts_shown(plan_context.order)
    return DraftFacts(
        texts=(as_data(shown), draft.text, str(draft.amount) if draft.kind == "refund" else ""),
        citations=draft.citations,
        order_id=str(plan_context.order.order_id),
        amount=str(draft.amount) if draft.kind == "refund" else "",
        known=plan_context.known,
        language=plan_context.language,
    )


def _work(draft: Draft, asked_by: str, plan_context: PlanContext, wrong: str) -> str:
    assert plan_context.order is not None  # noqa: S101  (the caller has looked)
    case_id = plan_context.case.case_id
    return sections(
        language=plan_context.language,
        decision=fenced(case_id, "decision", mask(as_data(decision_shown(draft)), plan_context.known)),
        customer=written_data(case_id, "customer", asked_by, plan_context.known),
        quotes=fenced(case_id, "policy", as_data(quotes_shown(draft.citations))),
        order=fenced(case_id, "order", mask(as_data(facts_shown(plan_context.order)), plan_context.known)),
        last_answer=last_answer(case_id, wrong, plan_context.known),
    )
