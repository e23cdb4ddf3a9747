"""The customer's thumb: the link shows a form, and only the form's own post writes anything down."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from desk.pages.forms import Opened
from desk.pages.render import page
from refunds.vocabulary import Thumb

router = APIRouter(include_in_schema=False)


@router.get("/rate/{token}")
async def form(request: Request, token: str, services: Opened) -> Response:
    """The form. Opening it writes nothing."""
    services.ratings.read(token)
    return _shown(request, token, rated=None)


@router.post("/rate/{token}")
async def rate(
    request: Request,
    token: str,
    services: Opened,
    thumb: Annotated[Thumb, Form()],
    word: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Write it down, once."""
    return _shown(request, token, rated=await services.ratings.rate(token, thumb, word))


def _shown(request: Request, token: str, *, rated: bool | None) -> Response:
    return page(request, "rate.html", None, token=token, rated=rated)
