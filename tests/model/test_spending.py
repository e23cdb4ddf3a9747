"""What models may cost: reserved before a call, settled after it, shared by every process, and never an error page."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_openai import FakeOpenAI, served
from hypothesis import given
from hypothesis import strategies as st
from model_kit import diligent, model_manifest, model_stage, profile, spend_limits
from running import until
from stage import QUESTION, Cluster, results

from graph.settings import BadProvider
from policies.spending import SpendLimit, SpendLimits, SpentSums, Sum, weigh


@pytest.fixture(name="fake")
def _fake() -> Iterator[FakeOpenAI]:
    with served(FakeOpenAI(diligent)) as fake:
        yield fake


PLENTY = SpendLimit(tokens=10_000_000, cost_micros=100_000_000)


@pytest.mark.parametrize(
    ("limits", "reason", "whose"),
    [
        (
            {"customer_day": SpendLimit(tokens=PLENTY.tokens, cost_micros=10)},
            "cost_budget_exhausted",
            "customer's day",
        ),
        (
            {"tenant_day": SpendLimit(tokens=500, cost_micros=PLENTY.cost_micros)},
            "token_budget_exhausted",
            "tenant's day",
        ),
        (
            {"tenant_month": SpendLimit(tokens=PLENTY.tokens, cost_micros=10)},
            "cost_budget_exhausted",
            "tenant's month",
        ),
    ],
)
async def test_a_spend_limit_that_is_reached_is_a_hand_over_with_its_reason(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI, limits: Any, reason: str, whose: str
) -> None:
    pinned = model_manifest(spending=spend_limits(**limits), budgets=profile())
    async with model_stage(cluster, url, tmp_path, fake, pinned) as stage:
        case, state = await stage.paused()
        assert state["reason"] == reason
        found = await stage.sql("select kind, detail from books.findings where case_id = %s", case.case_id)
        assert [row["kind"] for row in found if whose in row["detail"]] == ["budget"]
        assert fake.billed == 0


@pytest.mark.parametrize(
    ("limit", "reason"),
    [({"tokens": 1_500}, "token_budget_exhausted"), ({"cost_micros": 100}, "cost_budget_exhausted")],
)
async def test_a_run_that_would_pass_its_own_budget_stops_before_the_call(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI, limit: dict[str, int], reason: str
) -> None:
    pinned = model_manifest(spending=spend_limits(), budgets=profile(**limit))
    async with model_stage(cluster, url, tmp_path, fake, pinned) as stage:
        _, state = await stage.paused()
        assert state["reason"] == reason
        assert fake.billed == 0


async def test_what_was_found_by_then_goes_along_with_a_hand_over(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    async with model_stage(cluster, url, tmp_path, fake) as stage:
        fake.usage = {"prompt_tokens": 52_000, "completion_tokens": 10, "total_tokens": 52_010}
        _, state = await stage.paused(question=QUESTION, intent="policy_question")
        assert state["reason"] == "token_budget_exhausted"
        assert results(state)[:2] == ["grounded", "found"]
        proposal: Any = state["proposal"]
        assert proposal["kind"] == "handoff"
        assert state["citations"] == ["return-policy-us-v3"]


async def test_a_month_tells_of_its_half_and_its_four_fifths_once_and_warns_of_a_day(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.usage = {"prompt_tokens": 4_000, "completion_tokens": 0, "total_tokens": 4_000}  # 1,000 micros
    month = SpendLimit(tokens=PLENTY.tokens, cost_micros=30_000)
    pinned = model_manifest(
        spending=spend_limits(
            tenant_month=month, tenant_day=month.model_copy(update={"cost_micros": 20_000})
        ),
        budgets=profile(),
    )
    async with model_stage(cluster, url, tmp_path, fake, pinned) as stage:
        await stage.many_orders(6)
        cases = [await stage.submit(order_id=f"X{number}") for number in range(6)]
        reasons = [(await stage.run(case))["reason"] for case in cases]
        alerts = await stage.sql("select share from books.spend_alerts order by share")
        warned = await stage.sql("select kind from books.findings where kind = 'spend_warning'")
        assert [row["share"] for row in alerts] == [50]
        assert warned
        assert reasons[0] == "draft_ready_for_review"
        assert reasons[-1] == "cost_budget_exhausted"
        spent = await stage.sql(
            "select cost_micros from books.spend where period = 'day' and customer_id = ''"
        )
        assert spent[0]["cost_micros"] <= 20_000


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(1, 10**6),
)
def test_no_spend_limit_is_ever_passed(spent: int, wanted: int, limit: int, month: int) -> None:
    spend_limit = SpendLimit(tokens=10**9, cost_micros=limit)
    every = SpendLimits(
        customer_day=spend_limit,
        tenant_day=spend_limit,
        tenant_month=SpendLimit(tokens=10**9, cost_micros=month),
        warn_percent=80,
    )
    before = SpentSums(Sum(0, spent), Sum(0, spent), Sum(0, spent))
    weighed = weigh(every, before, Sum(0, wanted))
    assert (weighed.reason is None) == (spent + wanted <= min(limit, month))
    assert weighed.throttled == (100 * (spent + wanted) >= 80 * month)


RESERVING = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from policies.spending import SpendLimit, SpendLimits, Sum, weigh
from graph.model.asking import spent_of
from records.books import Books
from records.model_calls import Place, Receipt, Request, reserve, settle

LIMIT = SpendLimit(tokens=10**9, cost_micros=10_000)
SPEND_LIMITS = SpendLimits(customer_day=LIMIT, tenant_day=LIMIT, tenant_month=LIMIT, warn_percent=80)

async def main(url, case_id, go, run):
    request = Request("fake/small", "small", "1", "0" * 64, "0" * 64, 100, 300)
    async with Books.open(url, size=10) as books:
        print("ready", flush=True)
        while not Path(go).exists():
            await asyncio.sleep(0.01)
        # Eight at once in each process: all of them look at the same last bit of the day.
        print(sum(await asyncio.gather(*(slot(books, request, case_id, run, step) for step in range(1, 9)))))


async def slot(books, request, case_id, run, step):
    place = Place(UUID(case_id), "C100", "r", run, step, "plan")
    made = 0
    for _ in range(12):
        async with books.transaction("demo") as page:
            _, attempt = await reserve(
                page, place, request,
                lambda load, sums: weigh(SPEND_LIMITS, spent_of(sums, "C100"), Sum(100, 300)),
                lambda weighed: weighed.reason is None,
            )
        if attempt is not None:
            made += 1
            async with books.transaction("demo") as page:
                await settle(page, place, attempt, Receipt("answered", "", 70, 300, 60, 10, True, "p", 1))
    return made


asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
"""


async def test_two_processes_share_one_day_and_never_pass_it(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    async with model_stage(cluster, url, tmp_path, fake) as stage:
        case = await stage.submit()
        graph_url = stage.house.home.role_url("graph", stage.url)
        at_work = [
            subprocess.Popen(  # noqa: ASYNC220  (two processes at once are the point)
                [
                    sys.executable,
                    "-c",
                    RESERVING,
                    graph_url,
                    str(case.case_id),
                    str(tmp_path / "go"),
                    str(run),
                ],
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            for run in (1, 2)
        ]
        for one in at_work:
            assert one.stdout is not None
            assert await asyncio.to_thread(one.stdout.readline) == b"ready\n"
        (tmp_path / "go").touch()
        made = [int((await asyncio.to_thread(one.communicate))[0]) for one in at_work]
        assert all(one.returncode == 0 for one in at_work)
        sums = await stage.sql("select * from books.spend where period = 'day' and customer_id = ''")
        calls = await stage.sql(
            "select phase, sum(cost_micros) as cost from books.model_calls group by phase"
        )
        cost = {row["phase"]: row["cost"] for row in calls}
        assert sums[0]["cost_micros"] == cost["settled"] == 300 * sum(made)
        assert sums[0]["calls"] == sum(made)
        # As near to the limit as one reservation, and never past it.
        assert 10_000 - 300 < cost["settled"] <= 10_000
        assert all(made)


async def test_a_crash_before_the_proposal_replays_every_answer_and_pays_for_none_again(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    async with model_stage(cluster, url, tmp_path, fake) as stage:
        case, before = await stage.paused()
        billed = fake.billed
        spent = await stage.sql("select sum(cost_micros) as cost from books.spend")
        # As if the process had died before it wrote what it had: only the calls stand in the books.
        for table in ("proposals", "trace_events", "findings", "waiting"):
            await stage.forced(f"delete from books.{table} where case_id = %s", case.case_id)
        await stage.forced("delete from books.case_events where case_id = %s and seq > 1", case.case_id)
        await stage.forced("delete from checkpoints.checkpoints where thread_id = %s", str(case.thread_id))
        after = await stage.run(case)
        assert after["reason"] == "draft_ready_for_review"
        assert after["draft"] == before["draft"]
        assert fake.billed == billed
        assert await stage.sql("select sum(cost_micros) as cost from books.spend") == spent


async def test_an_endpoint_takes_no_more_at_a_time_than_it_may(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.slow_seconds = 0.15
    async with model_stage(cluster, url, tmp_path, fake, concurrency=1) as stage:
        await stage.many_orders(3)
        cases = [await stage.submit(order_id=f"X{number}") for number in range(3)]
        states = await asyncio.gather(*(stage.run(case) for case in cases))
        assert {state["reason"] for state in states} == {"draft_ready_for_review"}
        assert fake.most_in_flight == 1


async def test_an_endpoint_that_fails_is_given_a_rest_by_every_case(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.behaviours = {"plan": ["500"], "draft": ["500"]}
    async with model_stage(cluster, url, tmp_path, fake, attempts=1) as stage:
        await stage.many_orders(3)
        for number in range(3):
            state = await stage.run(await stage.submit(order_id=f"X{number}"))
            assert state["reason"] == "draft_ready_for_review"
        # The planner's own failures opened its breaker; nobody asked that model after the fifth.
        small = [body for body in fake.asked if body["model"] == "small"]
        assert len(small) == 5
        fake.behaviours = {}
        await stage.forced("update books.model_calls set at = at - interval '40 seconds'")
        state = await stage.run(await stage.submit(order_id="X3"))
        assert len([body for body in fake.asked if body["model"] == "small"]) > 5


async def test_the_next_model_writes_where_the_first_cannot_and_the_page_says_so(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.behaviours = {"draft:large": ["500"]}
    async with model_stage(cluster, url, tmp_path, fake, attempts=1) as stage:
        case, state = await stage.paused()
        assert "thank you for writing" in str(state["draft"])
        found = await stage.sql("select kind, detail from books.findings where case_id = %s", case.case_id)
        assert {"fallback_model", "model_failed"} <= {row["kind"] for row in found}


async def test_a_price_that_nobody_knows_and_a_key_that_is_missing_refuse_to_start(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    with pytest.raises(BadProvider, match="nobody knows what large costs"):
        async with model_stage(cluster, url, tmp_path, fake, prices={"small": {"input": 1, "output": 1}}):
            pass
    with pytest.raises(BadProvider, match="OPENAI_API_KEY is not set"):
        async with model_stage(cluster, url, tmp_path, fake, key=""):
            pass


async def test_an_operators_cap_counts_for_a_model_too(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    async with model_stage(cluster, url, tmp_path, fake) as stage:
        await stage.forced(
            "insert into books.flags (tenant, name, value, reason, set_by) values ('demo', 'step_cap', '2', 'x', 'demo-operator')"
        )
        _, state = await stage.paused()
        assert state["reason"] == "step_budget_exhausted"


async def test_a_call_that_is_stopped_in_the_middle_is_settled_at_what_it_can_have_cost(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.behaviours = {"plan": ["hang"]}
    async with model_stage(cluster, url, tmp_path, fake) as stage:
        case = await stage.submit()
        at_work = asyncio.create_task(stage.run(case))
        await asyncio.to_thread(until, lambda: fake.asked, "asked")
        at_work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await at_work
        fake.released.set()
        rows = await stage.sql("select phase, outcome, tokens from books.model_calls order by phase")
        assert [(row["phase"], row["outcome"]) for row in rows] == [
            ("reserved", None),
            ("settled", "timed_out"),
        ]
        assert rows[0]["tokens"] == rows[1]["tokens"]
        fake.behaviours = {}
        state = await stage.run(case)
        assert state["reason"] == "draft_ready_for_review"


async def test_what_another_model_answered_before_a_crash_is_what_counts_after_it(
    cluster: Cluster, url: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.behaviours = {"draft:large": ["500"]}
    async with model_stage(cluster, url, tmp_path, fake, attempts=1) as stage:
        case, before = await stage.paused()
        fake.behaviours = {}
        billed = fake.billed
        for table in ("proposals", "trace_events", "findings", "waiting"):
            await stage.forced(f"delete from books.{table} where case_id = %s", case.case_id)
        await stage.forced("delete from books.case_events where case_id = %s and seq > 1", case.case_id)
        await stage.forced("delete from checkpoints.checkpoints where thread_id = %s", str(case.thread_id))
        assert (await stage.run(case))["draft"] == before["draft"]
        assert fake.billed == billed
