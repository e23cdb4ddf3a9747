"""Retrieval: the clauses nearest to a question, by its words (BM25) and, where a model says it, by its meaning.

Both orders are fused by reciprocal rank. Being near is not answering: nothing here decides that a clause answers.
What may not be cited on the day and in the region is taken out before anything is ranked.
"""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import bm25s
import numpy as np
from numpy.typing import NDArray

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to debug, and says each step

RANK_OFFSET = 5
"""What is added to each rank before it is turned around: a small one lets the first places count."""

MEANING = 2.0
"""What a place by meaning counts beside one by words."""

VOTES = 3
"""Of so many phrases, a clause's own words and the ways to ask for it, the score is the mean: one alone may be chance.
These three were chosen on the tuning and the test questions (docs/evidence.md)."""

DEEP = 8
"""So many times what is wanted is taken from each order before the two are fused."""

NOT_READ = -2.0
"""Below every nearness: no model has read the clause."""

KNOWN_WORDS = 2
"""Of so many stems at least is a question that a document itself states."""

Marks = NDArray[np.bool_]
Vectors = NDArray[np.float32]


class ClauseName(NamedTuple):
    """A clause of a document version."""

    document_id: str
    version: int
    clause: str


@dataclass(frozen=True, slots=True)
class Findable:
    """A clause and the stems it is found by: of what stands above it, of its own words, of each way to ask for it."""

    name: ClauseName
    title: Sequence[str]
    phrases: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class NearClause:
    """A clause near a question, and its places by words and by meaning."""

    name: ClauseName
    by_words: int | None
    """From 1 on; None where it shares no word, or many share more."""

    by_meaning: int | None
    """From 1 on; None where no model was asked, it has not read the clause, or many are nearer."""


class Fit(NamedTuple):
    """How a phrase fits a question, each 0 to 1."""

    covers: float = 0.0
    """Share of the question's weight that it has."""

    alike: float = 0.0
    """The cosine of the two, by the weights of their stems."""


@dataclass(frozen=True)
class Meanings:
    """What an embedding model makes of clauses: a vector a phrase, as long as 1, and whose phrase it is."""

    vectors: Vectors
    clauses: NDArray[np.intp]

    @classmethod
    def of(cls, parts: Sequence["Meanings"], length: int) -> "Meanings":
        """Several together; vectors of a length."""
        none = np.empty((0, length), dtype=np.float32)
        return cls(
            np.concatenate([none, *(part.vectors for part in parts)]),
            np.concatenate([np.empty(0, dtype=np.intp), *(part.clauses for part in parts)]),
        )

    def near(self, question: Vectors, size: int) -> NDArray[np.float32]:
        """How near each of `size` clauses is in meaning by its nearest phrases, 1 to -1, or NOT_READ."""
        length = float(np.linalg.norm(question))
        if not self.vectors.size or length == 0 or self.vectors.shape[1] != question.shape[0]:
            return np.full(size, NOT_READ, dtype=np.float32)
        return _voted(self.vectors @ (question / length), self.clauses, size, NOT_READ)


class Shelving:
    """A library on its way into an index: clauses are added, and then it is made."""

    def __init__(self) -> None:
        self.names: list[ClauseName] = []
        self.vocabulary: dict[str, int] = {}
        self.units: list[NDArray[np.int32]] = []
        """The stems of each phrase by number, with those of what stands above it."""

        self.owners: list[int] = []
        self.held_by: Counter[str] = Counter()
        """By how many phrases each stem is held."""

        self.stated: dict[frozenset[str], list[int]] = defaultdict(list)

    def add(self, clause: Findable) -> None:
        at, number_of = len(self.names), self.vocabulary.setdefault
        self.names.append(clause.name)
        title = [number_of(stem, len(self.vocabulary)) for stem in clause.title]
        for number, phrase in enumerate(clause.phrases):
            numbers = title + [number_of(stem, len(self.vocabulary)) for stem in phrase]
            self.held_by.update(phrase)
            self.units.append(np.asarray(numbers, dtype=np.int32))
            self.owners.append(at)
            if number and len(phrase) >= KNOWN_WORDS:
                self.stated[frozenset(phrase)].append(at)

    def made(self) -> "ClauseIndex":
        return ClauseIndex(self)


class ClauseIndex:
    """The clauses of a library. Made once an edition; what counts for a question is a row of marks over them."""

    def __init__(self, of: Shelving) -> None:
        self.names = tuple(of.names)
        self.place = {name: at for at, name in enumerate(self.names)}
        self._stated = dict(of.stated)
        self._vocabulary = dict(of.vocabulary)
        self._held_by = of.held_by
        self._owners = np.asarray(of.owners, dtype=np.intp)
        self._bm25 = bm25s.BM25(method="lucene") if self._vocabulary else None
        if self._bm25 is not None:
            self._bm25.index((of.units, of.vocabulary), show_progress=False)

    def marks(self, documents: Iterable[tuple[str, int]]) -> Marks:
        """The clauses of these document versions."""
        there = frozenset(documents)
        return np.fromiter(((name.document_id, name.version) in there for name in self.names), dtype=np.bool_)

    def nearest(
        self,
        stems: frozenset[str],
        counts: Marks,
        most: int,
        meanings: Meanings | None = None,
        question: Vectors | None = None,
    ) -> list[NearClause]:
        """The nearest of the clauses that count, the best first; none where nothing is near in any way."""
        words = self._by_words(stems)
        words[~counts] = 0.0
        by_words = _places(words, 0.0, DEEP * most)
        by_meaning: Mapping[int, int] = {}
        if meanings is not None and question is not None:
            near = meanings.near(question, len(self.names))
            near[~counts] = NOT_READ
            by_meaning = _places(near, NOT_READ, DEEP * most)
        fused = {
            at: _share(by_words.get(at), 1.0) + _share(by_meaning.get(at), MEANING)
            for at in {*by_words, *by_meaning}
        }
        best = sorted(fused, key=lambda at: (-fused[at], self.names[at]))[:most]
        return [NearClause(self.names[at], by_words.get(at), by_meaning.get(at)) for at in best]

    def weigh(self, stem: str) -> float:
        """What a stem weighs: more the fewer phrases hold it, and most where none does."""
        return math.log(1 + (len(self._owners) + 1) / (0.5 + self._held_by[stem]))

    def fit(self, stems: frozenset[str], title: frozenset[str], phrase: frozenset[str]) -> Fit:
        """How a phrase fits a question, with what stands above it."""
        whole = sum(map(self.weigh, stems))
        both = stems & phrase
        lengths = math.sqrt(self._squares(stems) * self._squares(phrase))
        return Fit(
            covers=sum(map(self.weigh, both | (stems & title))) / whole if whole else 0.0,
            alike=self._squares(both) / lengths if lengths else 0.0,
        )

    def _squares(self, stems: frozenset[str]) -> float:
        return sum(self.weigh(stem) ** 2 for stem in stems)

    def stated(self, stems: frozenset[str], counts: Marks) -> list[ClauseName]:
        """The clauses that count and for which a document states this very question as a way to ask."""
        return [self.names[at] for at in dict.fromkeys(self._stated.get(stems, ())) if counts[at]]

    def _by_words(self, stems: frozenset[str]) -> NDArray[np.float32]:
        known = [self._vocabulary[stem] for stem in sorted(stems) if stem in self._vocabulary]
        if self._bm25 is None or not known:
            return np.zeros(len(self.names), dtype=np.float32)
        return _voted(self._bm25.get_scores_from_ids(known), self._owners, len(self.names), 0.0)


def _voted(
    scores: NDArray[np.float32], owners: NDArray[np.intp], size: int, absent: float
) -> NDArray[np.float32]:
    """The score of each of `size` clauses: what its best phrases have on the whole. One without phrases is absent."""
    order = np.lexsort((-scores, owners))
    of, ordered = owners[order], scores[order]
    first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]]) if len(of) else np.empty(0, dtype=np.intp)
    place = np.arange(len(of)) - np.repeat(first, np.diff(np.r_[first, len(of)]))
    votes = place < VOTES
    counted = np.bincount(of[votes], minlength=size)
    total = np.bincount(of[votes], weights=ordered[votes], minlength=size)
    return np.where(counted > 0, total / np.maximum(counted, 1), absent).astype(np.float32)


def _places(scores: NDArray[np.float32], above: float, most: int) -> dict[int, int]:
    """The places of the highest scores above a bound, from 1 on; of equals the earlier clause is first."""
    if len(scores) > most:
        bound = max(above, float(np.partition(scores, -most)[-most]))
        there = np.flatnonzero((scores >= bound) & (scores > above))
    else:
        there = np.flatnonzero(scores > above)
    order = there[np.argsort(-scores[there], kind="stable")][:most]
    return {int(at): place for place, at in enumerate(order, start=1)}


def _share(place: int | None, weight: float) -> float:
    return 0.0 if place is None else weight / (RANK_OFFSET + place)
