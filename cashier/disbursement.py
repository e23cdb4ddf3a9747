"""A disbursement with all that the books say of it, read under the lock on its payment; and what is written of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cashier.guard import Sent
from records.books import Books, Row
from records.queue import enqueue
from refunds.ids import CaseId, DisbursementId, PaymentId, TenantId
from refunds.money import Currency, Money
from refunds.vocabulary import SettlementOutcome

ASKED_AFTER = timedelta(seconds=20)
"""So soon after it was ordered nobody can have asked about it yet, so the inquiries are not read."""


@dataclass(frozen=True, slots=True)
class Disbursement:
    """A disbursement, its votes, its sends, its settlements, and what a person asks about it."""

    tenant: TenantId
    decision_id: DisbursementId
    """Its own name: that of its decision, or of one more payment that the decision goes back to."""

    row: Row
    votes: Sequence[Row]
    sends: Sequence[Row]
    settlements: int
    last: SettlementOutcome | None
    asked: Row | None

    @property
    def case_id(self) -> CaseId:
        return CaseId(self.row["case_id"])

    @property
    def payment_id(self) -> PaymentId:
        return PaymentId(self.row["payment_id"])

    @property
    def amount(self) -> Money:
        return Money(self.row["amount_minor"], Currency(self.row["currency"]))

    def sent(self) -> list[Sent]:
        """Its sends, as the guard reads them."""
        return [Sent(send["epoch"], send["age"]) for send in self.sends]


async def disbursement_of(books: Books, tenant: TenantId, decision_id: DisbursementId) -> Disbursement | None:
    """A disbursement; None where there is none of this name."""
    async with books.transaction(tenant) as tx:
        ordered = await tx.row("disbursement", decision_id=decision_id)
        if ordered is None:
            return None
        votes = await tx.rows("votes_of", proposal_id=ordered["proposal_id"])
        sends = await tx.rows("sends_of", decision_id=decision_id)
        settlements = await tx.rows("settlements_of", decision_id=decision_id)
        late = ordered["now"] - ordered["ordered_at"] > ASKED_AFTER
        asked = await tx.row("provider_act_due", decision_id=decision_id) if sends or late else None
    last = settlements[-1]["outcome"] if settlements else None
    return Disbursement(tenant, decision_id, ordered, votes, sends, len(settlements), last, asked)


async def write_settlement(
    books: Books, disbursement: Disbursement, outcome: SettlementOutcome, refund_id: str | None, detail: str
) -> None:
    """Write how it ended, or stands, and enqueue its case."""
    async with books.transaction(disbursement.tenant) as tx:
        await tx.rows(
            "insert_settlement",
            decision_id=disbursement.decision_id,
            seq=disbursement.settlements + 1,
            outcome=outcome,
            provider_refund_id=refund_id,
            detail=detail[:500],
        )
        await enqueue(tx, disbursement.tenant, disbursement.case_id)


async def answer_person(books: Books, disbursement: Disbursement, asked: Row, said: str) -> None:
    """Answer the person who asked about it, and enqueue its case."""
    async with books.transaction(disbursement.tenant) as tx:
        await tx.rows(
            "insert_provider_answer",
            decision_id=disbursement.decision_id,
            act_id=asked["act_id"],
            said=said[:500],
        )
        await enqueue(tx, disbursement.tenant, disbursement.case_id)
