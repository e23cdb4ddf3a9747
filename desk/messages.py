"""What a customer or a colleague adds: it returns to the same case, and wakes the agent where that waits for it."""

from uuid import UUID

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide
from desk.notes import BadDecision
from desk.people import Person
from records.books import Books
from records.cases import case_by_id
from records.messages import insert_message, messages_of
from records.queue import enqueue
from records.snapshots import case_state
from refunds.ids import CaseId, TenantId
from refunds.ticket import QUESTION_LIMIT
from refunds.vocabulary import Asked

MESSAGES_A_CASE = 20
"""More than any conversation needs; after that a new ticket is opened."""


class CaseHasEnded(Conflict):
    """Nothing is added to a case that has ended."""


async def add_message(
    books: Books,
    person: Person,
    tenant: TenantId,
    case_id: CaseId,
    message_id: UUID,
    author: Asked,
    text: str,
) -> bool:
    """Write a message into a case; False where it is there already. Raises Conflict, BadDecision, NothingToDecide."""
    person.may_submit(tenant)
    check_text(text)
    async with books.transaction(tenant) as tx:
        case = await case_by_id(tx, case_id)
        if case is None:
            raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
        await tx.rows("hold_case", tenant=tenant, case_id=case_id)
        there = await messages_of(tx, case_id)
        if any(row["message_id"] == message_id for row in there):
            return False
        now = await case_state(tx, case_id)
        if now.ended and now.status != "refund_failed":
            raise CaseHasEnded(
                _("case %(case)s has ended (%(status)s): open a new ticket", case=case_id, status=now.status)
            )
        if len(there) >= MESSAGES_A_CASE:
            raise Conflict(
                _(
                    "case %(case)s has %(count)s messages: open a new ticket",
                    case=case_id,
                    count=MESSAGES_A_CASE,
                )
            )
        new = await insert_message(
            tx,
            case_id,
            message_id,
            author,
            text,
            person=person.person,
            via=person.via,
            address=person.address,
        )
        if not new:
            raise Conflict(
                _("message_id: %(message_id)s is a message of another case", message_id=message_id)
            )
        await enqueue(tx, tenant, case_id)
        return True


def check_text(text: str) -> None:
    """BadDecision where a message is empty, too long or holds what the books cannot."""
    if not text.strip():
        raise BadDecision(_("text: empty"))
    if len(text) > QUESTION_LIMIT:
        raise BadDecision(_("text: at most %(most)s characters", most=QUESTION_LIMIT))
    if "\x00" in text or text != text.encode("utf-8", "replace").decode("utf-8"):
        raise BadDecision(_("text: a NUL or half a pair of surrogates in it"))
