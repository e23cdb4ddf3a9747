"""The queue and the ledger, as a person may see them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from desk.people import Person
from records.books import Books, Row
from records.cases import Case, case_by_id, case_by_ticket
from refunds.ids import CaseId, TenantId
from refunds.vocabulary import CaseStatus, Intent

Sort = Literal["newest", "oldest", "amount", "due"]
"""What else the queue can be put in order by; without one of these it stands as it burns."""

HANDOVER_HOURS = 24
"""Until when somebody takes up a case that was turned away, blocked or failed."""


class NoSuchCase(Exception):
    """No case of that id or ticket id that the person may see."""

    def __init__(self, name: str, person: Person) -> None:
        super().__init__(f"no case {name} that {person.person} may see: countersign queue --all lists them")


class TwoCases(Exception):
    """The ticket id stands in more than one tenant: the case id says which."""

    def __init__(self, name: str, found: list[Case]) -> None:
        ids = ", ".join(f"{case.case_id} ({case.tenant})" for case in found)
        super().__init__(f"{name} is a ticket of more than one tenant: say the case id, {ids}")


async def find_case(books: Books, person: Person, name: str) -> Case:
    """The case of a case id or a ticket id, in a tenant that the person may see."""
    if not name.isascii() or not name.isprintable():
        raise NoSuchCase(repr(name), person)
    found: list[Case] = []
    for tenant in person.tenants:
        person.may_see(tenant)
        async with books.transaction(tenant) as tx:
            case = await case_by_id(tx, UUID(name)) if _is_uuid(name) else None
            if case is not None:
                return case
            case = await case_by_ticket(tx, name)
        if case is not None:
            found.append(case)
    if len(found) > 1:
        raise TwoCases(name, found)
    if not found:
        raise NoSuchCase(name, person)
    return found[0]


def _is_uuid(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the queue is asked for; None asks for all of it."""

    tenant: TenantId | None = None
    stage: int | None = None
    search: str | None = None
    least_minor: int | None = None
    most_minor: int | None = None
    older_hours: int | None = None
    reason: str | None = None
    intent: Intent | None = None
    mine: bool = False
    """Claimed by the person who asks, or handed to them."""

    chosen: frozenset[CaseId] | None = None
    sort: Sort | None = None

    def values(self, person: Person) -> dict[str, object]:
        """The filters as parameters of the queries."""
        return {
            "stage": self.stage,
            "search": pattern(self.search.lower()) if self.search else None,
            "asked": self.search or "",
            "least_minor": self.least_minor,
            "most_minor": self.most_minor,
            "older_hours": self.older_hours,
            "reason": self.reason,
            "intent": self.intent,
            "mine": person.person if self.mine else None,
            "chosen": None if self.chosen is None else sorted(self.chosen),
            "me": person.person,
            "sort": self.sort,
        }


EVERYTHING = Filters()


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A page of the queue, with how many there are in each stage under the same filters."""

    rows: list[Row]
    counts: dict[int, int]

    @property
    def all(self) -> int:
        return sum(self.counts.values())


def pattern(search: str) -> str:
    """A text as a pattern of LIKE that finds it anywhere, with nothing in it meaning anything."""
    plain = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{plain}%"


async def queue_page(
    books: Books, person: Person, filters: Filters, *, most: int, skip: int = 0
) -> QueuePage:
    """One page over all tenants that the person may see, in one order: what burns, stage, what the help desk wants by a
    time, tier, then risk × amount × age; or by what `filters` sorts by.
    """
    tenants = _tenants(person, filters.tenant)
    values = filters.values(person)
    # Of many tenants each may hold the whole page, so each is read up to its end.
    most_each, skip_each = (most, skip) if len(tenants) == 1 else (most + skip, 0)
    rows = await _waiting(books, person, filters, tenants, most=most_each, skip=skip_each)
    counts: Counter[int] = Counter()
    values["stage"] = None
    for tenant in tenants:
        for row in await books.reading(tenant).rows("count_waiting", **values):
            counts[row["stage"]] += row["cases"]
    if len(tenants) > 1:
        rows = sorted(rows, key=_PLACE[filters.sort])[skip : skip + most]
    return QueuePage(rows, dict(counts))


_FAR = datetime.max.replace(tzinfo=UTC)
_PLACE: dict[Sort | None, Callable[[Row], tuple[Any, ...]]] = {
    None: lambda row: (
        not row["burns"],
        row["stage"],
        row["wanted_by"] is None,
        row["wanted_by"] or _FAR,
        -row["tier"],
        -row["weight"],
    ),
    "newest": lambda row: (-row["received_at"].timestamp(),),
    "oldest": lambda row: (row["received_at"],),
    "amount": lambda row: (-(row["amount_minor"] or 0),),
    "due": lambda row: (row["due_at"],),
}
"""The order of the queries, for rows of several tenants."""


async def ended_found(books: Books, person: Person, search: str, *, most: int) -> list[Row]:
    """What a search finds that waits for nobody, the newest first: by words, ids, or the customer's name."""
    rows = await _listed(books, person, "found_ended", person.tenants, asked=search, most=most)
    return sorted(rows, key=lambda row: row["received_at"], reverse=True)[:most]


async def cases_waiting(
    books: Books,
    person: Person,
    *,
    every: bool,
    most: int,
    skip: int = 0,
    status: CaseStatus | None = None,
    filters: Filters = EVERYTHING,
) -> list[Row]:
    """What waits for a person by risk × amount × age; with `every`, all cases. `most` and `skip` are by tenant."""
    tenants = _tenants(person, filters.tenant)
    if not every and status is None:
        return await _waiting(books, person, filters, tenants, most=most, skip=skip)
    page = {"most": most, "skip": skip, "handover_hours": HANDOVER_HOURS}
    search = filters.values(person)["search"]
    return await _listed(
        books, person, "list_cases", tenants, every=every, status=status, search=search, **page
    )


async def _waiting(
    books: Books, person: Person, filters: Filters, tenants: Sequence[TenantId], *, most: int, skip: int
) -> list[Row]:
    values = filters.values(person) | {"most": most, "skip": skip, "handover_hours": HANDOVER_HOURS}
    if filters.sort is None:
        return await _listed(books, person, "list_waiting", tenants, **values)
    return await _listed(books, person, "list_waiting_sorted", tenants, **values)


def _tenants(person: Person, wanted: TenantId | None) -> list[TenantId]:
    if wanted is None:
        return person.tenants
    person.may_see(wanted)
    return [wanted]


async def goods_awaited(books: Books, person: Person, *, most: int) -> list[Row]:
    """Cases of the person's tenants whose refund waits for goods to come back, the longest waiting first."""
    rows = []
    for tenant in _tenants(person, None):
        rows += await books.reading(tenant).rows("goods_awaited", most=most)
    return sorted(rows, key=lambda row: row["at"])[:most]


async def disbursement_ledger(books: Books, person: Person, *, most: int) -> list[Row]:
    """Every disbursement with its sends and its last settlement."""
    return await _listed(books, person, "ledger", person.tenants, most=most)


async def _listed(
    books: Books, person: Person, query: str, tenants: Sequence[TenantId], **values: object
) -> list[Row]:
    rows: list[Row] = []
    for tenant in tenants:
        person.may_see(tenant)
        found = await books.reading(tenant).rows(query, **values)
        rows += [dict(row) | {"tenant": tenant} for row in found]
    return rows
