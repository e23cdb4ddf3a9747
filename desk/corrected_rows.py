"""What people corrected, as rows to train by: the customer's words masked, what was read, and what a person read."""

from collections.abc import AsyncIterator, Mapping

from records.books import Books
from records.messages import messages_of
from records.readings import corrections_of, reading_in
from refunds.ids import CaseId, TenantId
from refunds.masking import KnownNames, mask
from refunds.reading import BETWEEN, TicketReading
from refunds.ticket import Ticket


async def corrected_rows(books: Books, tenant: TenantId, most: int) -> AsyncIterator[dict[str, object]]:
    """The newest correction of each case of a tenant, the newest first."""
    async with books.transaction(tenant) as tx:
        for row in await corrections_of(tx, most):
            said = [
                message["body"]
                for message in await messages_of(tx, CaseId(row["case_id"]))
                if message["author"] == "customer" and message["at"] < row["at"]
            ]
            texts = (*Ticket.parse(row["ticket"]).texts, *said)
            kinds = ("name", "address", "email")
            known = KnownNames({row[kind]: kind for kind in kinds if row[kind]})
            yield {
                "case_id": str(row["case_id"]),
                "text": mask(BETWEEN.join(texts), known),
                "person": row["person"],
                "at": row["at"].isoformat(),
                "read_by": row["version"],
                "read": _said(reading_in(row["read"])),
                "corrected": _said(reading_in(row["corrected"])),
            }


def _said(reading: TicketReading | None) -> list[Mapping[str, object]]:
    """The asks of a reading without the places of its words, which the mask has moved."""
    if reading is None:
        return []
    return [
        {name: value for name, value in ask.to_json().items() if name not in {"spans", "sure", "state"}}
        for ask in reading.asks
    ]
