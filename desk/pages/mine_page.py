"""My day, as a page; and many alike, approved together."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.my_day import my_day
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import page
from desk.sessions import Visit

router = APIRouter(include_in_schema=False)
Visiting = Annotated[Visit, Depends(visitor("cases:read"))]
Deciding = Annotated[SentForm, Depends(actor("cases:decide"))]


@router.get("/mine")
async def mine(request: Request, services: Opened, visit: Visiting) -> Response:
    """What this person decided, and what came back."""
    return page(request, "mine.html", visit, day=await my_day(services.books, visit.person))
