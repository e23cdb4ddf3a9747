"""Customers in the books: where their replies go, what is masked of them, and whom no reply can reach."""

from collections.abc import Iterable

from psycopg.types.json import Jsonb

from records.books import Reads, Row, Transaction
from records.queue import enqueue_desk
from refunds.customer import Customer
from refunds.ids import CaseId, TenantId

REPLY_DAYS = 40
"""So long a case that got no reply is listed."""


async def import_customers(tx: Transaction, customers: Iterable[Customer], *, keep: bool = False) -> int:
    """Write customers; how many. What one says takes the place of what was there, or, with `keep`, is left out."""
    lines = [
        {
            "customer_id": one.customer_id,
            "email": one.email,
            "name": one.name,
            "address": one.address,
            "language": one.language,
        }
        for one in customers
    ]
    return len(await tx.rows("write_customers", lines=Jsonb(lines), keep=keep))


async def unreachable_cases(reads: Reads, most: int) -> list[Row]:
    """Cases of a tenant that call for a reply, whose customer has no address; the longest waiting first."""
    return await reads.rows("replies_due", tries=0, most=most, days=REPLY_DAYS, reachable=False)


async def reply_again(tx: Transaction, tenant: TenantId, customers: Iterable[Customer], most: int) -> int:
    """Enqueue what had no address to go to and is about to have one; how many cases."""
    there = {one.customer_id for one in customers if one.email is not None}
    rows = [row for row in await unreachable_cases(tx, most) if row["customer_id"] in there]
    for row in rows:
        await enqueue_desk(tx, tenant, CaseId(row["case_id"]))
    return len(rows)
