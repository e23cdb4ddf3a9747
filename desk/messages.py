"""What a customer or a colleague adds: it returns to the same case, and wakes the agent where that waits for it."""

from uuid import UUID

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
            raise NothingToDecide(f"no case {case_id} for {tenant}")
        await tx.rows("hold_case", tenant=tenant, case_id=case_id)
        there = await messages_of(tx, case_id)
        if any(row["message_id"] == message_id for row in there):
            return False
        now = await case_state(tx, case_id)
        if now.ended and now.status != "refund_failed":
            raise Conflict(f"case {case_id} has ended ({now.status}): open a new ticket")
        if len(there) >= MESSAGES_A_CASE:
            raise Conflict(f"case {case_id} has {MESSAGES_A_CASE} messages: open a new ticket")
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
            raise Conflict(f"message_id: {message_id} is a message of another case")
        await enqueue(tx, tenant, case_id)
        return True


def check_text(text: str) -> None:
    """BadDecision where a message is empty, too long or holds what the books cannot."""
    if not text.strip():
        raise BadDecision("text: empty")
    if len(text) > QUESTION_LIMIT:
        raise BadDecision(f"text: at most {QUESTION_LIMIT} characters")
    if "\x00" in text or text != text.encode("utf-8", "replace").decode("utf-8"):
        raise BadDecision("text: a NUL or half a pair of surrogates in it")
