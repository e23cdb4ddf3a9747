"""Run-time flags: the kill switch, set by an operator with a reason, in force with the commit."""

from desk.decisions import BadDecision, check_note
from desk.people import NoAuthority, Person
from records.books import Books, Row
from records.cases import standing_still
from records.queue import ring
from refunds.ids import TenantId

EVERYBODY = TenantId("*")
REASON_LIMIT = 500


async def set_kill_switch(books: Books, person: Person, *, on: bool, reason: str, tenant: str) -> None:
    """Turn the kill switch on or off for a tenant or for everybody; lifting it rings what it parked."""
    check_note(reason)
    if not 0 < len(reason.strip()) <= REASON_LIMIT:
        raise BadDecision(f"reason: from 1 to {REASON_LIMIT} characters")
    everyone = await books.tenants()
    concerned = everyone if tenant == EVERYBODY else [TenantId(tenant)]
    for one in concerned:
        if one not in everyone:
            raise NoAuthority(f"tenant {one} is not in the books")
        person.may_operate(one)
    async with books.transaction(TenantId(tenant)) as page:
        await page.rows(
            "insert_flag",
            tenant=tenant,
            name="kill_switch",
            value="on" if on else "off",
            reason=reason,
            set_by=person.person,
        )
    if not on:
        for one in concerned:
            async with books.transaction(one) as page:
                async for case_id in standing_still(page):
                    await ring(page, one, case_id)


async def current_flags(books: Books, person: Person) -> list[Row]:
    """The newest row of every flag of the person's tenants."""
    found: dict[tuple[str, str], Row] = {}
    for tenant in person.tenants:
        person.may_see(tenant)
        async with books.transaction(tenant) as page:
            for row in await page.rows("current_flags"):
                found[row["tenant"], row["name"]] = row
    return list(found.values())
