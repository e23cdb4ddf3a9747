"""A clause that wants the goods back first: one signature, the letter with the way back, and the money when they are here."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from desk_kit import DeskStage
from stage import Stage

from desk.arrivals import note_arrival
from desk.decisions import Conflict, DecisionRequest
from desk.flags import set_kill_switch
from desk.notes import BadDecision
from desk.takeovers import TakeoverRequest, take_case_over
from graph.snapshot import read_snapshot
from records.books import Books
from records.cases import Case
from records.money import order_refund
from records.orders import follow_orders, order_facts
from refunds.ids import LineId, TenantId
from refunds.order import Returned, Units
from refunds.refund import approved
from refunds.vocabulary import ReturnCondition, TakeoverAct

DEMO = TenantId("demo")
HOW = "Please use the label in our next message."


async def policy(stage: Stage, **stated: object) -> None:
    """The shop's return policy for the US says this of the way back."""
    stated = {"goods_first": True, "how_to_return": HOW} | stated
    await stage.forced(
        "update books.policy_documents d set rules = (select jsonb_agg(rule || %s::jsonb) from jsonb_array_elements(d.rules) rule"
        " where rule->>'rule' in ('damaged-electronics', 'change-of-mind')) where document_id = 'return-policy-us' and version = 3",
        json.dumps(stated),
    )


async def arrives(stage: Stage, case: Case, condition: ReturnCondition = "as_sold", line: str = "1") -> bool:
    person = await stage.person("demo-helpdesk")
    units = [Units(LineId(line), 1)]
    return await note_arrival(stage.house.desk_books, person, DEMO, case.case_id, uuid4(), units, condition)


async def events(stage: Stage, case: Case) -> list[tuple[str, str]]:
    rows = await stage.sql(
        "select status, reason from books.case_events where case_id = %s order by seq", case.case_id
    )
    return [(row["status"], row["reason"]) for row in rows]


async def test_the_letter_goes_out_first_the_goods_come_and_then_the_money_goes_back(desk: DeskStage) -> None:
    stage = desk.stage
    await policy(stage)
    case, state = await stage.paused()
    proposal: Any = state["proposal"]
    assert (proposal["kind"], proposal["amount_minor"], proposal["goods_first"]) == ("refund", 7_900, True)
    draft = str(state["draft"])
    assert (
        "$79.00 goes back to your original payment method once this is back with us as you received it: 1 × Tablet."
        in draft
    )
    assert HOW in draft
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert (
            "once, when the goods have come back as they were sold." in page
            and "Note the arrival" not in page
        )
        await visitor.decide(case.case_id, "approve")
        await stage.finish()
        assert (await stage.house.state(case))["status"] == "refund_pending"
        assert (await events(stage, case))[-1] == ("refund_pending", "awaiting_return")
        assert (await stage.count("disbursements"), stage.refunds()) == (0, 0)
        await desk.answer_customer(case.case_id)
        await desk.answer_customer(case.case_id)
        [letter] = desk.sent()
        assert "Please use the label" in letter and "We returned" not in letter
        assert await stage.house.driver.sweep() == 0, "it waits, and nobody asks again"
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "Note the arrival" in page
        queue = (await visitor.get("/")).text
        assert "1 case is approved and waits for goods to come back" in queue and "Nothing waits" in queue
        came: dict[str, Any] = {"units:1": "1", "condition": "as_sold", "arrival_id": str(uuid4())}
        answer = await visitor.post(f"/cases/{case.case_id}/return", **came)
        assert answer.status_code in {200, 303}, answer.text
    await stage.finish()
    async with desk.visit() as visitor:
        assert "waiting for goods" not in (await visitor.get("/")).text
    state = await stage.house.state(case)
    assert (state["status"], stage.refunds()) == ("refunded", 1)
    await desk.answer_customer(case.case_id)
    last = next(text for text in desk.sent() if "We returned" in text)
    assert "What you sent back has arrived." in last and "once this is back" not in last
    assert await stage.count("votes") == 1, "countersigned once for both"


async def test_the_shops_own_books_tell_of_the_return_too_and_the_same_goods_count_once(stage: Stage) -> None:
    await policy(stage)
    case = await stage.approved()
    await stage.finish()
    async with Books.open(stage.url, size=1) as owner, owner.transaction(DEMO) as tx:
        order = await order_facts(tx, "D300")
        assert order is not None
        came = Returned(Units(LineId("1"), 1), datetime.now(UTC))
        assert (await follow_orders(tx, {1: replace(order, returns=(came,))})).moved == 1
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    with pytest.raises(Conflict, match="still waits for"):
        await arrives(stage, case)  # a person notes what the shop told already
    await stage.finish()
    assert stage.refunds() == 1


async def test_without_the_goods_nothing_is_ordered_by_anybody(stage: Stage) -> None:
    await policy(stage)
    case = await stage.approved()
    await stage.finish()
    current = (await read_snapshot(stage.house.driver.services.books, case)).current
    assert current is not None and current.decision is not None
    refund = approved(current.decision)
    assert await order_refund(stage.house.driver.services.books, refund, case.thread_id) == "awaiting_return"
    assert await stage.count("disbursements") == 0


async def test_goods_that_come_otherwise_than_agreed_are_decided_anew(stage: Stage) -> None:
    await policy(stage)
    case = await stage.approved()
    await stage.finish()
    assert await arrives(stage, case, "used")
    await stage.finish()
    state = await stage.house.state(case)
    proposal: Any = state["proposal"]
    assert (state["status"], state["reason"], proposal["kind"]) == (
        "needs_human",
        "returned_otherwise",
        "handoff",
    )
    assert stage.refunds() == 0
    reviewer = await stage.person("demo-reviewer")
    wanted = TakeoverRequest("propose", "We return 40.00 USD: it came back used.", 4_000)
    await take_case_over(stage.house.desk, reviewer, DEMO, case.case_id, wanted)
    await stage.finish()
    await stage.say(case, DecisionRequest("approve"), "demo-specialist")
    await stage.finish()
    assert [one.amount.amount_minor for one in stage.house.provider.all_refunds()] == [4_000]


async def test_goods_that_are_here_before_anybody_decides_are_paid_at_once(stage: Stage) -> None:
    await policy(stage)
    case, _ = await stage.paused()
    await arrives(stage, case)
    with pytest.raises(Conflict):
        await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    state = await stage.house.state(case)
    proposal: Any = state["proposal"]
    assert (proposal["kind"], proposal["goods_first"]) == ("refund", False)
    assert "once this is back" not in str(state["draft"])
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert stage.refunds() == 1


async def test_an_approval_waits_for_weeks_and_not_for_ever(stage: Stage) -> None:
    await policy(stage)
    case = await stage.approved()
    await stage.finish()
    await stage.move_clock(days=30)
    await stage.finish()
    assert (await events(stage, case))[-1] == ("refund_pending", "awaiting_return")
    await stage.move_clock(days=30)
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], stage.refunds()) == ("needs_human", 0)


async def test_an_item_is_kept_below_an_amount_and_nothing_is_deducted(stage: Stage) -> None:
    await policy(stage, keep_below={"USD": 8_000}, return_label={"USD": 690}, restocking_percent=10)
    case, state = await stage.paused()
    proposal: Any = state["proposal"]
    assert (proposal["amount_minor"], proposal["goods_first"]) == (7_900, False)
    assert "You need not send anything back." in str(state["draft"])
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert stage.refunds() == 1


async def test_of_two_units_the_second_waits_for_the_second(stage: Stage) -> None:
    await policy(stage)
    await stage.forced(
        "update books.orders set lines = jsonb_set(lines, '{0,quantity}', '2') where order_id = 'D300'"
    )
    await stage.forced("update books.payments set amount_minor = 15800 where order_id = 'D300'")
    first = await stage.approved(items=["SKU-1"])
    await stage.finish()
    assert await arrives(stage, first)
    await stage.finish()
    assert stage.refunds() == 1
    second = await stage.approved(items=["SKU-1"])
    await stage.finish()
    assert stage.refunds() == 1, "the one that came was the first"
    assert await arrives(stage, second)
    with pytest.raises(Conflict):
        await arrives(stage, second)
    await stage.finish()
    assert stage.refunds() == 2


async def test_twenty_who_note_it_at_once_pay_once_and_note_one(stage: Stage) -> None:
    await policy(stage)
    case = await stage.approved()
    await stage.finish()
    noted = await asyncio.gather(*(arrives(stage, case) for _ in range(20)), return_exceptions=True)
    assert [one for one in noted if one is True] == [True], noted
    assert all(isinstance(one, Conflict) for one in noted if one is not True)
    await stage.finish()
    assert stage.refunds() == 1


async def test_who_is_a_stranger_to_the_order_notes_nothing(desk: DeskStage) -> None:
    stage = desk.stage
    await policy(stage)
    case = await stage.approved()
    with pytest.raises(BadDecision):
        person = await stage.person("demo-helpdesk")
        await note_arrival(
            stage.house.desk_books, person, DEMO, case.case_id, uuid4(), [Units(LineId("9"), 1)], "as_sold"
        )
    body = {"lines": [{"line_id": "1", "quantity": 1}], "condition": "as_sold", "arrival_id": str(uuid4())}
    path = f"/api/cases/{case.case_id}/returns"
    assert (await desk.ask("POST", path, body, "demo-auditor")).status_code == 403
    assert (await desk.ask("POST", path, body, "demo-helpdesk")).status_code == 201
    assert (await desk.ask("POST", path, body, "demo-helpdesk")).status_code == 200, "the same again"
    assert (await desk.ask("POST", path, body | {"condition": "eaten"}, "demo-helpdesk")).status_code == 422
    unsaid = {name: value for name, value in body.items() if name != "condition"}
    assert (await desk.ask("POST", path, unsaid, "demo-helpdesk")).status_code == 422, "nobody looked at them"
    assert await stage.count("arrivals") == 1


async def test_what_was_approved_under_the_kill_switch_is_told_when_it_is_lifted(desk: DeskStage) -> None:
    stage = desk.stage
    books, operator = stage.house.desk_books, await stage.person("demo-operator")
    await policy(stage)
    case = await stage.approved()
    await set_kill_switch(books, operator, on=True, reason="x", tenant="*")
    await stage.finish()
    assert (await events(stage, case))[-1] == ("refund_pending", "blocked:kill_switch")
    await set_kill_switch(books, operator, on=False, reason="x", tenant="*")
    await stage.finish()
    assert (await events(stage, case))[-1] == ("refund_pending", "awaiting_return")
    await desk.answer_customer(case.case_id)
    assert len(desk.sent()) == 1
    await set_kill_switch(books, operator, on=True, reason="x", tenant="*")
    assert await arrives(stage, case)
    await stage.finish()
    assert ((await events(stage, case))[-1], stage.refunds()) == (
        ("refund_pending", "blocked:kill_switch"),
        0,
    )
    assert await stage.house.driver.sweep() == 0
    await set_kill_switch(books, operator, on=False, reason="x", tenant="*")
    await stage.finish()
    assert stage.refunds() == 1


async def test_the_goods_of_another_refund_release_nothing(stage: Stage) -> None:
    await policy(stage, goods_first=False)
    await stage.forced(
        "update books.orders set lines = jsonb_set(lines, '{0,quantity}', '2') where order_id = 'D300'"
    )
    await stage.forced("update books.payments set amount_minor = 15800 where order_id = 'D300'")
    first = await stage.approved(items=["SKU-1"])
    await stage.finish()
    assert stage.refunds() == 1, "paid at once, and its goods come back later"
    await policy(stage)
    second = await stage.approved(items=["SKU-1"])
    await stage.finish()
    assert await arrives(stage, first)
    await stage.finish()
    assert stage.refunds() == 1, "what came back is of the first"
    assert await arrives(stage, second)
    await stage.finish()
    assert stage.refunds() == 2


async def test_what_does_not_fit_any_more_waits_for_nothing(stage: Stage) -> None:
    await policy(stage)
    first, second = await stage.approved(), await stage.approved()
    await stage.finish()
    assert await arrives(stage, first)
    await stage.finish()
    assert stage.refunds() == 1
    state = await stage.house.state(second)
    assert (state["status"], state["reason"]) == ("refund_failed", "blocked:over_refund")


@pytest.mark.parametrize("act", ["close", "propose"])
async def test_who_waits_for_goods_that_do_not_come_is_taken_over(stage: Stage, act: TakeoverAct) -> None:
    await policy(stage)
    case = await stage.approved()
    await stage.finish()
    reviewer = await stage.person("demo-reviewer")
    wanted = (
        TakeoverRequest("close", note="The parcel is lost.")
        if act == "close"
        else TakeoverRequest("propose", "We return 20.00 USD: you keep it.", 2_000)
    )
    await take_case_over(stage.house.desk, reviewer, DEMO, case.case_id, wanted)
    await stage.finish()
    if act == "propose":
        proposal: Any = (await stage.house.state(case))["proposal"]
        assert (proposal["amount_minor"], proposal["reason"]) == (2_000, "proposed_by_person")
        await stage.say(case, DecisionRequest("approve"), "demo-specialist")
        await stage.finish()
    assert [one.amount.amount_minor for one in stage.house.provider.all_refunds()] == (
        [] if act == "close" else [2_000]
    )
    if act == "close":
        assert await arrives(stage, case)
        await stage.finish()
        assert ((await stage.house.state(case))["status"], stage.refunds()) == ("closed_by_human", 0)


async def test_each_approval_tells_its_own_way_back(desk: DeskStage) -> None:
    stage = desk.stage
    await policy(stage)
    case = await stage.approved()
    await stage.finish()
    await desk.answer_customer(case.case_id)
    await policy(stage, how_to_return="To our new address.")
    await stage.move_clock(days=60)
    await stage.finish()
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    await desk.answer_customer(case.case_id)
    assert [HOW in text for text in desk.sent()].count(True) == 1
    assert ["To our new address." in text for text in desk.sent()].count(True) == 1


async def test_a_reply_of_a_persons_own_keeps_the_condition(stage: Stage) -> None:
    await policy(stage)
    case, _ = await stage.paused()
    with pytest.raises(BadDecision, match="once this is back"):
        await stage.say(case, DecisionRequest("revise", revised_reply="We return 79.00 USD to you."))


async def test_what_has_no_effect_outside_waits_for_nothing(stage: Stage) -> None:
    await policy(stage)
    case, _ = await stage.paused()
    await stage.forced("update books.cases set mode = 'dry_run' where case_id = %s", case.case_id)
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert (await events(stage, case))[-1] == ("approved", "dry_run")
