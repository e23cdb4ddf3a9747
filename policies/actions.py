"""The action allowlist: what a planner may ask for, with exactly which arguments.

An action is a request, not a permission. What is not listed here is blocked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from refunds.vocabulary import BlockReason

AllowedAction = Literal["get_policy_evidence", "lookup_order", "draft_reply", "request_human_approval"]
Tier = Literal["read", "reversible", "irreversible"]

ARGUMENTS: dict[AllowedAction, dict[str, type]] = {
    "get_policy_evidence": {"question": str},
    "lookup_order": {"order_id": str},
    "draft_reply": {},
    "request_human_approval": {"reason": str},
}

TIERS: dict[str, Tier] = {
    "get_policy_evidence": "read",
    "lookup_order": "read",
    "draft_reply": "reversible",
    "request_human_approval": "reversible",
    "issue_refund": "irreversible",
}

TEXT_LIMIT = 8_000
"""Characters of one argument: as long as a question may be."""

REASON_LIMIT = 120


@dataclass(frozen=True, slots=True)
class GetPolicyEvidence:
    question: str


@dataclass(frozen=True, slots=True)
class LookupOrder:
    order_id: str


@dataclass(frozen=True, slots=True)
class DraftReply:
    pass


@dataclass(frozen=True, slots=True)
class RequestHumanApproval:
    reason: str


ActionRequest = GetPolicyEvidence | LookupOrder | DraftReply | RequestHumanApproval


@dataclass(frozen=True, slots=True)
class Blocked:
    """The request cannot be granted; `action` and `args` are as the planner sent them, for the trace."""

    reason: BlockReason
    action: str
    args: object


def read_request(requested: object) -> ActionRequest | Blocked:
    """The request in a planner's answer, or why it is blocked, by the contract's order of precedence."""
    if not isinstance(requested, Mapping):
        return Blocked("invalid_decision", "", None)
    action, args = requested.get("action"), requested.get("arguments")
    if not isinstance(action, str):
        return Blocked("invalid_action", "", args)
    if action not in ARGUMENTS:
        return Blocked("forbidden_action", action[:128], args)
    if set(requested) - {"action", "arguments"}:
        return Blocked("invalid_decision", action, args)
    if not isinstance(args, Mapping):
        return Blocked("invalid_arguments", action, args)
    reason = _arguments_reason(action, args)
    return Blocked(reason, action, dict(args)) if reason else _request(action, args)


def _arguments_reason(action: AllowedAction, args: Mapping[object, object]) -> BlockReason | None:
    wanted = ARGUMENTS[action]
    if set(wanted) - set(args):
        return "missing_arguments"
    if set(args) - set(wanted):
        return "unexpected_arguments"
    for name, kind in wanted.items():
        value = args[name]
        limit = REASON_LIMIT if action == "request_human_approval" else TEXT_LIMIT
        if type(value) is not kind or not (isinstance(value, str) and 0 < len(value) <= limit):
            return "invalid_argument_types"
    if action == "request_human_approval" and not str(args["reason"]).isprintable():
        return "invalid_argument_types"
    return None


def _request(action: AllowedAction, args: Mapping[object, object]) -> ActionRequest:
    match action:
        case "get_policy_evidence":
            return GetPolicyEvidence(str(args["question"]))
        case "lookup_order":
            return LookupOrder(str(args["order_id"]))
        case "draft_reply":
            return DraftReply()
        case "request_human_approval":
            return RequestHumanApproval(str(args["reason"]))
        case _:
            assert_never(action)


def action_name(request: ActionRequest) -> AllowedAction:
    """The contract's name of a request."""
    match request:
        case GetPolicyEvidence():
            return "get_policy_evidence"
        case LookupOrder():
            return "lookup_order"
        case DraftReply():
            return "draft_reply"
        case RequestHumanApproval():
            return "request_human_approval"
        case _:
            assert_never(request)
