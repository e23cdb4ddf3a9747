"""Charges: what was once paid with a payment, as the provider of the demo asks the books for it."""

from cashier.simulated_provider import Charges
from records.books import Books
from refunds.ids import PaymentId, TenantId
from refunds.money import Currency, Money


def charges_of(books: Books) -> Charges:
    """What was once paid, as the provider asks for it."""

    async def paid(tenant: TenantId, payment_id: PaymentId) -> Money | None:
        async with books.transaction(tenant) as tx:
            row = await tx.row("payment", payment_id=payment_id)
        return Money(row["amount_minor"], Currency(row["currency"])) if row else None

    return paid
