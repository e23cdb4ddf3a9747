"""Operations: the kill switch and what narrows the agent, the queue's health, and how the people's work goes."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.catalogue import locale_now
from desk.charts import HEIGHT, WIDTH, charts_of
from desk.flags import current_flags, set_flag, set_kill_switch
from desk.health import parts_of
from desk.jobs import jobs_that_died, replay_job
from desk.metrics import DAYS, second_reviews, spending_of, work_of
from desk.notes import clean_text
from desk.notices import TRIES
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import go, page
from desk.people import AUDITORS, OPERATORS, Person
from desk.services import DeskServices
from desk.sessions import Visit
from policies.steering import TOOLS
from records.books import Row
from records.customers import unreachable_cases
from runtime.jobs import NoSuchJob

router = APIRouter(include_in_schema=False)
Operating = Annotated[SentForm, Depends(actor("flags:write"))]
DEAD = 200


@router.get("/ops")
async def operations(
    request: Request, services: Opened, visit: Annotated[Visit, Depends(visitor("audit:read"))]
) -> Response:
    """The house on one page."""
    person = visit.person
    operates = bool(person.where(OPERATORS))
    async with services.books.transaction() as books:
        jobs = await books.rows("jobs_by_status")
    (work, spends, reviews, charts, (unreached, unreachable)), counted_at = await services.figures.of(
        ("ops", person.person, locale_now()), lambda: _counted(services, person)
    )
    return page(
        request,
        "operations.html",
        visit,
        flags=await current_flags(services.books, person),
        parts=await parts_of(services),
        jobs=jobs,
        dead=await jobs_that_died(services.books, person, most=DEAD) if operates else [],
        unreached=unreached,
        unreachable=unreachable,
        work=work,
        spends=spends,
        reviews=reviews,
        charts=charts,
        counted_at=counted_at,
        width=WIDTH,
        height=HEIGHT,
        days=DAYS,
        tools=sorted(TOOLS),
        tenants=person.where(OPERATORS),
    )


async def _counted(services: DeskServices, person: Person) -> tuple[Any, ...]:
    """What takes long to count with many cases."""
    return (
        await work_of(services.books, person),
        await spending_of(services.books, person, services.manifest),
        await second_reviews(services.books, person),
        {tenant: await charts_of(services.books, tenant) for tenant in person.where(AUDITORS)},
        await _not_reached(services, person),
    )


async def _not_reached(services: DeskServices, person: Person) -> tuple[list[Row], list[Row]]:
    """The help desks' notices that were given up, and the cases whose customer has no address."""
    unreached: list[Row] = []
    unreachable: list[Row] = []
    for tenant in person.tenants:
        async with services.books.transaction(tenant) as books:
            unreached += await books.rows("notices_given_up", tries=TRIES, most=DEAD)
            unreachable += await unreachable_cases(books, DEAD)
    return unreached, unreachable


@router.post("/ops/flags")
async def turn(request: Request, services: Opened, act: Operating) -> Response:
    """Set a flag with a reason; in force with the commit."""
    name, value = act.text("name"), act.text("value")
    reason, tenant = clean_text(act.text("reason")), act.text("tenant") or "*"
    person = act.visit.person
    if name == "kill_switch" and value in {"on", "off"}:
        await set_kill_switch(services.books, person, on=value == "on", reason=reason, tenant=tenant)
    else:
        if name == "disabled_tools":
            value = ",".join(act.texts("tools")) or "off"
        await set_flag(services.books, person, name=name, value=value, reason=reason, tenant=tenant)
    return go(request, "/ops")


@router.post("/ops/jobs/replay")
async def replay_all(
    request: Request, services: Opened, act: Annotated[SentForm, Depends(actor("jobs:write"))]
) -> Response:
    """Put every dead job on the screen back; one that cannot go is left where it is."""
    person = act.visit.person
    for job in await jobs_that_died(services.books, person, most=DEAD):
        with suppress(NoSuchJob):
            await replay_job(services.books, person, job["id"])
    return go(request, "/ops")


@router.post("/ops/jobs/{job}/replay")
async def replay(
    request: Request, job: int, services: Opened, act: Annotated[SentForm, Depends(actor("jobs:write"))]
) -> Response:
    """Put a dead job back into its queue."""
    await replay_job(services.books, act.visit.person, job)
    return go(request, "/ops")
