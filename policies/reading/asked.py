"""What is asked in all: the odds of the statements and those of the whole conversation, weighed together.

One statement says little of a conversation: what three of them half say is asked, and what one says beside a
plainer ask is often none of its own. The weights are trained, as the odds are.
"""

import math
from collections.abc import Mapping, Sequence
from typing import get_args

from policies.reading.bundle import SCALE, Bundle, logistic
from refunds.vocabulary import AskKind

KINDS: tuple[AskKind, ...] = get_args(AskKind)
_FLOOR = 1e-4


def asked(
    bundle: Bundle, statements: Sequence[Mapping[str, float]], whole: Mapping[str, float]
) -> dict[AskKind, float]:
    """How likely each ask is one of a conversation; nothing for one in which nothing is said.

    `statements` are the odds of the asks of each statement, `whole` those of all of them together.
    """
    if not statements:
        return {}
    return {
        kind: logistic(
            sum(
                weight * value
                for weight, value in zip(
                    bundle.asked[kind], (1.0, *evidence(kind, statements, whole)), strict=True
                )
            )
            / SCALE
        )
        for kind in KINDS
    }


def evidence(
    kind: AskKind, statements: Sequence[Mapping[str, float]], whole: Mapping[str, float]
) -> tuple[float, ...]:
    """What speaks for an ask: its plainest statement, the next, all, the whole, the plainest other, the length."""
    mine = sorted((odds.get(kind, 0.0) for odds in statements), reverse=True)
    others = max(odds.get(other, 0.0) for odds in statements for other in KINDS if other != kind)
    return (
        _logit(mine[0]),
        math.log((mine[1] if len(mine) > 1 else 0.0) + _FLOOR * 10),
        math.log(1 - math.prod(1 - one for one in mine) + _FLOOR),
        _logit(whole.get(kind, 0.0)),
        _logit(others),
        math.log(len(mine)),
    )


def _logit(chance: float) -> float:
    return math.log((chance + _FLOOR) / (1 - chance + _FLOOR))
