"""The planner: which action to ask for next. What it answers is a request, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from policies.budget import Limits
from records.cases import Case
from refunds.evidence import Grounded
from refunds.finding import Finding
from refunds.ids import OrderId
from refunds.masking import NOBODY, KnownNames
from refunds.order import OrderFacts
from refunds.vocabulary import HandoffReason, Intent


@dataclass(frozen=True, slots=True)
class PlannerView:
    """What a planner is shown: the question, the order it names, and the results so far."""

    question: str
    intent: Intent
    order_id: OrderId | None
    results: Sequence[str]
    """The results of the trace, in order."""


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a model works on besides the view: the case and the run it is asked for, and what was found so far."""

    case: Case
    run: int
    step: int
    left: Limits
    """What the run may still spend."""

    known: KnownNames = NOBODY
    language: str = "en"
    actions: Sequence[str] = ()
    evidence: Grounded | None = None
    order: OrderFacts | None = None
    release: str = ""
    """The release that asks, where it is not the one that the case came in under."""

    asks: Sequence[str] = ()
    """What the customer asks, in the vocabulary of the reading."""

    conversation: str = ""
    """A long conversation, its older part summed up or left out; empty where the question is all of it."""

    memory: Mapping[str, object] = field(default_factory=dict)
    """What is remembered of the customer and may stand before a model; it informs and decides nothing."""


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A requested action with what it cost and what was noticed on the way."""

    requested: object
    tokens: int = 0
    cost_micros: int = 0
    findings: tuple[Finding, ...] = ()
    handoff: HandoffReason | None = None
    """A person is to take over before anything is asked for."""


class Planner(Protocol):
    """Answers with an action and its arguments; whatever else it answers is blocked."""

    async def next_action(self, view: PlannerView) -> object: ...


class ContextPlanner(Protocol):
    """A planner that costs something: it is asked with the context of the run."""

    async def plan(self, view: PlannerView, plan_context: PlanContext) -> PlanResult: ...


class DeterministicPlanner:
    """Read the policy, read the order, draft, ask a person: the reference, and the default."""

    async def next_action(self, view: PlannerView) -> object:
        match list(view.results):
            case []:
                return _request("get_policy_evidence", question=view.question)
            case [*_, "tool_unavailable"]:
                return _hand_over("tool_unavailable")
            case ["abstain"]:
                return _hand_over("no_approved_evidence")
            case ["grounded"] if view.order_id is None:
                return _hand_over("missing_order")
            case ["grounded"]:
                return _request("lookup_order", order_id=view.order_id)
            case ["grounded", "missing"]:
                return _hand_over("missing_order")
            case ["grounded", "found"]:
                return _request("draft_reply")
            case ["grounded", "found", "cited_draft"]:
                return _hand_over("draft_ready_for_review")
            case [*_, result]:
                return _hand_over(result)
            case _:
                return None


def _request(action: str, **arguments: object) -> dict[str, object]:
    return {"action": action, "arguments": arguments}


def _hand_over(reason: str) -> dict[str, object]:
    return _request("request_human_approval", reason=reason)
