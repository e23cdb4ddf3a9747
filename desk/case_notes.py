"""Notes between colleagues: what they tell each other of a case. Who is named with an @ is told of it."""

import re

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide
from desk.notes import BadDecision, check_note, clean_text
from desk.people import Person
from records.books import Books
from records.cases import case_by_id
from refunds.ids import CaseId, TenantId

NOTES_A_CASE = 100
MENTIONS = 20

_MENTIONED = re.compile(r"(?<![\w@])@([!-?A-~]{1,128})")


async def write_note(books: Books, person: Person, tenant: TenantId, case_id: CaseId, text: str) -> list[str]:
    """Write a note; whom it names. Raises NoAuthority, BadDecision, NothingToDecide, Conflict."""
    person.may_see(tenant)
    body = clean_text(text)
    if not body:
        raise BadDecision(_("note: empty"))
    check_note(body, "note")
    async with books.transaction(tenant) as tx:
        if await case_by_id(tx, case_id) is None:
            raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
        await tx.rows("hold_case", tenant=tenant, case_id=case_id)
        known = {row["person"] for row in await tx.rows("deciders")}
        named = mentioned(body, known)
        row = await tx.row(
            "insert_case_note",
            case_id=case_id,
            person=person.person,
            body=body,
            mentions=named,
            most=NOTES_A_CASE,
        )
    if row is None:
        raise Conflict(_("this case has %(count)s notes: say it in person", count=NOTES_A_CASE))
    return named


def mentioned(text: str, known: set[str]) -> list[str]:
    """The people whom a text names with an @, once each, in its order."""
    named = (match.group(1).rstrip(".,;:!?)") for match in _MENTIONED.finditer(text))
    return list(dict.fromkeys(one for one in named if one in known))[:MENTIONS]
