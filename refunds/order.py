"""Order facts: what the shop's own books say of an order and its payment."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from refunds.ids import CustomerId, OrderId, PaymentId, Sku, TenantId
from refunds.money import Money
from refunds.vocabulary import OrderStatus


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an order; the price is for the whole line."""

    sku: Sku
    name: str
    category: str
    price: Money


@dataclass(frozen=True, slots=True)
class Payment:
    """What was paid, how, and what of it has already been ordered back or refunded."""

    payment_id: PaymentId
    method: str
    paid: Money
    refunded: Money

    @property
    def left(self) -> Money:
        """What can still be refunded."""
        return self.paid - self.refunded


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
    items: tuple[Item, ...]
    payments: tuple[Payment, ...]
    refunded: tuple[Sku, ...] = ()
    """Items whose refund was ordered and did not fail, as often as it was."""

    @property
    def difference_minor(self) -> int | None:
        """By how much what was paid is above the sum of the items, in minor units; None in mixed currencies."""
        currencies = {item.price.currency for item in self.items} | {
            one.paid.currency for one in self.payments
        }
        if len(currencies) != 1:
            return None
        asked = sum(item.price.amount_minor for item in self.items)
        return sum(one.paid.amount_minor for one in self.payments) - asked

    def not_refunded(self) -> tuple[Item, ...]:
        """The items that have not been refunded; of equal ones as many as are left."""
        gone = Counter(self.refunded)
        left: list[Item] = []
        for item in self.items:
            if gone[item.sku] > 0:
                gone[item.sku] -= 1
            else:
                left.append(item)
        return tuple(left)
