"""Training: sentences with labels in, the bundle out; the same bytes from the same rows.

One logistic regression a label, by liblinear, which uses one thread and no random order but the one it is given.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policies.reading.bundle import HEADS, SCALE, Head, features

VERSION = "1"
"""Of the bundle that training makes; another one for other rows."""

SEEN_AT_LEAST = 2
"""A feature of fewer rows says more of its row than of the label."""

STRENGTH = 4.0
"""Inverse of the regularisation: larger fits closer."""

LEAST = 12
"""Weights nearer to nothing than this are left out, in parts of SCALE."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A sentence with the label that it has under a head."""

    text: str
    head: Head
    label: str
    weight: float = 1.0


def train(rows: Iterable[TrainingRow], version: str) -> bytes:
    """The file of a bundle."""
    given = sorted(set(rows), key=lambda row: (row.head, row.text, row.label))
    labels = {head: sorted({row.label for row in given if row.head == head}) for head in HEADS}
    bias: list[int] = []
    weights: dict[str, list[int]] = {}
    for head in HEADS:
        of_head = [row for row in given if row.head == head]
        for label in labels[head]:
            column = len(bias)
            constant, found = _fitted(of_head, label)
            bias.append(round(constant * SCALE))
            for feature, weight in found:
                whole = round(weight * SCALE)
                if abs(whole) >= LEAST:
                    weights.setdefault(feature, []).extend((column, whole))
    told = {"version": version, "labels": labels, "bias": bias, "weights": dict(sorted(weights.items()))}
    return (json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _fitted(rows: Sequence[TrainingRow], label: str) -> tuple[float, list[tuple[str, float]]]:
    """What each feature of one head adds to one of its labels."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415  (an extra: only training needs it)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    of_rows = [list(features(row.text)) for row in rows]
    seen = Counter(feature for some in of_rows for feature in some)
    names = sorted(feature for feature, times in seen.items() if times >= SEEN_AT_LEAST)
    place = {name: n for n, name in enumerate(names)}
    columns, starts = [], [0]
    for some in of_rows:
        columns += [place[feature] for feature in some if feature in place]
        starts.append(len(columns))
    matrix = csr_matrix(([1.0] * len(columns), columns, starts), shape=(len(rows), len(names)))
    model = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=0, max_iter=1000, tol=1e-6)
    model.fit(matrix, [row.label == label for row in rows], sample_weight=[row.weight for row in rows])
    return float(model.intercept_[0]), list(zip(names, (float(one) for one in model.coef_[0]), strict=True))
