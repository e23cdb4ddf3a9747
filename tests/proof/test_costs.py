"""What a ticket costs: commits are counted as equalities, and the benchmark's own arithmetic is right."""

import itertools
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import Cluster

from app.house import database_of_its_own, prepare
from evals.bench.blocks import ratio
from evals.bench.counting import (
    CASHIER_COMMITS,
    COMMITS,
    Counter,
    Uneven,
    check_counts,
    count_peer,
    count_product,
)
from evals.bench.growth import LISTINGS, copy_case, listing_ms, listing_plans
from evals.bench.peer import open_peers
from evals.bench.plot import plot
from evals.bench.product import many_orders, open_product
from graph.drive import Durability
from runtime.embedded import EmbeddedPostgres


@pytest.fixture(name="bench")
def _bench(cluster: Cluster) -> Iterator[str]:
    with database_of_its_own(cluster.home, "costs_") as (url, _):
        yield url


@pytest.mark.parametrize("durability", ["exit", "sync"])
async def test_a_ticket_commits_as_often_as_it_is_said_to(
    cluster: Cluster, bench: str, durability: Durability
) -> None:
    await prepare(cluster.home, bench)
    many_orders(bench, 20)
    numbers = itertools.count(1)
    async with open_product(cluster.home, bench, durability, 4) as product:
        for _ in range(2):
            await product.pause(ticket := str(next(numbers)))
            await product.resume(ticket)
        await product.settle()
        counter = Counter(EmbeddedPostgres(cluster.home.folder), bench)
        costs = await count_product(counter, product, lambda: next(numbers))
    check_counts(costs)
    assert {(cost.contender, cost.stretch): cost.commits for cost in costs} == {
        (durability, "to the order"): COMMITS[durability, "to the order"],
        (durability, "to the end"): COMMITS[durability, "to the end"],
        (durability, "the cashier"): CASHIER_COMMITS,
    }
    with pytest.raises(Uneven):
        check_counts(
            [*costs[:1], *(type(one)(one.contender, one.stretch, one.commits + 1, 0, 0) for one in costs[1:])]
        )


async def test_the_peer_pauses_is_resumed_and_pays(cluster: Cluster, bench: str) -> None:
    numbers = itertools.count(1)
    async with open_peers(bench, 2) as peers:
        counter = Counter(EmbeddedPostgres(cluster.home.folder), bench)
        [cost] = await count_peer(counter, peers[1], lambda: next(numbers))
    assert cost.commits == 4
    assert cost.record_bytes > 1_000


async def test_fifty_of_many_that_wait_are_listed_from_an_index(cluster: Cluster, bench: str) -> None:
    await prepare(cluster.home, bench)
    many_orders(bench, 2)
    async with open_product(cluster.home, bench, "exit", 4) as product:
        await product.pause("1")
        case = product.cases["1"]
    copy_case(bench, case, 1, 3_000)
    assert listing_ms(bench) > 0
    plans = listing_plans(bench)
    assert all("waiting_in_order" in json.dumps(plan) for plan in plans)
    assert len(plans) == LISTINGS


@given(
    st.lists(st.floats(0.1, 100), min_size=3, max_size=20),
    st.floats(0.1, 10),
)
def test_a_ratio_to_oneself_is_one_and_scales(values: list[float], times: float) -> None:
    same = ratio(values, values, more_is_better=True)
    assert (same.median, same.low, same.high, same.won) == (1, 1, 1, 0)
    scaled = ratio([value * times for value in values], values, more_is_better=True)
    assert scaled.median == pytest.approx(times)
    assert scaled.low <= scaled.median <= scaled.high


def test_the_plot_has_a_bar_for_each() -> None:
    one = ratio([2.0, 2.2, 2.1], [1.0, 1.0, 1.0], more_is_better=True)
    drawn = plot({"title": {"A": one, "exit": one}})
    assert drawn.count("<rect") == 3
    assert "2.10" in drawn
