"""Figures: the last count is shown at once, a new one is made behind it, and its time stands beside it; charts are of rows."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from desk_kit import DeskStage

from desk.charts import HEIGHT, WIDTH, drawn
from desk.figures import KEPT, Figures


async def test_a_count_is_kept_and_counted_again_behind_the_page() -> None:
    counts = 0

    async def count() -> int:
        nonlocal counts
        counts += 1
        await asyncio.sleep(0)
        return counts

    figures = Figures(seconds=3_600)
    first, at = await figures.of("a", count)
    assert (first, (await figures.of("a", count))[0]) == (1, 1)
    figures.seconds = 0.000_001
    stale, when = await figures.of("a", count)
    assert (stale, when) == (1, at), "the old one at once"
    await asyncio.gather(*figures.counting.values())
    figures.seconds = 3_600
    assert (await figures.of("a", count))[0] == 2
    assert (await figures.of("b", count))[0] == 3, "another key is another figure"


async def test_many_who_ask_at_once_make_one_count() -> None:
    counts = 0
    gate = asyncio.Event()

    async def count() -> int:
        nonlocal counts
        counts += 1
        await gate.wait()
        return counts

    figures = Figures()
    asked = [asyncio.create_task(figures.of("a", count)) for _ in range(20)]
    await asyncio.sleep(0)
    gate.set()
    assert {(await one)[0] for one in asked} == {1}
    assert counts == 1


async def test_a_count_that_fails_is_no_figure_and_the_next_one_counts_anew() -> None:
    async def fails() -> int:
        raise ValueError("no")

    async def works() -> int:
        return 7

    figures = Figures()
    with pytest.raises(ValueError, match="no"):
        await figures.of("a", fails)
    assert (await figures.of("a", works))[0] == 7
    for number in range(KEPT + 20):
        await figures.of(number, works)
    assert len(figures.kept) <= KEPT


def test_a_chart_is_of_its_rows() -> None:
    start = datetime(2026, 11, 30, tzinfo=UTC)
    rows = [
        {
            "hour": start + timedelta(hours=hour), "came_in": came_in, "decided": decided, "approved": decided,
            "waited": 60.0 * hour if decided else None, "provider_seconds": None, "cost_micros": 0,
        }
        for hour, came_in, decided in ((0, 4, 0), (1, 8, 2), (2, 2, 1))
    ]  # fmt: skip
    cases, waited, approved = drawn(rows)
    assert [line.last for line in cases.lines] == ["2", "1"]
    assert cases.lines[0].dots == ((0.0, HEIGHT / 2), (WIDTH / 2, 0.0), (float(WIDTH), HEIGHT * 0.75))
    assert len(waited.lines[0].dots) == 2, "an hour without a decision has no point"
    assert (approved.top, approved.lines[0].last) == ("100 %", "100 %")
    assert drawn([]) == []


async def test_the_operations_page_draws_what_happened(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-operator") as operator:
        before = (await operator.get("/ops")).text
        await visitor.decide(case.case_id, "approve")
        await desk.stage.finish()
        page = (await operator.get("/ops")).text
        assert before.count("<svg") < page.count("<svg")
        for title in (
            "Cases",
            "Waited for a decision, median",
            "Approved, of what was decided",
            "The provider's time",
        ):
            assert f"<b>{title}" in page.replace("&#39;", "'"), title
        assert "Charts and sums as counted at" in page
        runbook = (await operator.get("/runbook")).text
        for anchor in (
            "dead-jobs",
            "a-part-of-the-house-is-not-ready",
            "tool-or-model-spend-triples-in-an-hour",
        ):
            assert f'id="{anchor}"' in runbook, anchor
