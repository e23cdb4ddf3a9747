"""A model plans and writes, and gains nothing by it: what it costs stands in the books, what it says is checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_openai import FakeOpenAI, served
from model_kit import diligent, model_stage
from stage import Cluster, results


@pytest.fixture(name="fake")
def _fake() -> Iterator[FakeOpenAI]:
    with served(FakeOpenAI(diligent)) as fake:
        yield fake


async def test_a_model_takes_a_ticket_to_the_pause_and_every_token_is_booked(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    async with model_stage(cluster, url, tmp_path, fake) as stage:
        case, state = await stage.paused()
        proposal: Any = state["proposal"]
        assert proposal["kind"] == "refund"
        assert proposal["amount_minor"] == 7_900
        assert results(state) == ["grounded", "found", "cited_draft", "draft_ready_for_review"]
        assert "thank you for writing" in str(state["draft"])
        rows = await stage.sql(
            "select phase, feature, tokens, outcome from books.model_calls order by at, phase"
        )
        assert [row["feature"] for row in rows if row["phase"] == "settled"] == [
            "plan",
            "plan",
            "draft",
            "plan",
        ]
        assert sum(row["tokens"] for row in rows if row["phase"] == "settled") == 4 * 150
        trace: Any = state["trace"]
        assert sum(row["tokens"] for row in trace) == 4 * 150
        spent = await stage.sql(
            "select period, customer_id, calls, tokens, cost_micros from books.spend order by 1, 2"
        )
        assert [(row["calls"], row["tokens"]) for row in spent] == [(4, 600)] * 3
        assert len({row["cost_micros"] for row in spent}) == 1
        assert fake.billed == 4
        assert str(case.case_id) not in str(fake.asked)
