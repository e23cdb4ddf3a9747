"""Signing in and out: a local account, or an issuer that vouches for its own people."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from desk.oidc import NotVouchedFor
from desk.pages.forms import Opened, read_form
from desk.pages.render import page
from desk.passwords import LockedOut, WrongPassword, check_password
from desk.people import NoAuthority, NotSignedIn
from desk.sessions import address_of, begin_session, check_csrf, end_session, visit_of

router = APIRouter(include_in_schema=False)
BACK = "/sign-in/issuer/back"


def local(address: str) -> str:
    """A page of this desk; the queue where the address is anything else."""
    ours = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if ours and address.isprintable() and address.isascii() and len(address) <= 500 else "/"


def _form(
    request: Request, services: Opened, status: int = 200, message: str = "", name: str = ""
) -> Response:
    label = services.issuer.label if services.issuer else ""
    wanted = local(request.query_params.get("next", "/"))
    return page(request, "sign_in.html", None, status, message=message, name=name, next=wanted, issuer=label)


@router.get("/sign-in")
async def sign_in_form(request: Request, services: Opened) -> Response:
    """The form."""
    return _form(request, services)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    services: Opened,
    name: Annotated[str, Form(max_length=128)] = "",
    password: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """A name and a password. It grants nothing that the visitor does not prove, so it needs no token of a session."""
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return _form(request, services, 403, "sign in on this page, not on another one")
    try:
        person = await check_password(services.books, name, password, address_of(request))
    except WrongPassword as error:
        return _form(request, services, 401, str(error), name)
    except LockedOut as error:
        return _form(request, services, 429, str(error), name)
    await begin_session(services.books, request, person)
    return RedirectResponse(local(request.query_params.get("next", "/")), 303)


@router.post("/sign-out")
async def sign_out(request: Request, services: Opened) -> Response:
    """The session ends."""
    try:
        visit = await visit_of(services.books, request)
        check_csrf(visit, (await read_form(request)).get("csrf"))
        await end_session(services.books, request)
    except NotSignedIn:
        pass  # the session is over already
    return RedirectResponse("/sign-in", 303)


@router.get("/sign-in/issuer")
async def ask_issuer(request: Request, services: Opened) -> Response:
    """Send the visitor to the issuer."""
    if services.issuer is None:
        return _form(
            request, services, 404, "no issuer is configured here: sign in with a name and a password"
        )
    try:
        return await services.issuer.begin(request, f"{services.public_url}{BACK}")
    except NotVouchedFor as error:
        return _form(request, services, 503, str(error))


@router.get(BACK)
async def back_from_issuer(request: Request, services: Opened) -> Response:
    """The visitor comes back from the issuer, which vouches for them or does not."""
    if services.issuer is None:
        return _form(
            request, services, 404, "no issuer is configured here: sign in with a name and a password"
        )
    try:
        person = await services.issuer.complete(request)
    except NotVouchedFor as error:
        return _form(request, services, 401, str(error))
    except NoAuthority as error:
        return _form(request, services, 403, str(error))
    await begin_session(services.books, request, person)
    return RedirectResponse("/", 303)
