"""Whoever waits sees what is done: the stage at once, and the words of the draft while they are written."""

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from desk_kit import desk_at
from fake_openai import FakeOpenAI, served
from model_kit import diligent, model_stage
from stage import Cluster, Stage

from graph.watching import SAID


@pytest.fixture(name="fake")
def _fake() -> Iterator[FakeOpenAI]:
    with served(FakeOpenAI(diligent)) as fake:
        yield fake


async def test_a_stream_of_the_run_says_each_stage_and_the_words_as_they_come(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.slow_seconds = 1.2
    async with model_stage(cluster, url, tmp_path, fake) as stage:
        case = await stage.submit()
        config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
        graph: Any = stage.house.driver.graph
        told: list[dict[str, str]] = []
        first: float | None = None
        started = time.monotonic()
        given = {"ticket": case.ticket.to_json()}
        async for said in graph.astream(given, config, stream_mode="custom", durability="exit"):
            first = first or time.monotonic() - started
            told.append(said)
        stages = [one["stage"] for one in told]
        assert stages[0] == "planning"
        assert [name for name in ("reading policy", "reading order", "drafting") if name not in stages] == []
        coming = [one["words"] for one in told if "words" in one]
        assert len(coming) >= 2
        assert all(later.startswith(earlier) for earlier, later in pairwise(coming))
        # Before the model has answered anything at all.
        assert first is not None
        assert first < fake.slow_seconds


async def test_the_page_shows_the_stage_and_the_words_and_nothing_when_it_is_over(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.slow_seconds = 1.0
    async with model_stage(cluster, url, tmp_path, fake) as stage:
        desk = desk_at(stage, tmp_path)
        case = await stage.submit()
        at_work = asyncio.create_task(stage.run(case))
        seen: set[str] = set()
        words = False
        async with desk.visit("demo-reviewer") as visitor:
            while not at_work.done():
                shown = (await visitor.get(f"/cases/{case.case_id}/status")).text
                seen |= {name for name in SAID if f'data-stage="{name}"' in shown}
                words = words or "the draft as it is written" in shown
                await asyncio.sleep(0.05)
            await at_work
            after = (await visitor.get(f"/cases/{case.case_id}/status")).text
        assert {"planning", "drafting"} <= seen
        assert words
        assert "data-stage" not in after


async def test_a_house_without_a_model_writes_no_progress(stage: Stage) -> None:
    await stage.paused()
    assert await stage.count("progress") == 0
