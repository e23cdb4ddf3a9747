"""What a reviewer is shown at the pause, in each format that LangGraph's interfaces read. It carries no authority."""

from typing import Any

from graph.snapshot import CaseSnapshot
from records.states import proposal_shown

RESPONSE_SCHEMA: dict[str, Any] = {
    "title": "Answer",
    "anyOf": [
        {
            "type": "object",
            "required": ["decisions"],
            "additionalProperties": False,
            "properties": {
                "decisions": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["type"],
                        "properties": {
                            "type": {"enum": ["approve", "reject"]},
                            "message": {"type": "string"},
                        },
                    },
                }
            },
        },
        {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"enum": ["accept", "ignore", "response"]}, "args": {}},
            },
        },
        {
            "type": "object",
            "required": ["decision_id"],
            "additionalProperties": False,
            "properties": {"decision_id": {"type": "string"}},
        },
    ],
}
"""Shown to clients and not enforced: an answer that cannot be read leaves the case where it was."""

_ACTION = {"refund": "pay_refund", "reply": "send_reply", "handoff": "take_over"}


def interrupt_payload(snapshot: CaseSnapshot) -> dict[str, Any]:
    """The value of the interrupt for the open proposal of a case."""
    if snapshot.current is None:
        return {"waiting_for": "proposal"}
    proposal, current = snapshot.current.proposal, snapshot.current
    money = str(proposal.amount) if proposal.kind == "refund" else None
    args = {
        "proposal_id": str(proposal.proposal_id),
        "digest": current.digest,
        "amount": money,
        "order_id": proposal.order_id or None,
        "reply": proposal.draft,
    }
    name = _ACTION[proposal.kind]
    description = _description(snapshot, money)
    return {
        "action_requests": [{"name": name, "args": args, "arguments": args, "description": description}],
        "review_configs": [{"action_name": name, "allowed_decisions": ["approve", "reject"]}],
        "action_request": {"action": name, "args": args},
        "config": {
            "allow_accept": True,
            "allow_ignore": True,
            "allow_respond": True,
            "allow_edit": False,
        },
        "description": description,
        "proposal": proposal_shown(current),
    }


def _description(snapshot: CaseSnapshot, money: str | None) -> str:
    """Markdown, the amount first: all that stock interfaces show."""
    assert snapshot.current is not None  # noqa: S101  (the caller has looked)
    proposal = snapshot.current.proposal
    head = f"**{money}** back to the payment of order {proposal.order_id}" if money else "No refund"
    lines = [f"{head} — {proposal.kind}, {proposal.reason}", ""]
    lines += [f"> {citation.quote} ({citation.citation_id})" for citation in proposal.citations]
    lines += ["", proposal.draft or "_No draft: a person takes this case._", ""]
    lines.append(f"Decide by {snapshot.current.expires_at.isoformat(timespec='minutes')}.")
    return "\n".join(lines)
