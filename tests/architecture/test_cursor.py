"""The cursor: as few commits as it needs, and nothing lost but what is done again."""

from typing import Any

import pytest
from conftest import Stages
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from stage import requested, results

from desk.decisions import DecisionRequest
from evals.exam.world import Scripted
from graph.cursor import CursorSaver
from graph.drive import Durability

READ = requested("get_policy_evidence", question="What is the return policy for my cracked tablet?")
ORDER = requested("lookup_order", order_id="D300")
DRAFT = requested("draft_reply")
DONE = requested("request_human_approval", reason="draft_ready_for_review")

NOBODY: Any = None

STORIES: list[tuple[Any, ...]] = [
    (READ, ORDER, DRAFT, DONE),
    (READ, DONE),
    (READ, READ, READ),
    (DRAFT,),
    (requested("issue_refund", amount=1),),
    (requested("request_human_approval", reason="planner_requested_handoff"),),
    (None,),
    (READ, ORDER, requested("lookup_order", order_id="D301"), DRAFT, DONE),
]


@pytest.mark.parametrize("story", STORIES, ids=range(len(STORIES)))
async def test_a_walk_and_a_subgraph_end_alike(stages: Stages, story: tuple[Any, ...]) -> None:
    """`exit` walks the autonomous part, `sync` runs it as the subgraph that it is: the same nodes, the same end."""
    ends = []
    for durability in ("exit", "sync"):
        async with stages(planner=Scripted(*story), durability=durability) as stage:
            state = await stage.run(await stage.submit())
            saved: Any = (
                await stage.house.driver.graph.aget_state(
                    {"configurable": {"thread_id": str(state["case_id"])}}
                )
            ).values
            shown = {
                name: saved.get(name) for name in ("status", "reason", "draft", "citations", "budget_audit")
            }
            ends.append((state["status"], state["reason"], results(state), state["draft"], shown))
    assert ends[0] == ends[1]
    assert ends[0][0] == ends[0][4]["status"]


@given(st.integers(0, 10**5), st.integers(1, 50))
def test_versions_grow_as_text_and_after_those_of_the_saver_itself(start: int, steps: int) -> None:
    current: str | None = None if start == 0 else f"{start:032}.0123456789"
    for _ in range(steps):
        following = CursorSaver.get_next_version(NOBODY, current, None)
        assert current is None or following > current
        current = following


@pytest.mark.parametrize("durability", ["exit", "sync"])
async def test_a_thread_that_waits_has_its_checkpoint_and_its_pause(
    stages: Stages, durability: Durability
) -> None:
    async with stages(durability=durability) as stage:
        case = await stage.submit()
        await stage.run(case)
        config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
        snapshot = await stage.house.driver.graph.aget_state(config)
        assert snapshot.next == ("approval",)
        assert len(snapshot.interrupts) == 1
        orphans = await stage.sql(
            "select count(*) as n from checkpoints.checkpoint_writes w where not exists (select from"
            " checkpoints.checkpoints c where c.thread_id = w.thread_id and c.checkpoint_id = w.checkpoint_id)"
        )
        assert orphans[0]["n"] == 0


async def test_a_thread_of_the_savers_own_form_is_taken_on(stages: Stages) -> None:
    """Paused under LangGraph's own saver, as an older release left it; resumed under the cursor."""
    async with stages() as stage:
        driver = stage.house.driver
        cursor = driver.graph.checkpointer
        assert isinstance(cursor, CursorSaver)
        case = await stage.submit()
        driver.graph.checkpointer = AsyncPostgresSaver(cursor.pool, serde=cursor.serde)
        config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
        await driver.graph.ainvoke({"ticket": case.ticket.to_json()}, config, durability="sync")
        driver.graph.checkpointer = cursor
        await stage.say(case, DecisionRequest("approve"))
        state = await stage.house.go_on(case)
        assert state["status"] == "refunded"
