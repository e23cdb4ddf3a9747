"""The shelf of a process: what it remembers of policy libraries to find clauses by, each edition for itself.

What is slow runs beside the event loop, and a library is read a page at a time.
"""

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from policies.retrieval import ClauseIndex, ClauseName, Findable, Marks, Meanings, NearClause, Shelving
from records.books import Reads
from records.library import (
    FindableClause,
    PhraseVectors,
    clauses_named,
    clauses_to_find,
    vectors_to_find,
    versions_in_force,
    words_of,
)
from refunds.evidence import Citation, Offer
from refunds.ids import TenantId

SHELVES = 16
"""Editions of libraries that a process remembers at most: one of 20,000 clauses with vectors takes about 60 MB."""

DAYS = 512
"""Days and regions of an edition for which it is remembered what counts: a byte a clause each."""

QUESTION_LIMIT = 2_000
"""Characters of a question that are looked at."""

ABOUT_FROM = 0.5
"""Share of a question's weight that one phrase has, from which it speaks of what the policy speaks of."""

ALIKE_FROM = 0.6
"""How alike a phrase and a question are, 0 to 1, from which the clause is taken to be the one that is meant."""

_HEADER = 20
"""Bytes of an array of one dimension before its elements, as Postgres sends it; each element has 4 for its length."""


@dataclass(frozen=True, slots=True)
class Sense:
    """What a question means to an embedding model."""

    model: str
    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What a library has for a question: the clause that states it as a way to ask, and the nearest, the best first."""

    stated: Citation | None
    offers: tuple[Offer, ...]
    speaks_of_policy: bool = False
    """Whether a clause has more than half of what the question weighs, whichever clause it means."""

    alike: Citation | None = None
    """The nearest clause, where it or a way to ask for it is all but the question: what it forbids, no rule allows."""


@dataclass
class Shelf:
    """One edition of a library."""

    index: ClauseIndex
    counting: OrderedDict[tuple[str, date], Marks] = field(default_factory=OrderedDict)
    meanings: dict[tuple[str, int], Meanings] = field(default_factory=dict)


_SHELVES: OrderedDict[tuple[TenantId, str], Shelf] = OrderedDict()


async def look_up(
    reads: Reads,
    tenant: TenantId,
    question: str,
    region: str,
    on_date: date,
    most: int,
    sense: Sense | None = None,
) -> LookedUp:
    """What the clauses that count on the day and in the region have for a question; no wording twice."""
    stems, edition = await words_of(reads, question[:QUESTION_LIMIT])
    vectors = LibraryVectors(reads, (tenant, edition), sense)
    try:
        shelf = await _shelf_of(reads, tenant, edition)
        counts = await _counting(reads, shelf, region, on_date)
        meanings = await vectors.meanings(shelf)
    finally:
        vectors.stop()
    found = await asyncio.to_thread(_nearest, shelf, stems, counts, 2 * most, meanings, sense)
    stated = shelf.index.stated(stems, counts)
    quoted = await clauses_named(reads, [*(one.name for one in found), *stated])
    near, asked = quoted[: len(found)], quoted[len(found) :]
    # Two documents may say the same; that is one answer, and two wordings are none to choose from without reading.
    first = asked[0].citation if len({_flat(one.citation.quote) for one in asked}) == 1 else None
    offers: dict[str, Offer] = {}
    fits = [[shelf.index.fit(stems, one.title, phrase) for phrase in one.phrases] for one in near]
    for place, clause in zip(found, near, strict=True):
        words = _shared(question, clause.title.union(*clause.phrases) & stems)
        offer = Offer(clause.citation, words, place.by_words, place.by_meaning)
        offers.setdefault(_flat(clause.citation.quote), offer)
    alike = (
        near[0].citation if near and max((fit.alike for fit in fits[0]), default=0.0) >= ALIKE_FROM else None
    )
    speaks = any(fit.covers >= ABOUT_FROM for of in fits for fit in of)
    return LookedUp(first, tuple(offers.values())[:most], speaks, alike)


def _nearest(
    shelf: Shelf,
    stems: frozenset[str],
    counts: Marks,
    most: int,
    meanings: Meanings | None,
    sense: Sense | None,
) -> list[NearClause]:
    question = None if sense is None else np.asarray(sense.vector, dtype=np.float32)
    return shelf.index.nearest(stems, counts, most, meanings, question)


async def _shelf_of(reads: Reads, tenant: TenantId, edition: str) -> Shelf:
    """The shelf of an edition; where two ask for it at once, both make it and the first is kept."""
    key = (tenant, edition)
    shelf = _SHELVES.get(key)
    if shelf is None:
        shelving = Shelving()
        async for page in clauses_to_find(reads):
            await asyncio.to_thread(_add, shelving, page)
        made = Shelf(await asyncio.to_thread(shelving.made))
        shelf = _SHELVES.setdefault(key, made)
        while len(_SHELVES) > SHELVES:
            _SHELVES.popitem(last=False)
    if key in _SHELVES:
        _SHELVES.move_to_end(key)
    return shelf


def _add(shelving: Shelving, page: Sequence[FindableClause]) -> None:
    for one in page:
        title, *phrases = (stems or () for stems in json.loads(one.phrases))
        shelving.add(Findable(ClauseName(one.document_id, one.version, one.clause), title, phrases))


async def _counting(reads: Reads, shelf: Shelf, region: str, on_date: date) -> Marks:
    key = (region, on_date)
    if key not in shelf.counting:
        documents = await versions_in_force(reads, region, on_date)
        shelf.counting[key] = await asyncio.to_thread(shelf.index.marks, documents)
        while len(shelf.counting) > DAYS:
            shelf.counting.popitem(last=False)
    return shelf.counting[key]


class LibraryVectors:
    """The vectors of a library for a question that has one: read while its words are put in order, where it is new."""

    def __init__(self, reads: Reads, of: tuple[TenantId, str], sense: Sense | None) -> None:
        self._key = None if sense is None else (sense.model, len(sense.vector))
        there = _SHELVES.get(of)
        wanted = self._key is not None and (there is None or self._key not in there.meanings)
        self._pages = asyncio.create_task(self._read(reads)) if wanted else None

    async def _read(self, reads: Reads) -> list[PhraseVectors]:
        return [page async for page in vectors_to_find(reads, *self._key)] if self._key else []

    async def meanings(self, shelf: Shelf) -> Meanings | None:
        """What the model of the question made of the clauses on a shelf; None for a question without one."""
        if self._key is None:
            return None
        if self._pages is not None:
            pages, length = await self._pages, self._key[1]
            parts = [await asyncio.to_thread(_meant, shelf.index, page, length) for page in pages]
            shelf.meanings.setdefault(self._key, Meanings.of(parts, length))
        return shelf.meanings[self._key]

    def stop(self) -> None:
        """Read no further."""
        if self._pages is not None:
            self._pages.cancel()


def _meant(index: ClauseIndex, page: PhraseVectors, length: int) -> Meanings:
    rows = np.frombuffer(page.vectors, dtype=np.uint8).reshape(len(page.clauses), -1)[:, _HEADER:]
    numbers = np.ascontiguousarray(rows).view(">f4").reshape(-1, length, 2)[:, :, 1]
    known = [index.place.get(ClauseName(*name), -1) for name in page.clauses]
    clauses = np.asarray(known, dtype=np.intp)
    vectors = numbers[clauses >= 0].astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    return Meanings(vectors, clauses[clauses >= 0])


def _flat(text: str) -> str:
    return " ".join(text.split()).lower()


def _shared(question: str, stems: frozenset[str]) -> tuple[str, ...]:
    """The words of a question that have one of these stems, as they stand in it, each once."""
    words = dict.fromkeys(word.lower() for word in re.findall(r"[^\W_]+(?:['’][^\W_]+)?", question))
    return tuple(word for word in words if any(_is_of(word, stem) for stem in stems))


def _is_of(word: str, stem: str) -> bool:
    """Whether a word may have a stem: it begins like it, but for a last letter that the stemmer changes."""
    return word == stem or (len(stem) > 2 and word.startswith(stem)) or (
        len(stem) > 3 and stem.endswith("i") and word.startswith(stem[:-1] + "y")
    )  # fmt: skip
