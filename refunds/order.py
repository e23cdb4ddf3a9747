"""Order facts: what the shop's own books say of an order and its payment."""

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
    refunded: frozenset[Sku] = frozenset()
    """Items whose refund was ordered and did not fail."""
