"""The queue and the ledger, as a person may see them."""

from collections.abc import Sequence
from uuid import UUID

from desk.people import Person
from records.books import Books, Row
from records.cases import Case, case_by_id, case_by_ticket
from refunds.ids import TenantId
from refunds.words import CaseStatus

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
        async with books.transaction(tenant) as page:
            case = await case_by_id(page, UUID(name)) if _is_uuid(name) else None
            if case is not None:
                return case
            case = await case_by_ticket(page, name)
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


async def waiting(
    books: Books,
    person: Person,
    *,
    every: bool,
    most: int,
    skip: int = 0,
    status: CaseStatus | None = None,
    tenant: TenantId | None = None,
) -> list[Row]:
    """What waits for a person, the longest waiting first; with `every`, all cases. `most` and `skip` are by tenant."""
    if tenant is not None:
        person.may_see(tenant)
    tenants = [tenant] if tenant is not None else person.tenants
    page = {"most": most, "skip": skip, "handover_hours": HANDOVER_HOURS}
    if every or status is not None:
        return await _listed(books, person, "list_cases", tenants, every=every, status=status, **page)
    return await _listed(books, person, "list_waiting", tenants, **page)


async def ledger(books: Books, person: Person, *, most: int) -> list[Row]:
    """Every order of money with its sends and its last settlement."""
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
