"""Names of things. Each is a distinct type, so that one cannot stand where another is meant."""

from typing import NewType
from uuid import NAMESPACE_URL, UUID, uuid5

TenantId = NewType("TenantId", str)
"""A shop. Every row of the books belongs to one."""

TicketId = NewType("TicketId", str)
"""What the helpdesk calls the ticket; unique within a tenant."""

CaseId = NewType("CaseId", UUID)
"""Our name for a ticket that came in; one ticket, one case."""

ThreadId = NewType("ThreadId", UUID)
"""The LangGraph thread that a case is bound to; one case, one thread."""

ProposalId = NewType("ProposalId", UUID)
"""What a person is asked to countersign."""

DecisionId = NewType("DecisionId", UUID)
"""The decision on one proposal; follows from the proposal, so that two voters sign the same one."""

CustomerId = NewType("CustomerId", str)
OrderId = NewType("OrderId", str)
PaymentId = NewType("PaymentId", str)
"""The provider's own name of the payment that a refund goes back to."""

NO_ORDER = OrderId("")
NO_PAYMENT = PaymentId("")
"""What a reply or a hand-over names instead: never NULL, because a NULL would open a key."""

LineId = NewType("LineId", str)
"""A line of one order, as the shop names it; unique within the order."""

DisbursementId = NewType("DisbursementId", UUID)
"""What is paid of one decision to one payment; follows from the decision and the number of the leg."""

PersonId = NewType("PersonId", str)
Sku = NewType("Sku", str)


def decision_of(proposal_id: ProposalId) -> DecisionId:
    """The one decision that a proposal can have."""
    return DecisionId(uuid5(NAMESPACE_URL, f"countersign:decision:{proposal_id}"))


def id_of_leg(decision_id: DecisionId, leg: int) -> DisbursementId:
    """The one disbursement that a leg of a decision can have; legs are counted from 1.

    The first is called as its decision, as those are that were ordered before a decision could have more.
    """
    return DisbursementId(
        decision_id if leg == 1 else uuid5(NAMESPACE_URL, f"countersign:leg:{decision_id}:{leg}")
    )
