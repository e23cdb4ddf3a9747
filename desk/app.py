"""The desk's HTTP API: thin routes over the desk's use cases, and one place where refusals become answers."""

import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from desk.authentication import OPEN
from desk.cases_api import router as cases
from desk.catalogue import locale_asked, read_in
from desk.health import Meters
from desk.health import router as health
from desk.memory_api import router as customers
from desk.operations_api import router as operations
from desk.pages import (
    audit_page,
    case_page,
    library_page,
    memory_page,
    mine_page,
    money_page,
    operations_page,
    queue_page,
    rating_page,
    releases_page,
    runbook_page,
    sign_in_page,
    together_page,
    traces_page,
)
from desk.pages.render import STATIC, go, is_fragment, said
from desk.people import NotSignedIn
from desk.refusals import STATUS
from desk.releases_api import router as releases
from desk.server_api import router as server
from desk.services import DeskServices
from desk.sessions import COOKIE, HOURS, visit_of
from records.books import BooksAway
from refunds.ticket import said_small

BODY_LIMIT_BYTES = 262_144

GUARDS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""What no answer of the desk may be used for."""

PAGES = (
    queue_page.router,
    case_page.router,
    money_page.router,
    audit_page.router,
    operations_page.router,
    traces_page.router,
    library_page.router,
    memory_page.router,
    mine_page.router,
    together_page.router,
    releases_page.router,
    runbook_page.router,
    sign_in_page.router,
    rating_page.router,
)


def create_app(services: DeskServices) -> FastAPI:
    """The app before these services."""
    app = FastAPI(
        title="Countersign desk",
        version=version("countersign"),
        description="Tickets in, decisions by named people, replies out. Amounts are integers in minor units.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.state.meters = Meters()
    for router in (health, cases, customers, operations, releases, server, *PAGES):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for kind, status in STATUS.items():
        app.add_exception_handler(kind, _refusal(status))
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, _http_refusal)
    app.add_middleware(
        SessionMiddleware,
        secret_key=services.session_secret,
        session_cookie=COOKIE,
        max_age=HOURS * 3_600,
        same_site="lax",
        https_only=services.public_url.startswith("https://"),
    )
    app.add_middleware(ReadIn)
    app.add_middleware(BodyLimit)
    app.add_middleware(AnswerMeter)
    return app


def _refusal(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        if is_page(request):
            return await _page_refusal(request, error, status)
        content: dict[str, str] = {"detail": str(error)}
        case_id = request.path_params.get("case_id")
        if case_id and status in {403, 409}:
            content["case"] = f"{request.app.state.services.public_url}/cases/{case_id}"
        headers = (
            {"www-authenticate": "Bearer"} if status == 401 else {"retry-after": "2"} if status == 503 else {}
        )
        return JSONResponse(content, status, headers)

    return answer


def is_page(request: Request) -> bool:
    """Whether a person looks at the answer, and not a program."""
    path = request.url.path
    return not path.startswith("/api/") and path not in OPEN


async def _page_refusal(request: Request, error: Exception, status: int) -> Response:
    """A refusal that a person reads: the way to sign in, or why not."""
    if isinstance(error, NotSignedIn):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.method == "GET" and not is_fragment(request):
            return go(request, f"/sign-in?{urlencode({'next': here})}")
        # What was typed stays on the page; the same person's forms count again after another window's sign-in.
        return said(request, "you are signed out: sign in again in another window, then go on here", 401)
    try:
        visit = await visit_of(request.app.state.services.books, request)
    except (NotSignedIn, BooksAway):
        visit = None
    return said(request, str(error), status, visit)


async def _http_refusal(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such page, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    if is_page(request):
        return said(request, said_small(str(error.detail)), error.status_code)
    if error.status_code == 400:
        # The framework's word for a body that it cannot read; every wrong body is one kind of answer here.
        return JSONResponse({"detail": "body: cannot be read"}, 422)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _bad_request(request: Request, error: Exception) -> Response:
    """The first field that is wrong, by name; never what was in it."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    if is_page(request):
        return said(request, f"{first['loc'][-1]}: {said_small(str(first['msg']))}", 422)
    field = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"}) or "body"
    return JSONResponse({"detail": f"{field}: {said_small(str(first['msg']))}"}, 422)


class AnswerMeter:
    """Counts answers and the time they took, and says what no answer of the desk may be used for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                static = scope["path"].startswith("/static/") and status == 200
                headers["cache-control"] = "public, max-age=31536000, immutable" if static else "no-store"
                for name, value in GUARDS.items():
                    headers[name] = value
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            meters: Meters = scope["app"].state.meters
            meters.answered(scope["method"], route, status, time.monotonic() - started)


class TooLarge(HTTPException):
    """A body above the limit."""

    def __init__(self) -> None:
        super().__init__(413, f"body: above {BODY_LIMIT_BYTES} bytes")


class ReadIn:
    """Says every page in the language that its browser asks for; a program is told in one form."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/api/") or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        asked = next((value for name, value in scope["headers"] if name == b"accept-language"), b"")
        with read_in(locale_asked(asked.decode("latin-1"))):
            await self.app(scope, receive, send)


class BodyLimit:
    """Refuses a body above the limit, whatever its length header says."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > BODY_LIMIT_BYTES:
                raise TooLarge
            return message

        length = dict(scope["headers"]).get(b"content-length", b"0")
        try:
            if length.isdigit() and int(length) > BODY_LIMIT_BYTES:
                raise TooLarge
            await self.app(scope, counted, send)
        except TooLarge:
            answer = JSONResponse({"detail": f"body: above {BODY_LIMIT_BYTES} bytes"}, 413)
            await answer(scope, receive, send)
