"""An order that is imported again: what waits on it is proposed anew, and what does not fit any more is a person's."""

from dataclasses import replace
from typing import Any

import pytest
from stage import Stage

from desk.decisions import Conflict, DecisionRequest
from records.books import Books
from records.orders import follow_orders, order_facts
from refunds.ids import LineId, PaymentId, TenantId
from refunds.money import Currency, Money
from refunds.order import Dispute, MadeRefund, Returned, Units
from refunds.vocabulary import DisputeStatus

DEMO, USD = TenantId("demo"), Currency("USD")
PAYMENT = PaymentId("pay_D300")


async def told(stage: Stage, **change: Any) -> dict[int, str]:
    """The shop's export of order D300 again, with these facts; why it was not taken, where it was not."""
    async with Books.open(stage.url, size=1) as owner, owner.transaction(DEMO) as tx:
        order = await order_facts(tx, "D300")
        assert order is not None
        elsewhere = tuple(refund for refund in order.refunds if not refund.here)
        done = await follow_orders(tx, {1: replace(order, **({"refunds": elsewhere} | change))})
    return done.refused


async def refund_of(stage: Stage, amount: int, refund_id: str = "re_shop", *lines: str) -> MadeRefund:
    units = tuple(Units(LineId(line), 1) for line in lines)
    now = (await stage.sql("select books.clock() as now"))[0]["now"]
    return MadeRefund(now, Money(amount, USD), units, 0, refund_id, PAYMENT)


async def dispute(stage: Stage, status: DisputeStatus) -> tuple[Dispute, ...]:
    now = (await stage.sql("select books.clock() as now"))[0]["now"]
    return (Dispute("dp_1", PAYMENT, Money(7_900, USD), status, now),)


async def test_what_waits_on_facts_that_changed_is_proposed_again(stage: Stage) -> None:
    case, before = await stage.paused()
    assert await told(stage, refunds=(await refund_of(stage, 1_900),)) == {}
    with pytest.raises(Conflict):
        await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    after = await stage.house.state(case)
    old, new = before["proposal"], after["proposal"]
    assert isinstance(old, dict) and isinstance(new, dict)
    assert (old["amount_minor"], new["amount_minor"]) == (7_900, 6_000)
    assert old["digest"] != new["digest"]
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert [one.amount.amount_minor for one in stage.house.provider.all_refunds()] == [6_000]


async def test_a_line_that_was_refunded_elsewhere_is_denied_with_when_and_how_much(stage: Stage) -> None:
    made = await refund_of(stage, 7_900, "re_shop", "1")
    await told(stage, refunds=(made,))
    _, state = await stage.paused()
    assert made.at is not None
    assert f"already: $79.00 on {made.at:%B} {made.at.day}, {made.at.year}" in str(state["draft"])


async def test_an_approved_refund_that_does_not_fit_any_more_is_a_persons(stage: Stage) -> None:
    case = await stage.approved()
    await told(stage, refunds=(await refund_of(stage, 1_900),))
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("refund_failed", "blocked:over_refund")
    assert stage.refunds() == 0


async def test_one_that_was_ordered_and_not_sent_is_a_persons_too(stage: Stage) -> None:
    case = await stage.ordered()
    await told(stage, refunds=(await refund_of(stage, 1_900),))
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refund_failed"
    assert stage.refunds() == 0


async def test_an_open_dispute_is_a_persons_before_anything_else(stage: Stage) -> None:
    await told(stage, disputes=await dispute(stage, "open"))
    _, state = await stage.paused()
    assert (state["reason"], state["proposal"]["kind"]) == ("payment_disputed", "handoff")  # type: ignore[index]


async def test_nothing_is_approved_or_sent_while_a_dispute_is_open(stage: Stage) -> None:
    waiting, _ = await stage.paused()
    ordered = await stage.ordered(ticket_id="t-ordered")
    await told(stage, disputes=await dispute(stage, "open"))
    with pytest.raises(Conflict):
        await stage.say(waiting, DecisionRequest("approve"))
    await stage.finish()
    state = await stage.house.state(ordered)
    assert (state["status"], state["reason"]) == (
        "refund_pending",
        "a dispute of this payment is open at the bank",
    )
    assert stage.refunds() == 0


async def test_what_a_bank_took_is_not_there_to_be_given_back(stage: Stage) -> None:
    await told(stage, disputes=await dispute(stage, "lost"))
    _, state = await stage.paused()
    assert "all of the $79.00 that was paid has been returned" in str(state["draft"])


async def test_our_own_refund_that_the_shop_tells_back_is_counted_once(stage: Stage) -> None:
    await stage.forced("update books.payments set amount_minor = 15800 where payment_id = 'pay_D300'")
    await stage.forced(
        "update books.orders set lines = jsonb_set(lines, '{0,quantity}', '2') where order_id = 'D300'"
    )
    await stage.ordered(items=["SKU-1"])
    await stage.finish()
    [ours] = stage.house.provider.all_refunds()
    await told(stage, refunds=(await refund_of(stage, 7_900, ours.refund_id, "1"),))
    _, state = await stage.paused(ticket_id="t-2", items=["SKU-1"])
    assert state["proposal"]["amount_minor"] == 7_900  # type: ignore[index]


@pytest.mark.parametrize("what", ["refunds", "returns", "amount"])
async def test_an_order_never_comes_again_with_less(stage: Stage, what: str) -> None:
    now = (await stage.sql("select books.clock() as now"))[0]["now"]
    returned = (Returned(Units(LineId("1"), 1), now),)
    assert await told(stage, refunds=(await refund_of(stage, 1_900),), returns=returned) == {}
    before = await stage.sql("select * from books.orders where order_id = 'D300'")
    async with Books.open(stage.url, size=1) as owner, owner.transaction(DEMO) as tx:
        order = await order_facts(tx, "D300")
    assert order is not None
    less: dict[str, Any] = {
        "refunds": {"refunds": ()},
        "returns": {"returns": ()},
        "amount": {"payments": (replace(order.payments[0], paid=Money(7_800, USD), refunded=Money(0, USD)),)},
    }
    assert await told(stage, **less[what]) != {}
    assert await stage.sql("select * from books.orders where order_id = 'D300'") == before
