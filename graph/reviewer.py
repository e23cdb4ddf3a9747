"""What a reviewer is shown at the pause, in each format that LangGraph's interfaces read. It carries no authority.

What a person needs to decide stands first and in words: the amount, to whom, for what, what the customer wrote, what
went back before, why, until when. Names that only machines compare stand last.
"""

import re
from collections.abc import Sequence
from typing import Any, get_args

from graph.eye import inert, inert_lines
from graph.run import texts_of
from graph.snapshot import CaseSnapshot
from records.books import Books, Reads
from records.orders import order_facts
from records.readings import reading_in
from records.run_inputs import run_input_of
from records.states import proposal_shown
from refunds.order import OrderFacts, method_as_said
from refunds.proposal import Proposal
from refunds.reading import BETWEEN
from refunds.vocabulary import HandoffReason, ProposalKind

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

TITLE_LIMIT = 100
CAUSE_LIMIT = 48
WORDS_LIMIT = 2_000
"""Characters of the customer's words, the newest; all of them stand at the desk."""

_ADDRESS = re.compile(r"\S*(?:://|www\.|@)\S*", re.IGNORECASE)
_UNPLAIN = re.compile(r"[^\w\s.,;:'’%€$£()/+-]")
_REASONS = frozenset(get_args(HandoffReason))


async def interrupt_payload(books: Books, snapshot: CaseSnapshot) -> dict[str, Any]:
    """The value of the interrupt for the open proposal of a case, with its order as the books have it now."""
    if snapshot.current is None:
        return {"waiting_for": "proposal"}
    case = snapshot.case
    reads = books.reading(case.tenant, case.customer_id)
    about = snapshot.current.proposal.order_id or case.order_id
    order = await _readable(reads, about) if about else None
    # What came in since is read for the next proposal; an answer to this one is refused then (`written_since`).
    answers = (await run_input_of(reads, case)).answers if snapshot.current.proposals > 1 else ()
    try:
        return payload_of(snapshot, order, answers)
    except (LookupError, TypeError, ValueError):
        return payload_of(snapshot, None, answers)


async def _readable(reads: Reads, order_id: str) -> OrderFacts | None:
    """None also for an order that makes no sense: a person takes such a case, and is shown the rest of it."""
    try:
        return await order_facts(reads, order_id)
    except (LookupError, TypeError, ValueError):
        return None


def payload_of(
    snapshot: CaseSnapshot, order: OrderFacts | None, answers: Sequence[str] = ()
) -> dict[str, Any]:
    """The same, from what was read."""
    assert snapshot.current is not None  # noqa: S101  (the caller has looked)
    title = title_of(snapshot, order)
    args = inert(_told(snapshot, order, BETWEEN.join(texts_of(snapshot.case, answers))))
    description = _description(args, snapshot.current.proposal)
    return {
        "action_requests": [{"name": title, "args": args, "arguments": args, "description": description}],
        "review_configs": [{"action_name": title, "allowed_decisions": ["approve", "reject"]}],
        "action_request": {"action": title, "args": args},
        "config": {
            "allow_accept": True,
            "allow_ignore": True,
            "allow_respond": True,
            "allow_edit": False,
        },
        "description": description,
        "proposal": inert(proposal_shown(snapshot.current)),
    }


def settlement_payload(snapshot: CaseSnapshot) -> dict[str, Any]:
    """The value of the interrupt while the provider is waited for: no request that a reviewer could answer.

    It stands as it was written until the provider has answered, so it says what stays true.
    """
    current = snapshot.current
    if current is None or current.decision is None:
        return {"waiting_for": "settlement"}
    amount, by = current.proposal.amount, current.decision.decided_by
    said = f"Approved by {by}: {amount} is being paid, and the desk shows how far it is. Nothing to decide."
    return {"waiting_for": "settlement", "says": said}


def title_of(snapshot: CaseSnapshot, order: OrderFacts | None) -> str:
    """One line without marks, as `Refund 79.00 USD · order D300 · tablet arrived cracked`."""
    if snapshot.current is None:
        return f"Ticket {_plain(snapshot.case.ticket_id)}"
    proposal = snapshot.current.proposal
    about = proposal.order_id or (order.order_id if order else snapshot.case.order_id)
    named = [f"order {_plain(about)}"] if about else []
    match proposal.kind:
        case "refund":
            head, tail = f"Refund {proposal.amount}", _cause(snapshot) or _goods(proposal, order)
        case "reply":
            head, tail = ("Ask the customer" if proposal.question else "Reply, no refund"), _cause(snapshot)
        case "handoff":
            # A planner's own reason is data and never a heading.
            head, tail = "Take over", _said(proposal.reason) if proposal.reason in _REASONS else ""
    return " · ".join([head, *named, *([tail] if tail else [])])[:TITLE_LIMIT]


_APPROVING: dict[ProposalKind, str] = {
    "refund": "pays the amount once and sends the reply",
    "reply": "sends the reply and pays nothing",
    "handoff": "closes the case without a word to the customer: to answer or to propose a refund, open it at the desk",
}


def _told(snapshot: CaseSnapshot, order: OrderFacts | None, wrote: str) -> dict[str, Any]:
    """What is decided, the first thing first; the names that only machines compare, last."""
    assert snapshot.current is not None  # noqa: S101  (the caller has looked)
    proposal, current = snapshot.current.proposal, snapshot.current
    told: dict[str, Any] = {}
    if proposal.kind == "refund":
        told["amount"] = str(proposal.amount)
        told["to"] = _payee(proposal, order)
        told["for"] = _goods(proposal, order) or "the order as a whole"
        told["when"] = "when the goods are back as they were sold" if proposal.goods_first else "at once"
        if proposal.kept:
            told["keeps"] = "the customer keeps the goods"
    else:
        told["approving"] = _APPROVING[proposal.kind]
    told["customer_wrote"] = wrote if len(wrote) <= WORDS_LIMIT else f"…{wrote[-WORDS_LIMIT:]}"
    if order is not None:
        told["refunded_before"] = _before(order)
    told["why"] = _why(proposal)
    told["decide_by"] = f"{current.expires_at:%Y-%m-%d %H:%M} UTC"
    told["reply"] = proposal.draft
    told["order_id"] = proposal.order_id or None
    told["proposal_id"] = str(proposal.proposal_id)
    told["digest"] = current.digest
    return told


def _description(told: dict[str, Any], proposal: Proposal) -> str:
    """Markdown: all that some interfaces show, and its first line all that their lists do."""
    lines: list[str] = []
    if "amount" in told:
        conditions = [told[name] for name in ("when", "keeps") if told.get(name, "at once") != "at once"]
        first = ", ".join([f"{told['amount']} to {told['to']}, for {told['for']}", *conditions])
        lines += [inert_lines(f"{first}."), ""]
    elif proposal.kind == "reply":
        lines += ["No refund: approving sends the reply below.", ""]
    else:
        lines += [f"A person takes this case. Approving {_APPROVING['handoff']}.", ""]
    lines += ["The customer wrote:", "", _quoted(str(told["customer_wrote"])), ""]
    if "refunded_before" in told:
        lines += [f"Refunded before: {told['refunded_before']}.", ""]
    lines += [inert_lines(f"Why: {told['why']}."), ""]
    if proposal.draft:
        lines += ["Reply:", "", _quoted(proposal.draft), ""]
    return "\n".join([*lines, f"Decide by {told['decide_by']}."])


def _payee(proposal: Proposal, order: OrderFacts | None) -> str:
    methods = {one.payment_id: method_as_said(one.method) for one in order.payments} if order else {}
    customer = f"customer {order.customer_id}" if order else "the customer"
    parts = [
        f"{leg.amount} to {methods.get(leg.payment_id, 'payment')} ({leg.payment_id})"
        if proposal.legs
        else f"{methods.get(leg.payment_id, 'payment')} ({leg.payment_id})"
        for leg in proposal.parts
    ]
    return f"{customer}: {', '.join(parts)}"


def _goods(proposal: Proposal, order: OrderFacts | None) -> str:
    """The lines that the amount is for, and what of it is for shipping and fees."""
    if order is None:
        return ""
    names = {line.line_id: _plain(line.name) for line in order.lines}
    goods = [
        names[units.line_id] if units.quantity == 1 else f"{units.quantity} {names[units.line_id]}"
        for units in proposal.units
        if units.line_id in names
    ]
    return ", ".join([*goods, *(["shipping and fees"] if proposal.charges_minor else [])])


def _before(order: OrderFacts) -> str:
    made = [
        f"{one.amount} on {one.at:%Y-%m-%d}" if one.at else str(one.amount)
        for one in order.refunds
        if one.amount.amount_minor
    ]
    return f"{', '.join(made)}; {order.left} of {order.paid} is left" if made else f"nothing of {order.paid}"


def _why(proposal: Proposal) -> str:
    """The rule and the clauses that it rests on, or why a person is asked."""
    rule = [f"rule {proposal.rule.replace('-', ' ')}"] if proposal.rule else []
    reason = [] if rule and proposal.reason == "draft_ready_for_review" else [_said(proposal.reason)]
    quotes = [f"“{one.quote}” ({one.citation_id})" for one in proposal.citations]
    return "; ".join([*reason, *rule, *quotes])


def _cause(snapshot: CaseSnapshot) -> str:
    """The customer's own words for what is wrong, as the reading points at them."""
    reading = reading_in(snapshot.reading)
    span = next(
        (ask.spans["cause"][0] for ask in reading.asks if ask.spans.get("cause")) if reading else iter(()),
        None,
    )
    if reading is None or span is None:
        return ""
    said = BETWEEN.join(snapshot.case.ticket.texts)[span.start : span.end]
    plain = re.sub(r"^(?:my|the|our|it|and|but|hi|hello)\s+", "", _plain(said), flags=re.IGNORECASE)
    return plain if len(plain) <= CAUSE_LIMIT else plain[: CAUSE_LIMIT - 1].rstrip() + "…"


def _said(reason: str) -> str:
    return _plain(reason.replace("_", " "))


def _plain(text: str) -> str:
    """One line of words: what a title may hold; no address, and no sign that a page would read."""
    return " ".join(_UNPLAIN.sub(" ", _ADDRESS.sub(" ", text).replace("_", " ")).split()).strip(" .,;:")


def _quoted(text: str) -> str:
    return "\n".join(f"> {inert_lines(line)}" for line in text.splitlines() if line.strip()) or "> …"
