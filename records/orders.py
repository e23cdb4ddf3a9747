"""Orders in the books, as the customer of a case may see them; and the importer's way in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from records.books import Reads, Row, Transaction
from refunds.ids import CustomerId, OrderId, PaymentId, Sku, TenantId
from refunds.money import Currency, Money
from refunds.order import Item, OrderFacts, Payment


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
        items=tuple(
            Item(Sku(item["sku"]), item["name"], item["category"], Money(item["price_minor"], currency))
            for item in row["items"]
        ),
        payments=tuple(
            Payment(
                PaymentId(payment["payment_id"]),
                payment["method"],
                Money(payment["amount_minor"], Currency(payment["currency"])),
                Money(payment["refunded_minor"], Currency(payment["currency"])),
            )
            for payment in row["payments"]
        ),
        refunded=tuple(Sku(sku) for sku in row["refunded"]),
    )


def _line(order: OrderFacts, number: int) -> dict[str, object]:
    """An order as the bulk statements read it."""
    return {
        "line": number,
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "region": order.region,
        "status": order.status,
        "ordered_at": order.ordered_at.isoformat(),
        "delivered_at": order.delivered_at.isoformat() if order.delivered_at else None,
        "currency": order.items[0].price.currency,
        "items": [
            {
                "sku": item.sku,
                "name": item.name,
                "category": item.category,
                "price_minor": item.price.amount_minor,
            }
            for item in order.items
        ],
        "payments": [
            {
                "payment_id": payment.payment_id,
                "method": payment.method,
                "amount_minor": payment.paid.amount_minor,
                "currency": payment.paid.currency,
                "refunded_minor": payment.refunded.amount_minor,
            }
            for payment in sorted(order.payments, key=lambda payment: payment.payment_id)
        ],
    }


async def import_orders(tx: Transaction, orders: Iterable[OrderFacts]) -> int:
    """Write orders and their payments; what is there already stays as it is. How many were new."""
    lines = Jsonb([_line(order, number) for number, order in enumerate(orders)])
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
    every = {number: _line(order, number) for number, order in orders.items()}
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
        return f"order {row['order_id']} is in the books with another customer, region or items"
    if row["back"]:
        return f"order {row['order_id']} is in the books and does not go back to this status"
    return f"order {row['order_id']} is in the books with other payments"


async def orders_there(tx: Transaction, order_ids: Iterable[OrderId]) -> set[OrderId]:
    """Those of these orders that are in the tenant's books."""
    return {OrderId(row["order_id"]) for row in await tx.rows("orders_there", order_ids=list(order_ids))}
