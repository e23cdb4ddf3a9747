"""The timeline: everything that was written, asked, answered, noted, voted and sent in one case, in its order."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from desk.catalogue import _
from desk.marked import MarkedWords, ReadWords
from desk.plain_words import plain_word
from records.books import Row
from records.cases import Case
from records.replies import CustomerReply
from refunds.money import Currency, Money

EntryKind = Literal["customer", "colleague", "agent", "person", "sent", "house"]
"""Whose voice it is: it gives the entry its side and its mark."""

SAME = timedelta(seconds=2)
"""A takeover and the vote that goes with it are written in one transaction."""

QUIET = frozenset({"received", "needs_human", "approved"})
"""Stops of the machine that say nothing which another entry does not say."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened, at a moment, by somebody."""

    at: datetime
    kind: EntryKind
    who: str
    what: str
    words: tuple[MarkedWords, ...] = ()
    """What was written, where something was."""

    state: str = ""
    """A word of the vocabulary that gives the entry its colour; empty for none."""

    letter: bool = False
    """The words are a letter that the customer gets."""


def timeline_of(
    case: Case,
    words: ReadWords,
    *,
    customer: str,
    proposals: Sequence[Row],
    votes: Sequence[Row],
    takeovers: Sequence[Row],
    assignments: Sequence[Row],
    notes: Sequence[Row],
    together: Sequence[Row],
    replies: Sequence[CustomerReply],
    reviews: Sequence[Row],
    rating: Row | None,
    events: Sequence[Row],
) -> list[TimelineEntry]:
    """Every entry of a case, the oldest first."""
    entries = [
        *_asked(case, words, customer),
        *_proposed(proposals),
        *_voted(_without(votes, takeovers), proposals, together),
        *_by_people(takeovers, assignments, notes, reviews),
        *_told(replies, rating),
        *_moved(events),
    ]
    return sorted(entries, key=lambda entry: entry.at)


def _plain(text: str) -> tuple[MarkedWords, ...]:
    return (MarkedWords(text),) if text else ()


def _asked(case: Case, words: ReadWords, customer: str) -> Iterator[TimelineEntry]:
    for place, text in enumerate(words.wrote):
        said = _("wrote") if place == 0 else _("wrote again")
        yield TimelineEntry(case.received_at, "customer", customer, said, tuple(text))
    for message, text in words.said_since:
        if message["author"] == "customer":
            by = message["person"]
            said = _("answered, brought by %(person)s", person=by) if by else _("answered")
            yield TimelineEntry(message["at"], "customer", customer, said, tuple(text))
        else:
            yield TimelineEntry(
                message["at"], "colleague", message["person"] or _("a colleague"), _("answered"), tuple(text)
            )


def _proposed(proposals: Sequence[Row]) -> Iterator[TimelineEntry]:
    for before, row in zip((None, *proposals), proposals, strict=False):
        amount = _amount(row)
        match row["kind"]:
            case "refund":
                what = _("proposes %(amount)s", amount=amount)
            case "reply":
                what = _("proposes a reply without a refund")
            case _:
                what = _("hands over: %(reason)s", reason=plain_word(row["reason"]))
        if row["edited_by"]:
            what = _("%(what)s, as %(person)s wanted it", what=what, person=row["edited_by"])
        elif before is not None and before["revised_reply"]:
            what = _("%(what)s, in the words of %(person)s", what=what, person=before["decided_by"])
        yield TimelineEntry(row["proposed_at"], "agent", _("The agent"), what, state=row["kind"])


def _without(votes: Sequence[Row], takeovers: Sequence[Row]) -> list[Row]:
    """The votes that are not the other half of a takeover: who writes or proposes has said it there."""
    taken = [(row["person"], row["at"]) for row in takeovers]
    return [
        vote
        for vote in votes
        if not any(vote["person"] == person and abs(vote["decided_at"] - at) < SAME for person, at in taken)
    ]


def _voted(
    votes: Sequence[Row], proposals: Sequence[Row], together: Sequence[Row]
) -> Iterator[TimelineEntry]:
    decided = {row["digest"]: row for row in proposals if row["word"]}
    alike = {(row["digest"], row["person"]): row["of_them"] for row in together}
    for vote in votes:
        row = decided.get(vote["digest"])
        asks = row["asks"] if row is not None else None
        words = vote["note"] or ""
        match vote["word"]:
            case "approve":
                what = _("approved")
                many = alike.get((vote["digest"], vote["person"]))
                if many:
                    what = _("approved, together with %(count)s alike", count=many - 1)
            case "reject":
                code = row["code"] if row is not None else None
                what = _("rejected: %(code)s", code=plain_word(code)) if code else _("rejected")
            case _ if asks and row is not None and row["decided_by"] == vote["person"]:
                what = _("asked the customer") if asks == "customer" else _("asked a colleague")
            case _:
                what = _("sent it back")
        if vote["via"] != "page":
            what = f"{what} ({plain_word(vote['via'])})"
        yield TimelineEntry(vote["decided_at"], "person", vote["person"], what, _plain(words), vote["word"])


def _by_people(
    takeovers: Sequence[Row], assignments: Sequence[Row], notes: Sequence[Row], reviews: Sequence[Row]
) -> Iterator[TimelineEntry]:
    did = {
        "reply": _("wrote to the customer"),
        "propose": _("proposed a refund of their own"),
        "close": _("closed it without a reply"),
    }
    for row in takeovers:
        yield TimelineEntry(row["at"], "person", row["person"], did[row["act"]], _plain(row["note"] or ""))
    for row in assignments:
        to = row["to_person"] or (
            _("the specialists") if row["to_role"] == "specialist" else _("the reviewers")
        )
        yield TimelineEntry(
            row["at"], "person" if row["by_person"] else "house", row["by_person"] or _("The house"),
            _("handed it to %(to)s", to=to), _plain(row["note"]),
        )  # fmt: skip
    for row in notes:
        yield TimelineEntry(
            row["at"], "colleague", row["person"], _("noted for colleagues"), _plain(row["body"])
        )
    for row in reviews:
        what = _("looked at it again and %(verdict)s", verdict=plain_word(row["verdict"]))
        yield TimelineEntry(row["at"], "person", row["person"], what, _plain(row["note"]))


def _told(replies: Sequence[CustomerReply], rating: Row | None) -> Iterator[TimelineEntry]:
    for reply in replies:
        if reply.delivered_at:
            what = _("told the customer: %(outcome)s", outcome=plain_word(reply.outcome))
        else:
            what = _(
                "a letter that has not gone out yet, tried %(tries)s times: %(outcome)s",
                tries=reply.attempts,
                outcome=plain_word(reply.outcome),
            )
        yield TimelineEntry(reply.written_at, "sent", _("The house"), what, _plain(reply.body), letter=True)
    if rating is not None:
        said = _("says: thumbs up") if rating["thumb"] == "up" else _("says: thumbs down")
        yield TimelineEntry(rating["at"], "customer", _("The customer"), said, _plain(rating["word"]))


def _moved(events: Sequence[Row]) -> Iterator[TimelineEntry]:
    for event in events:
        if event["status"] in QUIET:
            continue
        what = f"{plain_word(event['status'])}: {plain_word(event['reason'])}"
        yield TimelineEntry(event["at"], "house", _("The house"), what, state=event["status"])


def _amount(row: Row) -> Money:
    said = json.loads(row["body"])
    return Money(said["amount_minor"], Currency(said["currency"]))
