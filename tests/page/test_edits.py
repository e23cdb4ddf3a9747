"""What a person asks to be different is what is proposed next, word for word and cent for cent, or a person's matter."""

import json
from typing import Any

import pytest
from desk_kit import DeskStage
from stage import Stage

from desk.decisions import DecisionRequest
from refunds.ids import LineId
from refunds.order import Units

TWO_ITEMS = json.dumps(
    [
        {
            "line_id": "1",
            "sku": "SKU-1",
            "name": "Tablet",
            "category": "tablet",
            "unit_price_minor": 5_000,
            "quantity": 1,
        },
        {
            "line_id": "2",
            "sku": "SKU-9",
            "name": "Phone",
            "category": "phone",
            "unit_price_minor": 2_900,
            "quantity": 1,
        },
    ]
)

FIRST, SECOND = Units(LineId("1"), 1), Units(LineId("2"), 1)


async def two_items(stage: Stage) -> None:
    await stage.sql("update books.orders set lines = %s::jsonb where order_id = 'D300'", TWO_ITEMS)


async def newest(stage: Stage, case_id: object) -> dict[str, Any]:
    rows = await stage.sql(
        "select kind::text, reason, amount_minor, edited_by, edited_upward, body::jsonb as said from books.proposals"
        " where case_id = %s order by proposed_at desc limit 1", case_id,
    )  # fmt: skip
    return rows[0]


async def revised(stage: Stage, case: Any, who: str = "demo-reviewer", **requested: Any) -> dict[str, Any]:
    """The proposal that comes of a revision."""
    await stage.say(case, DecisionRequest("revise", **requested), who)
    await stage.run(case)
    return await newest(stage, case.case_id)


async def test_words_alone_change_no_money_and_make_nobody_its_author(stage: Stage) -> None:
    case, _ = await stage.paused()
    draft = (await newest(stage, case.case_id))["said"]["draft"]
    after = await revised(stage, case, revised_reply=draft + "\n\nSorry.")
    assert (after["amount_minor"], after["edited_by"], after["said"]["draft"]) == (
        7_900,
        None,
        draft + "\n\nSorry.",
    )
    again = await revised(stage, case, note="more politely")
    assert (again["amount_minor"], again["kind"]) == (7_900, "refund")


async def test_words_about_money_do_not_stand_beside_none(stage: Stage) -> None:
    """The order falls out of its window while its letter is edited: nobody is promised what is not paid."""
    case, _ = await stage.paused()
    draft = (await newest(stage, case.case_id))["said"]["draft"]
    await stage.sql(
        "update books.orders set delivered_at = delivered_at - interval '60 days', ordered_at = ordered_at - interval '60 days' where order_id = 'D300'"
    )
    after = await revised(stage, case, revised_reply=draft + "\n\nSorry.")
    assert after["kind"] == "handoff" or "79.00" not in after["said"]["draft"]


async def test_the_reply_without_the_refund_may_be_worded_too(stage: Stage) -> None:
    case, _ = await stage.paused()
    bare = await revised(stage, case, revised_amount_minor=0)
    worded = await revised(stage, case, "demo-reviewer-2", revised_reply=bare["said"]["draft"] + "\n\nSorry.")
    assert (worded["kind"], worded["amount_minor"], worded["said"]["draft"][-6:]) == ("reply", 0, "Sorry.")


async def test_items_go_down_and_up_again_with_the_amount_that_is_named(stage: Stage) -> None:
    await two_items(stage)
    case, _ = await stage.paused()
    one = await revised(stage, case, revised_units=(FIRST,), revised_amount_minor=5_000)
    assert (one["amount_minor"], one["said"]["lines"], one["edited_by"]) == (
        5_000,
        [FIRST.to_json()],
        "demo-reviewer",
    )
    back = await revised(stage, case, note="check the clause again")
    assert (back["amount_minor"], back["said"]["lines"]) == (5_000, [FIRST.to_json()])
    both = await revised(stage, case, revised_units=(SECOND, FIRST), revised_amount_minor=7_900)
    assert (both["amount_minor"], both["said"]["lines"], both["edited_upward"]) == (
        7_900,
        [SECOND.to_json(), FIRST.to_json()],
        True,
    )


@pytest.mark.parametrize(
    ("requested", "why"),
    [
        ({"revised_units": (FIRST,)}, "say what is paid back"),
        ({"revised_units": (FIRST,), "revised_amount_minor": 5_001}, r"more than the 50\.00 USD"),
        ({"revised_amount_minor": 4_000, "revised_reply": "We return 79.00 USD."}, "still says 79.00"),
        ({"revised_amount_minor": 4_000, "revised_reply": "We return 29.00 USD."}, "does not say the 40.00"),
        ({"revised_reply": "We return 50.00 USD."}, "does not say the 79.00"),
        ({"revised_amount_minor": 0, "revised_reply": "We return 79.00 USD."}, "still says 79.00"),
    ],
)
async def test_a_letter_and_its_money_say_the_same(stage: Stage, requested: dict[str, Any], why: str) -> None:
    await two_items(stage)
    case, _ = await stage.paused(
        question="Everything in it arrived cracked. I want a refund for the whole order."
    )
    with pytest.raises(Exception, match=why):
        await stage.say(case, DecisionRequest("revise", **requested))


async def test_after_an_answer_words_of_before_hold_no_money_back(stage: Stage) -> None:
    """Somebody worded a reply without money; then the customer says what was missing."""
    from uuid import uuid4

    from desk.messages import add_message
    from refunds.ids import TenantId

    moved = "update books.orders set delivered_at = delivered_at {} interval '60 days', ordered_at = ordered_at {} interval '60 days' where order_id = 'D300'"
    await stage.sql(moved.format("-", "-"))
    case, state = await stage.paused()
    proposal = state["proposal"]
    assert isinstance(proposal, dict)
    assert proposal["kind"] == "reply"
    worded = await revised(stage, case, revised_reply="Hello,\n\nwhat is wrong with it?\n\nYour support team")
    assert worded["edited_by"] is None
    await stage.sql(moved.format("+", "+"))  # the shop's books had the wrong day
    await stage.say(case, DecisionRequest("revise", note="What is wrong with it?", asks="customer"))
    person = await stage.person("demo-helpdesk")
    await add_message(
        stage.house.desk_books,
        person,
        TenantId("demo"),
        case.case_id,
        uuid4(),
        "customer",
        "It arrived cracked.",
    )
    await stage.run(case)
    assert (await newest(stage, case.case_id))["amount_minor"] == 7_900


async def test_a_lapsed_approval_is_proposed_again_in_the_same_words_for_the_same_money(
    desk: DeskStage,
) -> None:
    stage = desk.stage
    case, _ = await stage.paused()
    draft = (await newest(stage, case.case_id))["said"]["draft"]
    reply = draft.replace("79.00", "60.00") + "\n\nSorry."
    await revised(stage, case, revised_amount_minor=6_000, revised_reply=reply)
    await stage.say(case, DecisionRequest("approve"), "demo-reviewer-2")
    await stage.move_clock(hours=24 * 5)
    await stage.finish()
    again = await newest(stage, case.case_id)
    assert (again["reason"], again["amount_minor"], again["said"]["draft"]) == (
        "approval_lapsed",
        6_000,
        reply,
    )
