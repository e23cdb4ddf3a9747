"""My day: what a person decided, what came of it, what came back to them, and where colleagues name them."""

from dataclasses import dataclass

from desk.people import Person
from records.books import Books, Row
from refunds.ids import TenantId

HOURS = 24
DAYS = 14
MOST = 200


@dataclass(frozen=True, slots=True)
class MyDay:
    """The rows of a person's day, the newest first, each with its tenant."""

    votes: list[Row]
    came_back: list[Row]
    named_in: list[Row]

    @property
    def said(self) -> dict[str, int]:
        """How often which word was said."""
        return {
            word: sum(row["word"] == word for row in self.votes) for word in ("approve", "reject", "revise")
        }


async def my_day(books: Books, person: Person) -> MyDay:
    """The last day of whoever asks."""
    votes: list[Row] = []
    back: list[Row] = []
    named: list[Row] = []
    who = person.person
    for tenant in person.tenants:
        reads = books.reading(tenant)
        votes += _of(tenant, await reads.rows("my_votes", person=who, hours=HOURS, most=MOST))
        back += _of(tenant, await reads.rows("came_back_to", person=who, days=DAYS, most=MOST))
        named += _of(tenant, await reads.rows("notes_that_name", person=who, days=DAYS, most=MOST))
    return MyDay(
        sorted(votes, key=lambda row: row["decided_at"], reverse=True),
        sorted(back, key=lambda row: row["at"], reverse=True),
        sorted(named, key=lambda row: row["at"], reverse=True),
    )


def _of(tenant: TenantId, rows: list[Row]) -> list[Row]:
    return [dict(row) | {"tenant": tenant} for row in rows]
