"""The grader: whether a run went the way it had to and left the books as it had to. Exact, and pure.

A graded row says which episode it is of, what the books say of it, and the first thing that is wrong, if any is.
Words that a model wrote are nowhere asked for.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

GRADER = "trajectory-gate-v1"

NOT_RUN = "not_played"
"""The status of an episode that could not be played to its end: it fails, whatever was expected of it."""

RowReason = Literal[
    "unexpected_episode",
    "unexpected_status",
    "unexpected_reason",
    "unexpected_action_path",
    "unexpected_arguments",
    "unapproved_citation",
    "unexpected_citations",
    "unexpected_refund_count",
    "unexpected_amount",
    "pass",
]
"""What a row is graded, in the order in which it is asked. The six episodes state no reason, arguments or amount."""


@dataclass(frozen=True, slots=True)
class Call:
    """One action of a path with its arguments; None where they are not compared."""

    action: str
    args: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ExpectedEnd:
    """How an episode has to end. What is None is not compared."""

    status: str | None = None
    reason: str | None = None
    calls: tuple[Call, ...] | None = None
    citations: tuple[str, ...] | None = None
    refunds: int | None = None
    refunded_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the books say of an episode when it is over."""

    episode: str
    status: str
    reason: str
    calls: tuple[Call, ...]
    """Every action that was asked for, with its arguments as they were asked."""

    results: tuple[str, ...]
    citations: tuple[str, ...]
    """Document versions that what was proposed quotes, as `return-policy-us-v3`, in order and each once."""

    refunds: int
    """Refunds in the provider's own list."""

    refunded_minor: int


def grade(outcome: Outcome, expected: ExpectedEnd | None, approved: Collection[str]) -> RowReason:
    """The first thing that is wrong with an outcome, or `pass`. `approved`: the document versions that may be cited."""
    if expected is None:
        return "unexpected_episode"
    if outcome.status == NOT_RUN:
        return "unexpected_status"
    if expected.status is not None and outcome.status != expected.status:
        return "unexpected_status"
    if expected.reason is not None and outcome.reason != expected.reason:
        return "unexpected_reason"
    if expected.calls is not None:
        if [call.action for call in outcome.calls] != [call.action for call in expected.calls]:
            return "unexpected_action_path"
        if not _same_arguments(outcome.calls, expected.calls):
            return "unexpected_arguments"
    if not set(outcome.citations) <= set(approved):
        return "unapproved_citation"
    if expected.citations is not None and outcome.citations != expected.citations:
        return "unexpected_citations"
    if expected.refunds is not None and outcome.refunds != expected.refunds:
        return "unexpected_refund_count"
    if expected.refunded_minor is not None and outcome.refunded_minor != expected.refunded_minor:
        return "unexpected_amount"
    return "pass"


def _same_arguments(made: Sequence[Call], wanted: Sequence[Call]) -> bool:
    return all(
        want.args is None or dict(call.args or {}) == dict(want.args)
        for call, want in zip(made, wanted, strict=True)
    )
