"""Orders in the books, as the customer of a case may see them; and the importer's way in."""

from collections.abc import Iterable, Mapping

from psycopg.types.json import Jsonb

from records.books import Page
from refunds.ids import CustomerId, OrderId, PaymentId, Sku, TenantId
from refunds.money import Currency, Money
from refunds.order import Item, OrderFacts, Payment


async def order_facts(page: Page, order_id: str) -> OrderFacts | None:
    """An order with its payments; None where the transaction's tenant and customer have no such order."""
    row = await page.row("order_facts", order_id=order_id)
    if row is None:
        return None
    payments = await page.rows("payments_of_order", order_id=order_id)
    refunded = await page.rows("refunded_items", order_id=order_id)
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
            for payment in payments
        ),
        refunded=frozenset(Sku(item["sku"]) for item in refunded),
    )


async def import_orders(page: Page, orders: Iterable[OrderFacts]) -> None:
    """Write orders and their payments; what is there already stays as it is."""
    for order in orders:
        await page.rows(
            "insert_order",
            tenant=order.tenant,
            order_id=order.order_id,
            customer_id=order.customer_id,
            region=order.region,
            status=order.status,
            ordered_at=order.ordered_at,
            delivered_at=order.delivered_at,
            currency=order.items[0].price.currency,
            items=Jsonb(
                [
                    {
                        "sku": item.sku,
                        "name": item.name,
                        "category": item.category,
                        "price_minor": item.price.amount_minor,
                    }
                    for item in order.items
                ]
            ),
        )
        for payment in order.payments:
            await page.rows(
                "insert_payment",
                tenant=order.tenant,
                payment_id=payment.payment_id,
                order_id=order.order_id,
                method=payment.method,
                amount_minor=payment.paid.amount_minor,
                currency=payment.paid.currency,
                refunded_before_minor=payment.refunded.amount_minor,
            )


async def import_customers(page: Page, tenant: TenantId, emails: Mapping[str, str | None]) -> None:
    """Write where customers' replies go; what is there already stays as it is."""
    for customer_id, email in emails.items():
        await page.rows("insert_customer", tenant=tenant, customer_id=customer_id, email=email)
