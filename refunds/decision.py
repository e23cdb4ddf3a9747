"""The ballot that a person's vote is, field by field, as it is signed; and the decision it completes."""

from dataclasses import dataclass
from datetime import UTC, datetime

from refunds.canonical import canonical
from refunds.ids import PersonId
from refunds.order import Units
from refunds.terms import Terms
from refunds.vocabulary import Asked, Authority, VoteWord

ONE_PAYMENT, SEVERAL_PAYMENTS = 1, 2
"""Versions of a ballot: one that names its payment, and one that names each with its amount beside it."""


def instant(moment: datetime) -> str:
    """RFC 3339 UTC with microseconds: the one spelling of a signed time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one person says of one proposal. Every field is signed; none can be missing."""

    kid: str
    terms: Terms
    word: VoteWord
    person: PersonId
    authority: Authority
    decided_at: datetime
    execute_by: datetime

    def payload(self) -> str:
        """The canonical JSON that is signed."""
        terms = self.terms
        legs = {"legs": [leg.to_json() for leg in terms.legs]} if terms.legs else {}
        return canonical(
            legs
            | {
                "version": SEVERAL_PAYMENTS if terms.legs else ONE_PAYMENT,
                "kid": self.kid,
                "tenant": terms.tenant,
                "case": str(terms.case_id),
                "thread": str(terms.thread_id),
                "decision": str(terms.decision_id),
                "word": self.word,
                "proposal": str(terms.proposal_id),
                "digest": terms.digest,
                "kind": terms.kind,
                "payment": terms.payment_id,
                "order": terms.order_id,
                "amount_minor": terms.amount.amount_minor,
                "currency": terms.amount.currency,
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

    terms: Terms
    word: VoteWord
    decided_at: datetime
    execute_by: datetime
    code: str | None
    """The reject code, on a reject."""

    revised_amount_minor: int | None
    """On a revise: the amount that the person asks for; zero means the reply without the refund."""

    revised_units: tuple[Units, ...] | None
    """On a revise: the units that the person asks for, where they said which."""

    revised_reply: str | None
    """On a revise: the reply as the person wrote it."""

    letter: str | None
    """On a reject: what the customer is told, where the person wrote it."""

    instruction: str | None
    asks: Asked | None
    """On a revise: who was asked for more; the case waits for the answer."""

    decided_by: PersonId
    """Who cast the completing vote."""
