"""Run-time flags: the kill switch and what narrows the agent, in force with the commit that an operator makes."""

from desk.catalogue import _
from desk.notes import BadDecision, check_note
from desk.people import NoAuthority, Person
from policies.steering import BadFlag, flag_value
from records.books import Books, Row
from records.cases import idle_cases
from records.queue import enqueue
from refunds.ids import TenantId

EVERYBODY = TenantId("*")
REASON_LIMIT = 500


async def set_kill_switch(books: Books, person: Person, *, on: bool, reason: str, tenant: str) -> None:
    """Turn the kill switch on or off for a tenant or for everybody; lifting it enqueues what it parked."""
    concerned = await set_flag(
        books, person, name="kill_switch", value="on" if on else "off", reason=reason, tenant=tenant
    )
    if not on:
        for one in concerned:
            async with books.transaction(one) as tx:
                async for case_id in idle_cases(tx):
                    await enqueue(tx, one, case_id)


async def set_flag(
    books: Books, person: Person, *, name: str, value: str, reason: str, tenant: str
) -> list[TenantId]:
    """Set a run-time flag for a tenant or for everybody; its tenants. Raises NoAuthority, BadDecision."""
    check_note(reason)
    if not 0 < len(reason.strip()) <= REASON_LIMIT:
        raise BadDecision(_("reason: from 1 to %(most)s characters", most=REASON_LIMIT))
    try:
        flag, said = flag_value(name, value)
    except BadFlag as error:
        raise BadDecision(str(error)) from None
    everyone = await books.tenants()
    concerned = everyone if tenant == EVERYBODY else [TenantId(tenant)]
    for one in concerned:
        if one not in everyone:
            raise NoAuthority(_("tenant %(one)s is not in the books", one=one))
        person.may_operate(one)
    async with books.transaction(TenantId(tenant)) as tx:
        await tx.rows(
            "insert_flag", tenant=tenant, name=flag, value=said, reason=reason, set_by=person.person
        )
    return concerned


async def current_flags(books: Books, person: Person) -> list[Row]:
    """The newest row of every flag of the person's tenants."""
    found: dict[tuple[str, str], Row] = {}
    for tenant in person.tenants:
        person.may_see(tenant)
        async with books.transaction(tenant) as tx:
            for row in await tx.rows("current_flags"):
                found[row["tenant"], row["name"]] = row
    return list(found.values())
