"""Customers in the books: where their replies go, what is masked of them, and whom no reply can reach."""

from collections.abc import Iterable
from dataclasses import asdict

from psycopg.types.json import Jsonb

from records.books import Reads, Row, Transaction
from records.queue import enqueue_desk
from refunds.customer import Customer
from refunds.ids import CaseId, CustomerId, TenantId

REPLY_DAYS = 40
"""So long a case that got no reply is listed."""


async def import_customers(tx: Transaction, customers: Iterable[Customer], *, keep: bool = False) -> int:
    """Write customers; how many. What one says takes the place of what was there, or, with `keep`, is left out."""
    lines = [asdict(one) for one in customers]
    return len(await tx.rows("write_customers", lines=Jsonb(lines), keep=keep))


async def unreachable_cases(reads: Reads, most: int) -> list[Row]:
    """Cases of a tenant that call for a reply, whose customer has no address; the longest waiting first."""
    return await _unreachable(reads, None, most)


async def reply_again(tx: Transaction, tenant: TenantId, customers: Iterable[Customer], most: int) -> int:
    """Enqueue what had no address to go to and is about to have one; how many cases."""
    there = [one.customer_id for one in customers if one.email is not None]
    rows = await _unreachable(tx, there, most) if there else []
    for row in rows:
        await enqueue_desk(tx, tenant, CaseId(row["case_id"]))
    return len(rows)


async def lost_replies(reads: Reads, *, tries: int, most: int, days: int) -> list[Row]:
    """Cases whose reply was not written within so many days, or did not go out and is tried again; the oldest first."""
    return await reads.rows("replies_due", tries=tries, most=most, days=days, reachable=True, customers=None)


async def _unreachable(reads: Reads, customers: list[CustomerId] | None, most: int) -> list[Row]:
    return await reads.rows(
        "replies_due", tries=0, most=most, days=REPLY_DAYS, reachable=False, customers=customers
    )
