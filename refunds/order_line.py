"""An order as a shop's export writes it, one JSON object a line, and the one reading of it.

    {"order_id": "D300", "customer_id": "C100", "status": "delivered", "currency": "USD", "region": "US",
     "ordered_at": "2026-11-01T09:00:00Z", "delivered_at": "2026-11-05T09:00:00Z",
     "items": [{"sku": "SKU-1", "name": "Tablet", "category": "tablet", "price_minor": 7900}],
     "payments": [{"payment_id": "pi_1", "method": "card_4242", "amount_minor": 7900}]}

`user_id`, `item_id`, `cents` and payments of the type `refund` are read too, as exports of others have them.
"""

import re
from dataclasses import dataclass
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
    ValidationError,
)

from refunds.canonical import BadJson, read_json
from refunds.ids import CustomerId, OrderId, PaymentId, Sku, TenantId
from refunds.money import MAX_MINOR, Currency, Money
from refunds.order import Item, OrderFacts, Payment
from refunds.ticket import ITEM_LIMIT, LINE_LIMIT_BYTES, Identifier, said_small
from refunds.vocabulary import OrderStatus

PAYMENT_LIMIT = 20
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
IDENTIFIER_LIMIT = 128


class BadOrder(ValueError):
    """A line is not an order; the message names the field."""


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
    sku: Identifier = Field(validation_alias=AliasChoices("sku", "item_id"))
    name: Name
    category: Name | None = None
    price_minor: Minor = Field(validation_alias=AliasChoices("price_minor", "cents"))


class PaymentLine(_Strict):
    """A payment, or with the type `refund` what went back to the method of one before the order came here."""

    payment_id: Identifier | None = None
    method: Name
    amount_minor: Minor = Field(validation_alias=AliasChoices("amount_minor", "cents"))
    type: Literal["payment", "refund"] = "payment"


class OrderLine(_Strict):
    order_id: Identifier
    customer_id: Identifier = Field(validation_alias=AliasChoices("customer_id", "user_id"))
    status: OrderStatus
    items: Annotated[list[ItemLine], Field(min_length=1, max_length=ITEM_LIMIT)]
    payments: Annotated[list[PaymentLine], Field(max_length=PAYMENT_LIMIT)]
    currency: Code | None = None
    region: Region | None = None
    ordered_at: Moment | None = None
    delivered_at: Moment | None = None


@dataclass(frozen=True, slots=True)
class Unstated:
    """What counts where a line does not say."""

    currency: Currency
    region: str
    ordered_at: datetime


def read_order_line(line: str, tenant: TenantId, unstated: Unstated) -> OrderFacts:
    """The order of a line of JSON; BadOrder names the field where it is none."""
    if len(line.encode("utf-8", "surrogatepass")) > LINE_LIMIT_BYTES:
        raise BadOrder(f"longer than {LINE_LIMIT_BYTES} bytes")
    try:
        read = OrderLine.model_validate(read_json(line))
    except BadJson as error:
        raise BadOrder(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "order"
        raise BadOrder(f"{field}: {said_small(first['msg'])}") from None
    currency = Currency(read.currency) if read.currency else unstated.currency
    ordered_at = read.ordered_at or min(unstated.ordered_at, read.delivered_at or unstated.ordered_at)
    if read.delivered_at is not None and read.delivered_at < ordered_at:
        raise BadOrder("delivered_at: before ordered_at")
    return OrderFacts(
        tenant=tenant,
        order_id=OrderId(read.order_id),
        customer_id=CustomerId(read.customer_id),
        region=read.region or unstated.region,
        status=read.status,
        ordered_at=ordered_at,
        delivered_at=read.delivered_at,
        items=tuple(
            Item(
                Sku(item.sku),
                item.name,
                item.category or item.name.lower(),
                Money(item.price_minor, currency),
            )
            for item in read.items
        ),
        payments=tuple(_payments(read, currency)),
    )


def _payments(read: OrderLine, currency: Currency) -> list[Payment]:
    """What was paid, each less what went back to its method; a payment without a name is called after its order."""
    back: dict[str, int] = {}
    for line in read.payments:
        if line.type == "refund":
            back[line.method] = back.get(line.method, 0) + line.amount_minor
    payments: list[Payment] = []
    for number, line in enumerate(read.payments, start=1):
        if line.type == "payment":
            returned = min(back.get(line.method, 0), line.amount_minor)
            back[line.method] = back.get(line.method, 0) - returned
            payments.append(
                Payment(
                    PaymentId(line.payment_id or f"{read.order_id}:{number}"),
                    line.method,
                    Money(line.amount_minor, currency),
                    Money(returned, currency),
                )
            )
    if any(len(payment.payment_id) > IDENTIFIER_LIMIT for payment in payments):
        raise BadOrder("payments: give a payment_id, the order's is too long to name one after it")
    if any(back.values()):
        raise BadOrder("payments: more went back to a method than was paid with it")
    if len({payment.payment_id for payment in payments}) != len(payments):
        raise BadOrder("payments: two of one name")
    return payments
