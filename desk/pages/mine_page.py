"""My day, as a page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.my_day import my_day
from desk.pages.forms import Opened, visitor
from desk.pages.render import page
from desk.sessions import Visit

router = APIRouter(include_in_schema=False)


@router.get("/mine")
async def mine(
    request: Request, services: Opened, visit: Annotated[Visit, Depends(visitor("cases:read"))]
) -> Response:
    """What this person decided, and what came back."""
    return page(request, "mine.html", visit, day=await my_day(services.books, visit.person))
