"""A disbursement with all that the books say of it, as it is read under the lock on its payment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cashier.guard import Sent
from records.books import Books, Row
from refunds.ids import CaseId, DecisionId, PaymentId, TenantId
from refunds.money import Currency, Money
from refunds.vocabulary import SettlementOutcome

ASKED_AFTER = timedelta(seconds=20)
"""So soon after it was ordered nobody can have asked about it yet, so the inquiries are not read."""


@dataclass(frozen=True, slots=True)
class Disbursement:
    """A disbursement, its votes, its sends, its settlements, and what a person asks about it."""

    tenant: TenantId
    decision_id: DecisionId
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


async def disbursement_of(books: Books, tenant: TenantId, decision_id: DecisionId) -> Disbursement | None:
    """The disbursement of a decision; None where there is none."""
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
