"""The allowlist: every route of the server has a verdict, and what has none is refused.

A body that starts a run is read here and made anew from what is allowed in it, so that no key of it reaches the
server that is not listed.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast
from uuid import UUID, uuid5

from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from refunds.canonical import BadJson, read_json

GRAPH_ID = "refund_agent"
ASSISTANT_ID = str(uuid5(UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8"), GRAPH_ID))
"""The assistant that the server makes of a graph by itself, in the server's own namespace of names."""

RouteVerdict = Literal["open", "read", "thread", "run", "refused"]

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
    ("POST", "/threads/{thread_id}/commands"): "refused",
    ("POST", "/threads/{thread_id}/stream/events"): "refused",
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
RECURSION_LIMIT = 100
DEPTH_LIMIT = 24
NUMBER_LIMIT = 1_000_000_000_000

CREDENTIAL: ContextVar[str] = ContextVar("countersign_credential")
"""The caller's own token, for the one HTTP call; it is kept nowhere else."""

CLAIMED: ContextVar[frozenset[str]] = ContextVar("countersign_claimed", default=frozenset())
"""The checkpoints that a run says it goes on from; the hook compares them with the last one."""

_STREAM_MODES = frozenset(
    {"values", "updates", "messages", "messages-tuple", "events", "debug", "custom", "tasks", "checkpoints"}
)
_EMPTY: tuple[object, ...] = (None, [], {}, "", 0, False)


class NotAllowed(Exception):
    """The allowlist's refusal; the message names what is not allowed."""

    def __init__(self, what: str, status: int = 403) -> None:
        super().__init__(what)
        self.status = status


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
    """The outermost layer of the server."""

    app: ASGIApp
    read_only: Callable[[], bool]

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
            if method == "OPTIONS" and "access-control-request-method" in headers:
                if "access-control-request-private-network" in headers:
                    raise NotAllowed("private network access from a page")
                await self.app(scope, receive, send)
                return
            verdict = verdict_of(method, path)
            if verdict == "refused" or (verdict in {"thread", "run"} and self.read_only()):
                raise NotAllowed(f"{method} {path}")
            if truthy(QueryParams(scope["query_string"]).get("cancel_on_disconnect")):
                raise NotAllowed("cancel_on_disconnect")
            if verdict != "open":
                CREDENTIAL.set(_ascii(credential(headers)))
            check_plain(list(QueryParams(scope["query_string"]).multi_items()))
            if method == "POST":
                receive = await _read(verdict, path, receive)
                scope = {**scope, "headers": _without_length(scope["headers"])}
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
            CLAIMED.set(frozenset(_checkpoints(body)))
            clean = run_body(body, path.split("/")[2])
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


def check_plain(value: object, depth: int = 0) -> None:
    """NotAllowed where a value holds what no honest question does: a NUL, a key of the runtime's own, a giant."""
    if depth > DEPTH_LIMIT:
        raise NotAllowed("a body nested too deeply", 422)
    match value:
        case str() if "\x00" in value or value != value.encode("utf-8", "replace").decode("utf-8"):
            raise NotAllowed("a NUL or half a pair of surrogates", 422)
        case int() | float() if abs(value) > NUMBER_LIMIT:
            raise NotAllowed("a number above the limit", 422)
        case dict():
            for key, inner in value.items():
                if str(key).startswith("__"):
                    raise NotAllowed(f"the key {str(key)[:40]}")
                if key in {"limit", "offset"} and not (isinstance(inner, int) and 0 <= inner <= NUMBER_LIMIT):
                    raise NotAllowed(f"{key}: a number from 0", 422)
                check_plain(key, depth + 1)
                check_plain(inner, depth + 1)
        case tuple((str() as key, str() as said)):
            if key in {"limit", "offset"} and not (said.isdigit() and len(said) < 7):
                raise NotAllowed(f"{key}: a number from 0", 422)
            check_plain(said, depth + 1)
        case list():
            for inner in value:
                check_plain(inner, depth + 1)
        case _:
            pass


def _checkpoints(body: dict[str, Any]) -> set[str]:
    """Some interfaces say from which checkpoint they go on: only the last one counts, and it need not be said."""
    checkpoint = body.pop("checkpoint", None)
    named = [body.pop("checkpoint_id", None)]
    if isinstance(checkpoint, Mapping):
        if checkpoint.get("checkpoint_ns") or checkpoint.get("checkpoint_map"):
            raise NotAllowed("checkpoint of a subgraph")
        named.append(checkpoint.get("checkpoint_id"))
    elif checkpoint is not None:
        raise NotAllowed("checkpoint")
    if not all(name is None or isinstance(name, str) for name in named):
        raise NotAllowed("checkpoint_id: text", 422)
    return {name for name in named if isinstance(name, str)}


def run_body(body: Mapping[str, Any], thread_id: str) -> dict[str, Any]:
    """A run as the house allows it: a first input or a resume, and nothing beside it. NotAllowed names the rest."""
    clean: dict[str, Any] = {
        "assistant_id": GRAPH_ID,
        "multitask_strategy": "enqueue",
        "if_not_exists": "reject",
        "on_disconnect": "continue",
        "durability": "sync",
    }
    for key, value in body.items():
        match key:
            case "input" if value == {} and body.get("command"):
                pass  # some interfaces send an empty input beside every answer
            case "assistant_id" if value in (GRAPH_ID, ASSISTANT_ID):
                pass
            case "input" | "command" | "stream_mode" | "multitask_strategy" | "config":
                clean |= _checked(key, value, thread_id)
            case "stream_subgraphs" if isinstance(value, bool) or value is None:
                clean[key] = bool(value)
            case "if_not_exists" if value in (None, "reject"):
                pass
            case "on_completion" if value in (None, "keep", "complete"):
                pass
            case "durability" | "checkpoint_during" | "on_disconnect" | "metadata" | "stream_resumable":
                pass  # the house's own settings hold, whatever is said
            case _ if value in _EMPTY:
                pass
            case _:
                raise NotAllowed(key)
    if ("input" in clean) == ("command" in clean):
        raise NotAllowed("a run is a first input or a resume: one of the two")
    return clean


def _checked(key: str, value: object, thread_id: str) -> dict[str, Any]:
    if value is None:
        return {}
    match key:
        case "input":
            if not isinstance(value, Mapping):
                raise NotAllowed("input: an object with a ticket")
            return {"input": {"ticket": value.get("ticket")}}
        case "command":
            said = (
                {name: inner for name, inner in value.items() if inner is not None}
                if isinstance(value, dict)
                else {}
            )
            if set(said) != {"resume"}:
                raise NotAllowed(f"command: {', '.join(sorted(set(said) - {'resume'})) or 'without resume'}")
            return {"command": said}
        case "stream_mode":
            modes = value if isinstance(value, list) else [value]
            if not all(isinstance(mode, str) and mode in _STREAM_MODES for mode in modes):
                raise NotAllowed("stream_mode")
            return {"stream_mode": modes}
        case "multitask_strategy":
            if value not in ("reject", "enqueue"):
                raise NotAllowed(f"multitask_strategy: {str(value)[:40]}")
            # An answer is a decision before it is a run, so its run is never turned away for being second.
            return {}
        case _:
            return _config(value, thread_id)


def _config(value: object, thread_id: str) -> dict[str, Any]:
    """A config may say what changes nothing; an identity, a checkpoint or a key of the runtime's own is refused."""
    if not isinstance(value, Mapping):
        raise NotAllowed("config")
    for key, inner in value.items():
        match key:
            case "configurable" if isinstance(inner, Mapping):
                for name, said in inner.items():
                    if not (name == "thread_id" and said == thread_id) and said is not None:
                        raise NotAllowed(f"config.configurable.{name}")
            case "recursion_limit" if isinstance(inner, int) and 0 < inner <= RECURSION_LIMIT:
                pass
            case "tags" | "metadata":
                pass
            case _ if inner in _EMPTY:
                pass
            case _:
                raise NotAllowed(f"config.{key}")
    return {}


def thread_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """A new thread as the house allows it."""
    clean: dict[str, Any] = {}
    for key, value in body.items():
        match key:
            case "thread_id" if isinstance(value, str):
                clean["thread_id"] = value
            case "if_exists" if value in ("raise", "do_nothing"):
                clean["if_exists"] = value
            case "metadata" if isinstance(value, Mapping):
                tenant = value.get("tenant")
                clean["metadata"] = {"tenant": tenant} if isinstance(tenant, str) else {}
            case _ if value in _EMPTY:
                pass
            case _:
                raise NotAllowed(key)
    return {"metadata": {}, **clean}


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
