"""The graph's state: small, JSON-like, and for the eye. Nothing in it is read back to decide anything."""

from collections.abc import Sequence
from typing import Annotated, Any

from typing_extensions import TypedDict  # the standard one of Python 3.11 makes no schema

STATE_VERSION = 1


def latest(before: object, after: object) -> object:
    """Keep the newer value, so that a thread that was forced into two nodes at once does not fail."""
    del before
    return after


def kept(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Keep every message, in the order in which it came; one of the same id is replaced."""
    newer = {message["id"]: message for message in after or ()}
    older = [newer.pop(message["id"], message) for message in before or ()]
    return [*older, *newer.values()]


class Input(TypedDict):
    """All that a run may bring; other keys are dropped."""

    ticket: dict[str, Any]


class Output(TypedDict, total=False):
    """The state of the contract."""

    status: Annotated[str, latest]
    reason: Annotated[str, latest]
    case_id: Annotated[str | None, latest]
    draft: Annotated[str | None, latest]
    citations: Annotated[list[str], latest]
    proposal: Annotated[dict[str, Any] | None, latest]
    trace: Annotated[list[dict[str, Any]], latest]
    budget_audit: Annotated[str, latest]
    refund: Annotated[dict[str, Any] | None, latest]
    reading: Annotated[dict[str, Any] | None, latest]
    messages: Annotated[list[dict[str, Any]], kept]
    """The case as a conversation, for interfaces that show one."""


class CaseState(Output, total=False):
    """The whole state of a thread."""

    ticket: dict[str, Any]
    state_version: Annotated[int, latest]


class AgentInput(TypedDict):
    """What the autonomous part is given: its case comes from the books, by its thread."""

    case_id: Annotated[str | None, latest]


class AgentState(Output, total=False):
    """The autonomous part's own state; `run` names what this process holds of the run."""

    run: Annotated[str, latest]
