"""Replies in the books: the outbox. A reply is written once an outcome and delivered at least once."""

from dataclasses import dataclass
from datetime import datetime

from records.books import Transaction
from refunds.canonical import sha256
from refunds.ids import CaseId, CustomerId
from refunds.vocabulary import CaseStatus


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a reply goes to: an address, a language and a name, each None where the books do not say."""

    address: str | None
    language: str | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerReply:
    """What a customer is told of an outcome; `message_id` stays the same however often it is sent."""

    outcome: CaseStatus
    round: int
    message_id: str
    recipient_sha256: str
    body: str
    written_at: datetime
    attempts: int
    delivered_at: datetime | None


async def write_reply(
    tx: Transaction,
    case_id: CaseId,
    outcome: CaseStatus,
    round_: int,
    message_id: str,
    recipient: str,
    body: str,
) -> bool:
    """Write a reply; False where this outcome has one in this round."""
    row = await tx.row(
        "insert_reply",
        case_id=case_id,
        outcome=outcome,
        round=round_,
        message_id=message_id,
        recipient_sha256=sha256(recipient),
        body=body,
        body_sha256=sha256(body),
    )
    return row is not None


async def replies_of(tx: Transaction, case_id: CaseId) -> list[CustomerReply]:
    """The replies of a case, in order."""
    return [
        CustomerReply(
            outcome=row["outcome"],
            round=row["round"],
            message_id=row["message_id"],
            recipient_sha256=row["recipient_sha256"],
            body=row["body"],
            written_at=row["written_at"],
            attempts=row["attempts"],
            delivered_at=row["delivered_at"],
        )
        for row in await tx.rows("replies_of", case_id=case_id)
    ]


async def note_delivery(
    tx: Transaction, case_id: CaseId, reply: CustomerReply, channel: str, *, delivered: bool, detail: str = ""
) -> None:
    """Write down a try to send."""
    await tx.rows(
        "insert_delivery",
        case_id=case_id,
        outcome=reply.outcome,
        round=reply.round,
        channel=channel,
        delivered=delivered,
        detail=detail[:500],
    )


async def round_of(tx: Transaction, case_id: CaseId, outcome: CaseStatus) -> int:
    """Which time a case comes to this outcome; the first is 1."""
    row = await tx.row("round_of", case_id=case_id, outcome=outcome)
    return int(row["round"]) if row else 1


async def recipient_of(tx: Transaction, customer_id: CustomerId) -> Recipient:
    """Where a customer's replies go, and in which language amounts are written there, as far as the books say."""
    row = await tx.row("recipient_of", customer_id=customer_id)
    return Recipient(row["email"], row["language"], row["name"]) if row else Recipient(None, None)
