"""The case as a conversation, for interfaces that show one: what the customer wrote, what was drafted, what a person
decided, what became of it. A copy for the eye: nothing reads it back.
"""

from collections.abc import Sequence
from typing import assert_never

from graph.reviewer import title_of
from graph.snapshot import CaseSnapshot
from refunds.vocabulary import CaseStatus

ShownMessage = dict[str, str]


def conversation_of(snapshot: CaseSnapshot, answers: Sequence[str] = ()) -> list[ShownMessage]:
    """The messages of a case as far as it is, each with an id that stays; `answers` came in since the ticket."""
    case, current = snapshot.case, snapshot.current
    said = [_from_customer(f"{case.case_id}-asked", case.ticket.question)]
    for number, message in enumerate(case.ticket.messages or (), 1):
        name = f"{case.case_id}-asked-{number}"
        ours = message.sender == "shop"
        said.append(_from_house(name, message.text) if ours else _from_customer(name, message.text))
    said += [_from_customer(f"{case.case_id}-answered-{n}", text) for n, text in enumerate(answers, 1)]
    if current is not None:
        proposal = current.proposal
        draft = f"{title_of(snapshot, None)}\n\n{proposal.draft}".strip()
        said.append(_from_house(f"{proposal.proposal_id}-proposed", draft))
        if current.decision is not None:
            said.append(_from_house(f"{proposal.proposal_id}-decided", _decided(snapshot)))
    end = _end(snapshot)
    # Where it ends twice, as after a kill switch, each end stands in its own place.
    ended = f"{case.case_id}-{snapshot.state.status}-{snapshot.state.reason}"
    return [*said, *([_from_house(ended, end)] if end else [])]


def _from_customer(name: str, text: str) -> ShownMessage:
    return {"type": "human", "id": name, "content": text}


def _from_house(name: str, text: str) -> ShownMessage:
    return {"type": "ai", "id": name, "content": text}


def _decided(snapshot: CaseSnapshot) -> str:
    current = snapshot.current
    if current is None or current.decision is None:
        return ""
    by = current.decision.decided_by
    match current.decision.word:
        case "approve":
            return f"Approved by {by}."
        case "reject":
            code = (current.decision.code or "other").replace("_", " ")
            return f"Rejected by {by}: {code}."
        case "revise":
            return f"Sent back by {by}."
        case word:
            assert_never(word)


def _end(snapshot: CaseSnapshot) -> str:
    """How it ended, or who has it; empty while it goes on."""
    status: CaseStatus = snapshot.state.status
    reason = snapshot.state.reason.replace("_", " ")
    amount = snapshot.current.proposal.amount if snapshot.current else None
    if snapshot.state.ended and snapshot.case.mode != "production":
        return f"Ended as {status.replace('_', ' ')}, in {snapshot.case.mode} mode: nothing left the house."
    match status:
        case "refunded":
            return f"Refunded: {amount}."
        case "refund_failed":
            return f"The refund of {amount} failed: {reason}. A person has it."
        case "replied":
            return "The reply goes to the customer."
        case "rejected":
            return "Nothing is paid."
        case "expired":
            return "Nobody decided in time. Nothing is paid."
        case "closed_by_human":
            return "A person closed it."
        case "bypassed" | "blocked":
            return f"A person takes this up: {reason}."
        case "received" | "needs_human" | "approved" | "refund_pending":
            return ""
        case _:
            assert_never(status)
