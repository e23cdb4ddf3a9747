"""Money whose end is not known: it stands on its own page, and each question about it is a named person's."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from desk_kit import DeskStage

from cashier.guard import KnownRefunds, SendFacts, Sent
from cashier.inquiries import ProviderHas, Reported, Withdrawn, look_into
from cashier.processor import ProviderRefund
from cashier.verification import NotPayable
from refunds.ids import DisbursementId, PaymentId, TenantId
from refunds.money import Currency, Money

USD = Currency("USD")
PAYMENT = PaymentId("pay_D300")


async def lost(desk: DeskStage) -> tuple[Any, uuid.UUID]:
    """A case whose refund was asked for and never answered, half a minute ago; with its decision."""
    case = await desk.stage.ordered()
    desk.stage.house.provider.misbehave("drop_before")
    await desk.stage.house.executor.settle_all()
    await desk.stage.move_clock(seconds=31)
    [decision] = await desk.stage.decision_ids()
    return case, decision


async def a_matter_for_a_person(desk: DeskStage) -> tuple[Any, uuid.UUID]:
    """The same a day later: the key is too old to be asked again by itself."""
    case, decision = await lost(desk)
    await desk.stage.move_clock(hours=21)
    await desk.stage.house.executor.settle_all()
    assert (await desk.view(case.case_id))["state"]["status"] == "refund_pending"
    return case, decision


async def test_it_says_what_was_sent_when_and_with_which_key(desk: DeskStage) -> None:
    case, decision = await lost(desk)
    [send] = await desk.stage.sql("select key from books.sends")
    async with desk.visit() as reviewer, desk.visit("demo-specialist") as specialist:
        page = (await specialist.get("/unknown")).text
        for shown in (
            case.ticket_id,
            "$79.00",
            "pay_D300",
            send["key"],
            "demo-reviewer",
            "Check provider",
            "Retry with the same key",
        ):
            assert shown in page, shown
        assert "Check provider" not in (await reviewer.get("/unknown")).text
        assert (await reviewer.post(f"/unknown/{decision}", act="check")).status_code == 403
        assert (await specialist.post(f"/unknown/{uuid.uuid4()}", act="check")).status_code == 409


async def test_checking_asks_the_provider_and_says_what_it_said(desk: DeskStage) -> None:
    case, decision = await a_matter_for_a_person(desk)
    async with desk.visit("demo-specialist") as specialist:
        assert (
            await specialist.post(f"/unknown/{decision}", act="check", note="the customer calls")
        ).status_code == 200
        assert "waits for the cashier" in (await specialist.get("/unknown")).text
        await desk.stage.house.executor.settle_all()
        page = (await specialist.get("/unknown")).text
        assert "the provider lists no refund of this order" in page and "the customer calls" in page
    [act] = await desk.stage.sql("select person, act::text, via::text, address from books.provider_acts")
    assert act == {"person": "demo-specialist", "act": "check", "via": "page", "address": "127.0.0.1"}
    assert await desk.status(case.case_id) == "refund_pending"
    assert desk.stage.refunds() == 0


async def test_a_retry_goes_with_the_same_key_and_pays_once(desk: DeskStage) -> None:
    case, decision = await lost(desk)
    async with desk.visit("demo-operator") as operator:
        await operator.post(f"/unknown/{decision}", act="retry")
        await desk.stage.finish()
        await operator.post(f"/unknown/{decision}", act="retry")
        await desk.stage.finish()
    sends = await desk.stage.sql("select key, epoch from books.sends order by attempt")
    assert len(sends) == 2 and len({send["key"] for send in sends}) == 1
    assert desk.stage.refunds() == 1
    assert await desk.status(case.case_id) == "refunded"


async def test_an_old_key_is_not_asked_again_however_often_somebody_wants_it(desk: DeskStage) -> None:
    case, decision = await a_matter_for_a_person(desk)
    async with desk.visit("demo-specialist") as specialist:
        for _ in range(3):
            await specialist.post(f"/unknown/{decision}", act="retry")
            await desk.stage.house.executor.settle_all()
        assert "a second ask might pay twice" in (await specialist.get("/unknown")).text
    assert len(await desk.stage.sql("select 1 from books.sends")) == 1
    assert desk.stage.refunds() == 0
    assert await desk.status(case.case_id) == "refund_pending"


async def test_a_refund_made_elsewhere_settles_it_by_the_providers_id(desk: DeskStage) -> None:
    case, decision = await a_matter_for_a_person(desk)
    provider = desk.stage.house.provider
    other = provider.refund_outside(TenantId("demo"), PAYMENT, Money(100, USD))
    async with desk.visit("demo-specialist") as specialist:
        assert (await specialist.post(f"/unknown/{decision}", act="settle")).status_code == 422
        for refund_id in ("re_nothing", other):
            await specialist.post(f"/unknown/{decision}", act="settle", refund_id=refund_id)
            await desk.stage.house.executor.settle_all()
            assert await desk.status(case.case_id) == "refund_pending"
        page = (await specialist.get("/unknown")).text
        assert "lists no refund re_nothing" in page and "is of 1.00 USD, and 79.00 USD was ordered" in page
        right = provider.refund_outside(TenantId("demo"), PAYMENT, Money(7_900, USD))
        await specialist.post(f"/unknown/{decision}", act="settle", refund_id=right)
        await desk.stage.finish()
        assert "Every outcome is known." in (await specialist.get("/unknown")).text
        assert (await specialist.post(f"/unknown/{decision}", act="retry")).status_code == 409
    assert await desk.status(case.case_id) == "refunded"
    [settled] = await desk.stage.sql(
        "select provider_refund_id from books.settlements where outcome = 'succeeded'"
    )
    assert settled["provider_refund_id"] == right


async def test_a_silent_provider_is_asked_until_it_speaks(desk: DeskStage) -> None:
    _, decision = await a_matter_for_a_person(desk)
    async with desk.visit("demo-specialist") as specialist:
        desk.stage.house.provider.misbehave("list_unavailable", times=2)
        await specialist.post(f"/unknown/{decision}", act="check")
        for said in ("waits for the cashier", "waits for the cashier", "lists no refund"):
            await desk.stage.house.executor.settle_all()
            assert said in (await specialist.get("/unknown")).text


async def test_the_books_ask_for_the_role_themselves(desk: DeskStage) -> None:
    _, decision = await lost(desk)
    answer = await desk.ask("POST", f"/api/orders/{decision}/acts", {"act": "check"}, "demo-reviewer")
    assert answer.status_code == 403
    await desk.stage.sql("select set_config('books.tenant', 'demo', false)")
    with pytest.raises(Exception, match="no_authority"):
        await desk.stage.sql(
            "insert into books.provider_acts (tenant, decision_id, person, act) values ('demo', %s, 'demo-reviewer', 'check')",
            decision,
        )
    answer = await desk.ask("POST", f"/api/orders/{decision}/acts", {"act": "check"}, "demo-operator")
    assert answer.status_code == 201
    rows = (await desk.ask("GET", "/api/unknown-outcomes", who="demo-operator")).json()["orders"]
    assert rows[0]["acts"][0]["person"] == "demo-operator"


DECISION = uuid.UUID(int=1)


def facts(age: timedelta | None = None) -> SendFacts:
    return SendFacts(
        tenant=TenantId("demo"),
        decision_id=DisbursementId(DECISION),
        payment_id=PAYMENT,
        amount=Money(7_900, USD),
        now=datetime(2026, 11, 1, tzinfo=UTC),
        past_paying=False,
        killed=False,
        verified=NotPayable("blocked:not_approved"),
        sends=[] if age is None else [Sent(1, age)],
        last="needs_person",
        known=KnownRefunds(Money(7_900, USD)),
        there=(),
    )


def listed(
    refund_id: str, decision: str = str(DECISION), amount: int = 7_900, status: Any = "succeeded"
) -> ProviderRefund:
    return ProviderRefund(refund_id, "demo", decision, PAYMENT, Money(amount, USD), status)


OLD, NEW = timedelta(hours=21), timedelta(hours=19)


@pytest.mark.parametrize(
    ("act", "refund_id", "age", "there", "found"),
    [
        ("check", None, NEW, [], Reported),
        ("check", None, NEW, [listed("re_1", "")], Reported),
        ("check", None, NEW, [listed("re_1")], ProviderHas),
        ("check", None, NEW, [listed("re_1"), listed("re_2")], Reported),
        ("check", None, NEW, [listed("re_1", amount=1)], Reported),
        ("check", None, NEW, [listed("re_1", status="failed")], ProviderHas),
        ("settle", "re_2", NEW, [listed("re_1"), listed("re_2", "")], Reported),
        ("settle", "re_1", NEW, [listed("re_1", "", status="failed")], Reported),
        ("settle", "re_1", NEW, [listed("re_1", "", status="pending")], Reported),
        ("settle", "re_1", NEW, [listed("re_1", "")], ProviderHas),
        ("settle", "re_1", NEW, [listed("re_1", "d-2")], Reported),
        ("settle", "re_1", NEW, [listed("re_1", "", 7_901)], Reported),
        ("settle", "re_1", NEW, [listed("re_2", "")], Reported),
        ("withdraw", None, None, [], Withdrawn),
        ("withdraw", None, None, [listed("re_1", "")], Withdrawn),
        ("withdraw", None, None, [listed("re_1")], ProviderHas),
        ("withdraw", None, NEW, [], Reported),
        ("withdraw", None, OLD, [], Withdrawn),
        ("withdraw", None, OLD, [listed("re_1"), listed("re_2")], Reported),
    ],
)
def test_what_the_list_says_is_what_comes_of_it(
    act: Any, refund_id: str | None, age: timedelta | None, there: list[ProviderRefund], found: type
) -> None:
    assert isinstance(look_into(act, refund_id, facts(age), there), found)


async def test_a_refund_that_settles_one_order_settles_no_other(desk: DeskStage) -> None:
    """The same id for a second order is an answer, and the order is looked after as before."""
    await desk.stage.forced("update books.payments set amount_minor = 15800 where payment_id = 'pay_D300'")
    await desk.stage.sql(
        'update books.orders set lines = lines || \'[{"line_id": "2", "quantity": 1, "sku": "SKU-9", "name": "Phone", "category": "phone", "unit_price_minor": 7900}]\'::jsonb where order_id = \'D300\''
    )
    cases = []
    for item in ("SKU-1", "SKU-9"):
        case, _ = await desk.stage.paused(items=[item])
        await desk.decide(case.case_id)
        await desk.stage.run(case)
        cases.append(case)
    desk.stage.house.provider.misbehave("drop_before", times=2)
    await desk.stage.house.executor.settle_all()
    await desk.stage.move_clock(hours=21)
    await desk.stage.house.executor.settle_all()
    made = desk.stage.house.provider.refund_outside(TenantId("demo"), PAYMENT, Money(7_900, USD))
    async with desk.visit("demo-specialist") as specialist:
        for decision in await desk.stage.decision_ids():
            await specialist.post(f"/unknown/{decision}", act="settle", refund_id=made)
        await desk.stage.finish()
        assert "nothing came of it: settlement_mismatch" in (await specialist.get("/unknown")).text
    assert sorted([await desk.status(case.case_id) for case in cases]) == ["refund_pending", "refunded"]


async def test_a_question_about_what_was_never_sent_is_answered(desk: DeskStage) -> None:
    from desk.flags import set_kill_switch

    case = await desk.stage.ordered()
    operator = await desk.stage.person("demo-operator")
    await set_kill_switch(desk.stage.house.desk_books, operator, on=True, reason="a test", tenant="demo")
    await desk.stage.move_clock(seconds=40)
    [decision] = await desk.stage.decision_ids()
    async with desk.visit("demo-specialist") as specialist:
        await specialist.post(f"/unknown/{decision}", act="check")
        await desk.stage.house.executor.settle_all()
        assert "nothing was sent yet" in (await specialist.get("/unknown")).text
    assert desk.stage.refunds() == 0
    assert await desk.status(case.case_id) == "refund_pending"
