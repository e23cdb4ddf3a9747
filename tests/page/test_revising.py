"""A person asks for something different: it is a proposal of its own, within bounds, and somebody else's to raise."""

import json
from typing import Any

import pytest
from desk_kit import DeskStage

TWO_ITEMS = json.dumps(
    [
        {
            "line_id": "1",
            "quantity": 1,
            "sku": "SKU-1",
            "name": "Tablet",
            "category": "tablet",
            "unit_price_minor": 5_000,
        },
        {
            "line_id": "2",
            "quantity": 1,
            "sku": "SKU-9",
            "name": "Phone",
            "category": "phone",
            "unit_price_minor": 2_900,
        },
    ]
)


async def two_items(desk: DeskStage) -> None:
    await desk.stage.sql("update books.orders set lines = %s::jsonb where order_id = 'D300'", TWO_ITEMS)


async def test_the_reply_without_the_refund_is_a_proposal_of_its_own(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        assert (await visitor.decide(case.case_id, "no_refund")).headers[
            "hx-redirect"
        ] == f"/cases/{case.case_id}"
        await desk.stage.run(case)
        text = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "Approve sends this reply and returns no money." in text
        assert "<del>$79.00</del> <ins>no refund</ins>" in text
        await visitor.decide(case.case_id, "approve")
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "replied"
    assert desk.stage.refunds() == 0


async def test_an_edit_is_a_new_proposal_with_its_own_digest_and_a_diff(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        before = await desk.newest(case.case_id)
        reply = before["said"]["draft"].replace("79.00", "50.00") + "\n\nWith our regrets."
        answer = await visitor.decide(
            case.case_id, "edit", amount="50.00", **{"units:1": "1"}, reply=reply, note="worn"
        )
        assert answer.status_code == 200, answer.text
        await desk.stage.run(case)
        after = await desk.newest(case.case_id)
        assert after["digest"] != before["digest"]
        assert (after["amount_minor"], after["edited_by"], after["edited_upward"]) == (
            5_000,
            "demo-reviewer",
            False,
        )
        assert after["said"]["draft"] == reply
        text = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "<del>$79.00</del> <ins>$50.00</ins>" in text and "<ins>With our regrets.</ins>" in text
        await visitor.decide(case.case_id, "approve")
    await desk.stage.finish()
    [refund] = desk.stage.house.provider.all_refunds()
    assert refund.amount.amount_minor == 5_000


async def test_above_the_original_somebody_else_decides(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        await visitor.decide(
            case.case_id,
            "edit",
            amount="20.00",
            **{"units:1": "1"},
            reply=(await desk.newest(case.case_id))["said"]["draft"].replace("79.00", "20.00"),
        )
        await desk.stage.run(case)
        await visitor.decide(
            case.case_id,
            "edit",
            amount="60.00",
            **{"units:1": "1"},
            reply=(await desk.newest(case.case_id))["said"]["draft"].replace("20.00", "60.00"),
        )
        await desk.stage.run(case)
        assert (await desk.newest(case.case_id))["edited_upward"] is True
        assert "nobody approves an amount they raised" in (await visitor.get(f"/cases/{case.case_id}")).text
        mine = await visitor.decide(case.case_id, "approve")
        assert (mine.status_code, "raised" in mine.text) == (403, True)
        assert (await other.decide(case.case_id, "approve")).status_code == 200
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"


async def test_other_items_are_judged_by_the_same_rules(desk: DeskStage) -> None:
    await two_items(desk)
    case, _ = await desk.stage.paused(items=["SKU-1"])
    assert (await desk.newest(case.case_id))["amount_minor"] == 5_000
    async with desk.visit() as visitor:
        draft = (await desk.newest(case.case_id))["said"]["draft"]
        await visitor.decide(
            case.case_id,
            "edit",
            amount="79.00",
            **{"units:1": "1", "units:2": "1"},
            reply=draft.replace("50.00", "79.00"),
        )
        await desk.stage.run(case)
        after = await desk.newest(case.case_id)
        assert (
            after["amount_minor"],
            [one["line_id"] for one in after["said"]["lines"]],
            after["edited_upward"],
        ) == (
            7_900,
            ["1", "2"],
            True,
        )
        assert (await visitor.decide(case.case_id, "approve")).status_code == 403


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"amount": "79.01"}, "more than the 7900"),
        ({"amount": "-1"}, "not an amount"),
        ({"amount": "1e3"}, "not an amount"),
        ({"amount": "12.345"}, "not an amount"),
        ({"units:404": "1"}, "not in the order"),
        ({"units:1": "2"}, "as often as the order has it"),
        ({"units:1": "many"}, "as a whole number"),
        ({"reply": "We return 500.00 USD to you."}, "500.00 USD, which is no amount"),
        ({"reply": "x" * 6_001}, "from 1 to 6000"),
        ({"reply": "a bell \x07 rings"}, "control character"),
        ({}, "nothing is different"),
    ],
)  # fmt: skip
async def test_an_edit_stays_within_its_bounds(desk: DeskStage, fields: dict[str, Any], why: str) -> None:
    case, _ = await desk.stage.paused()
    draft = (await desk.newest(case.case_id))["said"]["draft"]
    async with desk.visit() as visitor:
        answer = await visitor.decide(
            case.case_id, "edit", **{"amount": "79.00", "units:1": "1", "reply": draft, **fields}
        )
    assert answer.status_code == 422
    assert why in answer.text
    assert await desk.stage.count("votes") == 0
