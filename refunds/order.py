"""Order facts: what the shop's own books say of an order, what was paid for it and what came back."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from refunds.ids import CustomerId, LineId, OrderId, PaymentId, Sku, TenantId
from refunds.money import Currency, Money
from refunds.vocabulary import ChargeKind, DisputeStatus, OrderStatus, PaymentKind, ReturnCondition


@dataclass(frozen=True, slots=True)
class Units:
    """So many of a line of an order."""

    line_id: LineId
    quantity: int

    def to_json(self) -> dict[str, object]:
        """As bodies and rows hold it."""
        return {"line_id": self.line_id, "quantity": self.quantity}

    @classmethod
    def of_json(cls, value: dict[str, object]) -> "Units":
        """KeyError or ValueError where it is none."""
        quantity = int(str(value["quantity"]))
        if quantity < 1:
            raise ValueError("quantity: below one")
        return cls(LineId(str(value["line_id"])), quantity)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order: so many of one thing, at one price, less the line's own discount."""

    line_id: LineId
    sku: Sku
    name: str
    category: str
    unit_price: Money
    quantity: int = 1
    discount_minor: int = 0
    tax_minor: int = 0
    """The tax of the whole line, in the minor units of its price."""

    tax_included: bool = True
    """Whether the price has the tax in it, or the tax comes on top."""

    final_sale: bool = False
    delivered_at: datetime | None = None
    """When this line came, where the lines of the order did not come together."""

    options: tuple[tuple[str, str], ...] = ()

    @property
    def price(self) -> Money:
        """What the whole line cost, before discounts of the order."""
        on_top = 0 if self.tax_included else self.tax_minor
        gross = self.unit_price.amount_minor * self.quantity - self.discount_minor + on_top
        return Money(gross, self.unit_price.currency)


@dataclass(frozen=True, slots=True)
class CustomerOrder:
    """What of an order the words of its customer are read against: its name, its goods, how far it is."""

    order_id: OrderId
    status: OrderStatus
    ordered_at: datetime
    lines: tuple[Line, ...]
    region: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """What an order cost beside its goods, tax and discount reckoned in."""

    kind: ChargeKind
    name: str
    price: Money


@dataclass(frozen=True, slots=True)
class Discount:
    """What was taken off the whole order; its lines share it."""

    name: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Payment:
    """What was paid, how, and what of it has already been ordered back or refunded."""

    payment_id: PaymentId
    method: str
    paid: Money
    refunded: Money
    kind: PaymentKind = "card"

    @property
    def left(self) -> Money:
        """What can still be refunded."""
        return self.paid - self.refunded


@dataclass(frozen=True, slots=True)
class MadeRefund:
    """A refund of this order, made elsewhere or ordered here: when, how much, and of what where that is known."""

    at: datetime | None
    amount: Money
    units: tuple[Units, ...] = ()
    charges_minor: int = 0
    """What of it was for shipping and fees."""

    refund_id: str = ""
    payment_id: PaymentId | None = None
    here: bool = False
    """Ordered by this house, and not failed."""

    kept: bool = False
    """The customer kept the goods."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute of a payment at the customer's bank."""

    dispute_id: str
    payment_id: PaymentId
    amount: Money
    status: DisputeStatus
    at: datetime


@dataclass(frozen=True, slots=True)
class Returned:
    """Goods that came back to the shop."""

    units: Units
    arrived_at: datetime
    condition: ReturnCondition = "as_sold"
    noted_here: bool = False
    """Noted beside a case of this house; the shop's own books may tell of the same goods."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order of one customer of one tenant, as the books hold it now."""

    tenant: TenantId
    order_id: OrderId
    customer_id: CustomerId
    region: str
    status: OrderStatus
    ordered_at: datetime
    delivered_at: datetime | None
    lines: tuple[Line, ...]
    payments: tuple[Payment, ...]
    charges: tuple[Charge, ...] = ()
    discounts: tuple[Discount, ...] = ()
    refunds: tuple[MadeRefund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    returns: tuple[Returned, ...] = ()
    version: int = 0
    """The shop's own count of its changes of the order; zero where it keeps none."""

    @property
    def currency(self) -> Currency:
        """The currency of the order; every amount of it is in that one."""
        return self.lines[0].unit_price.currency

    @property
    def paid(self) -> Money:
        """What was paid, by all payments."""
        return self._sum(one.paid.amount_minor for one in self.payments)

    @property
    def left(self) -> Money:
        """What of all payments can still be refunded."""
        return self._sum(one.left.amount_minor for one in self.payments)

    @property
    def difference_minor(self) -> int:
        """By how much what was paid is above what lines, shipping and fees less discounts come to."""
        asked = sum(line.price.amount_minor for line in self.lines) + self.charged.amount_minor
        return self.paid.amount_minor - asked + sum(one.amount.amount_minor for one in self.discounts)

    @property
    def charged(self) -> Money:
        """Shipping and fees."""
        return self._sum(one.price.amount_minor for one in self.charges)

    @property
    def gone(self) -> Counter[LineId]:
        """How many of each line have been refunded, or their refund was ordered and did not fail."""
        return counted(units for refund in self.refunds for units in refund.units)

    @property
    def gone_with_goods(self) -> Counter[LineId]:
        """How many of each line were refunded whose goods were not left to the customer."""
        return counted(units for refund in self.refunds if not refund.kept for units in refund.units)

    @property
    def charges_gone_minor(self) -> int:
        """What of shipping and fees has been refunded or ordered back."""
        return sum(refund.charges_minor for refund in self.refunds)

    @property
    def unexplained(self) -> Money:
        """What went back of which nobody said for what it was; it may have been for any of the lines."""
        named = sum(one.amount.amount_minor for one in self.refunds if one.units or one.charges_minor)
        return self._sum([max(0, self.paid.amount_minor - self.left.amount_minor - named)])

    @property
    def disputed(self) -> bool:
        """Whether a dispute is open at the bank."""
        return any(one.status == "open" for one in self.disputes)

    @property
    def arrived(self) -> Counter[LineId]:
        """How many of each line came back: as the shop says it, or as it was noted here, whichever is more."""
        return self._noted(self.returns)

    @property
    def arrived_otherwise(self) -> Counter[LineId]:
        """How many of those came otherwise than they were sold."""
        return self._noted([one for one in self.returns if one.condition != "as_sold"])

    def _noted(self, returns: Sequence[Returned]) -> Counter[LineId]:
        return counted(one.units for one in returns if one.noted_here) | counted(
            one.units for one in returns if not one.noted_here
        )

    def line(self, line_id: LineId) -> Line:
        """The line of a name; StopIteration where there is none."""
        return next(line for line in self.lines if line.line_id == line_id)

    def units(self) -> tuple[Units, ...]:
        """Everything that was ordered."""
        return tuple(Units(line.line_id, line.quantity) for line in self.lines)

    def not_refunded(self) -> tuple[Units, ...]:
        """What has not been refunded, line by line."""
        gone = self.gone
        return tuple(
            Units(line.line_id, line.quantity - gone[line.line_id])
            for line in self.lines
            if line.quantity > gone[line.line_id]
        )

    def _sum(self, amounts: Iterable[int]) -> Money:
        return Money(sum(amounts), self.currency)


def method_as_said(method: str) -> str:
    """A payment method as people say it: `card_4242` is card …4242."""
    kind, _, digits = method.rpartition("_")
    if kind and digits.isdigit() and len(digits) == 4:
        return f"{kind.replace('_', ' ')} …{digits}"
    return method.replace("_", " ")


def counted(units: Iterable[Units]) -> Counter[LineId]:
    """How many of each line."""
    count: Counter[LineId] = Counter()
    for one in units:
        count[one.line_id] += one.quantity
    return count
