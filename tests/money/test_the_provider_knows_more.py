"""Where the provider knows more than the books: each of these stories once paid twice, or ended in a word that was not so."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from desk_kit import DeskStage
from provider_kit import DEMO, USD, last_settlement, made_elsewhere, paid, passes
from stage import Stage

from app.house import home_trusted_keys
from cashier.executor import Executor
from cashier.processor import Answer, Made, ProviderRefund, RefundRequest
from cashier.simulated_provider import SimulatedProvider
from desk.decisions import Conflict, DecisionRequest
from refunds.ids import DisbursementId, PaymentId, TenantId
from refunds.money import Currency, Money


async def test_a_lost_send_is_not_repeated_after_a_refund_in_the_dashboard(stage: Stage) -> None:
    await stage.order_of_two()
    await stage.ordered(order_id="TWO", items=["SKU-1"])
    stage.house.provider.misbehave("drop_before")
    await stage.house.executor.settle_all()
    found = made_elsewhere(stage, 7_900)
    await passes(stage)
    assert paid(stage) == [7_900]
    outcome, why = await last_settlement(stage)
    assert outcome == "needs_person" and found in why


async def test_an_item_that_was_refunded_in_the_dashboard_is_not_paid_without_a_word(stage: Stage) -> None:
    await stage.order_of_two()
    await stage.ordered(order_id="TWO", items=["SKU-1"])
    found = made_elsewhere(stage, 7_900)
    await passes(stage)
    assert paid(stage) == [7_900]
    outcome, why = await last_settlement(stage)
    assert outcome == "needs_person" and found in why


async def test_what_is_another_matter_is_said_and_then_it_is_paid(desk: DeskStage) -> None:
    stage = desk.stage
    await stage.order_of_two()
    case = await stage.ordered(order_id="TWO", items=["SKU-1"])
    found = made_elsewhere(stage, 1_000)
    await passes(stage)
    [decision] = await stage.decision_ids()
    retry = {"act": "retry"}
    assert (await desk.ask("POST", f"/api/orders/{decision}/acts", retry, "demo-operator")).status_code == 201
    await stage.house.executor.settle_all()
    assert paid(stage) == [1_000]
    # It was a person's before and is not written again; the operator hears why nothing was sent.
    assert await stage.count("settlements") == 1
    [answer] = await stage.sql("select said from books.provider_answers")
    assert answer["said"].startswith("not asked again: ")
    assert (await stage.count("stalled_orders"), stage.house.executor.failures) == (0, {})
    said = {"refund_id": found, "act": "separate", "note": "a goodwill of the manager"}
    assert (await desk.ask("POST", "/api/found-refunds/acts", said, "demo-operator")).status_code == 201
    assert (await desk.ask("POST", "/api/found-refunds/acts", said, "demo-operator")).status_code == 409
    assert (await desk.ask("POST", f"/api/orders/{decision}/acts", retry, "demo-operator")).status_code == 201
    await stage.finish()
    assert paid(stage) == [1_000, 7_900]
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_the_found_refund_can_be_this_very_one(desk: DeskStage) -> None:
    stage = desk.stage
    await stage.order_of_two()
    case = await stage.ordered(order_id="TWO", items=["SKU-1"])
    found = made_elsewhere(stage, 7_900)
    await passes(stage)
    [decision] = await stage.decision_ids()
    act = {"act": "settle", "refund_id": found}
    assert (await desk.ask("POST", f"/api/orders/{decision}/acts", act, "demo-operator")).status_code == 201
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert paid(stage) == [7_900]
    assert (await desk.ask("GET", "/api/found-refunds", who="demo-operator")).json()["refunds"] == []


async def test_a_person_takes_an_order_of_money_back(desk: DeskStage) -> None:
    stage = desk.stage
    await stage.order_of_two()
    case = await stage.ordered(order_id="TWO", items=["SKU-1"])
    made_elsewhere(stage, 7_900)
    await passes(stage)
    [decision] = await stage.decision_ids()
    assert (
        await desk.ask("POST", f"/api/orders/{decision}/acts", {"act": "withdraw"}, "demo-operator")
    ).status_code == 201
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("refund_failed", "withdrawn")
    assert paid(stage) == [7_900]


async def test_what_was_sent_is_not_taken_back_while_it_may_arrive(desk: DeskStage) -> None:
    stage = desk.stage
    await stage.ordered()
    stage.house.provider.misbehave("drop_before")
    await stage.house.executor.settle_all()
    [decision] = await stage.decision_ids()
    for hours, outcome in ((1, None), (20, "failed")):
        await stage.move_clock(hours=hours)
        if outcome:
            await stage.house.executor.settle_all()
        await desk.ask("POST", f"/api/orders/{decision}/acts", {"act": "withdraw"}, "demo-operator")
        stage.house.provider.misbehave("drop_before", times=0 if outcome else 1)
        executor = replace(stage.house.executor, retry_seconds=10_000_000)
        await executor.settle_all()
        rows = await stage.sql("select outcome::text from books.settlement_state")
        assert [row["outcome"] for row in rows] == ([outcome] if outcome else [])


async def test_a_new_case_of_a_payment_that_is_ahead_is_a_persons(stage: Stage) -> None:
    await stage.order_of_two()
    first, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    made_elsewhere(stage, 1_000)
    await stage.house.executor.settle_all()
    with pytest.raises(Conflict, match="these books do not know"):
        await stage.say(first, DecisionRequest("approve"))
    _, state = await stage.paused(order_id="TWO", items=["SKU-9"])
    assert (state["reason"], state["proposal"]["kind"]) == ("provider_ahead", "handoff")  # type: ignore[index]


async def test_postgres_itself_sends_nothing_for_a_payment_that_is_ahead(stage: Stage) -> None:
    await stage.order_of_two()
    await stage.ordered(order_id="TWO", items=["SKU-1"])
    await stage.sql(
        "insert into books.found_refunds (tenant, provider_refund_id, payment_id, decision_label, amount_minor, currency)"
        " values ('demo', 're_x', 'pay_TWO', '', 100, 'USD')"
    )
    await passes(stage)
    assert paid(stage) == [] and await stage.count("sends") == 0


async def test_refunds_from_before_this_house_are_no_surprise(stage: Stage) -> None:
    """The shop's books say that 30.00 were given back before; the provider lists them without a label of ours."""
    await stage.order_of_two()
    await stage.forced("update books.payments set refunded_before_minor = 3000 where payment_id = 'pay_TWO'")
    made_elsewhere(stage, 3_000)
    case = await stage.ordered(order_id="TWO", items=["SKU-1"])
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert paid(stage) == [3_000, 7_900]


async def test_a_saved_500_after_the_effect_and_a_list_that_is_hours_behind_pay_once(stage: Stage) -> None:
    await stage.order_of_two()
    case = await stage.ordered(order_id="TWO", items=["SKU-1"])
    provider = ListsLater(stage.house.provider)
    executor = Executor(
        stage.house.executor.books, provider, home_trusted_keys(stage.house.home, "desk"), retry_seconds=0
    )
    stage.house.provider.misbehave("error_after_effect")
    for _ in range(8):
        await executor.settle_all()
        await stage.move_clock(minutes=20)
    assert paid(stage) == [7_900]
    assert (await last_settlement(stage))[0] == "needs_person"
    provider.behind = False
    await executor.settle_all()
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert paid(stage) == [7_900]


async def test_only_a_named_person_gives_a_key_up_and_not_within_the_hour(desk: DeskStage) -> None:
    stage = desk.stage
    case = await stage.ordered()
    stage.house.provider.misbehave("error_without_effect")
    await passes(stage, 20)
    assert [row["epoch"] for row in await stage.sql("select epoch from books.sends")] == [1]
    [decision] = await stage.decision_ids()
    async with stage.house.executor.books.pool.connection() as connection, connection.transaction():
        await connection.execute("select set_config('books.tenant', 'demo', true)")
        with pytest.raises(Exception, match="not_next_epoch"):
            await connection.execute(
                "insert into books.sends (tenant, decision_id, attempt, epoch, key) values ('demo', %s, 2, 2, 'k2')",
                (decision,),
            )
    async with desk.visit("demo-specialist") as specialist:
        await specialist.post(f"/unknown/{decision}", act="new_key", note="they say nothing was made")
        await stage.finish()
    sends = await stage.sql("select epoch, key from books.sends order by attempt")
    assert [send["epoch"] for send in sends] == [1, 2] and sends[0]["key"] != sends[1]["key"]
    assert (await stage.house.state(case))["status"] == "refunded"
    assert stage.refunds() == 1


async def test_a_key_is_not_given_up_within_the_hour(desk: DeskStage) -> None:
    stage = desk.stage
    await stage.ordered()
    stage.house.provider.misbehave("error_without_effect")
    await passes(stage, 3)
    [decision] = await stage.decision_ids()
    async with desk.visit("demo-specialist") as specialist:
        await specialist.post(f"/unknown/{decision}", act="new_key")
        await stage.house.executor.settle_all()
        assert "not before" in (await specialist.get("/unknown")).text
    assert await stage.count("sends") == 1 and stage.refunds() == 0


class ListsLater:
    """A provider whose list is behind for as long as it is told to be."""

    def __init__(self, provider: SimulatedProvider) -> None:
        self.provider = provider
        self.behind = True

    async def refund(self, request: RefundRequest) -> Answer:
        return await self.provider.refund(request)

    async def refunds_of(self, tenant: TenantId, payment_id: PaymentId) -> Any:
        return [] if self.behind else await self.provider.refunds_of(tenant, payment_id)


class Answers(ListsLater):
    """A provider that answers with something that was not asked for."""

    def __init__(
        self, provider: SimulatedProvider, change: Callable[[ProviderRefund], ProviderRefund]
    ) -> None:
        super().__init__(provider)
        self.change = change

    async def refund(self, request: RefundRequest) -> Answer:
        made = ProviderRefund(
            "re_1", request.tenant, str(request.decision_id), request.payment_id, request.amount, "succeeded"
        )
        return Made(self.change(made))


@pytest.mark.parametrize(
    "change",
    [
        lambda made: replace(made, decision_id=str(uuid4())),
        lambda made: replace(made, tenant="other"),
        lambda made: replace(made, payment_id=PaymentId("pay_other")),
        lambda made: replace(made, amount=Money(made.amount.amount_minor + 1, USD)),
        lambda made: replace(made, amount=Money(made.amount.amount_minor, Currency("EUR"))),
        lambda made: replace(made, refund_id=""),
        lambda made: replace(made, refund_id="r" * 5_000),
    ],
    ids=["decision", "tenant", "payment", "amount", "currency", "no refund", "an id of 5,000 characters"],
)
async def test_an_answer_counts_only_as_what_was_asked(
    stage: Stage, change: Callable[[ProviderRefund], ProviderRefund]
) -> None:
    case = await stage.ordered()
    executor = Executor(
        stage.house.executor.books,
        Answers(stage.house.provider, change),
        home_trusted_keys(stage.house.home, "desk"),
        retry_seconds=0,
    )
    await executor.settle(DEMO, DisbursementId((await stage.decision_ids())[0]))
    assert (await last_settlement(stage))[0] == "needs_person"
    await stage.run(case)
    assert (await stage.house.state(case))["status"] == "refund_pending"
