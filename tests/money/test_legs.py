"""A refund of an order that was paid twice: one decision, a disbursement a payment, each paid exactly once or told."""

import asyncio
import json
from typing import Any

import pytest
from conftest import CAMPAIGN
from desk_kit import DeskStage
from psycopg.types.json import Jsonb
from stage import Stage

from desk.decisions import Conflict, DecisionRequest
from desk.notes import BadDecision
from desk.takeovers import TakeoverRequest, take_case_over
from records.books import Refused
from records.cases import Case
from refunds.canonical import sha256
from refunds.ids import TenantId

DEMO = TenantId("demo")
MANY = 40 if CAMPAIGN else 3


async def paid_twice(stage: Stage, order_id: str = "D300") -> None:
    """The order of 79.00 was paid with a card, 50.00, and a gift card, 29.00."""
    await stage.forced("update books.payments set amount_minor = 5000 where order_id = %s", order_id)
    await stage.sql(
        "insert into books.payments (tenant, payment_id, order_id, method, kind, amount_minor, currency)"
        " values ('demo', %s, %s, 'gift_card_1', 'gift_card', 2900, 'USD')",
        f"gift_{order_id}",
        order_id,
    )


def made(stage: Stage) -> list[tuple[str, int]]:
    """What the provider paid, by payment."""
    refunds = [refund for refund in stage.house.provider.all_refunds() if refund.status != "failed"]
    return sorted((refund.payment_id, refund.amount.amount_minor) for refund in refunds)


BOTH = [("gift_D300", 2_900), ("pay_D300", 5_000)]


async def test_one_decision_pays_each_payment_its_part(desk: DeskStage) -> None:
    stage = desk.stage
    await paid_twice(stage)
    case, state = await stage.paused()
    proposal: Any = state["proposal"]
    legs = [
        {"payment_id": "pay_D300", "amount_minor": 5_000},
        {"payment_id": "gift_D300", "amount_minor": 2_900},
    ]
    assert (proposal["amount_minor"], proposal["legs"]) == (7_900, legs)
    assert [one["clause"] for one in proposal["citations"]][:2] == ["1", "3"], (
        "the clause that says the order is cited"
    )
    assert "$50.00 to your card and $29.00 to your gift card" in str(state["draft"])
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "returns $79.00: $50.00 to card …4242 and $29.00 to gift card 1, once" in page
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert made(stage) == BOTH
    state = await stage.house.state(case)
    refund: Any = state["refund"]
    assert (state["status"], refund["amount_minor"]) == ("refunded", 7_900)
    assert [leg["outcome"] for leg in refund["legs"]] == ["succeeded", "succeeded"]
    keys = [row["key"].split(":") for row in await stage.sql("select key from books.sends")]
    assert sorted(key[2] for key in keys) == ["1", "2"], "the key names the leg"
    assert len({key[1] for key in keys}) == 1, "and the one decision"
    await stage.finish()
    assert made(stage) == BOTH


async def test_the_legs_are_in_the_digest_and_in_the_signature(stage: Stage) -> None:
    await paid_twice(stage)
    case = await stage.approved()
    [vote] = await stage.sql("select payload from books.votes where case_id = %s", case.case_id)
    assert json.loads(vote["payload"])["legs"] == [
        {"payment_id": "pay_D300", "amount_minor": 5_000},
        {"payment_id": "gift_D300", "amount_minor": 2_900},
    ]
    assert json.loads(vote["payload"])["version"] == 2


@pytest.mark.parametrize(
    "legs",
    [
        pytest.param([("pay_D300", 2_900), ("gift_D300", 5_000)], id="swapped"),
        pytest.param([("pay_D300", 5_000), ("pay_D301", 2_900)], id="another order's payment"),
        pytest.param([("pay_D300", 7_900)], id="all to one"),
        pytest.param([("gift_D300", 2_900), ("pay_D300", 5_000)], id="in another order"),
    ],
)
async def test_an_order_of_other_legs_than_were_signed_is_refused(
    stage: Stage, legs: list[tuple[str, int]]
) -> None:
    from refunds.ids import DecisionId, id_of_leg

    await paid_twice(stage)
    case = await stage.approved()
    [row] = await stage.sql("select * from books.decisions where case_id = %s", case.case_id)
    ordered = [
        {
            "disbursement_id": str(id_of_leg(DecisionId(row["decision_id"]), n)),
            "payment_id": name,
            "amount_minor": part,
        }
        for n, (name, part) in enumerate(legs, start=1)
    ]
    with pytest.raises(Refused, match="blocked:approval_mismatch"):
        async with stage.house.driver.books.transaction(DEMO) as tx:
            await tx.rows("insert_disbursements", **row, legs=Jsonb(ordered))
    assert await stage.count("disbursements") == 0


async def test_a_proposal_whose_legs_do_not_sum_to_it_is_no_proposal(stage: Stage) -> None:
    await paid_twice(stage)
    case, _ = await stage.paused()
    await stage.say(case, DecisionRequest("revise", note="again"))
    [row] = await stage.sql("select body from books.proposals where case_id = %s", case.case_id)
    body = json.loads(row["body"])
    for legs in (
        [("pay_D300", 5_000), ("gift_D300", 2_901)],
        [("pay_D300", 7_900), ("gift_D300", 0)],
        [("pay_D300", 5_000), ("pay_D300", 2_900)],
        [("gift_D300", 2_900), ("pay_D300", 5_000)],
    ):
        said = body | {
            "proposal_id": "00000000-0000-0000-0000-000000000001",
            "supersedes": body["proposal_id"],
            "legs": [{"payment_id": name, "amount_minor": part} for name, part in legs],
        }
        text = json.dumps(said)
        with pytest.raises(Refused, match=r"proposal_mismatch|over_refund"):
            async with stage.house.driver.books.transaction(DEMO) as tx:
                await tx.rows(
                    "insert_proposal",
                    **{name: said.get(name) for name in (
                        "tenant", "proposal_id", "case_id", "thread_id", "kind", "reason", "payment_id", "order_id",
                        "amount_minor", "currency", "release", "graph_version", "supersedes", "edited_by", "edited_upward",
                    )},
                    digest=sha256(text), body=text, time_to_decide_hours=1,
                )  # fmt: skip


async def declined(stage: Stage) -> Case:
    """A refund whose first payment the provider declines for good, and whose second is paid."""
    await paid_twice(stage)
    case = await stage.approved()
    await stage.run(case)
    stage.house.provider.misbehave("declined", times=1)
    await stage.finish()
    return case


async def test_a_leg_that_fails_is_a_persons_and_the_customer_is_told_what_was_paid(desk: DeskStage) -> None:
    stage = desk.stage
    case = await declined(stage)
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("refund_failed", "partly_refunded")
    [(payment, amount)] = made(stage)
    rest = 7_900 - amount
    refund: Any = state["refund"]
    assert sorted(str(leg["outcome"]) for leg in refund["legs"]) == ["failed", "succeeded"]
    await desk.answer_customer(case.case_id)
    [letter] = [text for text in desk.sent() if "could not be returned yet" in text.replace("=\n", "")]
    assert f"We returned ${amount / 100:.2f} of the $79.00" in letter.replace("=\n", "")
    person = await stage.person("demo-specialist")
    await take_case_over(
        stage.house.desk,
        person,
        DEMO,
        case.case_id,
        TakeoverRequest("propose", "The rest follows.", rest, ""),
    )
    await stage.run(case)
    proposal: Any = (await stage.house.state(case))["proposal"]
    assert (proposal["amount_minor"], proposal["payment_id"] == payment) == (rest, False)
    await stage.say(case, DecisionRequest("approve"), "demo-reviewer")
    await stage.finish()
    assert made(stage) == BOTH
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_a_leg_that_fails_late_opens_the_case_again(stage: Stage) -> None:
    await paid_twice(stage)
    case = await stage.approved()
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    late = next(one for one in stage.house.provider.all_refunds() if one.payment_id == "gift_D300")
    stage.house.provider.settle(late.refund_id, "failed")
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("refund_failed", "partly_refunded")
    assert made(stage) == [("pay_D300", 5_000)]


async def test_a_refund_is_done_when_all_of_its_payments_are(stage: Stage) -> None:
    await paid_twice(stage)
    case = await stage.approved()
    await stage.run(case)
    stage.house.provider.misbehave("pending", times=1)
    await stage.house.executor.settle_all()
    await stage.run(case)
    assert (await stage.house.state(case))["status"] == "refund_pending"
    for refund in stage.house.provider.all_refunds():
        if refund.status == "pending":
            stage.house.provider.settle(refund.refund_id, "succeeded")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert made(stage) == BOTH


async def test_four_who_approve_each_of_many_at_once_pay_each_payment_once(stage: Stage) -> None:
    """Four people for each case, three runners and three cashiers, all at the same time."""
    await stage.many_orders(MANY)
    people = ("demo-reviewer", "demo-reviewer-2", "demo-specialist", "demo-specialist-2")
    cases = []
    for number in range(MANY):
        await paid_twice(stage, f"X{number}")
        cases.append((await stage.paused(ticket_id=f"t-{number}", order_id=f"X{number}"))[0])
    said = await asyncio.gather(
        *(stage.say(case, DecisionRequest("approve"), who) for case in cases for who in people),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Conflict) for one in said) == 3 * MANY
    await asyncio.gather(*(stage.run(case) for case in cases for _ in range(3)))
    await asyncio.gather(*(stage.house.executor.settle_all() for _ in range(3)))
    await stage.finish()
    assert made(stage) == sorted(
        pair for number in range(MANY) for pair in ((f"gift_X{number}", 2_900), (f"pay_X{number}", 5_000))
    )


async def test_a_person_who_takes_over_proposes_over_both_payments(stage: Stage) -> None:
    await paid_twice(stage)
    case, state = await stage.paused(question="Where is my money? Refund it.", items=["SKU-9"])
    assert state["proposal"]["kind"] == "handoff"  # type: ignore[index]
    reviewer = await stage.person("demo-reviewer")
    for amount in (7_901, 0):
        with pytest.raises(BadDecision, match=r"at most 79\.00 USD"):
            await take_case_over(
                stage.house.desk,
                reviewer,
                DEMO,
                case.case_id,
                TakeoverRequest("propose", "So be it.", amount),
            )
    wanted = TakeoverRequest("propose", "We return 60.00 USD.", 6_000)
    await take_case_over(stage.house.desk, reviewer, DEMO, case.case_id, wanted)
    await stage.finish()
    proposal: Any = (await stage.house.state(case))["proposal"]
    assert [leg["amount_minor"] for leg in proposal["legs"]] == [5_000, 1_000]
    await stage.say(case, DecisionRequest("approve"), "demo-specialist")
    await stage.finish()
    assert made(stage) == [("gift_D300", 1_000), ("pay_D300", 5_000)]
