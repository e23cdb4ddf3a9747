"""Training: sentences with labels in, the bundle out; the same bytes from the same rows.

One logistic regression a label, by liblinear, which uses one thread and no random order but the one it is given.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from policies.reading.asked import KINDS, evidence
from policies.reading.bundle import HEADS, SCALE, Head, bundle_in, features

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

VERSION = "2"
"""Of the bundle that training makes; another one for other rows."""

SEEN_AT_LEAST = 2
"""A feature of fewer rows says more of its row than of the label."""

STRENGTH = 4.0
"""Inverse of the regularisation: larger fits closer."""

LEAST = 20
"""Weights nearer to nothing than this are left out, in parts of SCALE."""


JOINED = "\n"
"""Between the statements of a row that is a whole conversation."""

FOLDS = 3
"""Parts of the conversations, each told by what was trained without it, when the evidence is weighed."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A sentence with the label that it has under a head."""

    text: str
    head: Head
    label: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class TrainingTicket:
    """The statements of a conversation, and all that is asked in it."""

    texts: tuple[str, ...]
    asks: frozenset[str]


def train(rows: Iterable[TrainingRow], tickets: Iterable[TrainingTicket], version: str) -> bytes:
    """The file of a bundle."""
    given = sorted(set(rows), key=lambda row: (row.head, row.text, row.label, row.weight))
    whole = sorted(set(tickets), key=lambda one: one.texts)
    told = {"version": version, **_heads(given, whole, HEADS), "asked": _weighed(given, whole)}
    return (json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _heads(
    rows: Sequence[TrainingRow], tickets: Sequence[TrainingTicket], heads: Sequence[Head]
) -> dict[str, Any]:
    """Labels, biases and weights of some heads."""
    labels: dict[Head, list[str]] = {}
    bias: list[int] = []
    weights: dict[str, list[int]] = {}
    for head in heads:
        if head == "whole":
            texts, said = [one.texts for one in tickets], [one.asks for one in tickets]
            counts = [1.0] * len(tickets)
        else:
            of_head = [row for row in rows if row.head == head]
            texts = [tuple(row.text.split(JOINED)) for row in of_head]
            said = [frozenset({row.label}) for row in of_head]
            counts = [row.weight for row in of_head]
        labels[head] = sorted({label for some in said for label in some})
        table = FeatureTable(texts)
        for label in labels[head]:
            column = len(bias)
            constant, found = table.fitted([label in some for some in said], counts)
            bias.append(round(constant * SCALE))
            for feature, weight in found:
                part = round(weight * SCALE)
                if abs(part) >= LEAST:
                    weights.setdefault(feature, []).extend((column, part))
    return {"labels": labels, "bias": bias, "weights": dict(sorted(weights.items()))}


class FeatureTable:
    """Which feature each of some texts has."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        from scipy.sparse import csr_matrix  # noqa: PLC0415  (an extra: only training needs it)

        of_rows = [list(features(some)) for some in texts]
        seen = Counter(feature for some in of_rows for feature in some)
        self.names = sorted(feature for feature, times in seen.items() if times >= SEEN_AT_LEAST)
        place = {name: n for n, name in enumerate(self.names)}
        columns, starts = [], [0]
        for some in of_rows:
            columns += [place[feature] for feature in some if feature in place]
            starts.append(len(columns))
        self.rows = csr_matrix(([1.0] * len(columns), columns, starts), shape=(len(texts), len(self.names)))

    def fitted(self, said: Sequence[bool], counts: Sequence[float]) -> tuple[float, list[tuple[str, float]]]:
        """What stands alone, and what each feature adds."""
        constant, found = fitted(self.rows, said, counts, STRENGTH)
        return constant, list(zip(self.names, found, strict=True))


def fitted(
    rows: "csr_matrix | list[tuple[float, ...]]",
    said: Sequence[bool],
    counts: Sequence[float],
    strength: float,
) -> tuple[float, list[float]]:
    """One logistic regression: what stands alone, and the weight of each column."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    model = LogisticRegression(C=strength, solver="liblinear", random_state=0, max_iter=1000, tol=1e-6)
    model.fit(rows, list(said), sample_weight=list(counts))
    return float(model.intercept_[0]), [float(one) for one in model.coef_[0]]


def _weighed(rows: Sequence[TrainingRow], tickets: Sequence[TrainingTicket]) -> dict[str, list[int]]:
    """What the evidence for each ask weighs, learned on conversations that the odds had not seen."""
    seen: list[tuple[TrainingTicket, list[dict[str, float]], dict[str, float]]] = []
    for number in range(FOLDS):
        aside = tickets[number::FOLDS]
        texts = {text for one in aside for text in one.texts}
        rest = [row for row in rows if row.text not in texts]
        others = [one for one in tickets if not texts.intersection(one.texts)]
        told = bundle_in({"version": "", "asked": {}, **_heads(rest, others, ("ask", "whole"))})
        seen += [
            (
                one,
                [told.odds(features([text]))["ask"] for text in one.texts],
                told.odds(features(one.texts))["whole"],
            )
            for one in aside
        ]
    found: dict[str, list[int]] = {}
    for kind in KINDS:
        evidences = [evidence(kind, odds, whole) for _, odds, whole in seen]
        constant, weights = fitted(
            evidences, [kind in one.asks for one, _, _ in seen], [1.0] * len(seen), 1.0
        )
        found[kind] = [round(one * SCALE) for one in (constant, *weights)]
    return found
