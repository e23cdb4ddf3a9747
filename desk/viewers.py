"""Looks: who has a case open now. A hint for colleagues, kept for as long as a page asks for it."""

from desk.people import Person
from records.books import Books
from refunds.ids import CaseId, TenantId

SECONDS = 40
"""A page that is open asks every fifteen seconds; one that has not asked for so long is closed."""


async def note_viewing(books: Books, person: Person, tenant: TenantId, case_id: CaseId) -> list[str]:
    """Say that this person has the case open; who else has."""
    async with books.transaction(tenant) as tx:
        tx.later("tell_viewing", case_id=case_id, person=person.person)
        rows = await tx.rows("viewers_of", case_id=case_id, person=person.person, seconds=SECONDS)
    return [str(row["person"]) for row in rows]
