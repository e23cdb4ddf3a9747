"""Memory: what is remembered of a customer beside their orders. It informs people and models, and decides no money."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from refunds.ids import CaseId, CustomerId, OrderId, PersonId
from refunds.money import Money
from refunds.vocabulary import AskKind, CaseStatus, MemoryAudience, MemoryKind, MemorySource

FACT_LIMIT = 500
"""Characters of a fact."""

FACTS = 50
"""Facts of a customer at most."""

EPISODES = 3
"""Earlier cases that stand before a reader, a planner and a reviewer."""


@dataclass(frozen=True, slots=True)
class CustomerFact:
    """One thing that a customer stated, or a person noted of them."""

    fact_id: UUID
    customer_id: CustomerId
    kind: MemoryKind
    text: str
    source: MemorySource
    audience: MemoryAudience
    case_id: CaseId | None
    person: PersonId
    """Who wrote it down."""

    said_at: datetime
    expires_at: datetime
    counts: bool
    """Whether it is the newest of its kind; one that a newer one contradicts is shown and does not count."""

    def to_json(self) -> dict[str, object]:
        return {
            "fact_id": str(self.fact_id),
            "kind": self.kind,
            "text": self.text,
            "source": self.source,
            "audience": self.audience,
            "case_id": str(self.case_id) if self.case_id else None,
            "person": self.person,
            "said_at": self.said_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "counts": self.counts,
        }


@dataclass(frozen=True, slots=True)
class PastCase:
    """What became of an earlier case of a customer."""

    case_id: CaseId
    ticket_id: str
    order_id: OrderId | None
    received_at: datetime
    status: CaseStatus
    asks: tuple[AskKind, ...]
    refunded: tuple[Money, ...]
    contacts: int
    """How often the customer wrote in it."""

    def to_json(self) -> dict[str, object]:
        return {
            "case_id": str(self.case_id),
            "ticket_id": self.ticket_id,
            "order_id": self.order_id,
            "received_on": self.received_at.date().isoformat(),
            "status": self.status,
            "asks": list(self.asks),
            "refunded": [str(amount) for amount in self.refunded],
            "contacts": self.contacts,
        }


@dataclass(frozen=True, slots=True)
class CustomerMemory:
    """All that is remembered of a customer."""

    opted_out: bool = False
    facts: tuple[CustomerFact, ...] = ()
    episodes: tuple[PastCase, ...] = ()

    def for_models(self) -> dict[str, object]:
        """What a model is shown: what counts, of what may stand before it; nothing of who wants nothing remembered."""
        if self.opted_out:
            return {}
        facts = [
            {
                "kind": fact.kind,
                "text": fact.text,
                "source": fact.source,
                "on": fact.said_at.date().isoformat(),
            }
            for fact in self.facts
            if fact.counts and fact.audience == "people_and_models"
        ]
        episodes = [
            {name: value for name, value in episode.to_json().items() if name not in {"case_id", "ticket_id"}}
            for episode in self.episodes
        ]
        shown: dict[str, object] = {}
        if facts:
            shown["facts"] = facts
        if episodes:
            shown["earlier_cases"] = episodes
        return shown
