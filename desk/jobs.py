"""Dead jobs, as an operator sees and replays them."""

from typing import Any

from desk.people import NoAuthority, Person
from records.books import Books, Row
from runtime.jobs import NoSuchJob, dead_jobs, revive

MOST = 10_000


async def jobs_that_died(books: Books, person: Person, *, most: int) -> list[Row]:
    """Jobs that died, the newest first: those of the tenants that the person operates, and the house's routines."""
    if not any("operator" in person.roles_in(tenant) for tenant in person.tenants):
        raise NoAuthority(f"{person.person} may not see dead jobs: needs operator")
    async with books.transaction() as tx:
        rows = await dead_jobs(tx, MOST)
    return [row for row in rows if _concerns(person, row["args"])][:most]


async def replay_job(books: Books, person: Person, job: int) -> None:
    """Put a dead job back into its queue; NoSuchJob where it is none that the person operates."""
    if job not in {row["id"] for row in await jobs_that_died(books, person, most=MOST)}:
        raise NoSuchJob
    async with books.transaction() as tx:
        await revive(tx, job)


def _concerns(person: Person, args: dict[str, Any]) -> bool:
    tenant = args.get("tenant")
    return tenant is None or "operator" in person.roles_in(tenant)
