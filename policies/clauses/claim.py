"""A claim: what a refund rule looks at, and what it may answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from refunds.evidence import Citation
from refunds.ids import PaymentId, Sku
from refunds.money import Money
from refunds.order import Item, OrderFacts

_DAMAGE = re.compile(
    r"\b(crack\w*|broke\w*|damag\w*|defect\w*|shatter\w*|faulty|dead on arrival|does(?:n't| not) (?:work|turn on))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A refund request on an order: the amount comes from the order, the text only says what is claimed."""

    order: OrderFacts
    wanted: tuple[Sku, ...]
    """The items named on the ticket; none named means the whole order."""

    says_damaged: bool
    now: datetime

    def items(self) -> tuple[Item, ...] | None:
        """The wanted items; None where one is not in the order or is asked for twice.

        A whole order is what of it has not been refunded yet.
        """
        if not self.wanted:
            left = tuple(item for item in self.order.items if item.sku not in self.order.refunded)
            return left or self.order.items
        by_sku = {item.sku: item for item in self.order.items}
        if len(by_sku) != len(self.order.items):
            return None  # two lines of one name: a person says which
        if len(set(self.wanted)) != len(self.wanted) or not set(self.wanted) <= set(by_sku):
            return None
        return tuple(by_sku[sku] for sku in self.wanted)

    def days_since_delivery(self) -> int | None:
        """Whole days; None before delivery."""
        if self.order.delivered_at is None:
            return None
        days = (self.now - self.order.delivered_at).days
        return days if days >= 0 else None


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule of a document that counts for the order's date and region, with its parameters."""

    rule: str
    parameters: Mapping[str, object]
    citation: Citation


@dataclass(frozen=True, slots=True)
class Allow:
    """This much goes back to this payment, for these items."""

    amount: Money
    payment_id: PaymentId
    items: tuple[Sku, ...]


@dataclass(frozen=True, slots=True)
class Deny:
    """The clause applies and says no; `because` is a sentence for the customer."""

    because: str


Verdict = Allow | Deny | None


def says_damaged(text: str) -> bool:
    """Whether a customer's text claims damage."""
    return _DAMAGE.search(text) is not None


def give_back(claim: Claim, items: tuple[Item, ...]) -> Verdict:
    """The price of the items back to the payment of the order; a denial where it cannot be."""
    if len(claim.order.payments) != 1:
        return None  # more than one payment: a person says which
    payment = claim.order.payments[0]
    if any(item.price.currency != payment.paid.currency for item in items):
        return None
    if any(item.sku in claim.order.refunded for item in items):
        return Deny("it has already been refunded")
    total = Money(sum(item.price.amount_minor for item in items), payment.paid.currency)
    if total.amount_minor == 0:
        return Deny("there is nothing to return on this order")
    if not total <= payment.left:
        return Deny("the order has already been refunded as far as it was paid")
    return Allow(total, payment.payment_id, tuple(item.sku for item in items))
