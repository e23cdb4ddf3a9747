"""Votes and amounts: what people said holds, through lapses, splits and people who leave; what is left is in the queue."""

from dataclasses import replace
from typing import Any

import pytest
from conftest import Stages
from langgraph.checkpoint.base import BaseCheckpointSaver
from stage import Stage, requested

from desk.decisions import DecisionRequest
from desk.flags import set_kill_switch
from desk.notes import BadDecision
from desk.people import NoAuthority
from desk.queue import cases_waiting, find_case
from evals.exam.world import Scripted
from graph.refund_graph import refund_graph
from records.cases import Case, idle_cases
from refunds.ids import TenantId

CAMERA = {
    "order_id": "D303",
    "customer_id": "C103",
    "question": "My camera arrived broken. I want a refund, please.",
}


async def queued(stage: Stage) -> list[tuple[str, str]]:
    rows = await cases_waiting(
        stage.house.desk_books, await stage.person("demo-reviewer"), every=False, most=50
    )
    return [(row["status"], row["reason"]) for row in rows]


async def test_what_only_a_person_can_solve_is_in_the_queue(stage: Stage) -> None:
    await stage.ordered()
    stage.house.provider.misbehave("drop_before")
    await stage.house.executor.settle_all()
    await stage.move_clock(hours=21)
    await stage.house.executor.settle_all()
    assert await queued(stage) == [
        (
            "refund_pending",
            "it was sent over 20 hours ago and is not at the provider: a second ask might pay twice",
        )
    ]


async def test_a_late_failure_and_a_blocked_case_are_in_the_queue(stages: Stages) -> None:
    async with stages(planner=Scripted(requested("issue_refund"))) as stage:
        await stage.run(await stage.submit())
        assert await queued(stage) == [("blocked", "forbidden_action")]
    async with stages() as stage:
        await stage.ordered()
        await stage.finish()
        stage.house.provider.settle(stage.house.provider.all_refunds()[0].refund_id, "failed")
        await stage.finish()
        assert ("refund_failed", "failed") in await queued(stage)


async def amount_of(stage: Stage, case: Case) -> int:
    proposal: Any = (await stage.house.state(case))["proposal"]
    return int(proposal["amount_minor"])


async def test_a_persons_cut_survives_a_lapse_and_a_kinder_word(stage: Stage) -> None:
    case, _ = await stage.paused()
    await stage.say(case, DecisionRequest("revise", revised_amount_minor=1_000))
    await stage.run(case)
    await stage.say(case, DecisionRequest("approve"))
    await stage.move_clock(hours=97)
    await stage.run(case)
    assert await amount_of(stage, case) == 1_000
    await stage.say(case, DecisionRequest("revise", note="kinder words"), "demo-reviewer-2")
    await stage.run(case)
    assert await amount_of(stage, case) == 1_000


async def test_a_vote_of_somebody_who_has_left_does_not_count(stage: Stage) -> None:
    case, _ = await stage.paused(**CAMERA)
    await stage.say(case, DecisionRequest("approve"), "demo-specialist")
    await stage.sql("update books.people set active = false where person = 'demo-specialist'")
    said = await stage.say(case, DecisionRequest("approve"))
    assert said.decision is None
    await stage.finish()
    assert stage.refunds() == 0


async def test_an_approver_who_has_left_before_the_order_pays_nothing(stage: Stage) -> None:
    case = await stage.approved()
    await stage.sql("delete from books.memberships where person = 'demo-reviewer'")
    await stage.finish()
    assert (await stage.house.state(case))["reason"] == "blocked:not_approved"
    assert stage.refunds() == 0


async def test_a_case_is_sent_back_twelve_times_at_most_and_can_still_be_ended(stage: Stage) -> None:
    case, _ = await stage.paused()
    for _ in range(11):
        await stage.say(case, DecisionRequest("revise", note="again"))
        await stage.run(case)
    with pytest.raises(BadDecision, match="too_many_proposals"):
        await stage.say(case, DecisionRequest("revise", note="again"))
    await stage.say(case, DecisionRequest("reject", "other"))
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "rejected"


async def test_a_split_amount_needs_the_authority_of_the_whole(stage: Stage) -> None:
    await stage.order_of_two(49_900)
    first, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    await stage.say(first, DecisionRequest("approve"))
    await stage.finish()
    second, _ = await stage.paused(order_id="TWO", items=["SKU-9"])
    with pytest.raises(NoAuthority, match="specialist"):
        await stage.say(second, DecisionRequest("approve"))
    await stage.say(second, DecisionRequest("approve"), "demo-specialist")


async def test_two_halves_that_were_approved_before_either_was_ordered_need_it_too(stage: Stage) -> None:
    await stage.order_of_two(49_900)
    cases = [(await stage.paused(order_id="TWO", items=[item]))[0] for item in ("SKU-1", "SKU-9")]
    for case in cases:
        await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert stage.refunds() == 1


async def test_a_ticket_id_that_looks_like_a_case_id_is_found(stage: Stage) -> None:
    name = "12345678-1234-5678-1234-567812345678"
    case = await stage.submit(ticket_id=name)
    found = await find_case(stage.house.desk_books, await stage.person("demo-reviewer"), name)
    assert found.case_id == case.case_id


async def test_an_approval_carries_no_amount(stage: Stage) -> None:
    case, _ = await stage.paused()
    with pytest.raises(BadDecision, match="amount"):
        await stage.say(case, DecisionRequest("approve", revised_amount_minor=100))


async def test_a_revision_of_what_was_refunded_meanwhile_is_handed_over(stage: Stage) -> None:
    await stage.order_of_two()
    case, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    other, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    await stage.say(other, DecisionRequest("approve"))
    await stage.finish()
    await stage.say(case, DecisionRequest("revise", revised_amount_minor=1_000))
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("needs_human", "draft_failed_checks")
    assert stage.refunds() == 1


@pytest.mark.parametrize("amount", [0, 5_000])
async def test_a_revision_after_the_window_closed_reaches_a_person(stage: Stage, amount: int) -> None:
    await stage.sql(
        "update books.orders set delivered_at = books.clock() - interval '29 days' where order_id = 'D300'"
    )
    case, _ = await stage.paused()
    await stage.move_clock(hours=48)
    await stage.say(case, DecisionRequest("revise", revised_amount_minor=amount))
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "needs_human"


async def test_a_case_that_was_switched_off_and_is_stale_now_says_so_once(stage: Stage) -> None:
    operator = await stage.person("demo-operator")
    await set_kill_switch(stage.house.desk_books, operator, on=True, reason="drill", tenant="demo")
    case = await stage.submit()
    await stage.run(case)
    await set_kill_switch(stage.house.desk_books, operator, on=False, reason="over", tenant="demo")
    newer = stage.house.manifest.model_copy(update={"intake_bundle": "intake_bundle_v3"})
    services = replace(stage.house.driver.services, manifest=newer)
    saver = stage.house.driver.graph.checkpointer
    assert isinstance(saver, BaseCheckpointSaver)
    driver = replace(stage.house.driver, services=services, graph=refund_graph(services, saver))
    assert [await driver.sweep() for _ in range(3)] == [1, 0, 0]
    assert (await stage.house.state(case))["reason"] == "stale_intake_bundle"


async def test_a_sweep_reaches_what_stands_behind_a_full_page(stage: Stage) -> None:
    for number in range(501):
        await stage.submit(ticket_id=f"still-{number}")
    async with stage.house.desk_books.transaction(TenantId("demo")) as tx:
        assert len([case_id async for case_id in idle_cases(tx)]) == 501


@pytest.mark.parametrize("note", ["a\x00b", "\ud800"])
async def test_a_note_that_the_books_cannot_hold_is_named(stage: Stage, note: str) -> None:
    case, _ = await stage.paused()
    with pytest.raises(BadDecision, match="reason"):
        await stage.say(case, DecisionRequest("revise", note=note))
