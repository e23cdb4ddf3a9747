"""Orders in the books, as the customer of a case may see them; and the importer's way in."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from records.books import Reads, Row, Transaction
from refunds.ids import CustomerId, LineId, OrderId, PaymentId, Sku, TenantId
from refunds.money import Currency, Money
from refunds.order import (
    Charge,
    CustomerOrder,
    Discount,
    Dispute,
    Line,
    MadeRefund,
    OrderFacts,
    Payment,
    Returned,
    Units,
)

log = logging.getLogger("countersign.records")


async def order_facts(reads: Reads, order_id: str) -> OrderFacts | None:
    """An order with its payments; None where the transaction's tenant and customer have no such order."""
    row = await reads.row("order_facts", order_id=order_id)
    if row is None:
        return None
    currency = Currency(row["currency"])
    return OrderFacts(
        tenant=TenantId(row["tenant"]),
        order_id=OrderId(row["order_id"]),
        customer_id=CustomerId(row["customer_id"]),
        region=row["region"],
        status=row["status"],
        ordered_at=row["ordered_at"],
        delivered_at=row["delivered_at"],
        lines=tuple(_line_of(line, currency) for line in row["lines"]),
        payments=tuple(
            Payment(
                PaymentId(payment["payment_id"]),
                payment["method"],
                Money(payment["amount_minor"], Currency(payment["currency"])),
                Money(payment["refunded_minor"], Currency(payment["currency"])),
                payment["kind"],
            )
            for payment in row["payments"]
        ),
        charges=tuple(
            Charge(charge["kind"], charge["name"], Money(charge["price_minor"], currency))
            for charge in row["charges"]
        ),
        discounts=tuple(
            Discount(one["name"], Money(one["amount_minor"], currency)) for one in row["discounts"]
        ),
        refunds=(
            *(_refund_of(refund, currency, here=False) for refund in row["refunds"]),
            *(_refund_of(refund, currency, here=True) for refund in row["refunds_here"]),
        ),
        disputes=tuple(
            Dispute(
                dispute["dispute_id"],
                PaymentId(dispute["payment_id"]),
                Money(dispute["amount_minor"], currency),
                dispute["status"],
                datetime.fromisoformat(dispute["at"]),
            )
            for dispute in row["disputes"]
        ),
        returns=(
            *(_returned_of(one, noted_here=False) for one in row["returns"]),
            *(_returned_of(one, noted_here=True) for one in row["arrivals"]),
        ),
        version=row["version"],
    )


def customer_orders_of(rows: Iterable[Mapping[str, Any]]) -> tuple[CustomerOrder, ...]:
    """The orders of a customer, the newest first, as `customer_orders` in the books tells them.

    One that cannot be read is left out: it is in nobody's way, and looking it up says what is wrong with it.
    """
    found: list[CustomerOrder] = []
    for row in rows:
        try:
            lines = tuple(_line_of(line, Currency(row["currency"])) for line in row["lines"])
        except (KeyError, TypeError, ValueError) as error:
            log.warning("order %s cannot be read: %s", row["order_id"], type(error).__name__)
            continue
        at = datetime.fromisoformat(row["ordered_at"])
        found.append(CustomerOrder(OrderId(row["order_id"]), row["status"], at, lines, row["region"]))
    return tuple(found)


async def customer_orders(
    tx: Transaction, customer_id: CustomerId, named: str | None = None
) -> tuple[CustomerOrder, ...]:
    """The newest orders of a customer, and the one that is named; the transaction is in their tenant."""
    row = await tx.row("customer_orders", customer_id=customer_id, order_id=named)
    return customer_orders_of(row["orders"]) if row else ()


def _line_of(line: Mapping[str, Any], currency: Currency) -> Line:
    return Line(
        line_id=LineId(line["line_id"]),
        sku=Sku(line["sku"]),
        name=line["name"],
        category=line["category"],
        unit_price=Money(line["unit_price_minor"], currency),
        quantity=line["quantity"],
        discount_minor=line.get("discount_minor", 0),
        tax_minor=line.get("tax_minor", 0),
        tax_included=line.get("tax_included", True),
        final_sale=line.get("final_sale", False),
        delivered_at=_moment(line.get("delivered_at")),
        options=tuple(line.get("options", {}).items()),
    )


def _refund_of(refund: Mapping[str, Any], currency: Currency, *, here: bool) -> MadeRefund:
    return MadeRefund(
        at=_moment(refund["at"]),
        amount=Money(refund["amount_minor"], currency),
        units=tuple(Units.of_json(units) for units in refund["lines"]),
        charges_minor=refund["charges_minor"],
        refund_id=refund.get("refund_id", ""),
        payment_id=PaymentId(refund["payment_id"]) if refund.get("payment_id") else None,
        here=here,
        kept=bool(refund.get("kept")),
    )


def _returned_of(said: Mapping[str, Any], *, noted_here: bool) -> Returned:
    return Returned(
        Units.of_json(dict(said)),
        datetime.fromisoformat(said["arrived_at"]),
        said.get("condition", "as_sold"),
        noted_here,
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _row(order: OrderFacts, number: int) -> dict[str, object]:
    """An order as the bulk statements read it; of a line only what it says."""
    return {
        "line": number,
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "region": order.region,
        "status": order.status,
        "ordered_at": order.ordered_at.isoformat(),
        "delivered_at": order.delivered_at.isoformat() if order.delivered_at else None,
        "currency": order.currency,
        "lines": [_said(line) for line in order.lines],
        "charges": [
            {"kind": one.kind, "name": one.name, "price_minor": one.price.amount_minor}
            for one in order.charges
        ],
        "discounts": [{"name": one.name, "amount_minor": one.amount.amount_minor} for one in order.discounts],
        "payments": [
            {
                "payment_id": payment.payment_id,
                "method": payment.method,
                "kind": payment.kind,
                "amount_minor": payment.paid.amount_minor,
                "currency": payment.paid.currency,
            }
            for payment in sorted(order.payments, key=lambda payment: payment.payment_id)
        ],
        "refunds": [
            {
                "refund_id": refund.refund_id,
                "payment_id": refund.payment_id,
                "amount_minor": refund.amount.amount_minor,
                "at": refund.at.isoformat() if refund.at else None,
                "lines": [units.to_json() for units in refund.units],
                "charges_minor": refund.charges_minor,
            }
            for refund in order.refunds
            if not refund.here
        ],
        "disputes": [
            {
                "dispute_id": dispute.dispute_id,
                "payment_id": dispute.payment_id,
                "amount_minor": dispute.amount.amount_minor,
                "status": dispute.status,
                "at": dispute.at.isoformat(),
            }
            for dispute in order.disputes
        ],
        "returns": [
            {**returned.units.to_json(), "arrived_at": returned.arrived_at.isoformat()}
            | ({} if returned.condition == "as_sold" else {"condition": returned.condition})
            for returned in order.returns
            if not returned.noted_here
        ],
        "version": order.version,
    }


def _said(line: Line) -> dict[str, object]:
    """A line of an order as the books keep it: what it does not say is not there."""
    always = {
        "line_id": line.line_id,
        "sku": line.sku,
        "name": line.name,
        "category": line.category,
        "unit_price_minor": line.unit_price.amount_minor,
        "quantity": line.quantity,
    }
    said = {
        "discount_minor": line.discount_minor,
        "tax_minor": line.tax_minor,
        "tax_included": None if line.tax_included else False,
        "final_sale": line.final_sale or None,
        "delivered_at": line.delivered_at.isoformat() if line.delivered_at else None,
        "options": dict(line.options),
    }
    return always | {name: value for name, value in said.items() if value or value is False}


async def import_orders(tx: Transaction, orders: Iterable[OrderFacts]) -> int:
    """Write orders and their payments; what is there already stays as it is. How many were new."""
    lines = Jsonb([_row(order, number) for number, order in enumerate(orders)])
    written = await tx.row("insert_orders", lines=lines)
    await tx.rows("insert_payments", lines=lines)
    return int(written["orders"]) if written else 0


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """What became of numbered orders of an export: how many are new, how many went on, which cannot be followed."""

    new: int
    moved: int
    refused: dict[int, str]


async def follow_orders(tx: Transaction, orders: Mapping[int, OrderFacts]) -> ExportProgress:
    """Write orders that are new and let those that are there go on to their status; the rest is refused by number.

    Each order and each payment is in them once.
    """
    every = {number: _row(order, number) for number, order in orders.items()}
    refused = {
        row["line"]: _because(row)
        for row in await tx.rows("unfollowable_orders", lines=Jsonb(list(every.values())))
    }
    lines = Jsonb([line for number, line in every.items() if number not in refused])
    written = await tx.row("insert_orders", lines=lines)
    await tx.rows("insert_payments", lines=lines)
    moved = await tx.rows("move_orders", lines=lines)
    return ExportProgress(int(written["orders"]) if written else 0, len(moved), refused)


def _because(row: Row) -> str:
    """Why a line cannot be followed."""
    if row["paid_another"]:
        return f"order {row['order_id']} names a payment that is another order's in the books"
    if row["other"]:
        return f"order {row['order_id']} is in the books with another customer, region or lines"
    if row["fewer"]:
        return f"order {row['order_id']} is in the books with refunds or returns that this line leaves out"
    if row["back"]:
        return f"order {row['order_id']} is in the books and does not go back to this status"
    return f"order {row['order_id']} is in the books with other payments"


async def orders_there(tx: Transaction, order_ids: Iterable[OrderId]) -> set[OrderId]:
    """Those of these orders that are in the tenant's books."""
    return {OrderId(row["order_id"]) for row in await tx.rows("orders_there", order_ids=list(order_ids))}
