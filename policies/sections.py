"""Sections: a text in Markdown as passages, each to the letter, with the headings that it stands under."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

PASSAGE = 700
"""Characters from which a list is taken item by item: what is quoted to a customer is read by one."""

_PARSER = MarkdownIt("commonmark").enable("table")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a text, to the letter, with its section and its place in it, and the headings above it."""

    section: int
    place: int
    heading: str
    text: str


def passages(text: str, limit: int) -> list[Passage]:
    """The passages of a text in their order; none is longer than the limit, and none is left out."""
    lines = text.split("\n")
    headings: dict[int, str] = {}
    found: list[Passage] = []
    section, place = 1, 0
    for block in _blocks(_PARSER.parse(text), lines):
        if block.level:
            headings = {level: said for level, said in headings.items() if level < block.level}
            headings[block.level] = block.text
            section, place = section + (place > 0), 0
            continue
        for part in _parts(block, limit):
            place += 1
            found.append(Passage(section, place, " › ".join(headings.values()), part))
    return _introduced(found, limit)


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    items: tuple[str, ...] = ()
    level: int = 0
    """Of a heading, from 1 on; 0 for any other block."""


def _blocks(tokens: list[Token], lines: list[str]) -> Iterator[_Block]:
    for at, token in enumerate(tokens):
        if token.level != 0 or token.map is None or token.nesting < 0:
            continue
        said = _said(lines, token.map)
        if token.type == "heading_open":
            yield _Block(tokens[at + 1].content, level=int(token.tag[1:]))
        elif said and token.type != "hr":
            yield _Block(
                said, tuple(_items(tokens[at + 1 :], lines)) if token.type.endswith("list_open") else ()
            )


def _items(tokens: list[Token], lines: list[str]) -> Iterator[str]:
    for token in tokens:
        if token.level == 0:
            return
        if token.type == "list_item_open" and token.level == 1 and token.map is not None:
            yield _said(lines, token.map)


def _said(lines: list[str], of: list[int]) -> str:
    return "\n".join(lines[of[0] : of[1]]).strip()


def _parts(block: _Block, limit: int) -> Iterator[str]:
    """A block in pieces that are not too long: a long list by its items, what is too long still by its sentences."""
    whole = block.items if block.items and len(block.text) > PASSAGE else (block.text,)
    for one in whole:
        yield from (one,) if len(one) <= limit else _cut(one, limit)


def _cut(text: str, limit: int) -> Iterator[str]:
    """A text in pieces of whole sentences; a sentence that is too long by itself is cut where the limit is."""
    start = end = 0
    for found in (*_SENTENCE.finditer(text), None):
        upto = len(text) if found is None else found.start()
        if upto - start > limit and end > start:
            yield text[start:end].strip()
            start = end
            while start < len(text) and text[start].isspace():
                start += 1
        while upto - start > limit:
            yield text[start : start + limit]
            start += limit
        end = upto
    if text[start:].strip():
        yield text[start:].strip()


def _introduced(found: list[Passage], limit: int) -> list[Passage]:
    """Passages with the line that introduces one (it ends with a colon) taken along, where both fit."""
    kept: list[Passage] = []
    for one in found:
        before = kept[-1] if kept else None
        if before and before.section == one.section and before.text.endswith(":"):
            joined = f"{before.text}\n\n{one.text}"
            if len(joined) <= limit:
                kept[-1] = replace(before, text=joined)
                continue
        kept.append(one)
    return kept
