"""The life of a refund as types: proposed, approved, disbursed.

Each stage is made from the one before in one place, so that passing the wrong one is a type error.
"""

from dataclasses import dataclass
from datetime import datetime

from refunds.decision import Decision
from refunds.ids import CaseId, DecisionId, OrderId, PaymentId, ProposalId, TenantId, ThreadId
from refunds.money import Money
from refunds.proposal import Proposal


class NotARefund(ValueError):
    """A reply or a hand-over, or a word other than approve, orders no money."""


@dataclass(frozen=True, slots=True)
class ProposedRefund:
    """A refund that somebody may countersign. It pays nothing."""

    tenant: TenantId
    proposal_id: ProposalId
    digest: str
    order_id: OrderId
    payment_id: PaymentId
    amount: Money


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


@dataclass(frozen=True, slots=True)
class DisbursedRefund:
    """A refund that was ordered and that the provider says it made."""

    approved: ApprovedRefund
    provider_refund_id: str
    settled_at: datetime


def proposed(proposal: Proposal) -> ProposedRefund:
    """The refund in a proposal; NotARefund where it holds none."""
    if proposal.kind != "refund":
        raise NotARefund(proposal.kind)
    return ProposedRefund(
        tenant=proposal.tenant,
        proposal_id=proposal.proposal_id,
        digest=proposal.digest(),
        order_id=proposal.order_id,
        payment_id=proposal.payment_id,
        amount=proposal.amount,
    )


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


def disbursed(refund: ApprovedRefund, provider_refund_id: str, settled_at: datetime) -> DisbursedRefund:
    """The refund after the provider's yes."""
    return DisbursedRefund(refund, provider_refund_id, settled_at)
