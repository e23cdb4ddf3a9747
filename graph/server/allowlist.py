"""The allowlist: every route of the server has a verdict, and what has none is refused.

A body that starts a run is read here and made anew from what is allowed in it, so that no key of it reaches the
server that is not listed.
"""

import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, cast

from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.server.bodies import (
    NotAllowed,
    check_plain,
    claimed_checkpoints,
    command_body,
    run_body,
    thread_body,
)
from graph.server.streams import ThreadStreams, TooManyStreams
from refunds.canonical import BadJson, read_json

RouteVerdict = Literal["open", "read", "thread", "run", "command", "refused"]

VERDICTS: dict[tuple[str, str], RouteVerdict] = {
    ("GET", "/"): "refused",
    ("GET", "/ok"): "open",
    ("GET", "/info"): "open",
    ("GET", "/metrics"): "refused",
    ("GET", "/docs"): "refused",
    ("GET", "/openapi.json"): "refused",
    ("GET", "/internal/debug/thread/{thread_id}"): "refused",
    ("POST", "/internal/truncate"): "refused",
    ("POST", "/assistants"): "refused",
    ("POST", "/assistants/search"): "read",
    ("POST", "/assistants/count"): "read",
    ("GET", "/assistants/{assistant_id}"): "read",
    ("PATCH", "/assistants/{assistant_id}"): "refused",
    ("DELETE", "/assistants/{assistant_id}"): "refused",
    ("POST", "/assistants/{assistant_id}/latest"): "refused",
    ("POST", "/assistants/{assistant_id}/versions"): "read",
    ("GET", "/assistants/{assistant_id}/graph"): "read",
    ("GET", "/assistants/{assistant_id}/schemas"): "read",
    ("GET", "/assistants/{assistant_id}/subgraphs"): "read",
    ("GET", "/assistants/{assistant_id}/subgraphs/{namespace}"): "read",
    ("POST", "/runs"): "refused",
    ("POST", "/runs/stream"): "refused",
    ("POST", "/runs/wait"): "refused",
    ("POST", "/runs/batch"): "refused",
    ("POST", "/runs/cancel"): "refused",
    ("POST", "/runs/crons"): "refused",
    ("POST", "/runs/crons/search"): "refused",
    ("POST", "/runs/crons/count"): "refused",
    ("GET", "/runs/crons/{cron_id}"): "refused",
    ("PATCH", "/runs/crons/{cron_id}"): "refused",
    ("DELETE", "/runs/crons/{cron_id}"): "refused",
    ("POST", "/threads"): "thread",
    ("POST", "/threads/search"): "read",
    ("POST", "/threads/count"): "read",
    ("POST", "/threads/prune"): "refused",
    ("GET", "/threads/{thread_id}"): "read",
    ("PATCH", "/threads/{thread_id}"): "refused",
    ("DELETE", "/threads/{thread_id}"): "refused",
    ("GET", "/threads/{thread_id}/state"): "read",
    ("POST", "/threads/{thread_id}/state"): "refused",
    ("GET", "/threads/{thread_id}/state/{checkpoint_id}"): "read",
    ("POST", "/threads/{thread_id}/state/checkpoint"): "read",
    ("GET", "/threads/{thread_id}/storage"): "refused",
    ("GET", "/threads/{thread_id}/history"): "read",
    ("POST", "/threads/{thread_id}/history"): "read",
    ("POST", "/threads/{thread_id}/copy"): "refused",
    ("GET", "/threads/{thread_id}/stream"): "read",
    ("GET", "/deploy"): "refused",
    ("POST", "/deploy"): "refused",
    ("GET", "/deploy/{operation_id}/stream"): "refused",
    ("WEBSOCKET", "/threads/{thread_id}/stream/events"): "refused",
    ("POST", "/threads/{thread_id}/commands"): "command",
    ("POST", "/threads/{thread_id}/stream/events"): "read",
    ("POST", "/threads/{thread_id}/runs"): "run",
    ("POST", "/threads/{thread_id}/runs/stream"): "run",
    ("POST", "/threads/{thread_id}/runs/wait"): "run",
    ("POST", "/threads/{thread_id}/runs/crons"): "refused",
    ("GET", "/threads/{thread_id}/runs"): "read",
    ("GET", "/threads/{thread_id}/runs/{run_id}"): "read",
    ("GET", "/threads/{thread_id}/runs/{run_id}/join"): "read",
    ("GET", "/threads/{thread_id}/runs/{run_id}/stream"): "read",
    ("POST", "/threads/{thread_id}/runs/{run_id}/cancel"): "refused",
    ("DELETE", "/threads/{thread_id}/runs/{run_id}"): "refused",
}
"""What may be asked of the server. A law compares this with the server's own route table."""

BODY_LIMIT_BYTES = 262_144

CREDENTIAL: ContextVar[str] = ContextVar("countersign_credential")
"""The caller's own token, for the one HTTP call; it is kept nowhere else."""

CLAIMED: ContextVar[frozenset[str]] = ContextVar("countersign_claimed", default=frozenset())
"""The checkpoints that a run says it goes on from; the hook compares them with the last one."""

STARTS: ContextVar[bool] = ContextVar("countersign_starts", default=False)
"""Whether the request brings a first input; the server would make an answer of one where a thread waits."""

_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], RouteVerdict]]:
    found = [
        (method, template.count("{"), re.compile(_expression(template)), verdict)
        for (method, template), verdict in VERDICTS.items()
    ]
    return [
        (method, pattern, verdict) for method, _, pattern, verdict in sorted(found, key=lambda row: row[1])
    ]


def _expression(template: str) -> str:
    """A template as a pattern; a thread and a run are UUIDs, and no name holds more than what names hold."""
    named = template.replace("{thread_id}", _UUID).replace("{run_id}", _UUID)
    return "^" + re.sub(r"\{\w+\}", "[A-Za-z0-9_.-]{1,128}", named) + r"\Z"


def verdict_of(method: str, path: str) -> RouteVerdict:
    """What is said of a request; refused where nothing is."""
    for listed, pattern, verdict in _patterns():
        if listed == method and pattern.match(path):
            return verdict
    return "refused"


@dataclass
class RouteAllowlist:
    """The layer of the server in front of its own; only the origins of pages are looked at before."""

    app: ASGIApp
    read_only: Callable[[], bool]
    streams: ThreadStreams = field(default_factory=ThreadStreams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or str(scope.get("root_path", "")).startswith("/noauth"):
            await self.app(
                scope, receive, send
            )  # the server's own loopback, which no request can claim to be
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        method, path = str(scope["method"]), str(scope["path"])
        try:
            verdict = verdict_of(method, path)
            if verdict == "refused" or (verdict in {"thread", "run", "command"} and self.read_only()):
                raise NotAllowed(f"{method} {path}")
            if truthy(QueryParams(scope["query_string"]).get("cancel_on_disconnect")):
                raise NotAllowed("cancel_on_disconnect")
            if verdict != "open":
                CREDENTIAL.set(_ascii(credential(headers)))
            check_plain(list(QueryParams(scope["query_string"]).multi_items()))
            if method == "POST":
                receive = await _read(verdict, path, receive)
                scope = {**scope, "headers": _without_length(scope["headers"])}
            if self.streams.is_one(path):
                await self.streams.run(CREDENTIAL.get(""), self.app, scope, receive, send)
                return
        except TooManyStreams as many:
            await JSONResponse({"detail": str(many)}, 429)(scope, receive, send)
            return
        except NotAllowed as refusal:
            answer = JSONResponse({"detail": f"not allowed here: {refusal}"}, refusal.status)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


async def _read(verdict: RouteVerdict, path: str, receive: Receive) -> Receive:
    """Read a body, check it, and hand on what is allowed of it."""
    raw = await _body(receive)
    try:
        body = read_json(raw.decode("utf-8") or "{}")
    except (BadJson, UnicodeDecodeError) as error:
        raise NotAllowed(f"a body that is not JSON with each key once: {error}", 422) from None
    if not isinstance(body, dict):
        raise NotAllowed("a body that is not an object", 422)
    check_plain(body)
    match verdict:
        case "run":
            CLAIMED.set(frozenset(claimed_checkpoints(body)))
            clean = run_body(body, path.split("/")[2])
        case "command":
            clean = command_body(body, path.split("/")[2])
            STARTS.set(clean["method"] == "run.start")
        case "thread":
            clean = thread_body(body)
        case _:
            clean = body
    text = json.dumps(clean).encode()
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": text, "more_body": False}

    return replay


def credential(headers: Headers) -> str:
    """The caller's token, as SDKs and interfaces send it; empty where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip()


def _ascii(token: str) -> str:
    return token if token.isascii() and token.isprintable() else ""


def truthy(value: str | None) -> bool:
    """Whether a query parameter asks for something."""
    return (value or "").lower() not in {"", "0", "false", "no"}


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise NotAllowed("a request that was given up")
        body += cast("bytes", message.get("body", b""))
        if len(body) > BODY_LIMIT_BYTES:
            raise NotAllowed(f"a body above {BODY_LIMIT_BYTES} bytes", 413)
        if not message.get("more_body"):
            return bytes(body)


def _without_length(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name not in {b"content-length", b"transfer-encoding"}]
