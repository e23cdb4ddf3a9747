"""Metrics of the people's work: how long decisions take, who says what, what runs out, who may be tired."""

from dataclasses import dataclass
from typing import Any

from desk.people import OPERATORS, NoAuthority, Person
from desk.second_reviews import sample
from policies.manifest import Manifest
from records.books import Books, Row
from refunds.ids import TenantId

DAYS = 30
QUICK_SHARE = 0.5
TIRED_RUN = 25
TIRED_AN_HOUR = 60
"""From here on somebody may be tired: half of the votes within five seconds of the one before, so many approvals in a
row, so many votes in an hour."""

MOST = 20


@dataclass(frozen=True, slots=True)
class Work:
    """The figures of one tenant over the last days."""

    tenant: TenantId
    people: list[Row]
    ends: dict[str, int]
    disagreements: list[Row]
    reviews: dict[str, int]
    hand_offs: list[Row]
    spent: dict[str, Any]
    ratings: dict[str, int]
    words: list[Row]
    hours: list[Row]


def tired(row: Row) -> str:
    """Why this person may be tired; empty where nothing says so."""
    if row["votes"] >= 10 and row["quick"] / row["votes"] >= QUICK_SHARE:
        return f"{row['quick']} of {row['votes']} within five seconds"
    if row["longest_run"] >= TIRED_RUN:
        return f"{row['longest_run']} approvals in a row"
    if row["last_hour"] >= TIRED_AN_HOUR:
        return f"{row['last_hour']} votes in the last hour"
    return ""


async def work_of(books: Books, person: Person, *, days: int = DAYS) -> list[Work]:
    """The figures of every tenant that the person operates or audits."""
    tenants = person.where(OPERATORS | {"auditor"})
    if not tenants:
        raise NoAuthority(f"{person.person} may not see the house's figures: needs operator or auditor")
    return [await _work(books, tenant, days) for tenant in tenants]


async def _work(books: Books, tenant: TenantId, days: int) -> Work:
    reads = books.reading(tenant)
    people = await reads.rows("decisions_by_person", days=days)
    spent = await reads.row("spent", days=days)
    return Work(
        tenant=tenant,
        people=[dict(row) | {"tired": tired(row)} for row in people],
        ends={row["status"]: row["cases"] for row in await reads.rows("ends_counted", days=days)},
        disagreements=await reads.rows("disagreements", days=days, most=MOST),
        reviews={
            row["verdict"]: row["reviews"] for row in await reads.rows("second_reviews_counted", days=days)
        },
        hand_offs=await reads.rows("hand_offs_by_reason", days=days),
        spent=dict(spent or {}),
        ratings={row["thumb"]: row["ratings"] for row in await reads.rows("ratings_counted", days=days)},
        words=await reads.rows("newest_ratings", days=days, most=MOST),
        hours=await reads.rows("decided_by_hour"),
    )


async def spending_of(books: Books, person: Person, manifest: Manifest) -> list[dict[str, Any]]:
    """What each tenant that the person operates or audits spent on models, beside its spend limits, and on what."""
    spend_limits = manifest.spend_limits()
    found: list[dict[str, Any]] = []
    for tenant in person.where(OPERATORS | {"auditor"}):
        reads = books.reading(tenant)
        now = await reads.row("spent_now")
        found.append(
            {
                "tenant": tenant,
                **(now or {}),
                "day_budget": spend_limits.tenant_day.cost_micros,
                "month_budget": spend_limits.tenant_month.cost_micros,
                "by": await reads.rows("spend_by", days=DAYS),
            }
        )
    return found


async def second_reviews(books: Books, person: Person) -> list[Row]:
    """What this person may look at again."""
    return await sample(books, person, person.tenants)
