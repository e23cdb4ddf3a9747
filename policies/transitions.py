"""The edges of the graph: a named validator for each. An edge that is not here does not exist."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from refunds.vocabulary import ProposalKind, SettlementOutcome, VoteWord


@dataclass(frozen=True, slots=True)
class Progress:
    """What the agent has in hand in this run."""

    admitted: bool = False
    """Admission says yes, with what may have changed since the case came in."""

    grounded: bool = False
    order_found: bool = False
    drafted: bool = False
    claims_draft: bool = False
    """The planner asks for a review of its draft."""


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What the books say of a case now."""

    has_case: bool = False
    bypassed: bool = False
    blocked: bool = False
    open_proposal: bool = False
    """There is a proposal and nothing supersedes it."""

    kind: ProposalKind | None = None
    word: VoteWord | None = None
    waiting: bool = False
    """A person asked for more, and the answer is not there."""

    ended: bool = False
    """The case has its end, whoever wrote it."""

    killed: bool = False
    """The kill switch is on: what was approved may wait without being ordered."""

    expired: bool = False
    """Undecided past its time."""

    withdrawn: bool = False
    """Undecided, and the release that proposed it was rolled back."""

    lapsed: bool = False
    """Approved, not ordered or refused unsent, and past the time to pay; or the goods came otherwise than agreed."""

    awaits_return: bool = False
    """Approved, and waits for the goods to come back."""

    ordered: bool = False
    outcome: SettlementOutcome | None = None


Edge = tuple[str, str]
Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Validator(Generic[Facts]):
    """What an edge requires, by name."""

    name: str
    holds: Callable[[Facts], bool]


class InvalidTransition(Exception):
    """An edge was asked for whose validator does not hold; `name` is the validator's."""

    def __init__(self, edge: Edge, name: str) -> None:
        super().__init__(f"{edge[0]} -> {edge[1]}: {name}")
        self.name = name


AGENT_EDGES: dict[Edge, tuple[Validator[Progress], ...]] = {
    ("plan", "evidence"): (Validator("evidence_requires_admission", lambda have: have.admitted),),
    ("plan", "order"): (Validator("order_requires_admission", lambda have: have.admitted),),
    ("plan", "draft"): (
        Validator("draft_requires_approved_evidence", lambda have: have.grounded),
        Validator("draft_requires_order", lambda have: have.order_found),
    ),
    ("plan", "propose"): (
        Validator("review_requires_draft", lambda have: have.drafted or not have.claims_draft),
    ),
}
"""Inside the autonomous part; the facts are those of this run. Whatever happens, a run may go to a person."""

HOUSE_EDGES: dict[Edge, Validator[CaseFacts]] = {
    ("admission", "case_agent"): Validator(
        "agent_requires_admission", lambda now: now.has_case and not now.bypassed
    ),
    ("admission", "close"): Validator("bypass_requires_reason", lambda now: now.bypassed),
    ("case_agent", "approval"): Validator("approval_requires_proposal", lambda now: now.open_proposal),
    ("case_agent", "close"): Validator("close_requires_block", lambda now: now.blocked or now.bypassed),
    ("approval", "approval"): Validator(
        "pause_requires_undecided",
        lambda now: (
            now.open_proposal
            and ((now.word is None and not now.expired and not now.withdrawn) or now.waiting)
        ),
    ),
    ("approval", "case_agent"): Validator(
        "rework_requires_revision_or_lapse",
        lambda now: (
            (now.word == "revise" and not now.waiting) or now.lapsed or now.withdrawn or not now.open_proposal
        ),
    ),
    ("approval", "refund"): Validator(
        "refund_requires_approval",
        lambda now: now.word == "approve" and now.kind == "refund" and not now.lapsed,
    ),
    ("approval", "close"): Validator(
        "close_requires_word_or_expiry",
        lambda now: (
            now.ended
            or now.bypassed
            or now.blocked
            or now.expired
            or now.word == "reject"
            or (now.word == "approve" and now.kind != "refund")
        ),
    ),
    ("refund", "settlement"): Validator(
        "settlement_requires_order_or_wait",
        lambda now: (
            now.word == "approve"
            and now.kind == "refund"
            and (now.ordered or now.killed or now.awaits_return)
        ),
    ),
    ("refund", "approval"): Validator("return_requires_no_order", lambda now: not now.ordered),
    ("refund", "close"): Validator(
        "failure_requires_approval",
        lambda now: now.ended or (now.word == "approve" and now.kind == "refund" and not now.ordered),
    ),
    ("settlement", "settlement"): Validator(
        "wait_requires_order_or_reason",
        lambda now: (
            now.word == "approve"
            and (now.ordered or now.killed or now.awaits_return)
            and now.outcome not in {"succeeded", "failed", "refused"}
        ),
    ),
    ("settlement", "refund"): Validator(
        "order_requires_approval",
        lambda now: now.word == "approve" and now.kind == "refund" and not now.ordered,
    ),
    ("settlement", "approval"): Validator(
        "return_requires_lapse_or_no_approval", lambda now: now.lapsed or now.word != "approve"
    ),
    ("settlement", "close"): Validator(
        "close_requires_outcome", lambda now: now.outcome in {"succeeded", "failed", "refused"}
    ),
}
"""Between the nodes of the house; the facts are those of the books."""


def unmet(edge: Edge, have: Progress) -> str | None:
    """The name of the first validator of an agent's edge that does not hold; an unknown edge has none that does."""
    validators = AGENT_EDGES.get(edge)
    if validators is None:
        return "no_such_edge"
    return next((validator.name for validator in validators if not validator.holds(have)), None)


def cross(source: str, target: str, now: CaseFacts) -> None:
    """Pass an edge of the house; InvalidTransition where its validator does not hold."""
    validator = HOUSE_EDGES.get((source, target))
    if validator is None:
        raise InvalidTransition((source, target), "no_such_edge")
    if not validator.holds(now):
        raise InvalidTransition((source, target), validator.name)
