"""Readings in the books: what a reader found in the words of a case."""

import json

from records.books import Reads, Row, Transaction
from refunds.canonical import canonical
from refunds.ids import CaseId, PersonId
from refunds.reading import TicketReading
from refunds.vocabulary import Via


def write_reading(
    tx: Transaction,
    case_id: CaseId,
    reading: TicketReading,
    *,
    run: int | None = None,
    person: PersonId | None = None,
    via: Via | None = None,
    address: str | None = None,
) -> None:
    """Write down what a program read for a run, or a person at the desk; it goes out with the next statement."""
    tx.later(
        "insert_reading",
        case_id=case_id,
        reader=reading.reader,
        version=reading.version,
        body=canonical(reading.to_json()),
        run=run,
        person=person,
        via=via,
        address=address,
    )


def reading_in(body: str | None) -> TicketReading | None:
    """The reading in its body; None where there is none."""
    return TicketReading.of_json(json.loads(body)) if body else None


async def corrections_of(reads: Reads, most: int) -> list[Row]:
    """What people corrected, the newest of each case, the newest first."""
    return await reads.rows("corrections_of", most=most)
