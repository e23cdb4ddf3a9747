"""Granting: which node an action request may run, after the allowlist and the validator of its edge.

What is granted is a read or a draft. No grant pays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, assert_never

from graph.run import AgentRun, Granted, StepCost
from policies.actions import (
    ActionRequest,
    Blocked,
    DraftReply,
    GetPolicyEvidence,
    LookupOrder,
    RequestHumanApproval,
    action_name,
    read_request,
)
from policies.transitions import unmet
from refunds.finding import Finding
from refunds.trace import TraceEvent

AgentNode = Literal["evidence", "order", "draft", "propose", "block"]

RETRIEVAL_ONLY = "retrieval_only"
"""Why a case is handed over while an operator lets policy and order be read and no more."""

NO_DRAFTS = "no_drafts"
"""Why a case is handed over while an operator lets nothing be drafted."""

STAGING = "staging"
"""Why a case is handed over where everything only reads."""


def grant(run: AgentRun, requested: object, planning: StepCost, steps_left: int) -> Sequence[AgentNode]:
    """The nodes that a request may run, with what it asks for left in the run: one, or both reads at the same time."""
    run.granted.clear()
    if isinstance(requested, list) and len(requested) == 2:
        nodes = _both(run, requested, planning) if steps_left >= 2 else None
        if nodes is not None:
            return nodes
        # Where both cannot be granted, the first is asked for alone; the second may be requested again.
        requested = requested[0]
    return (_one(run, requested, planning),)


def _both(run: AgentRun, requested: list[object], planning: StepCost) -> Sequence[AgentNode] | None:
    """Policy and order, which need nothing of one another; None where it is anything else."""
    first, second = (read_request(one) for one in requested)
    if not (isinstance(first, GetPolicyEvidence) and isinstance(second, LookupOrder)):
        return None
    if unmet(("plan", "evidence"), run.progress) or unmet(("plan", "order"), run.progress):
        return None
    step = len(run.trace) + 1
    run.granted["evidence"] = Granted(first, _args(requested[0]), step, planning)
    run.granted["order"] = Granted(second, _args(requested[1]), step + 1, StepCost())
    return ("evidence", "order")


def _one(run: AgentRun, requested: object, planning: StepCost) -> AgentNode:
    request = read_request(requested)
    step = len(run.trace) + 1
    if isinstance(request, Blocked):
        result = "blocked_action" if request.reason == "forbidden_action" else request.reason
        run.trace.append(
            _event(step, str(plain_json(request.action)), plain_json(request.args), result, planning)
        )
        run.blocked = request.reason
        return "block"
    args, node = _args(requested), node_of(request)
    claims_draft = isinstance(request, RequestHumanApproval) and request.reason == "draft_ready_for_review"
    broken = unmet(("plan", node), replace(run.progress, claims_draft=claims_draft))
    if broken is not None:
        run.trace.append(_event(step, action_name(request), args, broken, planning))
        run.blocked = "invalid_state_transition"
        return "block"
    if isinstance(request, DraftReply) and run.snapshot.case.mode == "staging":
        run.handoff = STAGING
        return "propose"
    if isinstance(request, DraftReply) and run.steering.retrieval_only:
        run.findings.append(
            Finding("retrieval_only", "an operator lets policy and order be read and no more")
        )
        run.handoff = RETRIEVAL_ONLY
        return "propose"
    if isinstance(request, DraftReply) and run.steering.no_drafts:
        run.findings.append(Finding("retrieval_only", "an operator lets nothing be drafted"))
        run.handoff = NO_DRAFTS
        return "propose"
    if isinstance(request, RequestHumanApproval):
        checked: dict[str, object] = {"reason": request.reason}
        run.trace.append(
            _event(step, "request_human_approval", args, request.reason, planning, checked=checked)
        )
        run.handoff = request.reason
    run.granted[node] = Granted(request, args, step, planning)
    return node


def _event(
    step: int,
    action: str,
    args: object,
    result: str,
    planning: StepCost,
    *,
    checked: dict[str, object] | None = None,
) -> TraceEvent:
    """A step that cost no more than its planning."""
    return TraceEvent(
        step, action, args, result, planning.tokens, planning.ms, checked, cost_micros=planning.cost_micros
    )


def _args(requested: object) -> object:
    return plain_json(requested.get("arguments") if isinstance(requested, Mapping) else None)


def node_of(request: ActionRequest) -> Literal["evidence", "order", "draft", "propose"]:
    """The node that runs a request."""
    match request:
        case GetPolicyEvidence():
            return "evidence"
        case LookupOrder():
            return "order"
        case DraftReply():
            return "draft"
        case RequestHumanApproval():
            return "propose"
        case _:
            assert_never(request)


def plain_json(value: object, depth: int = 0) -> object:
    """Any Python value as the JSON that the trace keeps; what JSON cannot say is named by its type."""
    if depth > 4:
        return "…"
    match value:
        case None | bool():
            return value
        case int() if abs(value) < 2**53:
            return value
        case str():
            return _storable(value[:8_000])
        case Mapping():
            shown = list(value.items())[:32]
            return {_storable(str(key)[:128]): plain_json(inner, depth + 1) for key, inner in shown}
        case list() | tuple():
            return [plain_json(inner, depth + 1) for inner in value[:32]]
        case _:
            return f"<{type(value).__name__}>"


def _storable(text: str) -> str:
    """The text without what Postgres and UTF-8 cannot hold: NUL and halves of pairs."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")
