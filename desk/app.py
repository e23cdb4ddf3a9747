"""The desk's HTTP API: thin routes over the desk's use cases, and one place where refusals become answers."""

import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from desk.cases_api import router as cases
from desk.decisions import BadDecision, Conflict, NothingToDecide
from desk.health import Meters
from desk.health import router as health
from desk.intake import TicketRefused
from desk.operations_api import router as operations
from desk.people import NoAuthority, NotSignedIn
from desk.queue import NoSuchCase, TwoCases
from desk.room import Room
from desk.server_api import router as server
from records.books import BooksAway, Refused
from records.jobs import NoSuchJob
from refunds.ticket import BadTicket

BODY_LIMIT_BYTES = 262_144

STATUS: dict[type[Exception], int] = {
    NotSignedIn: 401,
    NoAuthority: 403,
    NoSuchCase: 404,
    NoSuchJob: 404,
    Conflict: 409,
    NothingToDecide: 409,
    TicketRefused: 409,
    TwoCases: 409,
    Refused: 409,
    BadDecision: 422,
    BadTicket: 422,
    BooksAway: 503,
}
"""What each refusal is over HTTP."""


def create_app(room: Room) -> FastAPI:
    """The app that serves a room."""
    app = FastAPI(
        title="Countersign desk",
        version=version("countersign"),
        description="Tickets in, decisions by named people, replies out. Amounts are integers in minor units.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.room = room
    app.state.meters = Meters()
    for router in (health, cases, operations, server):
        app.include_router(router)
    for kind, status in STATUS.items():
        app.add_exception_handler(kind, _refusal(status))
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_middleware(BodyLimit)
    app.add_middleware(Measured, meters=app.state.meters)
    return app


def _refusal(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        content: dict[str, str] = {"detail": str(error)}
        case_id = request.path_params.get("case_id")
        if case_id and status in {403, 409}:
            content["case"] = f"{request.app.state.room.public_url}/cases/{case_id}"
        headers = (
            {"www-authenticate": "Bearer"} if status == 401 else {"retry-after": "2"} if status == 503 else {}
        )
        return JSONResponse(content, status, headers)

    return answer


async def _bad_request(request: Request, error: Exception) -> Response:
    """The first field that is wrong, by name; never what was in it."""
    del request
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"}) or "body"
    return JSONResponse({"detail": f"{field}: {str(first['msg']).lower()}"}, 422)


class Measured:
    """Counts answers and the time they took, and says what no answer of the desk may be used for."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self.app = app
        self.meters = meters

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
                headers["cache-control"] = "no-store"
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self.meters.answered(scope["method"], route, status, time.monotonic() - started)


class TooLarge(HTTPException):
    """A body above the limit."""

    def __init__(self) -> None:
        super().__init__(413, f"body: above {BODY_LIMIT_BYTES} bytes")


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
