"""Statements: the sentences and clauses of a letter, each with its place, small enough to say one thing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

STATEMENTS = 120
"""Read of one text at most; whoever says more is read by a person."""

_SENTENCE = re.compile(
    r"(?<=[.!?…])[\"')\]]*\s+|\n\s*\n|\n\s*(?=[-*•·]|\d+[.)]\s)|\s+[—|]+\s+|\s--?\s+|;\s+|"
    r"(?<=[a-z]):\s+(?![#\d]|keep)|\s*\(|\)\s*"
)
_ABBREVIATED = re.compile(
    r"(?:\b(?:no|nr|st|mr|mrs|ms|dr|e\.g|i\.e|approx|incl|ca|vs|etc|inc|ltd|art|p\.?s)|\b[A-Za-z])\.$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"(?<!everything)(?<!nothing)(?<!anything)(?<!\ball)(?<!every one),?\s+(?=but\b)"
    r"|,\s+(?=(?:and|so|then|or|just|please|pls|plz|can|could|i|i'd|i'm|we|you|it|if|unless|otherwise|instead|not)\b)"
    r"|\s+(?=and\s+(?:(?:i|we)\s+)?(?:want|wants|need|needs|would like)\b)"
    r"|\s+(?=(?:and|also|so)\s+(?:also\s+|then\s+|just\s+|please\s+)?"
    r"(?:i|i'd|i'm|we|we'd|please|can you|could you|can i|could i|you want|you also)\b)",
    re.IGNORECASE,
)
HELD = 300
"""Characters up to which what an abbreviation seems to end is read on."""

_SHORT_LINE = 46
"""A line shorter than this that ends without a stop was ended by its writer, not by the program that wrapped it."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A part of a plain text that says one thing."""

    start: int
    end: int
    text: str
    sentence: int
    """The number of the sentence that it is a part of."""


def statements_of(text: str, start: int, end: int, first: int = 0) -> Iterator[Utterance]:
    """The statements of a part of a text; sentences are counted from `first`."""
    number, given = first, 0
    for begin, stop in _sentences(text, start, end):
        said = False
        for one, other in _split(text, begin, stop, _CLAUSE):
            trimmed = text[one:other].strip()
            if any(letter.isalnum() for letter in trimmed):
                at = one + text[one:other].index(trimmed[0])
                yield Utterance(at, at + len(trimmed), trimmed, number)
                said, given = True, given + 1
                if given >= STATEMENTS:
                    return
        number += said


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    held: tuple[int, int] | None = None
    for begin, stop in _split(text, start, end, _SENTENCE):
        for one, other in _lines(text, begin, stop):
            at = one if held is None else held[0]
            said = text[at:other].rstrip()
            goes_on = other < end and "\n\n" not in text[other : other + 3]
            if goes_on and len(said) < HELD and _ABBREVIATED.search(said[-12:]):
                held = (at, other)
                continue
            held = None
            yield at, other
    if held is not None:
        yield held


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Lines that their writer ended: short, without a stop, and the next one begins anew."""
    begin = start
    for match in re.finditer(r"\n", text[start:end]):
        at = start + match.start()
        line = text[
            text.rfind("\n", begin, at) + 1 if text.rfind("\n", begin, at) >= begin else begin : at
        ].strip()
        rest = text[at + 1 : end].lstrip()
        if (
            line
            and len(line) < _SHORT_LINE
            and rest
            and not (rest[0].islower() and len(line) > _SHORT_LINE // 2)
        ):
            yield begin, at
            begin = at + 1
    yield begin, end


def _split(text: str, start: int, end: int, where: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    at = start
    for match in where.finditer(text, start, end):
        if match.start() > at:
            yield at, match.start()
        at = match.end()
    if at < end:
        yield at, end
