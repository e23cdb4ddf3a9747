"""Routes about the house: who I am, the ledger, flags, dead jobs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from desk.authentication import desk_services, signed_in
from desk.bodies import StrictRoute
from desk.flags import current_flags, set_flag, set_kill_switch
from desk.inquiries import ask_provider, found_refunds, say_of_found_refund, unknown_outcomes
from desk.jobs import jobs_that_died, replay_job
from desk.people import Person
from desk.queue import disbursement_ledger
from desk.schemas import (
    Acknowledged,
    DeadJob,
    DeadJobs,
    Failure,
    FlagBody,
    Flags,
    FlagValueBody,
    FoundRefundActBody,
    FoundRefundList,
    Ledger,
    Me,
    ProviderActBody,
)
from desk.services import DeskServices
from refunds.vocabulary import FlagName

router = APIRouter(
    route_class=StrictRoute,
    prefix="/api",
    tags=["operations"],
    responses={status: {"model": Failure} for status in (401, 403, 404, 409, 413, 422, 503)},
)
Opened = Annotated[DeskServices, Depends(desk_services)]
Reader = Annotated[Person, Depends(signed_in("cases:read"))]
Operator = Annotated[Person, Depends(signed_in("jobs:write"))]
Most = Annotated[int, Query(ge=1, le=1_000)]


def me_of(person: Person) -> Me:
    """Who is signed in."""
    return Me(
        person=person.person,
        name=person.name,
        audience=person.audience,
        scopes=sorted(person.scopes),
        roles={tenant: sorted(roles) for tenant, roles in person.roles.items()},
        ceiling_minor=person.ceiling_minor,
    )


@router.get("/me")
async def me(person: Reader) -> Me:
    """Who this token speaks for, in which tenants, with which roles."""
    return me_of(person)


@router.get("/ledger")
async def show_ledger(services: Opened, person: Reader, most: Most = 200) -> Ledger:
    """Every disbursement, what was sent and how it was settled."""
    rows = await disbursement_ledger(services.books, person, most=most)
    return Ledger(orders=[dict(row) for row in rows])


@router.get("/flags")
async def show_flags(services: Opened, person: Reader) -> Flags:
    """The run-time flags in force, who set them and why."""
    return Flags(flags=[dict(row) for row in await current_flags(services.books, person)])


@router.post("/flags/kill_switch")
async def turn_kill_switch(
    body: FlagBody, services: Opened, person: Annotated[Person, Depends(signed_in("flags:write"))]
) -> Acknowledged:
    """The kill switch; lifting it enqueues what it parked."""
    await set_kill_switch(services.books, person, on=body.on, reason=body.reason, tenant=body.tenant)
    return Acknowledged()


@router.post("/flags/{name}")
async def turn_flag(
    name: FlagName,
    body: FlagValueBody,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("flags:write"))],
) -> Acknowledged:
    """A flag that narrows the agent from its next run on; `off` takes it away."""
    if name == "kill_switch":
        on = body.value.strip().lower() == "on"
        await set_kill_switch(services.books, person, on=on, reason=body.reason, tenant=body.tenant)
    else:
        await set_flag(
            services.books, person, name=name, value=body.value, reason=body.reason, tenant=body.tenant
        )
    return Acknowledged()


@router.get("/unknown-outcomes")
async def show_unknown_outcomes(services: Opened, person: Reader, most: Most = 200) -> Ledger:
    """Disbursements without a known end: what was sent, when, with which key, and what was asked about it."""
    rows = await unknown_outcomes(services.books, person, most=most)
    return Ledger(orders=[dict(row) for row in rows])


@router.post("/orders/{decision_id}/acts", status_code=201)
async def act_on_order(
    decision_id: UUID,
    body: ProviderActBody,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("money:ask"))],
) -> Acknowledged:
    """Check the provider, ask again with the same key, or name the provider's refund that settles it."""
    await ask_provider(services.books, person, decision_id, body.act, body.refund_id, body.note)
    return Acknowledged()


@router.get("/found-refunds")
async def show_found_refunds(services: Opened, person: Reader, most: Most = 200) -> FoundRefundList:
    """Refunds at the provider that these books do not know: made in its dashboard, or lost with a backup."""
    rows = await found_refunds(services.books, person, most=most)
    return FoundRefundList(refunds=[dict(row) for row in rows])


@router.post("/found-refunds/acts", status_code=201)
async def act_on_found_refund(
    body: FoundRefundActBody,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("money:ask"))],
) -> Acknowledged:
    """Say what it is: another matter (`separate`), or the refund of a case that these books had lost (`adopt`)."""
    await say_of_found_refund(services.books, person, body.refund_id, body.act, body.note)
    return Acknowledged()


@router.get("/jobs/dead")
async def show_dead_jobs(services: Opened, person: Operator, most: Most = 100) -> DeadJobs:
    """Jobs that died, the newest first; those of tenants that the person operates."""
    rows = await jobs_that_died(services.books, person, most=most)
    return DeadJobs(jobs=[DeadJob.model_validate(dict(row)) for row in rows])


@router.post("/jobs/{job}/replay")
async def replay(job: int, services: Opened, person: Operator) -> Acknowledged:
    """Put a dead job back into its queue."""
    await replay_job(services.books, person, job)
    return Acknowledged()
