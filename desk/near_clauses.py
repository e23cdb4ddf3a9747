"""Near clauses: what of the policy stands nearest to a customer's words, for a person who writes to them.

Being near is not answering: the agent cited none of these by itself.
"""

from datetime import date

from records.books import Reads, Transaction
from records.cases import Case
from records.snapshots import Snapshot
from refunds.evidence import Offer
from refunds.ids import TenantId
from runtime.shelf import look_up

MOST = 3


async def near_clauses(
    reads: Reads, tenant: TenantId, asked: str, region: str, on_date: date
) -> tuple[Offer, ...]:
    """The nearest clauses in force by words alone, of different wording; none where no word is shared."""
    return (await look_up(reads, tenant, asked, region, on_date, MOST)).offers


async def offered(tx: Transaction, case: Case, snapshot: Snapshot, region: str) -> tuple[Offer, ...]:
    """What a person who writes may cite: as it was found for the hand-over; nothing where a draft has its citations."""
    current = snapshot.current
    if snapshot.state.ended or (current is not None and current.proposal.citations):
        return ()
    if current is not None and current.proposal.offers:
        return current.proposal.offers
    return await near_clauses(tx, case.tenant, case.ticket.question, region, snapshot.now.date())
