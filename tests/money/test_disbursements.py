"""Disbursements where something goes wrong: each is paid once, or waits, or is a person's, and holds up no other."""

from dataclasses import replace
from typing import Any

import pytest
from stage import Stage

from app.house import home_trusted_keys
from cashier.executor import Executor
from cashier.processor import ProviderRefund
from cashier.simulated_provider import SimulatedProvider
from desk.decisions import Conflict, DecisionRequest
from refunds.ids import PaymentId, TenantId


@pytest.mark.parametrize("when", ["both approved before", "approved after"])
async def test_one_item_is_refunded_once_whatever_was_drafted_before(stage: Stage, when: str) -> None:
    await stage.order_of_two()
    first, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    second, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    await stage.say(first, DecisionRequest("approve"))
    if when == "approved after":
        await stage.finish()
        with pytest.raises(Conflict, match="ordered since"):
            await stage.say(second, DecisionRequest("approve"))
    else:
        await stage.say(second, DecisionRequest("approve"))
    await stage.finish()
    assert stage.refunds() == 1


async def test_a_lost_record_of_a_send_is_found_at_the_provider(stage: Stage) -> None:
    """A failover that lost its tail: the disbursement is there, its send and settlement are not."""
    await stage.order_of_two()
    case, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    await stage.forced("delete from books.settlements")
    await stage.forced("delete from books.sends")
    await stage.move_clock(hours=25)
    stage.house.provider.move_clock(25 * 3600)
    await stage.finish()
    assert stage.refunds() == 1
    assert (await stage.sql("select outcome from books.settlements"))[0]["outcome"] == "succeeded"


async def test_no_order_of_money_waits_behind_others_for_ever(stage: Stage) -> None:
    await stage.many_orders(5)
    for number in range(4):
        await stage.ordered(order_id=f"X{number}")
    stage.house.provider.misbehave("pending", times=3)
    await replace(stage.house.executor, page_size=2).settle_all()
    assert stage.refunds() == 4
    for refund in stage.house.provider.all_refunds():
        stage.house.provider.settle(refund.refund_id, "succeeded")
    await replace(stage.house.executor, page_size=2).settle_all()
    for refund in stage.house.provider.all_refunds():
        stage.house.provider.settle(refund.refund_id, "failed")
    await replace(stage.house.executor, page_size=2).settle_all()
    rows = await stage.sql("select outcome from books.settlement_state")
    assert [row["outcome"] for row in rows] == ["failed"] * 4


class Poisoned(SimulatedProvider):
    """Raises for one payment."""

    async def refunds_of(self, tenant: TenantId, payment_id: PaymentId) -> Any:
        if payment_id == "pay_X0":
            raise ConnectionResetError
        return await super().refunds_of(tenant, payment_id)


async def test_one_bad_order_does_not_stop_the_cashier(stage: Stage) -> None:
    await stage.many_orders(2)
    for number in range(2):
        await stage.ordered(order_id=f"X{number}")
    provider = Poisoned(stage.house.provider.file, stage.house.provider._charges)
    keys = home_trusted_keys(stage.house.home, "desk")
    await Executor(stage.house.executor.books, provider, keys, retry_seconds=0).settle_all()
    assert [refund.payment_id for refund in provider.all_refunds()] == ["pay_X1"]


class Lagging(SimulatedProvider):
    """Its list does not show what it made."""

    async def refunds_of(self, tenant: TenantId, payment_id: PaymentId) -> list[ProviderRefund]:
        del tenant, payment_id
        return []


async def test_a_decline_after_an_unanswered_ask_is_for_a_person(stage: Stage) -> None:
    await stage.ordered()
    lagging = Lagging(stage.house.provider.file, stage.house.provider._charges)
    executor = replace(stage.house.executor, processor=lagging)
    stage.house.provider.misbehave("error_after_effect")
    for _ in range(3):
        await executor.settle_all()
        await stage.move_clock(minutes=6)
    await executor.settle_all()
    rows = await stage.sql("select outcome, detail from books.settlement_state")
    assert rows[0]["outcome"] == "needs_person"
    assert stage.refunds() == 1


async def test_nothing_is_asked_for_again_past_the_time_to_pay(stage: Stage) -> None:
    case = await stage.approved()
    await stage.move_clock(hours=72 + 23.9)
    await stage.run(case)
    stage.house.provider.misbehave("error_without_effect")
    await stage.house.executor.settle_all()
    await stage.move_clock(hours=1)
    await stage.house.executor.settle_all()
    await stage.house.executor.settle_all()
    assert stage.refunds() == 0
    assert (await stage.sql("select outcome from books.settlements"))[0]["outcome"] == "needs_person"


async def test_a_key_that_the_cashier_does_not_have_waits_and_ends_nothing(stage: Stage) -> None:
    case = await stage.ordered()
    rotated = home_trusted_keys(stage.house.home, "anchor")
    await replace(stage.house.executor, desk_keys=rotated).settle_all()
    assert await stage.count("settlements") == 0
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_what_a_person_was_asked_about_settles_when_the_provider_shows_it(stage: Stage) -> None:
    case = await stage.ordered()
    stage.house.provider.misbehave("drop_after")
    await stage.house.executor.settle_all()
    await stage.move_clock(hours=21)
    lagging = Lagging(stage.house.provider.file, stage.house.provider._charges)
    await replace(stage.house.executor, processor=lagging).settle_all()
    assert (await stage.sql("select outcome from books.settlement_state"))[0]["outcome"] == "needs_person"
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert stage.refunds() == 1


async def test_a_failed_refund_whose_send_was_lost_has_an_end(stage: Stage) -> None:
    await stage.ordered()
    stage.house.provider.misbehave("drop_after")
    await stage.house.executor.settle_all()
    await stage.forced("delete from books.sends")
    stage.house.provider.settle(stage.house.provider.all_refunds()[0].refund_id, "failed")
    await stage.finish()
    assert (await stage.sql("select outcome from books.settlement_state"))[0]["outcome"] == "failed"


async def test_an_order_under_an_unknown_key_lapses_instead_of_waiting_for_ever(stage: Stage) -> None:
    case = await stage.ordered()
    await stage.move_clock(hours=97)
    await replace(stage.house.executor, desk_keys=home_trusted_keys(stage.house.home, "anchor")).settle_all()
    await stage.run(case)
    assert (await stage.house.state(case))["reason"] == "approval_lapsed"
