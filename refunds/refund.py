"""The approved refund: what may be ordered. It is made from a decision in one place, so that passing anything else is a
type error."""

from dataclasses import dataclass
from datetime import datetime

from refunds.decision import Decision
from refunds.terms import Terms


class NotARefund(ValueError):
    """A reply or a hand-over, or a word other than approve, orders no money."""


@dataclass(frozen=True, slots=True)
class ApprovedRefund:
    """A refund that was countersigned. It may be ordered, once, until `execute_by`."""

    terms: Terms
    execute_by: datetime


def approved(decision: Decision) -> ApprovedRefund:
    """The refund that a decision allows; NotARefund where it allows none."""
    if decision.terms.kind != "refund" or decision.word != "approve":
        raise NotARefund(f"{decision.word} of a {decision.terms.kind}")
    return ApprovedRefund(decision.terms, decision.execute_by)
