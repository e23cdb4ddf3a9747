"""No ask of a ticket is lost: each has a state that is true, a sentence in the letter, and an end or a case of its own."""

from typing import Any, get_args

import pytest
from desk_kit import DeskStage, DeskStages
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import Stage

from desk.channels import NotSent
from desk.decisions import DecisionRequest
from desk.outbox import ReplyNotSent
from policies.letter_templates import templates
from policies.reading.heard import MONEY_ASKS
from refunds.ask_progress import ENDS_BY_PROPOSAL, left_asks, progress_of
from refunds.ids import OrderId
from refunds.reading import TicketAsk, TicketReading
from refunds.vocabulary import AskKind, CaseStatus

ORDERS = (None, OrderId("A"), OrderId("B"))
ENDED = {"refunded", "replied", "rejected", "expired", "refund_failed", "closed_by_human"}
READINGS = st.lists(
    st.builds(
        TicketAsk,
        st.sampled_from(get_args(AskKind)),
        st.sampled_from(["wanted", "open"]),
        order_id=st.sampled_from(ORDERS),
    ).filter(lambda ask: ask.money == "open" or ask.ask in MONEY_ASKS),
    max_size=5,
).map(lambda asks: TicketReading("trained", "2", tuple(asks)))


@settings(max_examples=200, deadline=None)
@given(
    READINGS,
    st.sampled_from(ORDERS),
    st.sampled_from(get_args(CaseStatus)),
    st.sampled_from(["", "asked_customer", "taken_over"]),
)
def test_at_every_ending_each_ask_is_decided_or_has_a_case_of_its_own(
    reading: TicketReading, about: OrderId | None, status: CaseStatus, reason: str
) -> None:
    progress = progress_of(reading, about, status, reason)
    assert [one.ask for one in progress] == list(reading.asks)
    left = left_asks(reading, about)
    for one in progress:
        if status in ENDED:
            assert one.state in {"done", "failed", "skipped"}
            assert (one.state == "skipped") == (one.ask in left or status == "closed_by_human")
        else:
            assert one.state in {"open", "waiting"}
    assert not reading.asks or len(left) < len(reading.asks), "one ask is always this case's own"
    wanted = {ask.order_id for ask in reading.asks if ask.money == "wanted" and ask not in left}
    assert len(wanted - {None, about}) <= 1, "at most one order's money is decided in a case"
    assert bool(templates().left(left)) == bool(left)


@settings(max_examples=200, deadline=None)
@given(READINGS, st.sampled_from(["Hello,\n\nwe return it.\n\nYour support team", "One line."]))
def test_a_letter_names_every_ask_that_it_does_not_decide_once(reading: TicketReading, letter: str) -> None:
    left = left_asks(reading, OrderId("A"))
    text = templates().with_left(letter, left)
    assert templates().with_left(text, left) == text
    assert text.startswith(letter.split("\n\n", maxsplit=1)[0])
    assert text.endswith(letter.rsplit("\n\n", maxsplit=1)[-1]) or letter == "One line."
    assert text.count("You also asked about") == bool(left)


TWO = "My tablet arrived cracked and I want a refund. Also, please change the delivery address of my next order to 5 Hill Road."


@pytest.mark.parametrize("word", [DecisionRequest("approve"), DecisionRequest("reject", "not_eligible")])
async def test_what_a_case_leaves_is_a_case_of_its_own_at_its_end_and_once(
    desk: DeskStage, word: DecisionRequest
) -> None:
    case, state = await desk.stage.paused(intent=None, question=TWO)
    reading: Any = state["reading"]
    assert {ask["ask"]: ask["state"] for ask in reading["asks"]} == {
        "refund": "open",
        "order_change": "waiting",
    }
    assert "You also asked about a change to an order" in str(state["draft"])
    await desk.stage.say(case, word)
    await desk.stage.finish()
    for _ in range(2):
        await desk.answer_customer(case.case_id)
    reading = (await desk.stage.house.state(case))["reading"]
    ended = "done" if word.word == "approve" else "failed"
    assert {ask["ask"]: ask["state"] for ask in reading["asks"]} == {
        "refund": ended,
        "order_change": "skipped",
    }
    rows = await desk.stage.sql(
        "select ticket_id, ticket::jsonb->>'question' as question, route::text from books.cases order by received_at"
    )
    assert [row["ticket_id"] for row in rows] == [
        case.ticket_id,
        f"{case.ticket_id}+2.{case.case_id.hex[:8]}",
    ]
    assert "address" in rows[1]["question"]
    assert "cracked" not in rows[1]["question"]
    assert rows[1]["route"] == "human_review_now"
    assert "You also asked about a change to an order" in desk.sent()[-1]


async def test_money_for_another_order_waits_for_the_first_and_is_then_proposed_by_itself(
    desk: DeskStage,
) -> None:
    await desk.stage.many_orders(2)
    text = "My tablet from order D300 arrived cracked, I want a refund for it.\nThe tablet from order X1 arrived cracked too. I want a refund for X1."
    case, state = await desk.stage.paused(intent=None, question=text, order_id="D300")
    assert state["proposal"]["order_id"] == "D300"  # type: ignore[index]
    assert "You also asked about a refund for order X1" in str(state["draft"])
    await desk.stage.say(case, DecisionRequest("approve"))
    await desk.stage.finish()
    await desk.answer_customer(case.case_id)
    await desk.stage.finish()
    rows = await desk.stage.sql(
        "select c.ticket_id, p.payment_id, p.amount_minor from books.proposals p join books.cases c using (tenant, case_id) order by p.proposed_at"
    )
    assert [(row["ticket_id"], row["payment_id"], row["amount_minor"]) for row in rows] == [
        (case.ticket_id, "pay_D300", 7_900),
        (f"{case.ticket_id}+2.{case.case_id.hex[:8]}", "pay_X1", 7_900),
    ]


def test_every_end_but_a_persons_own_goes_on_with_what_is_left() -> None:
    assert ENDED - {"closed_by_human"} == ENDS_BY_PROPOSAL


class AwayChannel:
    """A channel that takes nothing."""

    name = "away"

    async def send(self, message_id: str, recipient: str, body: str, subject: str = "") -> None:
        del message_id, recipient, body, subject
        raise NotSent("not now")


async def test_what_is_left_is_a_case_of_its_own_where_no_letter_goes_out(
    desk_on: DeskStages, stage: Stage
) -> None:
    async with desk_on(AwayChannel()) as desk:
        case, _ = await stage.paused(intent=None, question=TWO)
        await stage.say(case, DecisionRequest("approve"))
        await stage.finish()
        with pytest.raises(ReplyNotSent):
            await desk.answer_customer(case.case_id)
    rows = await stage.sql("select ticket_id from books.cases order by received_at")
    assert len(rows) == 2
