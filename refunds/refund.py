"""The approved refund: what may be ordered. It is made from a decision in one place, so that passing anything else is a
type error."""

from dataclasses import dataclass
from datetime import datetime

from refunds.decision import Decision
from refunds.ids import CaseId, DecisionId, OrderId, PaymentId, ProposalId, TenantId, ThreadId
from refunds.money import Money


class NotARefund(ValueError):
    """A reply or a hand-over, or a word other than approve, orders no money."""


@dataclass(frozen=True, slots=True)
class ApprovedRefund:
    """A refund that was countersigned. It may be ordered, once, until `execute_by`."""

    tenant: TenantId
    case_id: CaseId
    thread_id: ThreadId
    decision_id: DecisionId
    proposal_id: ProposalId
    digest: str
    order_id: OrderId
    payment_id: PaymentId
    amount: Money
    execute_by: datetime


def approved(decision: Decision) -> ApprovedRefund:
    """The refund that a decision allows; NotARefund where it allows none."""
    if decision.kind != "refund" or decision.word != "approve":
        raise NotARefund(f"{decision.word} of a {decision.kind}")
    return ApprovedRefund(
        tenant=decision.tenant,
        case_id=decision.case_id,
        thread_id=decision.thread_id,
        decision_id=decision.decision_id,
        proposal_id=decision.proposal_id,
        digest=decision.digest,
        order_id=decision.order_id,
        payment_id=decision.payment_id,
        amount=decision.amount,
        execute_by=decision.execute_by,
    )
