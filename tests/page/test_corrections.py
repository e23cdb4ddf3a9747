"""A person says what the customer asks: the case runs again by it, it is theirs in the books, and what is signed names it."""

import json
from typing import Any
from uuid import uuid4

import pytest
from desk_kit import DeskStage

from desk.corrections import CorrectedAsk, Correction, corrected
from desk.decisions import DecisionRequest
from desk.messages import add_message
from desk.notes import BadDecision
from records.books import Refused
from records.snapshots import snapshot_at
from refunds.canonical import sha256
from refunds.ids import LineId, OrderId, TenantId
from refunds.order import Units
from refunds.reading import TextSpan, TicketAsk, TicketReading

WISH = "The tablet arrived cracked, and I want a refund. If you can mend it, do that."


async def readings(desk: DeskStage) -> list[dict[str, Any]]:
    rows = await desk.stage.sql(
        "select reader::text, person, run, body::jsonb as body from books.readings order by seq"
    )
    return [dict(row) for row in rows]


async def test_a_corrected_reading_runs_the_case_again_and_is_named_by_what_is_signed(
    desk: DeskStage,
) -> None:
    case, state = await desk.stage.paused(intent=None, question=WISH)
    assert (state["proposal"]["kind"], state["proposal"]["reason"]) == ("handoff", "unclear_request")  # type: ignore[index]
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert 'data-key="f"' in page
        answer = await visitor.decide(
            case.case_id,
            "correct",
            ask="refund",
            money="wanted",
            order_id="D300",
            scope="all",
            cause="damaged",
        )
        assert answer.headers["hx-redirect"] == f"/cases/{case.case_id}", answer.text
        await desk.stage.run(case)
        proposal = await desk.newest(case.case_id)
        assert (proposal["kind"], proposal["amount_minor"]) == ("refund", 7_900)
        program, person = await readings(desk)
        assert (program["reader"], person["reader"], person["person"], person["run"]) == (
            "trained",
            "person",
            "demo-reviewer",
            None,
        )
        written = await desk.stage.sql("select body from books.readings where reader = 'person'")
        assert proposal["said"]["reading"] == sha256(written[0]["body"])
        assert "conditions" not in person["body"]["asks"][0]["spans"]
        refused = await visitor.decide(case.case_id, "approve")
        assert "their own reading" in refused.text
    reviewer, house = await desk.stage.person("demo-reviewer"), desk.stage.house
    with pytest.raises(Refused, match="their own reading"):
        async with house.desk_books.transaction(case.tenant) as tx:
            now = await snapshot_at(tx, case.case_id)
            assert now.current is not None
            await house.desk.record(tx, reviewer, case, now.current, DecisionRequest("approve"), now.now)
    async with desk.visit("demo-reviewer-2") as other:
        await other.decide(case.case_id, "approve")
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"


async def test_a_person_who_reads_that_no_money_is_wanted_stops_a_refund(desk: DeskStage) -> None:
    case, state = await desk.stage.paused()
    assert state["proposal"]["kind"] == "refund"  # type: ignore[index]
    reading = {"asks": [{"ask": "policy_question"}]}
    answer = await desk.decide(
        case.case_id, word="revise", digest=(await desk.newest(case.case_id))["digest"], reading=reading
    )
    assert answer.status_code == 200, answer.text
    await desk.stage.run(case)
    proposal = await desk.newest(case.case_id)
    assert proposal["kind"] != "refund"
    assert proposal["amount_minor"] == 0


async def test_what_the_customer_writes_after_a_correction_is_read_anew(desk: DeskStage) -> None:
    await desk.stage.many_orders(2)
    case, _ = await desk.stage.paused(intent=None, question=WISH, order_id="D300")
    async with desk.visit() as visitor:
        await visitor.decide(
            case.case_id, "correct", ask="refund", money="wanted", order_id="D300", scope="open"
        )
        await desk.stage.run(case)
        assert (await desk.newest(case.case_id))["said"]["question"] is True
        await visitor.decide(case.case_id, "approve")
    await desk.stage.finish()
    helpdesk = await desk.stage.person("demo-helpdesk")
    answer = "Please do not refund me, I will keep it."
    await add_message(
        desk.stage.house.desk_books, helpdesk, TenantId("demo"), case.case_id, uuid4(), "customer", answer
    )
    await desk.stage.run(case)
    assert [one["reader"] for one in await readings(desk)] == ["trained", "person", "trained"]
    assert (await desk.newest(case.case_id))["amount_minor"] == 0


async def test_what_the_words_may_mean_is_suggested_where_they_leave_it_open(desk: DeskStage) -> None:
    await desk.stage.order_of_two()
    await desk.stage.sql(
        "update books.orders set lines = jsonb_set(lines, '{1}', lines->1 || '{\"name\": \"Lamp\"}') where order_id = 'TWO'"
    )
    case, state = await desk.stage.paused(
        order_id="TWO",
        intent=None,
        question="The tablet and the lamp came. I want to return one of the items.",
    )
    assert state["reading"]["asks"][0]["lines"] == []  # type: ignore[index]
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        for line in ("1", "2"):
            assert f'name="units:{line}" min="0" max="1" value="1"' in page
        await visitor.decide(
            case.case_id,
            "correct",
            ask="refund",
            money="wanted",
            order_id="TWO",
            scope="some",
            lines_of="TWO",
            cause="change_of_mind",
            **{"units:2": "1"},
        )
        await desk.stage.run(case)
    assert (await desk.newest(case.case_id))["said"]["lines"] == [{"line_id": "2", "quantity": 1}]


BEFORE = TicketReading(
    "trained", "1", (TicketAsk("refund", "wanted", order_id=OrderId("D300"), spans={"ask": (TextSpan(0, 4),), "money": (TextSpan(0, 4),)}),)
)  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (CorrectedAsk("refund", "wanted", OrderId("D300")), "says what was read already"),
        (CorrectedAsk("refund", "open"), "money is wanted or refused"),
        (CorrectedAsk("order_status", "wanted"), "money is wanted or refused"),
        (CorrectedAsk("refund", "wanted", OrderId("OTHER")), "no order of this customer"),
        (CorrectedAsk("refund", "wanted", None, (Units(LineId("1"), 1),)), "name it"),
    ],
)
def test_a_correction_that_says_nothing_or_names_what_was_not_bought_is_refused(
    ask: CorrectedAsk, why: str
) -> None:
    with pytest.raises(BadDecision, match=why):
        corrected(BEFORE, Correction((ask,)), ())


async def test_a_correction_names_only_what_this_customer_bought(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(intent=None, question=WISH)
    digest = (await desk.newest(case.case_id))["digest"]
    for about, lines, why in (
        ("NOPE", None, "no order of this customer"),
        ("D300", [{"line_id": "1", "quantity": 9}], "were bought"),
    ):
        ask = {"ask": "refund", "money": "wanted", "order_id": about, "lines": lines}
        answer = await desk.decide(case.case_id, word="revise", digest=digest, reading={"asks": [ask]})
        assert answer.status_code == 422
        assert why in json.dumps(answer.json())
    assert len(await readings(desk)) == 1


def test_what_a_person_leaves_as_it_was_read_keeps_its_words() -> None:
    ask = CorrectedAsk("refund", "refused")
    [found] = corrected(BEFORE, Correction((ask,)), ()).asks
    assert found.spans == {"ask": (TextSpan(0, 4),)}


async def test_an_amount_that_was_set_for_another_reading_does_not_outlive_a_correction(
    desk: DeskStage,
) -> None:
    await desk.stage.order_of_two()
    case, _ = await desk.stage.paused(
        order_id="TWO",
        intent=None,
        question="The tablet arrived cracked. I want a refund for everything, please.",
    )
    before = await desk.newest(case.case_id)
    await desk.decide(case.case_id, word="revise", digest=before["digest"], amount_minor=0)
    await desk.stage.run(case)
    assert (await desk.newest(case.case_id))["amount_minor"] == 0
    digest = (await desk.newest(case.case_id))["digest"]
    asks = [
        {
            "ask": "refund",
            "money": "wanted",
            "order_id": "TWO",
            "lines": [{"line_id": "2", "quantity": 1}],
            "cause": "damaged",
        }
    ]
    answer = await desk.decide(case.case_id, word="revise", digest=digest, reading={"asks": asks})
    assert answer.status_code == 200, answer.text
    await desk.stage.run(case)
    proposal = await desk.newest(case.case_id)
    assert (proposal["amount_minor"], proposal["said"]["lines"]) == (7_900, [{"line_id": "2", "quantity": 1}])


async def test_a_correction_is_refused_where_the_customer_has_written_since(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(intent=None, question=WISH)
    digest = (await desk.newest(case.case_id))["digest"]
    await desk.stage.sql(
        "insert into books.messages (tenant, message_id, case_id, author, body, body_sha256, person, via)"
        " values ('demo', gen_random_uuid(), %s, 'customer', 'Forget it.', %s, 'demo-helpdesk', 'api')",
        case.case_id,
        sha256("Forget it."),
    )
    answer = await desk.decide(
        case.case_id, word="revise", digest=digest, reading={"asks": [{"ask": "replacement"}]}
    )
    assert answer.status_code == 409
    assert "has written since" in answer.text


async def test_the_form_keeps_the_other_asks_whole_and_takes_lines_of_the_chosen_order_alone(
    desk: DeskStage,
) -> None:
    await desk.stage.many_orders(2)
    text = "My tablet from order D300 arrived cracked, I want a refund for it.\nThe tablet from order X1 arrived cracked too. I want a refund for X1."
    case, _ = await desk.stage.paused(intent=None, question=text, order_id="D300")
    async with desk.visit() as visitor:
        fields = {
            "ask": "refund",
            "money": "wanted",
            "scope": "some",
            "units:1": "1",
            "cause": "late",
            "lines_of": "D300",
        }
        wrong = await visitor.decide(case.case_id, "correct", order_id="X1", **fields)
        assert wrong.status_code == 422
        assert "another order" in wrong.text
        await visitor.decide(case.case_id, "correct", order_id="D300", others="0", **fields)
        await desk.stage.run(case)
    newest = (await readings(desk))[-1]["body"]["asks"]
    assert [(ask["order_id"], ask["money"], ask.get("cause")) for ask in newest] == [
        ("D300", "wanted", "late"),
        ("X1", "wanted", "damaged"),
    ]
