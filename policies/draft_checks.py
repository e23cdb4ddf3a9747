"""The draft's checks: what a model wrote is sent to nobody before code has found each word of it in what is known.

Every citation was retrieved, every quote is verbatim, every number and every date stands in the facts, the length and
the language are right, and nothing private is in it that the customer did not write. Each check names what it found.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from policies.languages import language_of
from refunds.evidence import Citation
from refunds.masking import private

SHORTEST = 60
LONGEST = 3_000
"""Characters of a reply that a model writes; a person may write more."""

_QUOTED = re.compile(r"[“„«]([^“”„«»]{1,2000})[”“»]|\"([^\"\n]{12,2000})\"")
_CITED = re.compile(r"\b([a-z0-9]+(?:-[a-z0-9]+)+-v\d+)\b")
_NUMBER = re.compile(r"(?<![\w-])\d+(?:[.,]\d+)*(?![\w]*-v\d)")
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_LINK = re.compile(
    r"https?://|www\.|\b[a-z0-9-]+\.(?:com|net|org|io|co|shop|info|biz|ru|xyz)\b", re.IGNORECASE
)
_ORDER_LIKE = re.compile(r"(?<!\w)#?[A-Z]{1,3}\d{2,}\b")
_PAID = re.compile(
    r"\b(?:has|have|was|were) (?:already )?(?:been )?(?:refunded|paid back|transferred|credited)\b"
    r"|\bwe (?:refunded|paid|transferred|credited)\b"
    r"|\b(?:refund|payment) (?:is|has been) (?:approved|complete\w*|issued)\b",
    re.IGNORECASE,
)
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_WRITTEN = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?\.? (?:of )?({'|'.join(_MONTHS)})"
    rf"|({'|'.join(_MONTHS)}) (\d{{1,2}})(?:st|nd|rd|th)?)"
    r"(?:,? (\d{4}))?\b",
    re.IGNORECASE,
)
_NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        [
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ],
        start=2,
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100, "thousand": 1000}
_WORDS = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reply may say: the facts of the order and the decision as texts, and the clauses that were found."""

    texts: Sequence[str]
    citations: Sequence[Citation]
    order_id: str
    asked: str
    """The customer's own words: what they wrote, they know."""

    language: str
    paid: bool = False
    """Whether the reply may say that money went back. A draft never may: nothing is paid before a person decides."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A clause that a model says it cites."""

    citation_id: str
    clause: str
    quote: str


def wrong_with(reply: str, cited: Sequence[Quoted], facts: Facts) -> str | None:
    """The first thing that is wrong with a reply, in words that a model can follow; None where nothing is."""
    return (
        _form(reply, facts)
        or _citations(reply, cited, facts.citations)
        or _quotes(reply, facts)
        or _figures(reply, facts)
        or _names(reply, facts)
    )


def _form(reply: str, facts: Facts) -> str | None:
    if not SHORTEST <= len(reply.strip()) <= LONGEST:
        return f"the reply has {len(reply.strip())} characters: from {SHORTEST} to {LONGEST}"
    if any(not (char.isprintable() or char == "\n") for char in reply):
        return "the reply has a character that cannot be shown"
    said = language_of(reply)
    if said is not None and said != facts.language:
        return f"the reply is not written in {facts.language}"
    return None


def _citations(reply: str, cited: Sequence[Quoted], found: Sequence[Citation]) -> str | None:
    there = {(one.citation_id, one.clause): one.quote for one in found}
    if not cited:
        return "the reply cites nothing"
    for one in cited:
        quote = there.get((one.citation_id, one.clause))
        if quote is None:
            return f"{one.citation_id} clause {one.clause} was not found for this case"[:160]
        if _flat(one.quote) not in _flat(quote) or not one.quote.strip():
            return f"the quote of {one.citation_id} is not word for word"[:160]
        if one.citation_id not in reply:
            return f"{one.citation_id} is listed and not cited in the reply"[:160]
    ids = {one.citation_id for one in cited}
    for name in _CITED.findall(reply):
        if name not in ids:
            return f"{name} is cited and not listed"[:160]
    return None


def _quotes(reply: str, facts: Facts) -> str | None:
    known = [_flat(one.quote) for one in facts.citations] + [_flat(text) for text in facts.texts]
    for curly, straight in _QUOTED.findall(reply):
        said = _flat(curly or straight)
        if not any(said.rstrip(".,;") in text for text in known):
            return f"“{(curly or straight)[:60]}” is no quote of a clause that was found"
    return None


def _figures(reply: str, facts: Facts) -> str | None:
    sources = [*facts.texts, *(one.quote for one in facts.citations), facts.order_id]
    sources += [f"{one.citation_id} {one.clause}" for one in facts.citations]
    days = {day for source in sources for meant in _dates(source, ()) for day in meant}
    numbers = _numbers(sources)
    for meant in _dates(reply, {day.year for day in days}):
        if not meant & days:
            return f"the date {min(meant).isoformat()} is in no fact"
    for number in _numbers([reply]):
        if number not in numbers:
            return f"the number {number} is in no fact"
    if _PAID.search(reply) and not facts.paid:
        return "the reply says that money went back: nothing is paid before a person decides"
    return None


def _names(reply: str, facts: Facts) -> str | None:
    everything = " ".join((*facts.texts, *(one.quote for one in facts.citations), facts.order_id))
    for kind in private(reply):
        if kind not in private(everything):
            return f"the reply has something private in it ({kind})"
    for link in _LINK.findall(reply):
        if link not in everything:
            return "the reply has a link in it"
    for name in _ORDER_LIKE.findall(reply):
        if name.lstrip("#") not in everything:
            return f"{name} is no name of this case"[:80]
    return None


def _flat(text: str) -> str:
    return " ".join(text.replace("’", "'").split()).lower()


def _dates(text: str, years: Iterable[int]) -> list[set[date]]:
    """Each date of a text, as the days that it can mean: one without a year means that day of any of these years."""
    found = [{day} for parts in _ISO.findall(text) if (day := _day(*map(int, parts)))]
    for first, month, month_first, second, year in _WRITTEN.findall(text):
        number = _MONTHS.index((month or month_first).lower()) + 1
        candidates = [int(year)] if year else list(years)
        days = {day for of in candidates if (day := _day(of, number, int(first or second)))}
        found.append(days or {date.min})
    return found


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _numbers(texts: Iterable[str]) -> set[str]:
    """The numbers of texts outside of dates, each in one form: 1,200.00 is 1200."""
    found: set[str] = set()
    for text in texts:
        rest = _WRITTEN.sub(" ", _ISO.sub(" ", text))
        found |= {_number(number) for number in _NUMBER.findall(rest)}
        found |= {str(_NUMBER_WORDS[word.lower()]) for word in _WORDS.findall(rest)}
    return found


def _number(text: str) -> str:
    whole = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", text).replace(",", ".")
    return whole.rstrip("0").rstrip(".") if "." in whole else whole.lstrip("0") or "0"
