"""The graph's state: small, JSON-like, and for the eye. Nothing in it is read back to decide anything."""

from typing import Any, TypedDict

STATE_VERSION = 1


class Input(TypedDict):
    """All that a run may bring; other keys are dropped."""

    ticket: dict[str, Any]


class Output(TypedDict, total=False):
    """The state of the contract."""

    status: str
    reason: str
    case_id: str | None
    draft: str | None
    citations: list[str]
    proposal: dict[str, Any] | None
    trace: list[dict[str, Any]]
    budget_audit: str
    refund: dict[str, Any] | None


class CaseState(Output, total=False):
    """The whole state of a thread."""

    ticket: dict[str, Any]
    state_version: int


class AgentInput(TypedDict):
    """What the autonomous part is given: its case comes from the books, by its thread."""

    case_id: str | None


class AgentState(Output, total=False):
    """The autonomous part's own state; `run` names what this process holds of the run."""

    run: str
