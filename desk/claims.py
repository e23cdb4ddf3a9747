"""Claims: a lease on a case that ends by itself, so that two people do not do the same work."""

from datetime import datetime

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide, claimed_by
from desk.people import Person
from records.books import Books
from records.cases import case_by_id
from refunds.ids import CaseId, TenantId

LEASE_MINUTES = 15


async def release_claim(books: Books, person: Person, tenant: TenantId, case_id: CaseId) -> None:
    """End one's own lease; nothing happens where somebody else has the case."""
    person.may_decide(tenant)
    async with books.transaction(tenant) as tx:
        await tx.rows("hold_case", tenant=tenant, case_id=case_id)
        held = await tx.row("claim_of", case_id=case_id)
        if held is not None and held["person"] == person.person:
            await tx.rows("insert_claim", case_id=case_id, person=person.person, minutes=0)


async def claim(books: Books, person: Person, tenant: TenantId, case_id: CaseId) -> datetime:
    """Take a case for a quarter of an hour, or go on with it; until when. Conflict names who has it."""
    person.may_decide(tenant)
    async with books.transaction(tenant) as tx:
        if await case_by_id(tx, case_id) is None:
            raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
        await tx.rows("hold_case", tenant=tenant, case_id=case_id)
        held = await tx.row("claim_of", case_id=case_id)
        if held is not None and held["person"] != person.person:
            raise Conflict(claimed_by(held))
        row = await tx.row("insert_claim", case_id=case_id, person=person.person, minutes=LEASE_MINUTES)
    if row is None:
        raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
    ends_at: datetime = row["ends_at"]
    return ends_at
