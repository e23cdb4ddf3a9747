"""Routes about releases: how far each has come and what its next step lacks, receipts, and the way back."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from desk.authentication import desk_services, signed_in
from desk.bodies import StrictRoute
from desk.people import Person
from desk.release_schemas import PromoteBody, ReasonBody, Receipts, ReleaseList, ReleaseMoved, Shadows
from desk.schemas import Failure
from desk.services import DeskServices

router = APIRouter(
    route_class=StrictRoute,
    prefix="/api",
    tags=["releases"],
    responses={status: {"model": Failure} for status in (401, 403, 404, 409, 413, 422, 503)},
)
Opened = Annotated[DeskServices, Depends(desk_services)]
Reader = Annotated[Person, Depends(signed_in("cases:read"))]
Mover = Annotated[Person, Depends(signed_in("flags:write"))]
Most = Annotated[int, Query(ge=1, le=500)]


@router.get("/releases")
async def show_releases(services: Opened, person: Reader) -> ReleaseList:
    """Every release, where it stands, what its next step lacks; and every step that was made."""
    reports = await services.release_stages.reports(person)
    return ReleaseList(
        releases=[one.to_json() for one in reports],
        steps=[dict(row) for row in await services.release_stages.history(person)],
        hours=await services.release_stages.hours(person),
    )


@router.post("/releases/{release}/promote")
async def promote(release: str, body: PromoteBody, services: Opened, person: Mover) -> ReleaseMoved:
    """One step up, where it is earned; 409 says what is lacking."""
    stage = await services.release_stages.promote(
        person,
        release,
        body.reason,
        to="canary" if body.again else None,
        percent=body.percent,
        tenants=body.tenants,
    )
    return ReleaseMoved(release=stage.release, state=stage.state)


@router.post("/releases/{release}/rollback")
async def roll_back(release: str, body: ReasonBody, services: Opened, person: Mover) -> ReleaseMoved:
    """Take a release back, now, for every process; what waits on its word is proposed again."""
    taken, proposed_again = await services.release_stages.roll_back(person, release, body.reason)
    return ReleaseMoved(release=taken, state="rolled_back", proposed_again=proposed_again)


@router.get("/releases/{release}/shadows")
async def show_shadows(release: str, services: Opened, person: Reader, most: Most = 50) -> Shadows:
    """What a release would have done with cases that another took, those that differ first."""
    rows = await services.release_stages.shadows(person, release, most)
    return Shadows(shadows=[dict(row) for row in rows])


@router.get("/receipts")
async def show_receipts(services: Opened, person: Reader) -> Receipts:
    """The receipts that releases were entered with."""
    found: list[dict[str, Any]] = await services.release_stages.receipts(person)
    return Receipts(receipts=found)
