"""Where the provider knows more than the books: each of these stories once paid twice, or ended in a word that was not so."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from desk_kit import DeskStage
from stage import Cluster, Stage, open_stage

from app.house import home_trusted_keys
from cashier.executor import Executor
from cashier.processor import Answer, Made, ProviderRefund, RefundRequest
from cashier.simulated_provider import SimulatedProvider
from desk.decisions import Conflict, DecisionRequest
from refunds.ids import DecisionId, PaymentId, TenantId, decision_of
from refunds.money import Currency, Money

USD = Currency("USD")
DEMO = TenantId("demo")


async def order_of_two(stage: Stage) -> None:
    """Order TWO of C100: SKU-1 and SKU-9 at 79.00 each, 158.00 paid by pay_TWO."""
    await stage.sql(
        "insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, items)"
        " select tenant, 'TWO', customer_id, region, status, ordered_at, delivered_at, currency,"
        " items || jsonb_set(items, '{0,sku}', '\"SKU-9\"') from books.orders where order_id = 'D300'"
    )
    await stage.sql("insert into books.payments values ('demo', 'pay_TWO', 'TWO', 'card', 15800, 'USD', 0)")


def made_elsewhere(stage: Stage, amount: int, decision: object = "", payment: str = "pay_TWO") -> str:
    """A refund that these books did not order: from the dashboard, or by books that they are behind of."""
    refund = ProviderRefund(
        f"re_{uuid4().hex}", "demo", str(decision), PaymentId(payment), Money(amount, USD), "succeeded"
    )
    with stage.house.provider._open() as books:
        stage.house.provider._insert(books, refund)
    return refund.refund_id


def paid(stage: Stage) -> list[int]:
    """What the provider has given back, in the order it was made."""
    return [one.amount.amount_minor for one in stage.house.provider.all_refunds() if one.status != "failed"]


async def last_settlement(stage: Stage) -> tuple[str, str]:
    rows = await stage.sql("select outcome::text, detail from books.settlement_state")
    assert len(rows) == 1
    return rows[0]["outcome"], rows[0]["detail"]


async def passes(stage: Stage, times: int = 4) -> None:
    """The cashier, again and again, with time between."""
    for _ in range(times):
        await stage.house.executor.settle_all()
        await stage.move_clock(minutes=6)


async def test_a_lost_send_is_not_repeated_after_a_refund_in_the_dashboard(stage: Stage) -> None:
    await order_of_two(stage)
    await stage.ordered(order_id="TWO", items=["SKU-1"])
    stage.house.provider.misbehave("drop_before")
    await stage.house.executor.settle_all()
    found = made_elsewhere(stage, 7_900)
    await passes(stage)
    assert paid(stage) == [7_900]
    outcome, why = await last_settlement(stage)
    assert outcome == "needs_person" and found in why


async def test_an_item_that_was_refunded_in_the_dashboard_is_not_paid_without_a_word(stage: Stage) -> None:
    await order_of_two(stage)
    await stage.ordered(order_id="TWO", items=["SKU-1"])
    found = made_elsewhere(stage, 7_900)
    await passes(stage)
    assert paid(stage) == [7_900]
    outcome, why = await last_settlement(stage)
    assert outcome == "needs_person" and found in why


async def restored(stage: Stage, cluster: Cluster, saved: str, tmp_path: Any) -> Any:
    """The house on a backup of the books, with the provider as it is."""
    return open_stage(stage.house.home, cluster.clone(saved), tmp_path)


async def backup(stage: Stage, cluster: Cluster) -> str:
    """A copy of the books as they are now, by its name."""
    name = stage.url.rsplit("/", 1)[1]
    copy = f"b_{uuid4().hex}"
    with psycopg.connect(cluster.admin, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
        )
        connection.execute(f"create database {copy} template {name}")
    return copy


@pytest.mark.parametrize("again", [7_900, 5_000])
async def test_books_from_a_backup_do_not_pay_what_was_paid_after_it(
    stage: Stage, cluster: Cluster, tmp_path: Any, again: int
) -> None:
    """79.00 was paid; the books are restored from before; the same item is asked for again, or less of it."""
    await order_of_two(stage)
    saved = await backup(stage, cluster)
    async with await restored(stage, cluster, saved, tmp_path) as before:
        await before.ordered(order_id="TWO", items=["SKU-1"])
        await before.finish()
        assert paid(before) == [7_900]
    async with await restored(stage, cluster, saved, tmp_path) as after:
        case, state = await after.paused(order_id="TWO", items=["SKU-1"])
        assert state["proposal"]["kind"] == "refund"
        if again != 7_900:
            await after.say(case, DecisionRequest("revise", revised_amount_minor=again, note="less"))
            await after.run(case)
        try:
            await after.say(
                case, DecisionRequest("approve"), "demo-specialist" if again == 7_900 else "demo-reviewer-2"
            )
        except Conflict:
            pass
        else:
            await after.run(case)
        await passes(after)
        assert paid(after) == [7_900]


async def test_a_case_whose_refund_the_books_lost_is_not_rejected_over_it(
    stage: Stage, cluster: Cluster, tmp_path: Any
) -> None:
    """Approved and paid after the backup's hour; in the restored books it still waits, and somebody turns it down."""
    await order_of_two(stage)
    case, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    saved = await backup(stage, cluster)
    async with await restored(stage, cluster, saved, tmp_path) as before:
        await before.say(case, DecisionRequest("approve"))
        await before.run(case)
        await before.finish()
        assert paid(before) == [7_900]
    async with await restored(stage, cluster, saved, tmp_path) as after:
        await after.house.executor.settle_all()
        with pytest.raises(Conflict, match="these books do not know"):
            await after.say(case, DecisionRequest("reject", "other"))
        assert (await after.house.state(case))["status"] == "needs_human"


@pytest.mark.parametrize("when", ["before it is found", "after it is found"])
async def test_the_operator_settles_what_the_books_lost_and_the_case_says_the_truth(
    desk: DeskStage, when: str
) -> None:
    stage = desk.stage
    await order_of_two(stage)
    case, state = await stage.paused(order_id="TWO", items=["SKU-1"])
    if when == "before it is found":
        await stage.say(case, DecisionRequest("reject", "other"))
        await stage.finish()
        assert (await stage.house.state(case))["status"] == "rejected"
    proposal = state["proposal"]
    found = made_elsewhere(stage, 7_900, decision_of(proposal["id"]))  # type: ignore[index]
    await stage.house.executor.settle_all()
    rows = (await desk.ask("GET", "/api/found-refunds", who="demo-operator")).json()["refunds"]
    assert [(row["provider_refund_id"], row["case_id"]) for row in rows] == [(found, str(case.case_id))]
    metrics = (await desk.ask("GET", "/metrics", who="demo-operator")).text
    assert "countersign_found_refunds 1.0" in metrics
    async with desk.visit("demo-reviewer") as reviewer, desk.visit("demo-specialist") as specialist:
        page = (await specialist.get("/unknown")).text
        assert found in page and "It is the refund of this case" in page
        assert (await reviewer.post("/unknown/found", refund_id=found, act="adopt")).status_code == 403
        assert (await specialist.post("/unknown/found", refund_id=found, act="adopt")).status_code == 200
        assert found not in (await specialist.get("/unknown")).text
        assert (await specialist.post("/unknown/found", refund_id=found, act="separate")).status_code == 409
    await stage.finish()
    ended = await stage.house.state(case)
    assert (ended["status"], ended["reason"]) == ("refunded", "found_at_provider")
    await stage.move_clock(hours=24 * 8)
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert paid(stage) == [7_900]
    again, said = await stage.paused(order_id="TWO", items=["SKU-9"])
    assert said["proposal"]["amount_minor"] == 7_900  # type: ignore[index]
    await stage.say(again, DecisionRequest("approve"))
    await stage.run(again)
    await stage.finish()
    assert paid(stage) == [7_900, 7_900]


async def test_what_is_another_matter_is_said_and_then_it_is_paid(desk: DeskStage) -> None:
    stage = desk.stage
    await order_of_two(stage)
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
    await order_of_two(stage)
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
    await order_of_two(stage)
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
    await order_of_two(stage)
    first, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    made_elsewhere(stage, 1_000)
    await stage.house.executor.settle_all()
    with pytest.raises(Conflict, match="these books do not know"):
        await stage.say(first, DecisionRequest("approve"))
    _, state = await stage.paused(order_id="TWO", items=["SKU-9"])
    assert (state["reason"], state["proposal"]["kind"]) == ("provider_ahead", "handoff")  # type: ignore[index]


async def test_postgres_itself_sends_nothing_for_a_payment_that_is_ahead(stage: Stage) -> None:
    await order_of_two(stage)
    await stage.ordered(order_id="TWO", items=["SKU-1"])
    await stage.sql(
        "insert into books.found_refunds (tenant, provider_refund_id, payment_id, decision_label, amount_minor, currency)"
        " values ('demo', 're_x', 'pay_TWO', '', 100, 'USD')"
    )
    await passes(stage)
    assert paid(stage) == [] and await stage.count("sends") == 0


async def test_refunds_from_before_this_house_are_no_surprise(stage: Stage) -> None:
    """The shop's books say that 30.00 were given back before; the provider lists them without a label of ours."""
    await order_of_two(stage)
    await stage.forced("update books.payments set refunded_before_minor = 3000 where payment_id = 'pay_TWO'")
    made_elsewhere(stage, 3_000)
    case = await stage.ordered(order_id="TWO", items=["SKU-1"])
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert paid(stage) == [3_000, 7_900]


async def test_two_live_copies_of_the_books_pay_once(stage: Stage, cluster: Cluster, tmp_path: Any) -> None:
    """Both copies approve the one proposal, by other people at another time, and send under one key."""
    case, _ = await stage.paused()
    saved = await backup(stage, cluster)
    keys: list[str] = []
    for who in ("demo-reviewer", "demo-reviewer-2"):
        async with await restored(stage, cluster, saved, tmp_path) as copy:
            await copy.say(case, DecisionRequest("approve"), who)
            await copy.run(case)
            if not keys:
                # The first one's effect is not listed yet when the second one looks.
                await copy.house.executor.settle_all()
            else:
                copy.house.provider.misbehave("list_behind")
                await copy.house.executor.settle_all()
            keys += [row["key"] for row in await copy.sql("select key from books.sends")]
    assert len(keys) == 2 and len(set(keys)) == 1
    assert paid(stage) == [7_900]


async def test_a_saved_500_after_the_effect_and_a_list_that_is_hours_behind_pay_once(stage: Stage) -> None:
    await order_of_two(stage)
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
    await executor.settle(DEMO, DecisionId((await stage.decision_ids())[0]))
    assert (await last_settlement(stage))[0] == "needs_person"
    await stage.run(case)
    assert (await stage.house.state(case))["status"] == "refund_pending"
