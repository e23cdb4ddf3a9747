"""Messages: what a customer or a colleague adds to a case. Their text is data, whatever it says."""

from uuid import UUID

from records.books import Row, Transaction
from refunds.canonical import sha256
from refunds.ids import CaseId, PersonId
from refunds.vocabulary import Asked, Via


async def insert_message(
    tx: Transaction,
    case_id: CaseId,
    message_id: UUID,
    author: Asked,
    body: str,
    *,
    person: PersonId,
    via: Via,
    address: str | None,
) -> bool:
    """Write a message down, with who brought it; False where it is there already."""
    row = await tx.row(
        "insert_message",
        message_id=message_id,
        case_id=case_id,
        author=author,
        body=body,
        body_sha256=sha256(body),
        person=person,
        via=via,
        address=address,
    )
    return row is not None


async def messages_of(tx: Transaction, case_id: CaseId) -> list[Row]:
    """Every message of a case, in order."""
    return await tx.rows("messages_of", case_id=case_id)
