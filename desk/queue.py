"""The queue and the ledger, as a person may see them."""

from uuid import UUID

from desk.people import Person
from records.books import Books, Row
from records.cases import Case, case_by_id, case_by_ticket


class NoSuchCase(Exception):
    """No case of that id or ticket id that the person may see."""

    def __init__(self, name: str, person: Person) -> None:
        super().__init__(f"no case {name} that {person.person} may see: countersign queue --all lists them")


async def find_case(books: Books, person: Person, name: str) -> Case:
    """The case of a case id or a ticket id, in a tenant that the person may see."""
    for tenant in person.tenants:
        person.may_see(tenant)
        async with books.transaction(tenant) as page:
            try:
                case = await case_by_id(page, UUID(name))
            except ValueError:
                case = await case_by_ticket(page, name)
        if case is not None:
            return case
    raise NoSuchCase(name, person)


async def waiting(books: Books, person: Person, *, every: bool, most: int) -> list[Row]:
    """What waits for a person, the longest waiting first; with `every`, all cases."""
    return await _listed(books, person, "list_cases", every=every, most=most)


async def ledger(books: Books, person: Person, *, most: int) -> list[Row]:
    """Every order of money with its sends and its last settlement."""
    return await _listed(books, person, "ledger", most=most)


async def _listed(books: Books, person: Person, query: str, **values: object) -> list[Row]:
    rows: list[Row] = []
    for tenant in person.tenants:
        person.may_see(tenant)
        async with books.transaction(tenant) as page:
            rows += [dict(row) | {"tenant": tenant} for row in await page.rows(query, **values)]
    return rows
