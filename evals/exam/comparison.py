"""A comparison of two releases: how much one differs from the other, how sure that is, and when nothing can be said.

Paired where both worked on the same cases. Below 200 cases a release, or below what the effect that matters needs,
nothing is concluded. Who looks more than once spends the error of a look on it (Lan and DeMets, Biometrika 70, 1983;
O'Brien and Fleming's shape), so that all looks together err no more often than one would.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import stats

LEAST_CASES = 200
ALPHA = 0.05
POWER = 0.8
EFFECT = 0.05
"""The smallest difference of success that matters to a shop, as a share."""

ComparisonVerdict = Literal["inconclusive", "no_difference", "a_better", "b_better"]


@dataclass(frozen=True, slots=True)
class MeasuredCase:
    """What a release did with one case."""

    case: str
    success: bool
    cost_micros: int
    latency_ms: int
    path: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference, B less A, between its bounds."""

    difference: float
    low: float | None
    high: float | None
    """None where too few cases say anything."""

    def to_json(self) -> dict[str, float | None]:
        return {"difference": self.difference, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Compared:
    """Two releases side by side."""

    a: str
    b: str
    cases: tuple[int, int]
    paired: bool
    needed: int
    """Cases a release that the effect needs."""

    alpha: float
    """What this look may err."""

    success: Interval
    cost_micros: Interval
    latency_ms: Interval
    p_value: float
    verdict: ComparisonVerdict
    why: str
    paths: tuple[tuple[str, int, int], ...]

    def to_json(self) -> dict[str, object]:
        return {
            "a": self.a,
            "b": self.b,
            "cases": list(self.cases),
            "paired": self.paired,
            "needed": self.needed,
            "alpha": self.alpha,
            "success": self.success.to_json(),
            "cost_micros": self.cost_micros.to_json(),
            "latency_ms": self.latency_ms.to_json(),
            "p_value": self.p_value,
            "verdict": self.verdict,
            "why": self.why,
            "paths": [{"path": path, "a": one, "b": other} for path, one, other in self.paths],
        }


def alpha_of_look(look: int, of: int, alpha: float = ALPHA) -> float:
    """What one of several evenly spaced looks may err, so that all of them together err `alpha` at most."""
    if not 1 <= look <= of:
        raise ValueError("a look is one of those that were planned")
    return _spent(look / of, alpha) - (_spent((look - 1) / of, alpha) if look > 1 else 0.0)


def _spent(share: float, alpha: float) -> float:
    """The error that is spent when a share of the cases is there."""
    return float(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / math.sqrt(share)))


def cases_needed(share: float, effect: float = EFFECT, alpha: float = ALPHA, power: float = POWER) -> int:
    """Cases a release that show an effect on a share of successes, by the normal approximation for two groups."""
    other = min(max(share - effect, 0.0), 1.0)
    spread = share * (1 - share) + other * (1 - other)
    z = stats.norm.isf(alpha / 2) + stats.norm.ppf(power)
    return max(LEAST_CASES, math.ceil(float(z**2) * max(spread, 0.01) / effect**2))


def compare(
    names: tuple[str, str],
    a: Sequence[MeasuredCase],
    b: Sequence[MeasuredCase],
    *,
    look: int = 1,
    of: int = 1,
    effect: float = EFFECT,
) -> Compared:
    """Two releases over their cases; over the cases of both alone, where those are enough or all there are."""
    both = sorted({one.case for one in a} & {one.case for one in b})
    paired = len(both) >= min(LEAST_CASES, len(a), len(b)) > 0
    if paired:
        left, right = {one.case: one for one in a}, {one.case: one for one in b}
        a, b = [left[case] for case in both], [right[case] for case in both]
    alpha = alpha_of_look(look, of)
    rate = sum(one.success for one in a) / len(a) if a else 0.0
    needed = cases_needed(rate, effect, alpha)
    success, p_value = _success(a, b, alpha, paired=paired)
    verdict, why = _verdict(min(len(a), len(b)), needed, success, p_value, alpha, effect)
    ways = Counter(one.path for one in a), Counter(one.path for one in b)
    return Compared(
        *names,
        cases=(len(a), len(b)),
        paired=paired,
        needed=needed,
        alpha=alpha,
        success=success,
        cost_micros=_means(
            [one.cost_micros for one in a], [one.cost_micros for one in b], alpha, paired=paired
        ),
        latency_ms=_means([one.latency_ms for one in a], [one.latency_ms for one in b], alpha, paired=paired),
        p_value=p_value,
        verdict=verdict,
        why=why,
        paths=tuple((path, ways[0][path], ways[1][path]) for path, _ in (ways[0] + ways[1]).most_common(12)),
    )


def _verdict(
    cases: int, needed: int, success: Interval, p_value: float, alpha: float, effect: float
) -> tuple[ComparisonVerdict, str]:
    if cases < needed:
        return (
            "inconclusive",
            f"{cases} cases a release: {needed} are needed to see {100 * effect:.0f} points",
        )
    if p_value >= alpha:
        if (
            success.low is not None
            and success.high is not None
            and -effect < success.low
            and success.high < effect
        ):
            return "no_difference", f"success differs by less than {100 * effect:.0f} points"
        return "inconclusive", f"p = {p_value:.3f}: not below {alpha:.4f}"
    better: ComparisonVerdict = "b_better" if success.difference > 0 else "a_better"
    return better, f"success differs by {100 * success.difference:+.1f} points, p = {p_value:.4f}"


def _success(
    a: Sequence[MeasuredCase], b: Sequence[MeasuredCase], alpha: float, *, paired: bool
) -> tuple[Interval, float]:
    """The difference of the shares of successes: McNemar's exact test on pairs, Fisher's on groups."""
    if not a or not b:
        return Interval(0.0, -1.0, 1.0), 1.0
    wins, losses = sum(one.success for one in a), sum(one.success for one in b)
    difference = losses / len(b) - wins / len(a)
    if paired:
        only_a = sum(one.success and not other.success for one, other in zip(a, b, strict=True))
        only_b = sum(other.success and not one.success for one, other in zip(a, b, strict=True))
        apart = only_a + only_b
        p_value = float(stats.binomtest(only_b, apart, 0.5).pvalue) if apart else 1.0
        # Bonett and Price's interval of paired shares (Psychometrika 77, 2012): a pair of each kind more.
        n = len(a) + 2
        more, less = (only_b + 1) / n, (only_a + 1) / n
        half = float(stats.norm.isf(alpha / 2)) * math.sqrt((more + less - (more - less) ** 2) / n)
        return Interval(difference, more - less - half, more - less + half), p_value
    table = [[wins, len(a) - wins], [losses, len(b) - losses]]
    p_value = float(stats.fisher_exact(table).pvalue)
    one = stats.binomtest(wins, len(a)).proportion_ci(1 - alpha, "wilson")
    other = stats.binomtest(losses, len(b)).proportion_ci(1 - alpha, "wilson")
    p, q = wins / len(a), losses / len(b)
    # Newcombe's interval of a difference, from Wilson's of each (Statistics in Medicine 17, 1998, method 10).
    low = difference - math.sqrt((q - other.low) ** 2 + (one.high - p) ** 2)
    high = difference + math.sqrt((other.high - q) ** 2 + (p - one.low) ** 2)
    return Interval(difference, low, high), p_value


def _means(a: Sequence[int], b: Sequence[int], alpha: float, *, paired: bool) -> Interval:
    """The difference of two means, by Student's interval on pairs and by Welch's on groups."""
    if len(a) < 2 or len(b) < 2:
        return Interval(0.0, None, None)
    left, right = np.asarray(a, float), np.asarray(b, float)
    difference = float(right.mean() - left.mean())
    if paired:
        error, freedom = float((right - left).var(ddof=1)) / len(a), len(a) - 1.0
    else:
        parts = float(left.var(ddof=1)) / len(a), float(right.var(ddof=1)) / len(b)
        error = sum(parts)
        weights = parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1)
        freedom = error**2 / weights if weights else 1.0
    half = float(stats.t.isf(alpha / 2, freedom)) * math.sqrt(error)
    return Interval(difference, difference - half, difference + half)


def draw_comparison(
    compared: Compared, a: Sequence[MeasuredCase], b: Sequence[MeasuredCase], file: Path
) -> None:
    """Success, cost, latency and paths of two releases, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (nothing else draws)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    success, cost, latency, paths = figure.subplots(2, 2).flat
    names = (compared.a, compared.b)
    success.bar(names, [100 * _share(a), 100 * _share(b)], color=("#5c5470", "#1a6b3c"))
    success.set(title=f"success, % ({compared.verdict.replace('_', ' ')})", ylim=(0, 100))
    for axes, title, values in (
        (cost, "cost a case, micros", [[one.cost_micros for one in side] for side in (a, b)]),
        (latency, "latency, ms", [[one.latency_ms for one in side] for side in (a, b)]),
    ):
        axes.boxplot([side or [0] for side in values], tick_labels=names, showfliers=False)
        axes.set(title=title)
    shown = compared.paths[:6]
    places = np.arange(len(shown))
    paths.barh(places + 0.2, [one for _, one, _ in shown], 0.4, label=compared.a, color="#5c5470")
    paths.barh(places - 0.2, [other for _, _, other in shown], 0.4, label=compared.b, color="#1a6b3c")
    paths.set_yticks(places, [path[:48] for path, _, _ in shown], fontsize=7)
    paths.set(title="paths")
    paths.legend()
    figure.suptitle(compared.why)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def _share(side: Sequence[MeasuredCase]) -> float:
    return sum(one.success for one in side) / len(side) if side else 0.0
