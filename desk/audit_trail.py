"""The audit trail: who did what, when, on which digest, from where; and the chain of it to take away."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from desk.people import Person
from records.books import Books, Row
from records.export import export_lines
from refunds.ids import CaseId, TenantId


@dataclass(frozen=True, slots=True)
class TrailQuery:
    """What of the trail is asked for; None asks for all of it."""

    person: str | None = None
    case_id: UUID | None = None
    act: str | None = None
    since: datetime | None = None
    before: datetime | None = None


async def trail(
    books: Books, person: Person, asked: TrailQuery, tenants: list[TenantId], *, most: int
) -> list[Row]:
    """Acts of named people, the newest first, of tenants that the person audits."""
    found: list[Row] = []
    for tenant in tenants:
        person.may_audit(tenant)
        rows = await books.reading(tenant).rows(
            "acts",
            person=asked.person,
            case_id=asked.case_id,
            act=asked.act,
            since=asked.since,
            before=asked.before,
            most=most,
            skip=0,
        )
        known = {(row["at"], row["act"]) for row in found if row["case_id"] is None}
        # What concerns everybody stands in the books of each tenant.
        found += [
            dict(row) | {"tenant": tenant}
            for row in rows
            if row["case_id"] is not None or (row["at"], row["act"]) not in known
        ]
    found.sort(key=lambda row: row["at"], reverse=True)
    return found[:most]


async def export(
    books: Books, person: Person, tenant: TenantId, case_id: CaseId | None
) -> AsyncIterator[str]:
    """The chain of a case, or of a whole tenant, as lines of JSON with the anchors that sign its heads."""
    person.may_audit(tenant)
    async for line in export_lines(books, tenant, case_id):
        yield line
