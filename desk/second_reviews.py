"""Second reviews: a colleague reads again what was decided, turned away or blocked, and says what they think of it."""

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide
from desk.notes import BadDecision, check_note
from desk.people import Person
from records.books import Books, Row
from records.cases import case_by_id
from records.snapshots import snapshot_at
from refunds.ids import CaseId, TenantId
from refunds.vocabulary import SecondVerdict

DAYS = 14
EACH = 3
"""Cases of each kind that a tenant's people are shown at a time."""


async def sample(books: Books, person: Person, tenants: list[TenantId]) -> list[Row]:
    """Cases to look at again, some of each kind; those that this person did not decide."""
    found: list[Row] = []
    for tenant in tenants:
        person.may_see(tenant)
        rows = await books.reading(tenant).rows(
            "to_look_at_again", days=DAYS, each=EACH, person=person.person
        )
        found += [dict(row) | {"tenant": tenant} for row in rows]
    return found


async def review_again(
    books: Books, person: Person, tenant: TenantId, case_id: CaseId, verdict: SecondVerdict, note: str
) -> None:
    """Write down a second review. Raises NoAuthority, Conflict, BadDecision, NothingToDecide."""
    person.may_decide(tenant)
    check_note(note, "note")
    if verdict != "agree" and not note.strip():
        raise BadDecision(_("note: say what you would have done"))
    async with books.transaction(tenant) as tx:
        if await case_by_id(tx, case_id) is None:
            raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
        snapshot = await snapshot_at(tx, case_id)
        mine = await tx.row("took_part", case_id=case_id, person=person.person)
        if not snapshot.state.ended and snapshot.state.status not in {"bypassed", "blocked"}:
            raise NothingToDecide(
                _("case %(case)s is not decided yet (%(status)s)", case=case_id, status=snapshot.state.status)
            )
        if mine is None or mine["took_part"]:
            raise Conflict(_("a second review is somebody else's: you had a say in this case"))
        row = await tx.row(
            "insert_second_review", case_id=case_id, person=person.person, verdict=verdict, note=note
        )
    if row is None:
        raise Conflict(_("%(person)s has looked at this case before", person=person.person))
