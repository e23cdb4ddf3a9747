"""The siege: what a hostile reading of the house tried, each once, and what must come of it."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from conftest import Stages
from langgraph.checkpoint.base import BaseCheckpointSaver
from stage import Stage, requested

from app.house import home_trusted_keys
from cashier.executor import Executor
from cashier.processor import ProviderRefund
from cashier.simulated_provider import SimulatedProvider
from desk.decisions import Conflict, DecisionRequest
from desk.flags import set_kill_switch
from desk.notes import BadDecision
from desk.people import NoAuthority
from desk.queue import cases_waiting, find_case
from evals.exam.world import Scripted
from graph.refund_graph import refund_graph
from records.audit import verify_trail
from records.cases import Case, idle_cases
from refunds.ids import PaymentId, TenantId

CAMERA = {
    "order_id": "D303",
    "customer_id": "C103",
    "question": "My camera arrived broken. I want a refund, please.",
}


async def two_items(stage: Stage, price: int = 7_900) -> None:
    """An order TWO of C100 with SKU-1 and SKU-9 at one price, on one payment."""
    await stage.sql(
        "insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, items)"
        " select tenant, 'TWO', customer_id, region, status, ordered_at, delivered_at, currency,"
        " jsonb_build_array(items->0 || jsonb_build_object('price_minor', %s::int),"
        " items->0 || jsonb_build_object('price_minor', %s::int, 'sku', 'SKU-9'))"
        " from books.orders where order_id = 'D300'",
        price,
        price,
    )
    await stage.sql(
        "insert into books.payments values ('demo', 'pay_TWO', 'TWO', 'card', %s, 'USD', 0)", 2 * price
    )


async def queued(stage: Stage) -> list[tuple[str, str]]:
    rows = await cases_waiting(
        stage.house.desk_books, await stage.person("demo-reviewer"), every=False, most=50
    )
    return [(row["status"], row["reason"]) for row in rows]


@pytest.mark.parametrize("when", ["both approved before", "approved after"])
async def test_one_item_is_refunded_once_whatever_was_drafted_before(stage: Stage, when: str) -> None:
    await two_items(stage)
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
    await two_items(stage)
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


async def as_graph(stage: Stage, *statements: str, isolation: str = "read committed") -> None:
    """Statements that the graph's own role can say, in one transaction of the tenant."""
    async with stage.house.driver.books.pool.connection() as connection, connection.transaction():
        await connection.execute(f"set transaction isolation level {isolation}")
        await connection.execute("select set_config('books.tenant', 'demo', true)")
        for statement in statements:
            await connection.execute(statement)


async def test_an_untrue_end_cannot_be_hidden_in_a_trigger_of_ones_own(stage: Stage) -> None:
    case, _ = await stage.paused()
    with pytest.raises(psycopg.Error, match=r"untrue_event|permission denied"):
        await as_graph(
            stage,
            "create table checkpoints.mine (n int)",
            "create function checkpoints.hide() returns trigger language plpgsql as $$ begin"
            " insert into books.case_events (tenant, case_id, seq, status, reason, ended)"
            f" values ('demo', '{case.case_id}', 1, 'refunded', 'succeeded', true); return null; end $$",
            "create trigger hide after insert on checkpoints.mine for each row execute function checkpoints.hide()",
            "insert into checkpoints.mine values (1)",
        )
    assert (await stage.house.state(case))["status"] == "needs_human"


@pytest.mark.parametrize(
    ("status", "reason", "ended"),
    [
        ("bypassed", "customer withdrew", "false"),
        ("bypassed", "kill_switch", "true"),
        ("blocked", "because", "false"),
        ("refund_failed", "because", "true"),
        ("refund_pending", "because", "false"),
    ],
)
async def test_an_event_with_a_reason_of_ones_own_is_refused(
    stage: Stage, status: str, reason: str, ended: str
) -> None:
    case = await stage.approved() if status.startswith("refund") else await stage.submit()
    with pytest.raises(psycopg.Error, match="untrue_event"):
        await as_graph(
            stage,
            "insert into books.case_events (tenant, case_id, seq, status, reason, ended)"
            f" values ('demo', '{case.case_id}', 1, '{status}', '{reason}', {ended})",
        )


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_an_order_of_money_in_another_isolation_is_refused(stage: Stage, isolation: str) -> None:
    await stage.approved()
    names = "tenant, decision_id, proposal_id, case_id, thread_id, word, digest, kind, payment_id, order_id, amount_minor, currency"
    with pytest.raises(psycopg.Error, match="wrong_isolation"):
        await as_graph(
            stage,
            f"insert into books.disbursements ({names}) select {names} from books.decisions",
            isolation=isolation,
        )


async def test_the_flags_of_everybody_are_audited_too(stage: Stage) -> None:
    operator = await stage.person("demo-operator")
    await set_kill_switch(stage.house.desk_books, operator, on=True, reason="drill", tenant="*")
    stage.house.home.anchors_file.unlink(missing_ok=True)
    await stage.house.anchor()
    keys = home_trusted_keys(stage.house.home, "anchor")
    assert (await verify_trail(stage.house.desk_books, keys.read, stage.house.home.anchors_file))[0] == []
    await stage.forced("update books.flags set value = 'off'")
    assert (await verify_trail(stage.house.desk_books, keys.read, stage.house.home.anchors_file))[0]


async def test_a_settlement_that_the_cashier_did_not_write_is_reported(stage: Stage) -> None:
    await stage.ordered()
    await stage.sql("select set_config('books.tenant', 'demo', false)")
    await stage.sql(
        "insert into books.settlements (tenant, decision_id, seq, outcome, provider_refund_id)"
        " select tenant, decision_id, 1, 'succeeded', 're_false' from books.disbursements"
    )
    keys = home_trusted_keys(stage.house.home, "anchor")
    findings, _ = await verify_trail(
        stage.house.desk_books, keys.read, stage.house.home.anchors_file.with_name("none")
    )
    assert any(
        "settlements" in str(finding) and "written by postgres" in str(finding) for finding in findings
    )


async def test_a_missing_outer_copy_is_a_finding(stage: Stage) -> None:
    await stage.paused()
    await stage.house.anchor()
    keys = home_trusted_keys(stage.house.home, "anchor")
    findings, _ = await verify_trail(
        stage.house.desk_books, keys.read, stage.house.home.anchors_file.with_name("gone")
    )
    assert any("missing" in str(finding) for finding in findings)


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
    await two_items(stage, 49_900)
    first, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    await stage.say(first, DecisionRequest("approve"))
    await stage.finish()
    second, _ = await stage.paused(order_id="TWO", items=["SKU-9"])
    with pytest.raises(NoAuthority, match="specialist"):
        await stage.say(second, DecisionRequest("approve"))
    await stage.say(second, DecisionRequest("approve"), "demo-specialist")


async def test_two_halves_that_were_approved_before_either_was_ordered_need_it_too(stage: Stage) -> None:
    await two_items(stage, 49_900)
    cases = [(await stage.paused(order_id="TWO", items=[item]))[0] for item in ("SKU-1", "SKU-9")]
    for case in cases:
        await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert stage.refunds() == 1


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
    await two_items(stage)
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


async def test_nothing_is_ordered_on_a_case_that_was_said_to_have_failed(stage: Stage) -> None:
    case = await stage.approved()
    await as_graph(
        stage,
        "insert into books.case_events (tenant, case_id, seq, status, reason, ended)"
        f" values ('demo', '{case.case_id}', 1, 'refund_failed', 'blocked:over_refund', true)",
    )
    names = "tenant, decision_id, proposal_id, case_id, thread_id, word, digest, kind, payment_id, order_id, amount_minor, currency"
    with pytest.raises(psycopg.Error, match="blocked:not_approved"):
        await as_graph(
            stage, f"insert into books.disbursements ({names}) select {names} from books.decisions"
        )
