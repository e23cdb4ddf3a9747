"""The ballot that a person's vote is, field by field, as it is signed; and the decision it completes."""

from dataclasses import dataclass
from datetime import UTC, datetime

from refunds.canonical import canonical
from refunds.ids import (
    CaseId,
    DecisionId,
    OrderId,
    PaymentId,
    PersonId,
    ProposalId,
    Sku,
    TenantId,
    ThreadId,
)
from refunds.money import Money
from refunds.vocabulary import Asked, Authority, ProposalKind, VoteWord

BALLOT_VERSION = 1


def instant(moment: datetime) -> str:
    """RFC 3339 UTC with microseconds: the one spelling of a signed time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one person says of one proposal. Every field is signed; none can be missing."""

    kid: str
    tenant: TenantId
    case_id: CaseId
    thread_id: ThreadId
    decision_id: DecisionId
    word: VoteWord
    proposal_id: ProposalId
    digest: str
    kind: ProposalKind
    payment_id: PaymentId
    order_id: OrderId
    amount: Money
    person: PersonId
    authority: Authority
    decided_at: datetime
    execute_by: datetime

    def payload(self) -> str:
        """The canonical JSON that is signed."""
        return canonical(
            {
                "version": BALLOT_VERSION,
                "kid": self.kid,
                "tenant": self.tenant,
                "case": str(self.case_id),
                "thread": str(self.thread_id),
                "decision": str(self.decision_id),
                "word": self.word,
                "proposal": str(self.proposal_id),
                "digest": self.digest,
                "kind": self.kind,
                "payment": self.payment_id,
                "order": self.order_id,
                "amount_minor": self.amount.amount_minor,
                "currency": self.amount.currency,
                "person": self.person,
                "authority": self.authority,
                "decided_at": instant(self.decided_at),
                "execute_by": instant(self.execute_by),
            }
        )


@dataclass(frozen=True, slots=True)
class Vote:
    """A ballot with its signature, as the books keep it."""

    ballot: Ballot
    payload: str
    signature: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The word on one proposal, completed by the vote that made the authority full."""

    tenant: TenantId
    decision_id: DecisionId
    case_id: CaseId
    thread_id: ThreadId
    proposal_id: ProposalId
    digest: str
    kind: ProposalKind
    word: VoteWord
    payment_id: PaymentId
    order_id: OrderId
    amount: Money
    decided_at: datetime
    execute_by: datetime
    code: str | None
    """The reject code, on a reject."""

    revised_amount_minor: int | None
    """On a revise: the amount that the person asks for; zero means the reply without the refund."""

    revised_items: tuple[Sku, ...] | None
    """On a revise: the items that the person asks for, where they said which."""

    revised_reply: str | None
    """On a revise: the reply as the person wrote it."""

    letter: str | None
    """On a reject: what the customer is told, where the person wrote it."""

    instruction: str | None
    asks: Asked | None
    """On a revise: who was asked for more; the case waits for the answer."""

    decided_by: PersonId
    """Who cast the completing vote."""
