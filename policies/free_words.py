"""Free words: what a model may say around what is decided. It may greet, explain and be kind, and nothing else.

What decides stands in sentences of code at marked places, each exactly once. Around them no amount, no date, no
promise, no word of money, no question for secrets, no blame and no law is let through: refused is what is not known to
be harmless, and a reply that is refused costs one more attempt. Each check names what it found, for a model to follow.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from policies.languages import language_of, small_words
from refunds.masking import NOBODY, KnownNames, mask, private

LONGEST = 1_500
"""Characters of a model's own words."""

WORDS = Path(__file__).parent / "free_words.json"
MARK = re.compile(r"\{(\d+)\}")


@dataclass(frozen=True, slots=True)
class FreeFacts:
    """What is known of the reply around which a model writes."""

    places: int
    """How many sentences of code it has to place, numbered from 1 on."""

    language: str
    goods: Sequence[str] = ()
    """Names of what was bought, which it may say."""

    known: KnownNames = NOBODY
    """What the books know of the customer, which a reply need not repeat."""


_TYPESET = {0xA0: " ", 0x202F: " ", 0x2026: "..."}
"""What typesetters write, and no letter that looks like another."""


def placed(text: str, paragraphs: Sequence[str]) -> str:
    """A reply with the sentences of code at their places."""
    return MARK.sub(lambda found: paragraphs[int(found[1]) - 1], text).strip()


def wrong_around(text: str, facts: FreeFacts) -> str | None:
    """The first thing that is wrong with a model's reply; None where nothing is."""
    typed = text.translate(_TYPESET)
    if unicodedata.normalize("NFKC", typed) != unicodedata.normalize("NFC", typed):
        return "the reply has letters that look like others"
    return _form(text, facts) or _language(text, facts) or _private(text, facts) or _said(text, facts)


def _form(text: str, facts: FreeFacts) -> str | None:
    marks = [int(mark) for mark in MARK.findall(text)]
    wanted = list(range(1, facts.places + 1))
    if marks != wanted:
        return f"the places {', '.join(f'{{{n}}}' for n in wanted)} stand in it once each and in this order"
    if any(MARK.search(line) and not MARK.fullmatch(line.strip()) for line in text.split("\n")):
        return "each place stands on a line of its own, without a word beside it"
    free = MARK.sub(" ", text)
    odd = next(
        (char for char in free if char.isalpha() and not unicodedata.name(char, "").startswith("LATIN")), None
    )
    if odd is not None or re.search(r"\w[.·_]\w[.·_]\w", free):
        return "the reply has letters that are not Latin, or words taken apart"
    if re.search(r"[{}\[\]<>|`]", free):
        return "the reply has a bracket in it that marks no place"
    if len(free) > LONGEST:
        return f"the reply has {len(free)} characters beside what is decided: at most {LONGEST}"
    if any(not (char.isprintable() or char == "\n" or unicodedata.category(char) == "Zs") for char in free):
        return "the reply has a character that cannot be shown"
    return None


def sentences(text: str) -> list[str]:
    """What a model said by itself, sentence by sentence; a place of code ends one."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+|\{\d+\}", text) if part.strip()]


def _language(text: str, facts: FreeFacts) -> str | None:
    for sentence in sentences(text):
        if len(sentence.split()) < LANGUAGE_FROM:
            continue
        # A sentence with hardly a small word of a language is in another one, whichever.
        if language_of(sentence) != facts.language or small_words(sentence, facts.language) < SMALL_FROM:
            return f"“{sentence[:60]}” is not written in {facts.language}"
    return None


LANGUAGE_FROM = 8
"""Words of a sentence that say in which language it is."""

SMALL_FROM = 0.15
"""Share of the small words of a language that a sentence in it has at least."""

_LINK = re.compile(
    r"https?://\S+|www\.\S+|@|(?<![\w.-])[a-z0-9-]{1,63}\.(?:com|net|org|de|eu|io|co|uk|example)\b",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"[“”„«»\"‘‹›]|(?<!\w)['’][^'’\n]{4,}['’](?!\w)")
_TITLED = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Herrn?|Frau|Sir|Madam)\.?\s+[A-ZÄÖÜ]\w+")
_CAPITAL = re.compile(r"(?<=[\w,;:]\s)[A-ZÄÖÜ][\w'’-]+")
_OF_A_SENTENCE = frozenset({"I", "I'm", "I’m", "I've", "I’ve", "I'd", "I’d", "English", "German"})


def _private(text: str, facts: FreeFacts) -> str | None:
    free = MARK.sub(" ", text)
    found = private(free)
    if found:
        return f"the reply has something private in it ({found[0]})"
    if mask(free, facts.known) != mask(free):
        return "the reply has the customer's name or address in it: the greeting is written for you"
    if _LINK.search(free):
        return "the reply has a link or an address in it"
    if _QUOTE.search(free):
        return "the reply quotes something: what is quoted stands at its place"
    if _TITLED.search(free):
        return "the reply names somebody"
    if facts.language != "de":  # where every noun has a capital
        known = {word for name in facts.goods for word in re.findall(r"[\w'’-]+", name)} | _OF_A_SENTENCE
        for sentence in sentences(text):
            for word in _CAPITAL.findall(sentence):
                if word not in known:
                    return f"the reply names {word[:40]}, which is no name of this order"
    return None


@cache
def _of(kind: str) -> re.Pattern[str]:
    """The words of a kind, as policies/free_words.json lists them: whole words, whatever their case."""
    listed: dict[str, list[str]] = json.loads(WORDS.read_text(encoding="utf-8"))
    return re.compile(rf"(?<!\w)(?:{'|'.join(listed[kind])})(?!\w)", re.IGNORECASE)


_NUMBERS = re.compile(r"\d|\w*[\u00bc-\u00be\u2150-\u218f\u2460-\u249b]")

_SIGN = re.compile(r"[$€£¥%]")

_CASED_TIMES = re.compile(r"\b(?:May|March)\b|(?<![Gg]uten )\b[Mm]orgen\b")


def _said(text: str, facts: FreeFacts) -> str | None:
    goods = [re.escape(name) for name in facts.goods if len(name) > 2]
    for whole in sentences(text):
        sentence = re.sub("|".join(goods), "it", whole) if goods else whole
        # A fixed phrase is harmless as it stands. Where a reply says back what the customer wrote, what was asked for
        # may be named, in a few words: nothing is said of it, and nothing follows it that is not looked at.
        sentence = _of("harmless").sub(" ", sentence)
        own = _of("reports").sub(" ", sentence)
        for found, why in (
            (_NUMBERS.search(sentence), "a number or a date"),
            (_SIGN.search(sentence) or _of("amounts").search(sentence), "an amount or a number"),
            (_of("times").search(sentence) or _CASED_TIMES.search(sentence), "a time"),
            (_of("secrets").search(sentence), "something secret that is asked for"),
            (_of("promises").search(sentence), "a promise, or what sounds like one"),
            (_of("gainsays").search(sentence), "what takes back what is decided"),
            (_of("money").search(own), "a word about money or its return"),
            (_of("unkind").search(sentence), "blame"),
            (_of("legal").search(sentence), "law"),
            (_of("others").search(sentence), "somebody else"),
        ):
            if found is not None:
                return f"“{found[0].strip()[:40]}” is {why}: what is decided stands at its place, say nothing of it"
    return None
