"""An order as a shop's export writes it, one JSON object a line.

    {"order_id": "D300", "customer_id": "C100", "status": "delivered", "currency": "USD", "region": "US",
     "ordered_at": "2026-11-01T09:00:00Z", "delivered_at": "2026-11-05T09:00:00Z", "prices_include_tax": true,
     "lines": [{"line_id": "1", "sku": "SKU-1", "name": "Tablet", "category": "tablet", "quantity": 2,
                "unit_price_minor": 7900, "discount_minor": 800}],
     "shipping": [{"name": "standard", "price_minor": 490}],
     "payments": [{"payment_id": "pi_1", "kind": "card", "method": "card_4242", "amount_minor": 15490}],
     "refunds": [{"refund_id": "re_1", "payment_id": "pi_1", "amount_minor": 7500, "at": "2026-11-09T09:00:00Z",
                  "lines": [{"line_id": "1", "quantity": 1, "amount_minor": 7500}]}]}

The form without `lines` has `items` with a `price_minor`, each a line of its own. `user_id`, `item_id`, `cents` and
payments of the type `refund` are read too, as exports of others have them.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from refunds.money import MAX_MINOR
from refunds.ticket import ITEM_LIMIT, Identifier
from refunds.vocabulary import DisputeStatus, OrderStatus, PaymentKind, ReturnCondition

PAYMENT_LIMIT = 20
EVENT_LIMIT = 100
"""Refunds, disputes and returns of one order."""

UNITS_LIMIT = 10_000
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a control character in it")
    return text


def _text(value: object) -> object:
    if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}-\d{2}T", value):
        raise ValueError("not a time as 2026-11-01T09:00:00Z")
    return value


def _in_our_time(moment: datetime) -> datetime:
    if not EARLIEST <= moment <= LATEST:
        raise ValueError("not between 1990 and 2100")
    return moment


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
Minor = Annotated[int, Field(ge=0, le=MAX_MINOR)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text), AfterValidator(_in_our_time)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,3}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class ItemLine(_Strict):
    """A line of the form without `lines`; the price is for the whole line."""

    sku: Identifier = Field(validation_alias=AliasChoices("sku", "item_id"))
    name: Name
    category: Name | None = None
    price_minor: Minor = Field(validation_alias=AliasChoices("price_minor", "cents"))


Quantity = Annotated[int, Field(ge=1, le=UNITS_LIMIT)]


class GoodsLine(_Strict):
    line_id: Identifier
    sku: Identifier
    name: Name
    category: Name | None = None
    options: Annotated[dict[Name, Name], Field(max_length=20)] = Field(default_factory=dict)
    quantity: Quantity
    unit_price_minor: Minor
    discount_minor: Minor = 0
    tax_minor: Minor = 0
    delivered_at: Moment | None = None
    final_sale: bool = False


class ShippingLine(_Strict):
    name: Name
    price_minor: Minor
    discount_minor: Minor = 0
    tax_minor: Minor = 0


class FeeLine(_Strict):
    name: Name
    amount_minor: Minor
    tax_minor: Minor = 0


class DiscountLine(_Strict):
    name: Name
    amount_minor: Minor


class PaymentLine(_Strict):
    """A payment, or with the type `refund` what went back to the method of one before the order came here."""

    payment_id: Identifier | None = None
    kind: PaymentKind | None = None
    method: Name
    amount_minor: Minor = Field(validation_alias=AliasChoices("amount_minor", "cents"))
    at: Moment | None = None
    type: Literal["payment", "refund"] = "payment"


class RefundedLine(_Strict):
    line_id: Identifier
    quantity: Quantity
    amount_minor: Minor


class RefundLine(_Strict):
    refund_id: Identifier
    payment_id: Identifier
    amount_minor: Minor
    at: Moment
    lines: Annotated[list[RefundedLine], Field(max_length=ITEM_LIMIT)] = Field(default_factory=list)
    shipping_minor: Minor = 0


class DisputeLine(_Strict):
    dispute_id: Identifier
    payment_id: Identifier
    amount_minor: Minor
    status: DisputeStatus
    at: Moment


class ReturnLine(_Strict):
    line_id: Identifier
    quantity: Quantity
    arrived_at: Moment
    condition: ReturnCondition = "as_sold"


class OrderLine(_Strict):
    order_id: Identifier
    customer_id: Identifier = Field(validation_alias=AliasChoices("customer_id", "user_id"))
    status: OrderStatus
    lines: Annotated[list[GoodsLine], Field(min_length=1, max_length=ITEM_LIMIT)] | None = None
    items: Annotated[list[ItemLine], Field(min_length=1, max_length=ITEM_LIMIT)] | None = None
    prices_include_tax: bool = True
    shipping: Annotated[list[ShippingLine], Field(max_length=PAYMENT_LIMIT)] = Field(default_factory=list)
    fees: Annotated[list[FeeLine], Field(max_length=PAYMENT_LIMIT)] = Field(default_factory=list)
    discounts: Annotated[list[DiscountLine], Field(max_length=PAYMENT_LIMIT)] = Field(default_factory=list)
    payments: Annotated[list[PaymentLine], Field(max_length=PAYMENT_LIMIT)]
    refunds: Annotated[list[RefundLine], Field(max_length=EVENT_LIMIT)] = Field(default_factory=list)
    disputes: Annotated[list[DisputeLine], Field(max_length=EVENT_LIMIT)] = Field(default_factory=list)
    returns: Annotated[list[ReturnLine], Field(max_length=EVENT_LIMIT)] = Field(default_factory=list)
    version: Annotated[int, Field(ge=0, le=2**53)] = 0
    currency: Code | None = None
    region: Region | None = None
    ordered_at: Moment | None = None
    delivered_at: Moment | None = None
