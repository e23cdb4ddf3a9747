"""Equal items, unbalanced orders and money that went back before: paid once each, or a person's with the true reason."""

import json
from typing import Any

import pytest
from desk_kit import DeskStage
from stage import Stage

from desk.decisions import Conflict, DecisionRequest

CUP = {"sku": "CUP", "name": "Cup", "category": "kitchen", "unit_price_minor": 2_000, "quantity": 1}


async def order_of(
    stage: Stage, *items: dict[str, Any], paid: int, before: int = 0, currency: str = "USD"
) -> None:
    """Order CUPS of C100 of these items, `paid` by pay_CUPS, of which `before` went back before it came here."""
    await stage.sql(
        "insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines)"
        " select tenant, 'CUPS', customer_id, region, status, ordered_at, delivered_at, %s, %s::jsonb"
        " from books.orders where order_id = 'D300'",
        currency,
        json.dumps(
            [
                {"line_id": str(place), **item, "quantity": items.count(item)}
                for place, item in enumerate(items, start=1)
                if item not in items[: place - 1]
            ]
        ),
    )
    await stage.sql(
        "insert into books.payments values ('demo', 'pay_CUPS', 'CUPS', 'card', %s, %s, %s)",
        paid,
        currency,
        before,
    )


ASKED = {"order_id": "CUPS", "question": "I changed my mind and want a refund."}


async def test_two_equal_items_are_refunded_one_by_one_and_not_a_third_time(stage: Stage) -> None:
    await order_of(stage, CUP, CUP, paid=4_000)
    for _ in range(2):
        case, state = await stage.paused(**ASKED, items=["CUP"])
        assert state["proposal"]["amount_minor"] == 2_000  # type: ignore[index]
        await stage.say(case, DecisionRequest("approve"))
        await stage.finish()
        assert (await stage.house.state(case))["status"] == "refunded"
    _, state = await stage.paused(**ASKED, items=["CUP"])
    assert state["proposal"]["kind"] == "reply"  # type: ignore[index]
    assert "its refund has been made or ordered already" in str(state["draft"])
    assert [one.amount.amount_minor for one in stage.house.provider.all_refunds()] == [2_000, 2_000]


async def test_drafts_that_together_want_an_item_too_often_are_not_all_paid(stage: Stage) -> None:
    await order_of(stage, CUP, CUP, paid=4_000)
    drafted = [await stage.paused(**ASKED, items=["CUP"]) for _ in range(3)]
    for case, _ in drafted[:2]:
        await stage.say(case, DecisionRequest("approve"))
        await stage.finish()
    with pytest.raises(Conflict, match="ordered since"):
        await stage.say(drafted[2][0], DecisionRequest("approve"))
    assert stage.refunds() == 2


async def test_postgres_counts_the_items_at_the_order_too(stage: Stage) -> None:
    """Approved before either was ordered: the last order is refused where the order has too few."""
    await order_of(stage, CUP, CUP, paid=6_000)
    quantity = (
        "update books.orders set lines = jsonb_set(lines, '{{0,quantity}}', '{}') where order_id = 'CUPS'"
    )
    await stage.forced(quantity.format(4))
    await stage.forced("update books.payments set amount_minor = 8000 where payment_id = 'pay_CUPS'")
    cases = [(await stage.paused(**ASKED, items=["CUP"]))[0] for _ in range(3)]
    await stage.forced(quantity.format(2))
    for case in cases:
        await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert stage.refunds() == 2


@pytest.mark.parametrize(
    ("items", "paid", "said"),
    [
        pytest.param([CUP], 2_605, "$6.05 more was paid than the order comes to", id="shipping"),
        pytest.param([CUP, CUP, CUP], 5_400, "$6.00 less was paid than the order comes to", id="discount"),
        pytest.param([CUP], 1_999, "$0.01 less was paid than the order comes to", id="a cent"),
    ],
)
async def test_what_does_not_add_up_is_a_persons_who_sees_by_how_much(
    desk: DeskStage, items: list[dict[str, Any]], paid: int, said: str
) -> None:
    await order_of(desk.stage, *items, paid=paid)
    case, state = await desk.stage.paused(**ASKED)
    assert (state["status"], state["reason"]) == ("needs_human", "order_unbalanced")
    assert state["proposal"]["kind"] == "handoff"  # type: ignore[index]
    async with desk.visit() as visitor:
        assert said in (await visitor.get(f"/cases/{case.case_id}")).text


async def test_of_a_whole_order_goes_back_what_is_left_and_of_a_part_no_more_than_that(stage: Stage) -> None:
    await order_of(stage, CUP, {**CUP, "sku": "MUG"}, paid=4_000, before=1_500)
    _, state = await stage.paused(**ASKED)
    assert state["proposal"]["amount_minor"] == 2_500  # type: ignore[index]
    await stage.forced("update books.payments set refunded_before_minor = 2500 where payment_id = 'pay_CUPS'")
    _, state = await stage.paused(**ASKED, items=["CUP"])
    assert state["reason"] == "more_than_left"
    await stage.forced("update books.payments set refunded_before_minor = 4000 where payment_id = 'pay_CUPS'")
    _, state = await stage.paused(**ASKED)
    assert "all of the $40.00 that was paid has been returned" in str(state["draft"])


async def test_two_payments_are_the_reason_where_no_clause_says_their_order(stage: Stage) -> None:
    await order_of(stage, CUP, paid=1_000)
    await stage.sql(
        "insert into books.payments values ('demo', 'pay_GIFT', 'CUPS', 'gift_card', 1000, 'USD', 0, 'gift_card')"
    )
    await stage.sql(
        "update books.orders set ordered_at = '2026-08-31', delivered_at = books.clock() where order_id = 'CUPS'"
    )
    _, state = await stage.paused(**ASKED)
    assert state["reason"] == "several_payments"


async def test_one_of_two_equal_boxes_is_unticked(desk: DeskStage) -> None:
    await order_of(desk.stage, CUP, CUP, paid=4_000)
    case, state = await desk.stage.paused(**ASKED)
    assert state["proposal"]["amount_minor"] == 4_000  # type: ignore[index]
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert page.count('max="2" value="2"') == 1
        reply = str(state["draft"]).replace("40.00", "20.00")
        said = await visitor.decide(case.case_id, "edit", amount="20.00", reply=reply, **{"units:1": "1"})
        assert said.status_code == 200, said.text
    await desk.stage.run(case)
    state = await desk.stage.house.state(case)
    proposal: Any = state["proposal"]
    assert (proposal["amount_minor"], proposal["lines"]) == (
        2_000,
        [{"line_id": "1", "quantity": 1}],
    )
    async with desk.visit("demo-specialist") as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert page.count('max="2" value="1"') == 1
    await desk.stage.say(case, DecisionRequest("approve"), "demo-specialist")
    await desk.stage.finish()
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert page.count("2 × Cup") == 1
        assert page.count('<td class="num">1</td><td class="num"></td></tr>') == 1


async def test_an_edit_pays_no_more_than_its_items_cost(desk: DeskStage) -> None:
    await order_of(desk.stage, CUP, CUP, paid=4_000)
    case, _ = await desk.stage.paused(**ASKED)
    said = await desk.decide(
        case.case_id, word="revise", lines=[{"line_id": "1", "quantity": 1}], amount_minor=4_000
    )
    assert (said.status_code, "20.00 USD that these units cost" in said.text) == (422, True), said.text
    said = await desk.decide(
        case.case_id, word="revise", lines=[{"line_id": "1", "quantity": 3}], amount_minor=4_000
    )
    assert (said.status_code, "as often as the order has it" in said.text) == (422, True), said.text
