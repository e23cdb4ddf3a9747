"""A claim: what a refund rule looks at, and what it may answer."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from policies.letter_templates import Because
from refunds.evidence import Citation
from refunds.ids import LineId, PaymentId, Sku
from refunds.legs import Leg
from refunds.money import Money
from refunds.order import Line, OrderFacts, Units, counted
from refunds.vocabulary import HandoffReason, PaymentOrder

Goods = Literal["first", "keep", "unsaid"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A refund request on an order: the amount comes from the order, the text only says what is claimed."""

    order: OrderFacts
    wanted: tuple[Sku, ...] | None
    """The items named on the ticket, each once a unit; None means the whole order, and an empty list nothing at all."""

    says_damaged: bool
    now: datetime
    cause_open: bool = False
    """The words say something that may be damage and may be none: no denial stands on their saying none."""

    says_cancel: bool = False
    named: tuple[Units, ...] | None = None
    """The units that a person named, line by line; they count in place of the ticket's items."""

    payment_order: PaymentOrder | None = None
    """To which payment money goes back first, where a clause in force says it."""

    asked_at: datetime | None = None
    """When the customer asked: a window that was open then does not close over the time that the house takes."""

    language: str = "en"
    """In which amounts are written in what the customer is told."""

    def units(self) -> tuple[Units, ...] | None:
        """The wanted units; None where one is not in the order, or more often than the order has it.

        A whole order is what of it has not been refunded yet.
        """
        if self.named is not None:
            return None if counted(self.named) - counted(self.order.units()) else self.named
        if self.wanted is None:
            return self.order.not_refunded() or self.order.units()
        found = [self._of_sku(sku, count) for sku, count in Counter(self.wanted).items()]
        if not found or None in found:
            return None
        units = counted(one for some in found for one in some or ())
        return tuple(
            Units(line.line_id, units[line.line_id]) for line in self.order.lines if units[line.line_id]
        )

    def _of_sku(self, sku: Sku, count: int) -> list[Units] | None:
        """So many of an item, first those that have not been refunded; None where a person has to say which."""
        lines = [line for line in self.order.lines if line.sku == sku]
        alike = {replace(line, line_id=LineId(""), quantity=1, delivered_at=None) for line in lines}
        bought = sum(line.quantity for line in lines)
        if count > bought or (len(alike) != 1 and count < bought):
            return None
        gone, found = self.order.gone, list[Units]()
        there = [Units(line.line_id, line.quantity - gone[line.line_id]) for line in lines]
        for one in (*there, *(Units(line.line_id, gone[line.line_id]) for line in lines)):
            part = min(count, one.quantity)
            count -= part
            if part > 0:
                found.append(Units(one.line_id, part))
        return found

    def lines(self) -> tuple[Line, ...]:
        """The lines of the wanted units; none where these cannot be told."""
        return tuple(self.order.line(one.line_id) for one in self.units() or ())

    @property
    def whole(self) -> bool:
        """Whether the whole order is wanted, or what of it has not been refunded yet."""
        units = self.units()
        if units is None or (self.named is None and self.wanted is None):
            return units is not None
        return counted(units) in (counted(self.order.units()), counted(self.order.not_refunded()))

    def days_since_delivery(self) -> int | None:
        """Whole days from when the wanted lines came, the last of them, to the asking; None before delivery."""
        came = [line.delivered_at or self.order.delivered_at for line in self.lines()]
        came = came or [self.order.delivered_at]
        if None in came:
            return None
        last = max(one for one in came if one is not None)
        until = self.asked_at if self.asked_at is not None and self.asked_at >= last else self.now
        return (until - last).days if until >= last else None


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule of a document that counts for the order's date and region, with its parameters."""

    rule: str
    parameters: Mapping[str, object]
    citation: Citation


@dataclass(frozen=True, slots=True)
class Allow:
    """This much goes back, for these units; to one payment, or to several by their legs."""

    amount: Money
    payment_id: PaymentId
    units: tuple[Units, ...]
    charges_minor: int = 0
    """What of it is for shipping and fees."""

    legs: tuple[Leg, ...] = ()
    goods: Goods = "unsaid"
    """Whether the customer sends the goods back first, may keep them, or the clause says nothing of it."""

    how_to_return: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """The clause applies and says no; `because` is for the customer."""

    because: Because


@dataclass(frozen=True, slots=True)
class Bar:
    """The clause says no whatever another clause allows, as for a final sale; `because` is for the customer."""

    because: Because
    unless_damaged: bool = False
    """Damage lifts it: a person reads it where the words claim some, or leave it open."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The clause applies and needs to know something first; `what` is a sentence for the customer."""

    what: str


@dataclass(frozen=True, slots=True)
class LeaveToPerson:
    """The clause applies, and the amount is for a person to say; `reason` is that of the hand-over."""

    reason: HandoffReason
    citations: tuple[Citation, ...] = ()
    """The clauses that a person reads it by, beside those that the words found."""


RuleVerdict = Allow | Deny | Bar | Ask | LeaveToPerson | None
