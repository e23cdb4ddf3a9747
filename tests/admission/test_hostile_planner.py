"""A planner or an order that says anything at all: the case ends in a state of the contract, never in an error."""

from typing import Any

import pytest
from conftest import Stages
from stage import Stage, requested

from evals.exam.world import Scripted
from graph.planner import PlannerView


class Raising:
    async def next_action(self, view: PlannerView) -> object:
        del view
        raise RuntimeError("boom")


ODD = [
    requested("issue\x00refund"),
    requested("issue\ud800"),
    requested("lookup_order", order_id=10**5000),
    requested("lookup_order", order_id=10**30),
    requested("lookup_order", **{"\ud800": 1}),
    requested("lookup_order", order_id=float("nan")),
    requested("lookup_order", order_id={"a": [[[[[[[[1]]]]]]]]}),
    {1: 2, "action": "draft_reply", "arguments": {}},
    requested("request_human_approval", reason="bell \x07"),
    requested("get_policy_evidence", question="\x00\ud800"),
]


@pytest.mark.parametrize("durability", ["exit", "sync"])
@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
async def test_whatever_a_planner_says_ends_in_a_state_of_the_contract(
    stages: Stages, odd: object, durability: Any
) -> None:
    async with stages(planner=Scripted(odd), durability=durability) as stage:
        state = await stage.run(await stage.submit())
        assert state["status"] in {"blocked", "needs_human"}
        assert state["trace"]
        await stage.finish()


async def test_a_planner_that_fails_is_a_hand_over(stages: Stages) -> None:
    async with stages(planner=Raising()) as stage:
        state = await stage.run(await stage.submit())
        assert (state["status"], state["reason"]) == ("needs_human", "model_unavailable")


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        (
            '[{"sku": "SKU-1", "name": "Tab\\tlet", "category": "tablet", "line_id": "1", "quantity": 1, "unit_price_minor": 7900}]',
            "draft_failed_checks",
        ),
        (
            '[{"sku": "SKU-1", "name": "Tablet", "category": "tablet", "line_id": "1", "quantity": 1, "unit_price_minor": -1}]',
            "tool_unavailable",
        ),
        ('[{"sku": "SKU-1"}]', "tool_unavailable"),
    ],
)
async def test_an_order_that_cannot_be_read_is_a_hand_over(stage: Stage, items: str, reason: str) -> None:
    await stage.sql("update books.orders set lines = %s::jsonb where order_id = 'D300'", items)
    state = await stage.run(await stage.submit())
    assert (state["status"], state["reason"]) == ("needs_human", reason)
