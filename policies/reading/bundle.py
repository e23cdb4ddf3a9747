"""The trained bundle: what a statement says, as calibrated odds of closed labels. Numbers in a file, no code in it.

Each head is one question; the features are words, neighbouring words and the letters inside words. Training is in
`evals/intake`; what is here only adds numbers up.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from refunds.vocabulary import AskKind

FILE = Path(__file__).parent / "bundle.json"

Head = Literal["ask", "money", "cause", "condition", "urgent", "wish", "trade", "whole"]
"""What is told of a statement; `whole` is told of a conversation: each of its asks, of which there may be several."""

HEADS: tuple[Head, ...] = get_args(Head)

SCALE = 64
"""Weights stand in the file as whole numbers of this part of one."""

WORDS_READ = 90
"""Of one statement at most."""

_WORD = re.compile(r"[a-z\u00df-\u024f]+(?:'[a-z]+)*|\d+|[?!]")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Labels by head, and what each feature adds to each label."""

    version: str
    sha256: str
    labels: Mapping[Head, tuple[str, ...]]
    columns: Mapping[Head, int]
    """Where the labels of a head begin among all of them."""

    bias: tuple[int, ...]
    weights: Mapping[str, Sequence[int]]
    """By feature, columns and weights by turns, as the file has them: a process that starts makes nothing of them."""

    asked: Mapping[str, tuple[int, ...]]
    """By ask, what the evidence for it weighs; the first stands alone."""

    def odds(self, found: Iterable[str]) -> dict[Head, dict[str, float]]:
        """The odds of each label of each head, by what was found of a statement, or of all of a conversation.

        Those of a head sum to one; those of `whole` stand each for itself.
        """
        sums = list(self.bias)
        for feature in found:
            row = self.weights.get(feature)
            if row is not None:
                for at in range(0, len(row), 2):
                    sums[row[at]] += row[at + 1]
        return {head: self._of_head(head, sums) for head in self.labels}

    def _of_head(self, head: Head, sums: list[int]) -> dict[str, float]:
        first = self.columns[head]
        chances = [logistic(sums[first + n] / SCALE) for n in range(len(self.labels[head]))]
        among = 1.0 if head == "whole" else sum(chances)
        return {label: chance / among for label, chance in zip(self.labels[head], chances, strict=True)}


def features(texts: Iterable[str]) -> dict[str, None]:
    """What some statements are told by, each feature once."""
    return dict.fromkeys(feature for text in texts for feature in _features(text))


def _features(text: str) -> Iterator[str]:
    words = ["<", *(_plain(word) for word in _WORD.findall(text.lower())[:WORDS_READ]), ">"]
    for n, word in enumerate(words):
        yield word
        if n + 1 < len(words):
            yield f"{word} {words[n + 1]}"
        if n + 2 < len(words):
            yield f"{word} {words[n + 1]} {words[n + 2]}"
            yield f"{word} _ {words[n + 2]}"
        if len(word) > 4:
            around = f"({word})"
            yield from (f"~{around[at : at + 4]}" for at in range(len(around) - 3))


def _plain(word: str) -> str:
    return "#" if word.isdecimal() else word.replace("'", "")


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))


def bundle_of(data: bytes) -> Bundle:
    """The bundle in the bytes of its file. ValueError or KeyError where it is none."""
    told = json.loads(data)
    if set(told["labels"]) != set(HEADS) or set(told["asked"]) != set(get_args(AskKind)):
        raise ValueError("a head or an ask is not there")
    return bundle_in(told, sha256(data).hexdigest())


def bundle_in(told: Mapping[str, Any], sha256_of_file: str = "") -> Bundle:
    """The bundle of some heads, as training tells it. ValueError or KeyError where it is none."""
    labels: dict[Head, tuple[str, ...]] = {
        head: tuple(told["labels"][head]) for head in HEADS if head in told["labels"]
    }
    columns: dict[Head, int] = {}
    for head, names in labels.items():
        columns[head] = sum(len(labels[other]) for other in columns)
        if len(set(names)) != len(names):
            raise ValueError(f"{head}: a label stands twice")
    wide = sum(len(names) for names in labels.values())
    bias = tuple(int(one) for one in told["bias"])
    weights: dict[str, list[int]] = told["weights"]
    for row in weights.values():
        columns_of = row[::2]
        if len(row) % 2 or not 0 <= min(columns_of) <= max(columns_of) < wide:
            raise ValueError("weights for labels that are not there")
    if len(bias) != wide:
        raise ValueError("a bias for each label, and there are others")
    asked = {str(kind): tuple(int(one) for one in row) for kind, row in told["asked"].items()}
    return Bundle(str(told["version"]), sha256_of_file, labels, columns, bias, weights, asked)


@cache
def bundle_sha256(file: Path = FILE) -> str:
    """The SHA-256 of the bundle of this release."""
    return sha256(file.read_bytes()).hexdigest()


@cache
def bundle(file: Path = FILE) -> Bundle:
    """The bundle of this release."""
    return bundle_of(file.read_bytes())
