"""The draft's checks: what a model wrote is sent to nobody before code has found each word of it in what is known.

Every citation was retrieved, every quote is verbatim, every number and every date stands in the facts, the length and
the language are right, and nothing private is in it that the customer did not write. Each check names what it found.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from policies.amounts import stated_in
from policies.languages import language_of
from refunds.evidence import Citation
from refunds.masking import NOBODY, KnownNames, mask, private
from refunds.money import Currency

SHORTEST = 60
LONGEST = 3_000
"""Characters of a reply that a model writes; a person may write more."""

_QUOTED = re.compile(
    r"[“„«»]([^“”„«»]{1,2000})[”“»«]|\"([^\"\n]{12,2000})\"|‘([^‘’\n]{12,2000})’|(?<!\w)'([^'\n]{12,2000})'(?!\w)"
)
_QUOTE_FROM = 12
"""Characters of a quote that say which clause it is of."""

_CITED = re.compile(r"\b([a-z0-9]+(?:-[a-z0-9]+)+-v\d+)\b")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_RELATIVE = re.compile(
    r"\b(?:tomorrow|tonight|today|yesterday|(?:next|this|coming|by) (?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"(?:next|this|coming) (?:week|month|year)|(?:an?|one|half an?|another) (?:hour|day|week|month|year)|"
    r"twice|double|triple|half of|dozens?)\b",
    re.IGNORECASE,
)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_LINK = re.compile(
    r"https?://\S+|www\.\S+|(?<![\w.-])[a-z0-9-]{1,63}\.[a-z]{2,12}(?:/\S*)?(?![\w.])", re.IGNORECASE
)
_ORDER_LIKE = re.compile(r"(?<!\w)#?[A-Z]{1,3}\d{2,}\b")
_PAID = re.compile(
    r"\b(?:has|have|had|was|were|is|are|been|being|we|['’]ve|already|just)\b[^.?!\n]{0,40}?"
    r"\b(?:refunded|reimbursed|repaid|paid back|transferred|credited|wired|remitted|sent (?:you )?(?:the|your) money)\b"
    r"|\b(?:refund|payment|money|amount|reimbursement)\b[^.?!\n]{0,30}?\b(?:is|has|have|was|were)\b(?: \w+){0,2}? "
    r"(?:approved|complete\w*|issued|processed|sent|made|on its way|done)\b",
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
} | {
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100,
    "thousand": 1000, "million": 1_000_000,
}  # fmt: skip
_WORDS = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DraftFacts:
    """What a reply may say: the facts of the order and the decision as texts, and the clauses that were found."""

    texts: Sequence[str]
    citations: Sequence[Citation]
    order_id: str
    language: str
    amount: str = ""
    """The decided amount, as `79.00 USD`; empty where no money goes back."""

    known: KnownNames = NOBODY
    """What the books know of the customer, which a reply need not repeat."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A clause that a model says it cites."""

    citation_id: str
    clause: str
    quote: str


def wrong_with(reply: str, cited: Sequence[Quoted], facts: DraftFacts) -> str | None:
    """The first thing that is wrong with a reply, in words that a model can follow; None where nothing is."""
    return (
        _form(reply, facts)
        or _citations(reply, cited, facts.citations)
        or _quotes(reply, facts)
        or _figures(reply, facts)
        or _names(reply, facts)
    )


def _form(reply: str, facts: DraftFacts) -> str | None:
    if not SHORTEST <= len(reply.strip()) <= LONGEST:
        return f"the reply has {len(reply.strip())} characters: from {SHORTEST} to {LONGEST}"
    if any(not (char.isprintable() or char == "\n" or unicodedata.category(char) == "Zs") for char in reply):
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
        short = len(one.quote.strip()) < min(_QUOTE_FROM, len(quote.strip()))
        if _flat(one.quote) not in _flat(quote) or short:
            return f"the quote of {one.citation_id} is not word for word"[:160]
        if one.citation_id not in reply:
            return f"{one.citation_id} is listed and not cited in the reply"[:160]
    ids = {one.citation_id for one in cited}
    for name in _CITED.findall(reply):
        if name not in ids:
            return f"{name} is cited and not listed"[:160]
    return None


def _quotes(reply: str, facts: DraftFacts) -> str | None:
    known = [_flat(one.quote) for one in facts.citations] + [_flat(text) for text in facts.texts]
    for found in _QUOTED.findall(reply):
        quoted = next(part for part in found if part)
        if not any(_flat(quoted).rstrip(".,;") in text for text in known):
            return f"“{quoted[:60]}” is no quote of a clause that was found"
    return None


def _figures(reply: str, facts: DraftFacts) -> str | None:
    sources = [*facts.texts, *(one.quote for one in facts.citations), facts.order_id]
    sources += [f"{one.citation_id} {one.clause}" for one in facts.citations]
    days = {day for source in sources for meant in _dates(source, ()) for day in meant}
    numbers = _numbers(sources) | {str(day.year) for day in days}
    odd = next((char for char in reply if char.isnumeric() and not char.isascii()), None)
    if odd is not None:
        return f"{odd} is no number that can be checked"
    for meant in _dates(reply, {day.year for day in days}):
        if not meant & days:
            return f"the date {min(meant).isoformat()} is in no fact"
    for number in sorted(_numbers([reply])):
        if number not in numbers:
            return f"the number {number} is in no fact"
    quoted = " ".join(one.quote for one in facts.citations).lower()
    for when in _RELATIVE.findall(reply):
        if when.lower() not in quoted:
            return f"“{when}” is in no clause that was found"
    return _money(reply, facts) or _done(reply)


def _money(reply: str, facts: DraftFacts) -> str | None:
    """What is said with a currency is the decided amount, or stands so in a quote or in the order."""
    of = Currency(facts.amount.rpartition(" ")[2]) if facts.amount else None
    decided = _sums(facts.amount, of)
    known = decided | _sums(" ".join((*facts.texts, *(one.quote for one in facts.citations))), of)
    said = _sums(reply, of)
    for one in sorted(said - known):
        return f"the amount {one[0]:f} {one[1]} is in no fact"
    if decided and not decided & said:
        return f"the reply does not say the decided amount, {facts.amount}"
    # Outside of quotes only the decided amount is promised: a price of the order may be told, not paid.
    promised = _sums(_QUOTED.sub(" ", reply), of) - decided
    if facts.amount and any(_near_refund(reply, one, of) for one in promised):
        return f"the reply promises another amount than {facts.amount}"
    return None


def _near_refund(reply: str, one: tuple[Decimal, str], of: Currency | None) -> bool:
    """Whether an amount stands in a sentence that gives money back."""
    sentences = re.split(r"(?<=[.!?])\s|\n", _QUOTED.sub(" ", reply))
    return any(
        one in _sums(sentence, of)
        and re.search(r"refund|return|back|reimburs|credit|receive|pay", sentence, re.IGNORECASE)
        for sentence in sentences
    )


def _sums(text: str, of: Currency | None) -> set[tuple[Decimal, str]]:
    """The amounts of a text that stand beside a currency; `of` is what a sign means that several have."""
    return {(one.amount.normalize(), one.unit) for one in stated_in(text, of) if one.unit}


def _done(reply: str) -> str | None:
    """Nothing is paid before a person decides, so no draft says that it was."""
    if _PAID.search(_QUOTED.sub(" ", reply)):
        return "the reply says that money went back: nothing is paid before a person decides"
    return None


def _names(reply: str, facts: DraftFacts) -> str | None:
    everything = " ".join((*facts.texts, *(one.quote for one in facts.citations), facts.order_id))
    # What is known of these facts stays; what is masked beyond them is private.
    bare = reply
    for text in (*facts.texts, *(one.quote for one in facts.citations)):
        bare = bare.replace(text, " ")
    found = private(bare)
    if found:
        return f"the reply has something private in it ({found[0]})"
    if mask(reply, facts.known) != mask(reply):
        return "the reply has the customer's name or address in it"
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
