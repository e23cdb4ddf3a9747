"""The terms: what is signed, ordered and paid, as one value that is compared whole.

Whoever votes signs them with a word, a name and an hour; the disbursement repeats them, the cashier compares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from refunds.ids import (
    CaseId,
    DecisionId,
    OrderId,
    PaymentId,
    ProposalId,
    TenantId,
    ThreadId,
    decision_of,
    id_of_leg,
)
from refunds.legs import Leg
from refunds.money import Currency, Money
from refunds.proposal import Proposal
from refunds.vocabulary import ProposalKind


@dataclass(frozen=True, slots=True)
class Terms:
    """Which proposal, word for word by its digest, of which case and thread; what of which payment of which order."""

    tenant: TenantId
    case_id: CaseId
    thread_id: ThreadId
    decision_id: DecisionId
    proposal_id: ProposalId
    digest: str
    kind: ProposalKind
    payment_id: PaymentId
    order_id: OrderId
    amount: Money
    legs: tuple[Leg, ...] = ()
    """What goes back to each payment where it is more than one; the first is `payment_id`, and they sum to `amount`."""

    @classmethod
    def of_proposal(cls, proposal: Proposal, digest: str) -> Self:
        """What a vote on this proposal signs; `digest` is that of the text that the books keep."""
        return cls(
            tenant=proposal.tenant,
            case_id=proposal.case_id,
            thread_id=proposal.thread_id,
            decision_id=decision_of(proposal.proposal_id),
            proposal_id=proposal.proposal_id,
            digest=digest,
            kind=proposal.kind,
            payment_id=proposal.payment_id,
            order_id=proposal.order_id,
            amount=proposal.amount,
            legs=proposal.legs,
        )

    @classmethod
    def of_row(cls, row: Mapping[str, Any], legs: Sequence[Leg] = ()) -> Self:
        """The terms in a row of votes or decisions; the legs stand in the text of the proposal, by its digest."""
        return cls(
            tenant=TenantId(row["tenant"]),
            case_id=CaseId(row["case_id"]),
            thread_id=ThreadId(row["thread_id"]),
            decision_id=DecisionId(row["decision_id"]),
            proposal_id=ProposalId(row["proposal_id"]),
            digest=row["digest"],
            kind=row["kind"],
            payment_id=PaymentId(row["payment_id"]),
            order_id=OrderId(row["order_id"]),
            amount=Money(row["amount_minor"], Currency(row["currency"])),
            legs=tuple(legs),
        )

    @property
    def parts(self) -> tuple[Leg, ...]:
        """What goes back to each payment, also where it is one."""
        return self.legs or (Leg(self.payment_id, self.amount),)

    def disbursements(self) -> list[dict[str, object]]:
        """What is ordered: one disbursement a payment, as a statement reads them."""
        return [
            {"disbursement_id": str(id_of_leg(self.decision_id, number)), **leg.to_json()}
            for number, leg in enumerate(self.parts, start=1)
        ]

    def columns(self) -> dict[str, object]:
        """The terms as the columns of a row."""
        return {
            "tenant": self.tenant,
            "case_id": self.case_id,
            "thread_id": self.thread_id,
            "decision_id": self.decision_id,
            "proposal_id": self.proposal_id,
            "digest": self.digest,
            "kind": self.kind,
            "payment_id": self.payment_id,
            "order_id": self.order_id,
            "amount_minor": self.amount.amount_minor,
            "currency": self.amount.currency,
        }
