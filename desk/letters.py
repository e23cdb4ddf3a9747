"""Letters: what a customer is told, by the outcome that the books hold. Never more than that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policies.languages import DEFAULT
from records.cases import LastEvent
from records.money import CurrentProposal
from refunds.ask_progress import with_left
from refunds.money import Money
from refunds.reading import TicketAsk
from refunds.vocabulary import CaseStatus, RejectCode

_REJECTED: Mapping[RejectCode, str] = {
    "not_eligible": "Our policy does not provide for a refund in this case.",
    "outside_window": "The time in which our policy allows a return has passed.",
    "wrong_order": "What you wrote does not fit the order that you named. Please tell us which order you mean.",
    "insufficient_evidence": "We need to know more. Please tell us what happened, with a photo if you can.",
    "suspected_abuse": "We could not confirm your request.",
    "already_refunded": "This has been refunded before.",
    "wording": "A colleague will answer you in person.",
    "other": "We cannot offer a refund here. A colleague will gladly explain if you answer this message.",
}
_WORDED_HERE: frozenset[CaseStatus] = frozenset({"rejected", "refund_failed", "expired"})
"""Ends whose letter is not the draft that a person has seen."""

_SILENT = frozenset({"kill_switch", "duplicate_ticket"})
"""Turned away for now, or because another case is the answer."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A text for an outcome."""

    outcome: CaseStatus
    body: str


def letter(
    now: LastEvent,
    current: CurrentProposal | None,
    reply_by_person: str | None,
    language: str = DEFAULT,
    left: Sequence[TicketAsk] = (),
) -> Letter | None:
    """The letter that a case calls for where it stands; None where the customer is told nothing.

    Amounts stand in it as people of the language write them. `left` are the asks that the case does not decide.
    """
    if now.status == "needs_human" and now.reason == "asked_customer":
        if current and current.decision and current.decision.word == "approve":
            return Letter("received", current.proposal.draft)
        asked = current.decision.instruction if current and current.decision else None
        return Letter("received", _letter(asked, "Please answer this message.")) if asked else None
    body = _body(now, current, reply_by_person, language)
    if body and now.status in _WORDED_HERE and not (current and current.decision and current.decision.letter):
        body = with_left(body, left)
    return Letter(now.status, body) if body else None


def _body(
    now: LastEvent, current: CurrentProposal | None, reply_by_person: str | None, language: str
) -> str | None:
    match now.status:
        case "bypassed" if now.reason in _SILENT:
            return None
        case "bypassed" | "blocked":
            return _HANDED_OVER
        case "needs_human" if (
            current is not None and current.proposal.kind == "handoff" and current.decision is None
        ):
            return _HANDED_OVER
        case "replied" if reply_by_person is not None:
            return reply_by_person
        case "replied":
            return current.proposal.draft if current else None
        case "refund_pending" if now.reason == "awaiting_return" and current is not None:
            return current.proposal.draft
        case "refunded" if (
            current is not None and current.settled is not None and current.proposal.goods_first
        ):
            return _letter("What you sent back has arrived.", _made(current, language))
        case "refunded" if current is not None and current.settled is not None:
            return "\n\n".join((current.proposal.draft, _made(current, language)))
        case "refund_failed" if now.ended and current is not None and _returned(current).amount_minor:
            return _letter(
                f"We returned {_returned(current).shown(language)} of the"
                f" {current.proposal.amount.shown(language)} that we approved."
                " The rest could not be returned yet.",
                "A colleague is looking after it; you need not do anything.",
            )
        case "refund_failed" if now.ended:
            return _FAILED
        case "rejected" if current is not None and current.decision is not None and current.decision.letter:
            return current.decision.letter
        case "rejected":
            code = current.decision.code if current and current.decision else None
            return _letter(next((text for key, text in _REJECTED.items() if key == code), _REJECTED["other"]))
        case "expired":
            return _EXPIRED
        case "closed_by_human":
            return reply_by_person
        case _:
            return None


def rejection(code: RejectCode, left: Sequence[TicketAsk] = ()) -> str:
    """The letter of a reject code, for a person to change before it is sent."""
    return with_left(_letter(_REJECTED[code]), left)


def _returned(current: CurrentProposal) -> Money:
    """What of the approved amount went back, payment by payment."""
    made = [leg.amount for leg in current.proposal.parts if current.legs.get(leg.payment_id) == "succeeded"]
    return Money(sum(amount.amount_minor for amount in made), current.proposal.amount.currency)


def _made(current: CurrentProposal, language: str) -> str:
    settled = current.settled
    assert settled is not None  # noqa: S101  (the caller has looked)
    methods = "payment methods" if current.proposal.legs else "payment method"
    return (
        f"We returned {current.proposal.amount.shown(language)} to your original {methods} on"
        f" {settled.at.date().isoformat()} (reference {settled.provider_refund_id})."
        " Your bank may take some days to show it."
    )


def _letter(*paragraphs: str) -> str:
    return "\n\n".join(("Hello,", *paragraphs, "Your support team"))


_HANDED_OVER = _letter("Thank you for your message. A colleague will read it and answer you in person.")
_FAILED = _letter(
    "We approved a refund for your order, but it could not be made. Nothing has been returned yet.",
    "A colleague is looking after it; you need not do anything.",
)
_EXPIRED = _letter(
    "We are sorry: we did not decide on your request in time, and nothing was refunded.",
    "Please write to us again and we take it up at once.",
)
