"""Found refunds: what the provider lists of a payment, and what of it these books do not know.

Somebody refunds in the provider's dashboard; books come back from a backup. What is found is written down for a person,
by the pass over the payments and before every send.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from cashier.guard import KnownRefunds, unknown_refunds
from cashier.processor import Processor, ProviderRefund
from records.books import Books, Row
from refunds.ids import PaymentId, ProposalId, TenantId, decision_of, id_of_leg
from refunds.money import Currency, Money

log = logging.getLogger("countersign.cashier")

CALL_SECONDS = 30.0
"""For one call of the provider."""

LATE_FAILURE_DAYS = 30
"""For so long a provider may still tell that a refund failed at the customer's bank."""

LONG_AGO = datetime.min.replace(tzinfo=UTC)
LONGEST_ID = 255


@dataclass(frozen=True, slots=True)
class FoundRefunds:
    """The provider's lists beside the books."""

    books: Books
    processor: Processor
    watched: dict[TenantId, datetime]
    """Up to which proposal the payments of a tenant were looked at."""

    page_size: int

    async def watch(self, tenant: TenantId) -> None:
        """Look at the payments that a refund was proposed of since: the provider may know more of them."""
        while True:
            since = self.watched.get(tenant, LONG_AGO)
            rows = await self.books.read_once(
                tenant, "watched_payments", since=since, days=LATE_FAILURE_DAYS, most=self.page_size
            )
            for row in rows:
                payment_id = PaymentId(row["payment_id"])
                there = await self.listed(tenant, payment_id)
                if there is None:
                    return  # looked at again, from here on
                if there:
                    await self.note(tenant, payment_id, there)
                self.watched[tenant] = row["place"]
            if len(rows) < self.page_size:
                return

    async def listed(self, tenant: TenantId, payment_id: PaymentId) -> Sequence[ProviderRefund] | None:
        """The provider's list of a payment; None where it does not answer in time."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await self.processor.refunds_of(tenant, payment_id)
        except TimeoutError:
            return None

    async def note(
        self, tenant: TenantId, payment_id: PaymentId, there: Sequence[ProviderRefund]
    ) -> KnownRefunds | None:
        """What the books know of a payment's refunds; what they do not know of it is written down for a person."""
        rows = await self.books.read_once(tenant, "known_refunds", payment_id=payment_id)
        if not rows:
            return None
        known = known_refunds(rows[0])
        cases = {
            str(id_of_leg(decision_of(ProposalId(UUID(name))), leg)): case
            for name, case, leg in rows[0]["proposals"]
        }
        new = [one for one in unknown_refunds(tenant, there, known) if one.refund_id not in rows[0]["found"]]
        if new:
            async with self.books.transaction(tenant) as tx:
                for refund in new:
                    log.warning(
                        "refund %s of %s is not in these books", refund.refund_id[:LONGEST_ID], payment_id
                    )
                    await tx.rows(
                        "insert_found_refund",
                        provider_refund_id=refund.refund_id[:LONGEST_ID] or "without an id",
                        payment_id=payment_id,
                        decision_label=refund.decision_id[:LONGEST_ID],
                        amount_minor=refund.amount.amount_minor,
                        currency=refund.amount.currency,
                        case_id=cases.get(refund.decision_id),
                    )
        return known


def known_refunds(row: Row) -> KnownRefunds:
    """A row of `known_refunds` as a value."""
    return KnownRefunds(
        paid=Money(row["amount_minor"], Currency(row["currency"])),
        refunded_before_minor=row["refunded_before_minor"],
        left_minor=row["left_minor"],
        disputed=row["disputed"],
        under_way=frozenset(row["under_way"]),
        settled=frozenset(row["settled"]),
        named=frozenset(row["named"]),
    )
