"""The letter: what of a mail its writer says now; greeting, quoted mails, signature and footer are set apart."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import quotequail

from policies.reading.plain import PlainText

PartKind = Literal["body", "greeting", "quoted", "signature", "footer"]

SIGNED_LINES = 8
"""A signature without a mark has no more lines than this."""

SIGNED_LETTERS = 70

_GREETING = re.compile(
    r"(?:hi|hiya|hello|hey|dear|good (?:morning|afternoon|evening|day)|greetings|to whom it may concern)\b"
    r"[^?!.,:]{0,40}[,!.:\u2013-]*\s*$",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:(?:kind|best|warm|many|with)\s+)?(?:kindest\s+)?"
    r"(?:regards|wishes|greetings|thanks|thank you|thx|cheers|sincerely|"
    r"yours (?:sincerely|faithfully|truly)|best|ta|rgds|br|all the best|sincerely yours|respectfully)"
    r"(?: and (?:best|kind) (?:regards|wishes))?(?: in advance| so much| a lot)?\s*[,.!-]*\s*$",
    re.IGNORECASE,
)
_MARK = re.compile(r"(?:--+|__+|==+|\*\*+)\s*$")
_DEVICE = re.compile(
    r"(?:sent|get|envoyé|gesendet|enviado)\b.{0,30}\b(?:my|for|from|via|with|de|von|desde)\b.{0,40}$",
    re.IGNORECASE,
)
_FOOTER = re.compile(
    r"\b(?:confidential|intended (?:only |solely )?for|intended recipient|not the addressee|unsubscribe|"
    r"please consider the environment|registered in england|scanned for viruses|virus-free)\b",
    re.IGNORECASE,
)
_POSTSCRIPT = re.compile(r"p\.?\s?s\b", re.IGNORECASE)
_HEADER = re.compile(
    r"(?:-+\s*(?:original message|forwarded message|ursprüngliche nachricht)\s*-+|_{10,})\s*$", re.IGNORECASE
)
_WROTE = re.compile(
    r"(?:on|am|le|el)\b.{4,200}\b(?:wrote|schrieb|a écrit|escribió)\b.{0,80}:\s*$", re.IGNORECASE
)


_FROM = re.compile(r"^[^\w\n]{0,10}(?:from|von|de)\s*:", re.IGNORECASE | re.MULTILINE)

FORWARDS = 20
"""Mails in one another up to which they are unwrapped: more is no mail, and takes its square."""


@dataclass(frozen=True, slots=True)
class LetterPart:
    """A run of whole lines of a plain text: from `start` to `end`."""

    kind: PartKind
    start: int
    end: int


def letter_parts(plain: PlainText) -> list[LetterPart]:
    """The parts of a letter, in their order. What is set apart is shown and not read."""
    lines = list(_lines(plain.text))
    kinds: list[PartKind] = ["quoted" if quoted else "body" for quoted in _quoted(plain.text, lines)]
    own = [n for n, kind in enumerate(kinds) if kind == "body" and _said(plain.text, lines[n])]
    if own and len(own) > 1 and _GREETING.match(_said(plain.text, lines[own[0]])):
        kinds[own[0]] = "greeting"
    _set_apart_end(plain.text, lines, kinds)
    parts: list[LetterPart] = []
    for (start, end), kind in zip(lines, kinds, strict=True):
        if parts and parts[-1].kind == kind:
            parts[-1] = LetterPart(kind, parts[-1].start, end)
        else:
            parts.append(LetterPart(kind, start, end))
    return parts


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line)
        start += len(line)


def _said(text: str, line: tuple[int, int]) -> str:
    return text[line[0] : line[1]].strip()


def _quoted(text: str, lines: list[tuple[int, int]]) -> list[bool]:
    """Which lines are of an earlier mail: what the library unwraps, and whatever carries the mark of a quote."""
    found = quotequail.unwrap(text) if len(_FROM.findall(text)) <= FORWARDS else None
    top = text.find(found["text_top"]) if found and found.get("text_top") else -1
    keeps = [(top, top + len(found["text_top"]))] if found and top >= 0 else []
    bottom = text.rfind(found["text_bottom"]) if found and found.get("text_bottom") else -1
    if found and bottom >= 0:
        keeps.append((bottom, bottom + len(found["text_bottom"])))
    whole = found is None
    quoted: list[bool] = []
    for start, end in lines:
        said = _said(text, (start, end))
        kept = whole or any(first < end and start < last for first, last in keeps)
        quoted.append(not kept or said.startswith(">") or bool(_HEADER.match(said) or _WROTE.match(said)))
    return quoted


def _set_apart_end(text: str, lines: list[tuple[int, int]], kinds: list[PartKind]) -> None:
    """Mark signature and footer, from the mark or the closing words to the end of the writer's own lines."""
    own = [n for n, kind in enumerate(kinds) if kind == "body"]
    for n in own:
        said = _said(text, lines[n])
        if _DEVICE.match(said) or _FOOTER.search(said):
            kinds[n] = "footer"
    begun = next((n for n in own if _MARK.match(_said(text, lines[n]))), None)
    if begun is None:
        closings = [n for n in own if _CLOSING.match(_said(text, lines[n]))]
        begun = next((n for n in closings if _signs(text, lines, [m for m in own if m > n])), None)
    if begun is None:
        return
    for n in own:
        if n >= begun and kinds[n] == "body":
            if _POSTSCRIPT.match(_said(text, lines[n])):
                return
            kinds[n] = "signature"


def _signs(text: str, lines: list[tuple[int, int]], after: list[int]) -> bool:
    """Whether lines after closing words are short and few, as of a name and an address."""
    said = [_said(text, lines[n]) for n in after if _said(text, lines[n])]
    before = [*said[: next((n for n, line in enumerate(said) if _POSTSCRIPT.match(line)), len(said))]]
    return len(before) <= SIGNED_LINES and all(
        len(line) <= SIGNED_LETTERS or _FOOTER.search(line) or _DEVICE.match(line) for line in before
    )
