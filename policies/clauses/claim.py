"""A claim: what a refund rule looks at, and what it may answer."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from refunds.evidence import Citation
from refunds.ids import PaymentId, Sku
from refunds.money import Money
from refunds.order import Item, OrderFacts
from refunds.vocabulary import HandoffReason

_DAMAGE = re.compile(
    r"\b(crack\w*|broke\w*|damag\w*|defect\w*|shatter\w*|faulty|dead on arrival|does(?:n't| not) (?:work|turn on))\b",
    re.IGNORECASE,
)
_NO_DAMAGE = re.compile(
    r"(?:\b(?:no|not|never|nothing|without|none)|n['’]t)\s+(?:(?:is|was|been|be|at|all|any|a|the|really|it)\s+){0,3}"
    r"(?:crack|broke|damag|defect|shatter|fault)\w*|\bundamaged\b",
    re.IGNORECASE,
)
_CANCEL = re.compile(
    r"\b(cancel\w*|no longer (?:need\w*|want\w*)(?!\s+(?:e-?mails?|mails?|newsletters?|calls?|to)\b)|"
    r"ordered (?:\w+ ){0,4}by mistake)\b",
    re.IGNORECASE,
)
_NO_CANCEL = re.compile(
    r"(?:\b(?:no|not|never|without|instead of|undo|undoing|reverse|reversing)|n['’]t)"
    r"(?:\s+(?!possible|available|able|if|then|otherwise|but|so|just|please)\w+){0,6}\s+cancel\w*|"
    r"\b(?:do not|never|don['’]t),[^,.!?]*,\s*cancel|"
    r"\bwhy\b[^.?!]*\bcancel\w*|\bcancel\w*[^.?!]*\?\s*no\b|\bkeep it\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A refund request on an order: the amount comes from the order, the text only says what is claimed."""

    order: OrderFacts
    wanted: tuple[Sku, ...] | None
    """The items named on the ticket; None means the whole order, and an empty list nothing at all."""

    says_damaged: bool
    now: datetime
    says_cancel: bool = False

    def items(self) -> tuple[Item, ...] | None:
        """The wanted items; None where one is not in the order, or more often than the order has it.

        A whole order is what of it has not been refunded yet.
        """
        lines = {item.sku: item for item in self.order.items}
        differ = {item.sku for item in self.order.items if lines[item.sku] != item}
        if differ and (self.wanted is not None or differ & set(self.order.refunded)):
            return None  # two lines of one name that differ: a person says which
        if self.wanted is None:
            return self.order.not_refunded() or self.order.items
        if not self.wanted or Counter(self.wanted) - Counter(item.sku for item in self.order.items):
            return None
        return tuple(lines[sku] for sku in self.wanted)

    @property
    def whole(self) -> bool:
        """Whether the whole order is wanted, or what of it has not been refunded yet."""
        wanted = self.items()
        return wanted is not None and (self.wanted is None or Counter(wanted) == Counter(self.order.items))

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


@dataclass(frozen=True, slots=True)
class Bar:
    """The clause says no whatever another clause allows, as for a final sale; `because` is for the customer."""

    because: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The clause applies and needs to know something first; `what` is a sentence for the customer."""

    what: str


@dataclass(frozen=True, slots=True)
class LeaveToPerson:
    """The clause applies, and the amount is for a person to say; `reason` is that of the hand-over."""

    reason: HandoffReason


RuleVerdict = Allow | Deny | Bar | Ask | LeaveToPerson | None


def says_damaged(text: str) -> bool:
    """Whether a text claims damage; one that also says that there is none is for a person to read."""
    return _DAMAGE.search(text) is not None and _NO_DAMAGE.search(text) is None


def says_cancel(text: str) -> bool:
    """Whether a text asks for a cancellation, or gives a reason for one; who also says not to is read by a person."""
    return _CANCEL.search(text) is not None and _NO_CANCEL.search(text) is None


def refund_items(claim: Claim, items: tuple[Item, ...]) -> RuleVerdict:
    """What was paid for the items, back to the payment of the order; a person says it where that is not plain.

    Where the items do not add up to what was paid, no rule knows what one of them cost. Of a whole order goes back what
    is left of its payment: some of it may have gone back before the order came here.
    """
    order = claim.order
    if len(order.payments) > 1:
        return LeaveToPerson("several_payments")
    if order.difference_minor != 0 or not order.payments:
        return LeaveToPerson("order_unbalanced")
    payment = order.payments[0]
    wanted, there = (Counter(item.sku for item in some) for some in (items, order.not_refunded()))
    if not wanted & there:
        return Deny("its refund has been made or ordered already")
    if wanted - there:
        return LeaveToPerson("more_than_left")
    total = Money(sum(item.price.amount_minor for item in items), payment.paid.currency)
    if total.amount_minor == 0:
        return Deny("there is nothing to return on this order")
    if payment.left.amount_minor == 0:
        return Deny(f"all of the {payment.paid} that was paid has been returned, or its return is ordered")
    if not total <= payment.left:
        if Counter(items) != Counter(order.items):
            return LeaveToPerson("more_than_left")
        total = payment.left
    return Allow(total, payment.payment_id, tuple(item.sku for item in items))
