"""Orders as they come in: the one reading of an export's line, and what no order can be."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from refunds.canonical import BadJson, read_json
from refunds.ids import CustomerId, LineId, OrderId, PaymentId, Sku, TenantId
from refunds.money import Currency, Money
from refunds.money import currency as known_currency
from refunds.order import (
    Charge,
    Discount,
    Dispute,
    Line,
    MadeRefund,
    OrderFacts,
    Payment,
    Returned,
    Units,
    counted,
)
from refunds.order_line import ItemLine, OrderLine
from refunds.ticket import LINE_LIMIT_BYTES, said_small
from refunds.vocabulary import ChargeKind, PaymentKind

IDENTIFIER_LIMIT = 128


class BadOrder(ValueError):
    """A line is not an order; the message names the field."""


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
    if (read.lines is None) == (read.items is None):
        raise BadOrder(
            "lines: give the goods as lines" + ("" if read.items is None else ", and not as items too")
        )
    try:
        currency = known_currency(read.currency) if read.currency else unstated.currency
    except ValueError as error:
        raise BadOrder(f"currency: {error}") from None
    ordered_at = read.ordered_at or min(unstated.ordered_at, read.delivered_at or unstated.ordered_at)
    if read.delivered_at is not None and read.delivered_at < ordered_at:
        raise BadOrder("delivered_at: before ordered_at")
    refunds = [*_refunds(read, currency), *_refunds_by_method(read, currency)]
    try:
        order = OrderFacts(
            tenant=tenant,
            order_id=OrderId(read.order_id),
            customer_id=CustomerId(read.customer_id),
            region=read.region or unstated.region,
            status=read.status,
            ordered_at=ordered_at,
            delivered_at=read.delivered_at,
            lines=tuple(_lines(read, currency)),
            payments=tuple(_payments(read, currency, refunds)),
            charges=tuple(_charges(read, currency)),
            discounts=tuple(Discount(one.name, Money(one.amount_minor, currency)) for one in read.discounts),
            refunds=tuple(refunds),
            disputes=tuple(
                Dispute(
                    one.dispute_id,
                    PaymentId(one.payment_id),
                    Money(one.amount_minor, currency),
                    one.status,
                    one.at,
                )
                for one in read.disputes
            ),
            returns=tuple(
                Returned(Units(LineId(one.line_id), one.quantity), one.arrived_at, one.condition)
                for one in read.returns
            ),
            version=read.version,
        )
        _check(order)
    except BadOrder:
        raise
    except ValueError as error:
        raise BadOrder(str(error)) from None
    return order


def _check(order: OrderFacts) -> None:
    """What no order can be: two of one name, more refunded or returned than was bought; BadOrder says which."""
    for name, ids in (
        ("lines", [str(line.line_id) for line in order.lines]),
        ("payments", [str(payment.payment_id) for payment in order.payments]),
        ("refunds", [refund.refund_id for refund in order.refunds if refund.refund_id]),
        ("disputes", [dispute.dispute_id for dispute in order.disputes]),
    ):
        if len(set(ids)) != len(ids):
            raise BadOrder(f"{name}: two of one name")
    bought = counted(order.units())
    for name, units in (("refunds", order.gone), ("returns", counted(one.units for one in order.returns))):
        over = units - bought
        if over:
            raise BadOrder(f"{name}: more of line {min(over)} than were bought")
    payments = {payment.payment_id for payment in order.payments}
    for name, named in (
        ("refunds", {refund.payment_id for refund in order.refunds if refund.payment_id}),
        ("disputes", {dispute.payment_id for dispute in order.disputes}),
    ):
        if named - payments:
            raise BadOrder(f"{name}: no payment {min(named - payments)}")
    off = sum(one.amount.amount_minor for one in order.discounts)
    if off > sum(line.price.amount_minor for line in order.lines) + order.charged.amount_minor:
        raise BadOrder("discounts: above what the order costs")
    if order.charges_gone_minor > order.charged.amount_minor:
        raise BadOrder("refunds: more went back for shipping and fees than they cost")


def _lines(read: OrderLine, currency: Currency) -> list[Line]:
    if read.lines is None:
        return _lines_of_items(read.items or [], currency)
    for line in read.lines:
        if line.discount_minor > line.unit_price_minor * line.quantity:
            raise BadOrder(f"lines: the discount of line {line.line_id} is above its price")
    return [
        Line(
            LineId(line.line_id),
            Sku(line.sku),
            line.name,
            line.category or line.name.lower(),
            Money(line.unit_price_minor, currency),
            line.quantity,
            line.discount_minor,
            line.tax_minor,
            tax_included=read.prices_include_tax,
            final_sale=line.final_sale,
            delivered_at=line.delivered_at,
            options=tuple(sorted(line.options.items())),
        )
        for line in read.lines
    ]


def _lines_of_items(items: list[ItemLine], currency: Currency) -> list[Line]:
    """Items as lines: equal ones are units of one, called by the place of the first."""
    first: dict[tuple[str, str, str, int], int] = {}
    counts: Counter[int] = Counter()
    for place, item in enumerate(items, start=1):
        named = (item.sku, item.name, item.category or item.name.lower(), item.price_minor)
        counts[first.setdefault(named, place)] += 1
    return [
        Line(LineId(str(place)), Sku(sku), name, category, Money(price, currency), counts[place])
        for (sku, name, category, price), place in first.items()
    ]


def _charges(read: OrderLine, currency: Currency) -> list[Charge]:
    """Shipping and fees, each less its discount and with its tax."""

    def charge(kind: ChargeKind, name: str, price: int, discount: int, tax: int) -> Charge:
        if discount > price:
            raise BadOrder(f"{kind}: the discount of {name} is above its price")
        return Charge(kind, name, Money(price - discount + (0 if read.prices_include_tax else tax), currency))

    return [
        *(
            charge("shipping", one.name, one.price_minor, one.discount_minor, one.tax_minor)
            for one in read.shipping
        ),
        *(charge("fee", one.name, one.amount_minor, 0, one.tax_minor) for one in read.fees),
    ]


def _refunds(read: OrderLine, currency: Currency) -> list[MadeRefund]:
    found = []
    for one in read.refunds:
        if sum(line.amount_minor for line in one.lines) + one.shipping_minor > one.amount_minor:
            raise BadOrder(f"refunds: the parts of {one.refund_id} are more than it")
        found.append(
            MadeRefund(
                one.at,
                Money(one.amount_minor, currency),
                tuple(Units(LineId(line.line_id), line.quantity) for line in one.lines),
                one.shipping_minor,
                one.refund_id,
                PaymentId(one.payment_id),
            )
        )
    return found


def _refunds_by_method(read: OrderLine, currency: Currency) -> list[MadeRefund]:
    """Payments of the type `refund`, each of the payment of its method that can bear it."""
    paid = [(_payment_id(read, number), line) for number, line in enumerate(read.payments, start=1)]
    free = {name: line.amount_minor for name, line in paid if line.type == "payment"}
    found = []
    for _, line in paid:
        rest = line.amount_minor if line.type == "refund" else 0
        for name, other in paid:
            if rest and name in free and other.method == line.method and free[name]:
                part = min(rest, free[name])
                free[name] -= part
                rest -= part
                found.append(MadeRefund(line.at, Money(part, currency), payment_id=name))
        if rest:
            raise BadOrder("payments: more went back to a method than was paid with it")
    return found


def _payment_id(read: OrderLine, number: int) -> PaymentId:
    """The name of a payment; one without is called after its order."""
    return PaymentId(read.payments[number - 1].payment_id or f"{read.order_id}:{number}")


def _payments(read: OrderLine, currency: Currency, refunds: list[MadeRefund]) -> list[Payment]:
    """What was paid, each less what went back to it or was lost to its bank."""
    payments: list[Payment] = []
    for number, line in enumerate(read.payments, start=1):
        if line.type == "payment":
            payment_id = _payment_id(read, number)
            if len(payment_id) > IDENTIFIER_LIMIT:
                raise BadOrder("payments: give a payment_id, the order's is too long to name one after it")
            back = sum(one.amount.amount_minor for one in refunds if one.payment_id == payment_id)
            lost = (one for one in read.disputes if one.status == "lost" and one.payment_id == payment_id)
            back += sum(one.amount_minor for one in lost)
            if back > line.amount_minor:
                raise BadOrder(f"refunds: more went back to {payment_id} than was paid with it")
            payments.append(
                Payment(
                    payment_id,
                    line.method,
                    Money(line.amount_minor, currency),
                    Money(back, currency),
                    line.kind or _kind_of(line.method),
                )
            )
    return payments


_KINDS: dict[str, PaymentKind] = {
    "gift": "gift_card",
    "store_credit": "store_credit",
    "paypal": "wallet",
    "apple_pay": "wallet",
    "google_pay": "wallet",
    "bank": "bank",
    "sepa": "bank",
    "cash": "cash",
}


def _kind_of(method: str) -> PaymentKind:
    """The kind of a payment whose line does not say it, by how its method begins."""
    return next((kind for begin, kind in _KINDS.items() if method.lower().startswith(begin)), "card")
