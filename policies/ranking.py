"""Ranking: which clause a question means, or none. Rare words weigh more, and a word that no clause has weighs most."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from refunds.evidence import Citation

ANSWERS_FROM = 0.55
"""The score from which a clause answers; below it the honest word is that none does."""

AHEAD_BY = 0.1
"""How far the best clause must be ahead of the next: between two that fit alike nobody guesses."""

UNKNOWN = 2.0
"""How many times a word that no clause has counts: a question about something else covers little."""

WORDS_FROM = 3
"""So many words of the question must be the clause's: two may meet by chance, unless they are nearly all of it."""

ALL_OF_TWO = 0.8
"""Share of the question's weight that two words must be."""

WHOLE = 0.35
"""Of a score, what covering the question earns alone; the rest is earned by saying no more than it."""

QUOTE_LENGTH = 3.0
"""A clause's own words say more than a question; the way customers ask does not."""

ABOUT_FROM = 0.5
"""Share of a question's weight that one phrase has, from which it speaks of what the policy speaks of."""


@dataclass(frozen=True, slots=True)
class Findable:
    """A clause in force and the words that it is found by, as stems: its title's, its own, and those of each asking."""

    citation: Citation
    title: frozenset[str]
    phrases: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A clause and how well it answers, 0 to 1."""

    citation: Citation
    score: float
    words: int
    coverage: float
    """Share of the question's weight that the best phrase covers, a word that no clause has counted once."""


@dataclass(frozen=True)
class Shelf:
    """The clauses that count for a day and a region."""

    clauses: Sequence[Findable]
    weights: Mapping[str, float] = field(init=False)
    with_word: Mapping[str, frozenset[int]] = field(init=False)
    phrase_weights: Sequence[tuple[float, ...]] = field(init=False)

    def __post_init__(self) -> None:
        holders: dict[str, set[int]] = defaultdict(set)
        for place, clause in enumerate(self.clauses):
            for word in clause.title.union(*clause.phrases):
                holders[word].add(place)
        object.__setattr__(self, "with_word", {word: frozenset(at) for word, at in holders.items()})
        object.__setattr__(self, "weights", {word: self._weight(len(at)) for word, at in holders.items()})
        heavy = [tuple(self.weigh(phrase) for phrase in clause.phrases) for clause in self.clauses]
        object.__setattr__(self, "phrase_weights", heavy)

    def _weight(self, holders: int) -> float:
        return math.log(1 + (len(self.clauses) + 1) / (0.5 + holders))

    def weigh(self, words: Iterable[str]) -> float:
        """What words weigh together; one that no clause has weighs most."""
        unknown = self._weight(0)
        return sum(self.weights.get(word, unknown) for word in words)

    def rank(self, question: frozenset[str]) -> list[Ranked]:
        """The clauses that share a word with the question, the best first."""
        unheard = self.weigh(word for word in question if word not in self.weights)
        plain = self.weigh(question)
        whole = plain + (UNKNOWN - 1) * unheard
        shared = Counter(place for word in question for place in self.with_word.get(word, ()))
        found = [self._best(place, question, whole, plain) for place in shared]
        return sorted(found, key=lambda one: (-one.score, one.citation.citation_id, one.citation.clause))

    def _best(self, place: int, question: frozenset[str], whole: float, plain: float) -> Ranked:
        clause, heavy = self.clauses[place], self.phrase_weights[place]
        best = Ranked(clause.citation, 0.0, 0, 0.0)
        for number, phrase in enumerate(clause.phrases):
            said = question & phrase
            both = said | (question & clause.title)
            if not both:
                continue
            covered = self.weigh(both)
            exact = self.weigh(said) / (heavy[number] or 1.0)
            if number == 0:
                exact = min(1.0, QUOTE_LENGTH * exact)
            score = covered / whole * (WHOLE + (1 - WHOLE) * exact)
            if score > best.score:
                best = Ranked(clause.citation, score, len(both), covered / plain)
        return best


def answer(ranked: Sequence[Ranked]) -> Citation | None:
    """The clause that answers; None where none does, or two might."""
    if not ranked:
        return None
    first = ranked[0]
    ahead = first.score - (ranked[1].score if len(ranked) > 1 else 0.0)
    enough = first.words >= WORDS_FROM or (first.words == 2 and first.coverage >= ALL_OF_TWO)
    answers = first.score >= ANSWERS_FROM and enough and ahead >= AHEAD_BY
    return first.citation if answers else None


def about_policy(ranked: Sequence[Ranked]) -> bool:
    """Whether a question speaks of what the policy speaks of, whichever clause it means."""
    return any(one.coverage >= ABOUT_FROM for one in ranked)
