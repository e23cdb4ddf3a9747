"""Bodies: what a request may bring to the server, made anew from what is allowed in it.

No key of a body reaches the server that is not listed here. What is empty in one counts as absent: official clients
send empty fields beside what they mean.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

GRAPH_ID = "refund_agent"
ASSISTANT_ID = str(uuid5(UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8"), GRAPH_ID))
"""The assistant that the server makes of a graph by itself, in the server's own namespace of names."""

DEPTH_LIMIT = 24
NUMBER_LIMIT = 1_000_000_000_000

_STREAM_MODES = frozenset(
    {"values", "updates", "messages", "messages-tuple", "events", "debug", "custom", "tasks", "checkpoints"}
)
_EMPTY: tuple[object, ...] = (None, [], {}, "", 0, False)


class NotAllowed(Exception):
    """The allowlist's refusal; the message names what is not allowed."""

    def __init__(self, what: str, status: int = 403) -> None:
        super().__init__(what)
        self.status = status


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


def claimed_checkpoints(body: dict[str, Any]) -> set[str]:
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
        "if_not_exists": "create",
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
            case "if_not_exists" if value in (None, "reject", "create"):
                pass  # a first run makes its thread, whichever is said
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


def command_body(body: Mapping[str, Any], thread_id: str) -> dict[str, Any]:
    """A command of the streaming protocol as the house allows it: a first run, an answer at a pause, a look."""
    params = body.get("params") or {}
    if not isinstance(body.get("id"), int) or not isinstance(params, Mapping):
        raise NotAllowed("a command without its id or its params", 422)
    match body.get("method"):
        case "run.start":
            said = {name: value for name, value in params.items() if name != "multitaskStrategy"}
            clean = run_body(said, thread_id)
            if "input" not in clean:
                raise NotAllowed("run.start with a command: answer with input.respond")
            allowed: dict[str, Any] = {"assistant_id": GRAPH_ID, "input": clean["input"]}
        case "input.respond":
            allowed = _respond(params, thread_id)
        case "agent.getTree":
            allowed = {}
        case other:
            raise NotAllowed(f"the command {str(other)[:40]}")
    return {"id": body["id"], "method": body["method"], "params": allowed}


def _respond(params: Mapping[str, Any], thread_id: str) -> dict[str, Any]:
    """One answer to one pause, and nothing beside it."""
    several = params.get("responses")
    if several:
        if not (isinstance(several, list) and len(several) == 1 and isinstance(several[0], Mapping)):
            raise NotAllowed("responses: exactly one answer", 422)
        return _respond({**{k: v for k, v in params.items() if k != "responses"}, **several[0]}, thread_id)
    for key, value in params.items():
        match key:
            case "interrupt_id" if isinstance(value, str):
                pass
            case "response" | "metadata":
                pass
            case "config":
                _config(value or {}, thread_id)
            case _ if value in _EMPTY:
                pass
            case _:
                raise NotAllowed(f"input.respond: {key}")
    if "interrupt_id" not in params:
        raise NotAllowed("input.respond: without interrupt_id", 422)
    return {"interrupt_id": params["interrupt_id"], "namespace": [], "response": params.get("response")}


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
                {name: inner for name, inner in value.items() if inner not in _EMPTY}
                if isinstance(value, dict)
                else {}
            )
            if said.get("lg_name") == "Command":
                del said["lg_name"]  # how an official client marks that it is one
            if not said:
                return {}
            if set(said) != {"resume"}:
                raise NotAllowed(f"command: {', '.join(sorted(set(said) - {'resume'}))}")
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
            case "recursion_limit" if isinstance(inner, int):
                pass  # the house's own holds, whatever is said
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
