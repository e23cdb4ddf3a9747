"""Comparing two releases: nothing is concluded from little, pairs count as pairs, and many looks err no more than one."""

import random
from pathlib import Path

import pytest

from evals.exam.comparison import (
    LEAST_CASES,
    Interval,
    MeasuredCase,
    alpha_of_look,
    cases_needed,
    compare,
    draw_comparison,
)

NAMES = ("v2", "v3")


def side(
    successes: int, of: int, *, cost: int = 10, latency: int = 100, first: int = 0
) -> list[MeasuredCase]:
    return [
        MeasuredCase(f"c{first + n}", n < successes, cost, latency + n % 7, "plan → draft") for n in range(of)
    ]


def bounds(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


@pytest.mark.parametrize(("only_a", "only_b"), [(0.05, 0.0), (0.06, 0.01), (0.02, 0.02), (0.3, 0.1)])
def test_the_interval_of_pairs_holds_the_truth_as_often_as_it_says(only_a: float, only_b: float) -> None:
    chance, held = random.Random(3), 0
    for _ in range(300):
        draws = [chance.random() for _ in range(600)]
        a = [MeasuredCase(str(n), draw >= only_b, 1, 1, "p") for n, draw in enumerate(draws)]
        b = [
            MeasuredCase(str(n), not only_b <= draw < only_a + only_b, 1, 1, "p")
            for n, draw in enumerate(draws)
        ]
        low, high = bounds(compare(NAMES, a, b).success)
        held += low <= only_b - only_a <= high
    assert held >= 275  # 95 % of 300 is 285; fewer than 275 by chance once in a hundred


def test_the_first_of_many_looks_is_no_crash_and_too_few_cases_are_no_number() -> None:
    for looks in range(1, 21):
        assert alpha_of_look(1, looks) > 0
        compare(NAMES, side(300, 300), side(200, 300), look=1, of=looks)
    assert compare(NAMES, side(1, 1), side(1, 1)).to_json()["cost_micros"] == {
        "difference": 0.0,
        "low": None,
        "high": None,
    }


def test_below_two_hundred_cases_nothing_is_concluded() -> None:
    found = compare(NAMES, side(199, 199), side(0, 199))
    assert found.verdict == "inconclusive"
    assert "are needed" in found.why


def test_below_what_the_effect_needs_nothing_is_concluded() -> None:
    assert cases_needed(0.5) > 1_000
    assert cases_needed(0.99) >= LEAST_CASES
    assert compare(NAMES, side(150, 300), side(120, 300)).verdict == "inconclusive"


def test_a_clear_difference_is_seen_and_its_sign_is_bs() -> None:
    worse = compare(NAMES, side(1_800, 2_000), side(1_500, 2_000))
    assert worse.verdict == "a_better"
    assert bounds(worse.success)[1] < 0
    better = compare(NAMES, side(1_500, 2_000), side(1_800, 2_000))
    assert better.verdict == "b_better"
    assert better.paired


def test_the_same_twice_is_no_difference() -> None:
    found = compare(NAMES, side(1_900, 2_000), side(1_900, 2_000))
    assert (found.verdict, found.success.difference) == ("no_difference", 0.0)


def test_groups_are_compared_where_there_are_no_pairs() -> None:
    found = compare(NAMES, side(1_800, 2_000), side(1_500, 2_000, first=9_000))
    assert not found.paired
    assert found.verdict == "a_better"
    low, high = bounds(found.success)
    assert low <= -0.15 <= high


def test_a_pair_sees_what_groups_of_the_same_size_do_not() -> None:
    a = side(1_500, 2_000)
    b = [MeasuredCase(one.case, one.success or n < 1_530, 10, 100, "p") for n, one in enumerate(a)]
    paired = compare(NAMES, a, b)
    apart = compare(NAMES, a, [MeasuredCase(f"x{one.case}", one.success, 10, 100, "p") for one in b])
    assert paired.p_value < 0.001 < apart.p_value


def test_all_looks_together_err_no_more_than_one() -> None:
    for looks in (1, 2, 5, 10):
        spent = [alpha_of_look(look, looks) for look in range(1, looks + 1)]
        assert sum(spent) == pytest.approx(0.05)
        assert spent == sorted(spent)
    with pytest.raises(ValueError, match="planned"):
        alpha_of_look(3, 2)


def test_five_looks_at_two_equal_releases_cry_wolf_seldom() -> None:
    chance, cried = random.Random(4), 0
    for _ in range(120):
        draws = [(chance.random() < 0.95, chance.random() < 0.95) for _ in range(2_000)]
        for look in range(1, 6):
            seen = draws[: 400 * look]
            a = [MeasuredCase(str(n), one, 1, 1, "p") for n, (one, _) in enumerate(seen)]
            b = [MeasuredCase(str(n), other, 1, 1, "p") for n, (_, other) in enumerate(seen)]
            found = compare(NAMES, a, b, look=look, of=5, effect=0.06)
            if found.verdict in {"a_better", "b_better"}:
                cried += 1
                break
    assert cried <= 12  # 5 % of 120 is 6; 12 or more by chance once in fifty


def test_cost_and_latency_have_intervals_that_hold_the_truth() -> None:
    chance = random.Random(9)
    a = [MeasuredCase(str(n), True, chance.randint(80, 120), 100, "p") for n in range(600)]
    b = [MeasuredCase(str(n), True, chance.randint(100, 140), 100, "p") for n in range(600)]
    found = compare(NAMES, a, b)
    low, high = bounds(found.cost_micros)
    assert 0 < low < 20 < high
    assert found.latency_ms.difference == 0


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    a, b = side(180, 200), side(150, 200)
    draw_comparison(compare(NAMES, a, b), a, b, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
