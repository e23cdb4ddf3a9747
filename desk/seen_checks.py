"""Seen checks: what the screen said of a case when a person decided it, kept as it was.

A check is looked at anew whenever a case is opened; what a decision was made on must not change with it.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from desk.checks import Check
from desk.people import Person
from records.books import Books, Transaction
from refunds.ids import CaseId, PersonId, TenantId
from refunds.vocabulary import VoteWord

EFFECT_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class SeenChecks:
    """One screen."""

    digest: str
    person: PersonId
    word: VoteWord
    effect: str
    checks: tuple[Check, ...]
    at: datetime


async def keep_seen(
    books: Books,
    person: Person,
    tenant: TenantId,
    case_id: CaseId,
    *,
    digest: str,
    word: VoteWord,
    effect: str,
    checks: list[Check],
) -> None:
    """Keep what a screen says; the act that follows has its own row, whether it counts or not."""
    async with books.transaction(tenant) as tx:
        await tx.rows(
            "insert_seen_checks",
            case_id=case_id,
            digest=digest,
            person=person.person,
            word=word,
            effect=effect[:EFFECT_LIMIT],
            checks=Jsonb([asdict(check) for check in checks]),
        )


async def seen_of(tx: Transaction, case_id: CaseId) -> list[SeenChecks]:
    """Every screen that was decided on, in order."""
    return [
        SeenChecks(
            row["digest"],
            PersonId(row["person"]),
            row["word"],
            row["effect"],
            tuple(_check_of(one) for one in row["checks"]),
            row["at"],
        )
        for row in await tx.rows("seen_checks_of", case_id=case_id)
    ]


def _check_of(said: dict[str, Any]) -> Check:
    return Check(str(said["name"]), bool(said["passed"]), str(said["said"]))
