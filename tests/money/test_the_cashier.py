"""The cashier: one disbursement, one refund at the provider, whatever the provider does."""

import asyncio
from datetime import timedelta

import pytest
from stage import Stage

from app.house import home_trusted_keys
from cashier.executor import Executor
from cashier.processor import (
    Answer,
    Broken,
    Declined,
    InFlight,
    KeyMismatch,
    Made,
    ProviderRefund,
    RefundRequest,
)
from cashier.simulated_provider import Fault, SimulatedProvider
from desk.decisions import DecisionRequest
from refunds.ids import DisbursementId, PaymentId, TenantId
from refunds.money import Currency, Money

USD = Currency("USD")


async def settled(stage: Stage, rounds: int = 12) -> str:
    """Let the cashier pass until it has an end, moving the clock on between; the last outcome."""
    for _ in range(rounds):
        await stage.house.executor.settle_all()
        rows = await stage.sql("select outcome from books.settlement_state")
        if rows and rows[0]["outcome"] != "pending":
            break
        await stage.move_clock(minutes=6)
    rows = await stage.sql("select outcome from books.settlement_state")
    return str(rows[0]["outcome"]) if rows else "none"


@pytest.mark.parametrize(
    "fault",
    [
        "drop_before",
        "drop_after",
        "error_after_effect",
        "rate_limited",
        "slow",
        "list_unavailable",
        "list_behind",
    ],
)
@pytest.mark.parametrize("times", [1, 3])
async def test_a_fault_of_the_provider_ends_in_one_refund(stage: Stage, fault: Fault, times: int) -> None:
    case = await stage.ordered()
    stage.house.provider.misbehave(fault, times=times, seconds=0.05)
    assert await settled(stage) == "succeeded"
    assert stage.refunds() == 1
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_a_saved_500_that_did_nothing_is_a_persons_and_its_key_stays(stage: Stage) -> None:
    case = await stage.ordered()
    stage.house.provider.misbehave("error_without_effect")
    assert await settled(stage) == "needs_person"
    assert [row["epoch"] for row in await stage.sql("select epoch from books.sends")] == [1]
    await stage.run(case)
    assert (await stage.house.state(case))["status"] == "refund_pending"
    assert stage.refunds() == 0


async def test_what_is_a_persons_matter_is_written_once_however_often_it_is_looked_at(stage: Stage) -> None:
    await stage.ordered()
    stage.house.provider.misbehave("error_without_effect")
    assert await settled(stage) == "needs_person"
    for _ in range(3):
        await stage.house.executor.settle_all()
    assert await stage.count("settlements") == 1
    assert (await stage.count("stalled_orders"), stage.house.executor.failures) == (0, {})


async def test_an_old_unknown_send_that_is_at_the_provider_is_found_and_not_repeated(stage: Stage) -> None:
    await stage.ordered()
    stage.house.provider.misbehave("drop_after")
    await stage.house.executor.settle_all()
    assert await stage.count("settlements") == 0
    await stage.move_clock(hours=25)
    stage.house.provider.move_clock(25 * 3600)
    await stage.house.executor.settle_all()
    assert stage.refunds() == 1
    assert (await stage.sql("select outcome from books.settlements"))[0]["outcome"] == "succeeded"


async def test_an_old_unknown_send_that_is_nowhere_goes_to_a_person(stage: Stage) -> None:
    await stage.ordered()
    stage.house.provider.misbehave("drop_before")
    await stage.house.executor.settle_all()
    await stage.move_clock(hours=21)
    await stage.house.executor.settle_all()
    assert (await stage.sql("select outcome from books.settlements"))[0]["outcome"] == "needs_person"
    assert stage.refunds() == 0


async def test_pending_is_not_paid_and_becomes_what_the_provider_says(stage: Stage) -> None:
    case = await stage.ordered()
    stage.house.provider.misbehave("pending")
    await stage.house.executor.settle_all()
    state = await stage.run(case)
    assert state["status"] == "refund_pending"
    stage.house.provider.settle(stage.house.provider.all_refunds()[0].refund_id, "succeeded")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_a_refund_that_fails_later_reopens_the_case(stage: Stage) -> None:
    case = await stage.ordered()
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    stage.house.provider.settle(stage.house.provider.all_refunds()[0].refund_id, "failed")
    await stage.house.executor.settle_all()
    assert (await stage.house.state(case))["status"] == "refund_failed"
    async with stage.house.desk_books.transaction(TenantId("demo")) as tx:
        left = await tx.row("left_of_payment", payment_id="pay_D300")
    assert left is not None
    assert left["amount_left"] == 7_900


async def test_a_refund_in_the_providers_dashboard_counts(stage: Stage) -> None:
    case = await stage.ordered()
    stage.house.provider.refund_outside(TenantId("demo"), PaymentId("pay_D300"), Money(1, USD))
    await stage.finish()
    state = await stage.house.state(case)
    assert state["status"] == "refund_pending" and "what these books do not know" in str(state["reason"])
    assert stage.refunds() == 1


async def test_a_decline_is_an_end(stage: Stage) -> None:
    case = await stage.ordered()
    stage.house.provider.misbehave("declined")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refund_failed"
    assert stage.refunds() == 0


@pytest.mark.parametrize("where", ["before the order", "after the order"])
async def test_the_kill_switch_parks_and_its_lifting_pays(stage: Stage, where: str) -> None:
    case = await stage.approved()
    operator = await stage.person("demo-operator")
    if where == "after the order":
        await stage.run(case)
    from desk.flags import set_kill_switch

    await set_kill_switch(stage.house.desk_books, operator, on=True, reason="incident", tenant="demo")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refund_pending"
    assert (stage.refunds(), await stage.count("sends")) == (0, 0)
    await set_kill_switch(stage.house.desk_books, operator, on=False, reason="over", tenant="demo")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert stage.refunds() == 1


async def test_the_kill_switch_turns_new_cases_away_and_its_lifting_runs_them(stage: Stage) -> None:
    from desk.flags import set_kill_switch

    operator = await stage.person("demo-operator")
    await set_kill_switch(stage.house.desk_books, operator, on=True, reason="incident", tenant="*")
    case = await stage.submit()
    state = await stage.run(case)
    assert (state["status"], state["reason"]) == ("bypassed", "kill_switch")
    await stage.finish()
    await set_kill_switch(stage.house.desk_books, operator, on=False, reason="over", tenant="*")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "needs_human"


async def test_eight_executors_of_one_approval_pay_once(stage: Stage) -> None:
    await stage.ordered()
    house = stage.house
    keys = home_trusted_keys(house.home, "desk")
    executors = [Executor(house.executor.books, house.provider, keys, retry_seconds=0) for _ in range(8)]
    for _ in range(3):
        await asyncio.gather(*(executor.settle_all() for executor in executors))
    assert stage.refunds() == 1
    assert await stage.count("settlements") == 1


async def test_eight_approvals_of_one_payment_never_pass_what_was_paid(stage: Stage) -> None:
    """Eight approved refunds of 79.00 compete for one payment of 79.00."""
    cases = [await stage.approved() for _ in range(8)]
    await asyncio.gather(*(stage.run(case) for case in cases))
    assert await stage.count("disbursements") == 1
    await stage.finish()
    assert stage.refunds() == 1
    statuses = sorted([str((await stage.house.state(case))["status"]) for case in cases])
    assert statuses == ["refund_failed"] * 7 + ["refunded"]


async def test_a_stalled_executor_that_wakes_after_another_has_finished_sends_nothing(stage: Stage) -> None:
    """It was stopped between the commit of its send and the call, and its lock is gone."""
    await stage.ordered()
    house = stage.house
    ticking = iter([0.0, 31.0])
    stalled = Executor(
        house.executor.books,
        house.provider,
        home_trusted_keys(house.home, "desk"),
        retry_seconds=0,
        ticks=lambda: next(ticking, 100.0),
    )
    decision = DisbursementId((await stage.decision_ids())[0])
    assert await stalled.settle(TenantId("demo"), decision) == "waiting"
    assert (await stage.count("sends"), stage.refunds()) == (1, 0)
    await house.executor.settle_all()
    assert stage.refunds() == 1
    await stalled.settle_all()
    assert stage.refunds() == 1


async def test_two_items_of_one_price_are_two_refunds_of_one_payment(stage: Stage) -> None:
    """An amount and a payment do not make a key: equal partial refunds are legitimate."""
    await stage.sql(
        "insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines)"
        " select tenant, 'TWO', customer_id, region, status, ordered_at, delivered_at, currency,"
        " lines || jsonb_build_array(lines->0 || jsonb_build_object('sku', 'SKU-9', 'line_id', '2')) from books.orders where order_id = 'D300'"
    )
    await stage.sql("insert into books.payments values ('demo', 'pay_TWO', 'TWO', 'card', 15800, 'USD', 0)")
    for item in ("SKU-1", "SKU-9"):
        case, _ = await stage.paused(order_id="TWO", items=[item])
        await stage.say(case, DecisionRequest("approve"))
        await stage.run(case)
        await stage.finish()
        assert (await stage.house.state(case))["status"] == "refunded"
    assert [refund.amount.amount_minor for refund in stage.house.provider.all_refunds()] == [7_900, 7_900]


@pytest.mark.parametrize("items", [["SKU-1"], None])
async def test_a_second_identical_request_pays_nothing(stage: Stage, items: list[str] | None) -> None:
    await stage.ordered(items=items)
    await stage.finish()
    case, state = await stage.paused(items=items)
    assert state["proposal"]["kind"] == "reply"  # type: ignore[index]
    assert "has been made or ordered already" in str(state["draft"])
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert stage.refunds() == 1


# The simulated provider is one worth its name ---------------------------------------------------------------------


def request(provider_key: str, amount: int = 100) -> RefundRequest:
    return RefundRequest(
        provider_key,
        TenantId("demo"),
        DisbursementId(__import__("uuid").UUID(int=1)),
        PaymentId("p"),
        Money(amount, USD),
    )


def provider_of(stage: Stage) -> SimulatedProvider:
    async def paid(tenant: TenantId, payment: PaymentId) -> Money | None:
        del tenant
        return Money(1_000, USD) if payment == "p" else None

    return SimulatedProvider(stage.house.provider.file.with_name("own.sqlite"), paid)


def made(answer: Answer) -> ProviderRefund:
    assert isinstance(answer, Made), answer
    return answer.refund


async def test_the_simulated_provider_replays_a_key_and_refuses_it_for_something_else(stage: Stage) -> None:
    provider = provider_of(stage)
    first = made(await provider.refund(request("k")))
    assert made(await provider.refund(request("k"))).refund_id == first.refund_id
    assert isinstance(await provider.refund(request("k", 200)), KeyMismatch)
    assert isinstance(await provider.refund(request("too-much", 901)), Declined)
    provider.misbehave("error_without_effect")
    assert isinstance(await provider.refund(request("five")), Broken)
    assert isinstance(await provider.refund(request("five")), Broken)
    provider.move_clock(timedelta(hours=25).total_seconds())
    assert made(await provider.refund(request("k"))).refund_id != first.refund_id


async def test_the_simulated_provider_answers_409_while_a_key_is_in_flight(stage: Stage) -> None:
    provider = provider_of(stage)
    provider.misbehave("slow", seconds=0.5)
    first = asyncio.create_task(provider.refund(request("k")))
    second: Answer = Broken()
    for _ in range(100):
        await asyncio.sleep(0.01)
        if not provider._next_fault("slow"):
            break
    second = await provider.refund(request("k"))
    assert isinstance(second, InFlight)
    made(await first)
    made(await provider.refund(request("k")))
    assert len(provider.all_refunds()) == 1
