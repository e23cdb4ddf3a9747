"""Letters: what a customer is told, by the outcome that the books hold. Never more than that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

from policies.letter_templates import Because, LetterTemplates, without_ids
from records.cases import LastEvent
from records.money import CurrentProposal
from refunds.money import Currency, Money
from refunds.proposal import Proposal
from refunds.reading import TicketAsk
from refunds.vocabulary import CaseStatus, RejectCode

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
    says: LetterTemplates,
    *,
    name: str | None = None,
    left: Sequence[TicketAsk] = (),
    amounts_in: str | None = None,
) -> Letter | None:
    """The letter that a case calls for where it stands; None where the customer is told nothing.

    `left` are the asks that the case does not decide. Amounts stand in it as people of `amounts_in` write them, or of
    the letters' own language.
    """
    written = _Writing(says, name, amounts_in or says.language)
    if now.status == "needs_human" and now.reason == "asked_customer":
        if current and current.decision and current.decision.word == "approve":
            return Letter("received", as_sent(current.proposal))
        asked = current.decision.instruction if current and current.decision else None
        return Letter("received", written.letter(asked, says.says("question.by_person"))) if asked else None
    body = written.body(now, current, reply_by_person)
    if body and now.status in _WORDED_HERE and not (current and current.decision and current.decision.letter):
        body = says.with_left(body, left)
    return Letter(now.status, body) if body else None


def as_sent(proposal: Proposal) -> str:
    """The reply of a proposal as the customer gets it: the ids of its clauses stay with who countersigned them."""
    return without_ids(proposal.draft, proposal.citations)


@dataclass(frozen=True, slots=True)
class _Writing:
    """Writes to one customer."""

    says: LetterTemplates
    name: str | None
    amounts_in: str

    def letter(self, *paragraphs: str) -> str:
        return self.says.letter(*paragraphs, name=self.name)

    def keyed(self, *keys: str) -> str:
        return self.letter(*(self.says.says(key) for key in keys))

    def body(
        self, now: LastEvent, current: CurrentProposal | None, reply_by_person: str | None
    ) -> str | None:
        match now.status:
            case "bypassed" if now.reason in _SILENT:
                return None
            case "bypassed" | "blocked":
                return self.keyed("handed_over")
            case "needs_human" if (
                current is not None and current.proposal.kind == "handoff" and current.decision is None
            ):
                return self.keyed("handed_over")
            case "replied" if reply_by_person is not None:
                return reply_by_person
            case "replied":
                return as_sent(current.proposal) if current else None
            case "refund_pending" if now.reason == "awaiting_return" and current is not None:
                return as_sent(current.proposal)
            case "refunded" if current is not None and current.settled is not None:
                return self._refunded(current)
            case "refund_failed" if now.ended and current is not None and _returned(current).amount_minor:
                part = self.says.says(
                    "failed.part",
                    returned=_returned(current).shown(self.amounts_in),
                    amount=current.proposal.amount.shown(self.amounts_in),
                )
                return self.letter(part, self.says.says("failed.after"))
            case "refund_failed" if now.ended:
                return self.keyed("failed", "failed.after")
            case "rejected" if current is not None and current.decision and current.decision.letter:
                return current.decision.letter
            case "rejected":
                code = current.decision.code if current and current.decision else None
                return self.keyed(f"rejected.{code or 'other'}")
            case "expired":
                return self.keyed("expired", "expired.after")
            case "closed_by_human":
                return reply_by_person
            case _:
                return None

    def _refunded(self, current: CurrentProposal) -> str:
        """That the money went back, in the first place; in the draft it takes that of the promise."""
        made, draft = self._made(current), as_sent(current.proposal)
        if current.proposal.goods_first:
            return self.letter(self.says.says("refunded.arrived"), made)
        promise = self._promise(current)
        if promise in draft:
            return draft.replace(promise, made, 1)
        return self.says.after_greeting(draft, made)

    def _promise(self, current: CurrentProposal) -> str:
        """The sentence by which a draft of the rules says what goes back, where it goes to one payment."""
        return self.says.says("offer", amount=current.proposal.amount.shown(self.amounts_in))

    def _made(self, current: CurrentProposal) -> str:
        settled = current.settled
        assert settled is not None  # noqa: S101  (the caller has looked)
        return self.says.says(
            "refunded.several" if current.proposal.legs else "refunded",
            amount=current.proposal.amount.shown(self.amounts_in),
            day=self.says.day(settled.at),
        )


def rejection(
    code: RejectCode, says: LetterTemplates, *, name: str | None = None, left: Sequence[TicketAsk] = ()
) -> str:
    """The letter of a reject code, for a person to change before it is sent."""
    return says.with_left(says.letter(says.says(f"rejected.{code}"), name=name), left)


OWN_LETTERS = ("refund", "no_refund", "need_more", "replacement", "sorry")
"""What a person begins from who writes a letter of their own."""


def own_letters(says: LetterTemplates, name: str | None) -> dict[str, str]:
    """The beginnings of a person's own letters, by what they are for."""
    more = {"refund": ("own.refund.after",)}
    return {
        kind: says.letter(
            says.says(f"own.{kind}"), *(says.says(key) for key in more.get(kind, ())), name=name
        )
        for kind in OWN_LETTERS
    }


def _returned(current: CurrentProposal) -> Money:
    """What of the approved amount went back, payment by payment."""
    made = [leg.amount for leg in current.proposal.parts if current.legs.get(leg.payment_id) == "succeeded"]
    return Money(sum(amount.amount_minor for amount in made), current.proposal.amount.currency)


def samples(says: LetterTemplates) -> dict[str, str]:
    """Each letter that code writes, with an example of everything in it, to be looked at before customers get it."""
    name, order, at = "Jo Doe", "D300", datetime(2026, 11, 30, tzinfo=UTC)
    amount = Money(7_900, Currency("USD")).shown(says.language)
    about = {"order": order, "goods": "Tablet"}
    quote = says.says("quote", quote="Items may be returned for a refund within 14 days of delivery, unused.")
    why = f"{says.says('delivery.delivered_on', day=says.day(at), **about)} {quote}"
    first = says.says("offer.first", amount=amount, goods="1 × Tablet", first=says.says("first"))
    made = says.says("refunded", amount=amount, day=says.day(at))
    because = says.because(Because.of("because.return_window", days=14), says.language)
    bodies: dict[str, tuple[str, ...]] = {
        "refunded": (made, why),
        "goods_first": (first, why, says.says("offer.steps", order=order), says.says("offer.after")),
        "goods_arrived": (says.says("refunded.arrived"), made),
        "denied": (says.says("denial", because=because), why),
        "question": (
            says.says("question", what=says.says("what.items")), why, says.says("question.after"),
        ),
        "handed_over": (says.says("handed_over"),),
        "refund_failed": (says.says("failed"), says.says("failed.after")),
        "expired": (says.says("expired"), says.says("expired.after")),
    }  # fmt: skip
    written = {kind: says.letter(*body, name=name) for kind, body in bodies.items()}
    rejected = {f"rejected_{code}": rejection(code, says, name=name) for code in get_args(RejectCode)}
    return written | rejected | {f"own_{kind}": text for kind, text in own_letters(says, name).items()}
