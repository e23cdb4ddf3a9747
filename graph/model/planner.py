"""The planner that is a model: it reads what was found and requests one step, which is checked like any other."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from graph.model.asking import Asking, ModelResult, call_context
from graph.model.endpoint import ModelQuestion
from graph.model.messages import (
    as_data,
    facts_shown,
    fenced,
    last_answer,
    quotes_shown,
    remembered,
    sections,
    since,
    written_data,
)
from graph.planner import DeterministicPlanner, PlanContext, PlannerView, PlanResult
from policies.actions import ARGUMENTS
from policies.spending import Sum
from refunds.finding import Finding
from refunds.masking import mask

MOST_TOKENS = 1_000
"""Of an answer, what a model thinks before it included."""

FORBIDDEN = "issue_refund"
"""The action that exists only to be blocked: who asks for it is not asked again."""

NEXT_STEP: Mapping[str, str] = {
    "abstain": "no approved clause answers: ask a person with no_approved_evidence, or ask once more in other words",
    "missing": "this order is not the case's: ask a person with missing_order",
    "tool_unavailable": "the tool cannot be used now: ask a person with tool_unavailable",
    "loop_detected": "this was asked before and its result stands above: go on, or ask a person",
    "cited_draft": "the reply is written: ask a person with draft_ready_for_review",
}
"""What a result means for what may come next."""


class Plan(BaseModel):
    """The form of an answer. The action is any text, so that what does not exist is seen and blocked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    action: str
    question: str | None
    order_id: str | None
    reason: str | None
    also_order_id: str | None


@dataclass(frozen=True)
class ModelPlanner:
    """Asks a model, once more where its answer cannot be read, and then goes the deterministic way."""

    asking: Asking
    otherwise: DeterministicPlanner = field(default_factory=DeterministicPlanner)

    async def next_action(self, view: PlannerView) -> object:
        """Without a plan context there is nobody to ask for."""
        return await self.otherwise.next_action(view)

    async def plan(self, view: PlannerView, plan_context: PlanContext) -> PlanResult:
        spent, findings, wrong = Sum(), list[Finding](), ""
        started, replanned = time.monotonic(), False
        for _ in range(2):
            asked = await self._ask(view, plan_context, spent, since(started), wrong)
            spent += asked.spent
            findings += asked.findings
            if asked.reason is not None:
                return PlanResult(None, spent.tokens, spent.cost_micros, tuple(findings), asked.reason)
            if asked.value is None:
                if not asked.words:
                    break  # nobody answered: the same question again would find nobody either
                findings.append(Finding("invalid_answer", f"plan: {asked.outcome}"))
                wrong = asked.words
                continue
            requested, wrong = requested_of(asked.value)
            if not wrong and not replanned and is_invented(asked.value):
                # What no program has is a word that went wrong, and is asked for anew once; what is forbidden is not.
                findings += noticed(asked.value, plan_context)
                wrong, replanned = f"there is no such action; there are {', '.join(ARGUMENTS)}", True
                continue
            if not wrong:
                findings += noticed(asked.value, plan_context)
                return PlanResult(requested, spent.tokens, spent.cost_micros, tuple(findings))
            findings.append(Finding("invalid_answer", f"plan: {wrong}"))
        findings.append(Finding("without_model", "planned by rule"))
        return PlanResult(
            await self.otherwise.next_action(view), spent.tokens, spent.cost_micros, tuple(findings)
        )

    async def _ask(
        self, view: PlannerView, plan_context: PlanContext, spent: Sum, took_ms: int, wrong: str
    ) -> ModelResult[Plan]:
        context = call_context(plan_context, "plan", spent, took_ms)
        question = ModelQuestion(self.asking.prompt.text, _work(view, plan_context, wrong), Plan, MOST_TOKENS)
        return await self.asking.ask(context, question, Plan)


def _work(view: PlannerView, plan_context: PlanContext, wrong: str) -> str:
    """The case as data: what code knows in the clear, what others wrote in fences."""
    case_id = plan_context.case.case_id
    results = [
        {"step": number, "action": action, "result": result, "next": NEXT_STEP.get(result, "")}
        for number, (action, result) in enumerate(
            zip(plan_context.actions, view.results, strict=False), start=1
        )
    ]
    found = quotes_shown(plan_context.evidence.citations) if plan_context.evidence else []
    return sections(
        case=as_data({"intent": view.intent, "order_id": view.order_id}),
        results=as_data(results),
        customer=written_data(
            case_id, "customer", plan_context.conversation or view.question, plan_context.known
        ),
        memory=remembered(case_id, plan_context),
        evidence=fenced(case_id, "policy", as_data(found)) if found else "",
        order=fenced(case_id, "order", mask(as_data(facts_shown(plan_context.order)), plan_context.known))
        if plan_context.order
        else "",
        last_answer=last_answer(case_id, wrong, plan_context.known),
    )


def is_invented(plan: Plan) -> bool:
    """Whether an answer names an action that nobody has."""
    return plan.action not in ARGUMENTS and plan.action != FORBIDDEN


def requested_of(plan: Plan) -> tuple[object, str]:
    """The requested action in an answer, and what is wrong with it; one that does not exist is like any other."""
    given = {
        name: value
        for name, value in (("question", plan.question), ("order_id", plan.order_id), ("reason", plan.reason))
        if value is not None
    }
    wanted = ARGUMENTS.get(plan.action)  # type: ignore[call-overload]
    if wanted is None:
        return {"action": plan.action, "arguments": given}, ""
    if set(given) != set(wanted):
        return None, f"{plan.action} takes {', '.join(wanted) or 'nothing'} and all else is null"
    requested = {"action": plan.action, "arguments": given}
    if plan.also_order_id is None:
        return requested, ""
    if plan.action != "get_policy_evidence":
        return None, "also_order_id goes with get_policy_evidence alone"
    return [requested, {"action": "lookup_order", "arguments": {"order_id": plan.also_order_id}}], ""


def noticed(plan: Plan, plan_context: PlanContext) -> list[Finding]:
    """What a reviewer is told of a requested action."""
    found: list[Finding] = []
    if plan.action not in ARGUMENTS:
        found.append(Finding("forbidden_request", mask(plan.action[:80], plan_context.known)))
    found += [
        Finding("unknown_id", f"order {mask(order_id[:60], plan_context.known)}")
        for order_id in (plan.order_id, plan.also_order_id)
        if order_id is not None and order_id != plan_context.case.order_id
    ]
    drafted = "cited_draft" in plan_context.actions or plan.reason == "draft_ready_for_review"
    if plan.reason == "no_approved_evidence" and plan_context.evidence is not None and not drafted:
        found.append(Finding("contradiction", "says no evidence; evidence was found"))
    if plan.reason == "missing_order" and plan_context.order is not None:
        found.append(Finding("contradiction", "says no order; the order was found"))
    return found
