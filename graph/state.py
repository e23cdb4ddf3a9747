"""The graph's state: small, JSON-like, and for the eye. Nothing in it is read back to decide anything."""

from typing import Annotated, Any, TypedDict

STATE_VERSION = 1


def latest(before: object, after: object) -> object:
    """Keep the newer value, so that a thread that was forced into two nodes at once does not fail."""
    del before
    return after


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
