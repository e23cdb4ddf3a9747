"""The proposal: what a person is asked to countersign, word for word, and its digest."""

import re
from dataclasses import dataclass
from uuid import UUID

from refunds.canonical import canonical, sha256
from refunds.evidence import Citation, Offer
from refunds.ids import CaseId, OrderId, PaymentId, PersonId, ProposalId, TenantId, ThreadId
from refunds.legs import Leg, check_legs
from refunds.money import Currency, Money
from refunds.order import Units
from refunds.vocabulary import ProposalKind

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")

DRAFT_LIMIT = 6_000
"""Characters of a reply; a reviewer reads it whole before countersigning."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One thing to decide: a refund with its reply, a reply alone, or a hand-over.

    A refund names its order, its payment and an amount above zero. The other two name neither: the
    order and payment are empty texts and the amount is zero of no currency, because a NULL would
    open the keys that chain a proposal to its decision and its disbursement.
    """

    tenant: TenantId
    proposal_id: ProposalId
    case_id: CaseId
    thread_id: ThreadId
    kind: ProposalKind
    reason: str
    order_id: OrderId
    payment_id: PaymentId
    amount: Money
    draft: str
    citations: tuple[Citation, ...]
    units: tuple[Units, ...]
    """Of which lines of the order how many the amount is for; empty where that is not said."""

    rule: str
    """The refund clause that decided, as `change-of-mind`; empty where none did."""

    release: str
    """The release that the case is bound to."""

    graph_version: str
    supersedes: ProposalId | None = None
    edited_by: PersonId | None = None
    edited_upward: bool = False
    """A person raised the amount; that person cannot approve it."""

    charges_minor: int = 0
    """What of the amount is for shipping and fees, in minor units."""

    legs: tuple[Leg, ...] = ()
    """What goes back to each payment where it is more than one; the first is `payment_id`, and they sum to `amount`."""

    goods_first: bool = False
    """The money goes back when the units have come back as they were sold, and not before."""

    kept: bool = False
    """The customer keeps the units: they are not among those that come back."""

    question: bool = False
    """It asks the customer: approved, it keeps the case open for what they answer."""

    reading: str = ""
    """SHA-256 of the reading that it rests on; empty where it rests on none."""

    offers: tuple[Offer, ...] = ()
    """The clauses nearest to the question, for the person that a case is handed to; none where it cites."""

    def __post_init__(self) -> None:
        money = self.kind == "refund"
        if money != (self.amount.amount_minor > 0):
            raise ValueError("a refund has an amount above zero and nothing else has one")
        if money != bool(self.order_id and self.payment_id):
            raise ValueError("a refund names its order and its payment and nothing else does")
        check_legs(self.legs, self.payment_id, self.amount)
        if self.goods_first and not (money and self.units):
            raise ValueError("goods that are wanted back first are units of a refund")
        if self.question and self.kind != "reply":
            raise ValueError("a question is a reply without money")
        if self.offers and (self.kind != "handoff" or self.citations):
            raise ValueError("clauses are offered where a case is handed over and cites none")
        if self.edited_upward and self.edited_by is None:
            raise ValueError("an edit has a person")
        if len(self.draft) > DRAFT_LIMIT:
            raise ValueError(f"a draft has at most {DRAFT_LIMIT} characters")
        if _CONTROL.search(self.draft):
            raise ValueError("a draft has no control characters")

    @property
    def parts(self) -> tuple[Leg, ...]:
        """What goes back to each payment, also where it is one; empty where no money does."""
        return self.legs or ((Leg(self.payment_id, self.amount),) if self.kind == "refund" else ())

    def body(self) -> str:
        """The canonical JSON that the digest is taken over and the books keep."""
        legs = {"legs": [leg.to_json() for leg in self.legs]} if self.legs else {}
        goods_first = {"goods_first": True} if self.goods_first else {}
        kept = {"kept": True} if self.kept else {}
        question = {"question": True} if self.question else {}
        reading = {"reading": self.reading} if self.reading else {}
        offers = {"offers": [offer.to_json() for offer in self.offers]} if self.offers else {}
        return canonical(
            legs
            | offers
            | goods_first
            | kept
            | question
            | reading
            | {
                "tenant": self.tenant,
                "proposal_id": str(self.proposal_id),
                "case_id": str(self.case_id),
                "thread_id": str(self.thread_id),
                "kind": self.kind,
                "reason": self.reason,
                "order_id": self.order_id,
                "payment_id": self.payment_id,
                "amount_minor": self.amount.amount_minor,
                "currency": self.amount.currency,
                "draft": self.draft,
                "citations": [citation.to_json() for citation in self.citations],
                "lines": [units.to_json() for units in self.units],
                "charges_minor": self.charges_minor,
                "rule": self.rule,
                "release": self.release,
                "graph_version": self.graph_version,
                "supersedes": str(self.supersedes) if self.supersedes else None,
                "edited_by": self.edited_by,
                "edited_upward": self.edited_upward,
            }
        )

    def digest(self) -> str:
        """SHA-256 over the body."""
        return sha256(self.body())

    @classmethod
    def of_json(cls, value: dict[str, object]) -> "Proposal":
        """The proposal in a parsed body; KeyError or ValueError where it is not one.

        Bodies of before orders had lines name `items`, which nobody reads but Postgres.
        """
        citations, offers = value["citations"], value.get("offers", [])
        if not isinstance(citations, list) or not isinstance(offers, list):
            raise TypeError("citations: not a list")
        units, legs = value.get("lines", []), value.get("legs", [])
        if not isinstance(units, list) or not isinstance(legs, list):
            raise TypeError("lines, legs: not a list")
        amount = Money(int(str(value["amount_minor"])), Currency(str(value["currency"])))
        kind: ProposalKind
        match value["kind"]:
            case "refund" | "reply" | "handoff" as known:
                kind = known
            case other:
                raise ValueError(f"kind: {other}")
        return cls(
            tenant=TenantId(str(value["tenant"])),
            proposal_id=ProposalId(UUID(str(value["proposal_id"]))),
            case_id=CaseId(UUID(str(value["case_id"]))),
            thread_id=ThreadId(UUID(str(value["thread_id"]))),
            kind=kind,
            reason=str(value["reason"]),
            order_id=OrderId(str(value["order_id"])),
            payment_id=PaymentId(str(value["payment_id"])),
            amount=amount,
            draft=str(value["draft"]),
            citations=tuple(Citation.of_json(citation) for citation in citations),
            units=tuple(Units.of_json(one) for one in units),
            rule=str(value["rule"]),
            release=str(value["release"]),
            graph_version=str(value["graph_version"]),
            supersedes=ProposalId(UUID(str(value["supersedes"]))) if value["supersedes"] else None,
            edited_by=PersonId(str(value["edited_by"])) if value["edited_by"] else None,
            edited_upward=value["edited_upward"] is True,
            charges_minor=int(str(value.get("charges_minor", 0))),
            legs=tuple(Leg.of_json(leg, amount.currency) for leg in legs),
            goods_first=value.get("goods_first") is True,
            kept=value.get("kept") is True,
            question=value.get("question") is True,
            reading=str(value.get("reading", "")),
            offers=tuple(Offer.of_json(one) for one in offers),
        )
