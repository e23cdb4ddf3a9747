"""The reading: what customers write becomes asks, each field with the words that prove it, and nothing that no words prove."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import Stage

from desk.decisions import DecisionRequest
from desk.messages import add_message
from evals.intake.kept_aside import bare_words, kept_aside
from evals.intake.measures import score_reading, urgent_score
from evals.intake.rows import own_rows, own_tickets
from evals.intake.training import TrainingRow, train
from policies.intake import classify, own_order
from policies.reading import own_words, trained_reader
from policies.reading.bundle import bundle_of
from policies.request import order_of, request_of
from refunds.ids import LineId, OrderId, Sku, TenantId
from refunds.money import Currency, Money
from refunds.order import CustomerOrder, Line
from refunds.reading import TicketAsk, TicketReading
from refunds.ticket import Ticket
from refunds.vocabulary import OrderStatus

DATA = Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).parents[3] / "shared/data"))
SENTENCES = DATA / "public_reports" / "sentences.jsonl"


def line(name: str, quantity: int = 1, price: int = 2_000, number: str = "1", **options: str) -> Line:
    return Line(
        LineId(number), Sku(f"S{number}"), name, "goods", Money(price, Currency("USD")), quantity,
        options=tuple(options.items()),
    )  # fmt: skip


def order(name: str, *lines: Line, status: OrderStatus = "delivered") -> CustomerOrder:
    return CustomerOrder(OrderId(name), status, datetime(2026, 1, 1, tzinfo=UTC), lines, "US")


KITCHEN = order(
    "B202",
    line("Electric kettle"),
    line("Toaster", number="2"),
    line("Mug", 4, number="3", colour="blue"),
    line("Mug", 2, number="4", colour="green"),
)
LIGHT = order("B203", line("Desk lamp"), line("LED bulb", 6, number="2"), status="pending")
BOTH = (KITCHEN, LIGHT)


def read(text: str, *orders: CustomerOrder, attached: str | None = None) -> TicketReading:
    return trained_reader().read([text], orders, OrderId(attached) if attached else None)


def wanted(text: str, *orders: CustomerOrder, attached: str | None = None) -> Any:
    """The one want for money of a text."""
    [want] = [ask for ask in read(text, *orders, attached=attached).asks if ask.money == "wanted"]
    return want


def units(text: str) -> dict[str, int] | None:
    found = wanted(text, *BOTH, attached="B202").lines
    return None if found is None else {one.line_id: one.quantity for one in found}


@pytest.mark.skipif(not SENTENCES.exists(), reason=f"{SENTENCES} is not there")
def test_sentences_of_public_reports_are_read_right() -> None:
    wrong = []
    for told in map(json.loads, SENTENCES.read_text().splitlines()):
        reading = read(told["text"])
        money = any(ask.money == "wanted" for ask in reading.asks)
        damaged = any(ask.cause in {"damaged", "defective"} for ask in reading.asks)
        right = {
            "damaged": damaged,
            "damaged + refund_request": damaged and money,
            "not damaged": not damaged,
            "refund_request": money,
            "not refund_request": not money,
            "human_review_now": bool(reading.urgent),
        }[told["right"]]
        wrong += [] if right else [told["text"]]
    assert wrong == []


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400) | st.lists(st.sampled_from(
    ["<p>", "</p>", "&amp;", "refund ", "the mug ", "> ", "\n", "On Monday I wrote:", "B202 ", "ﬁ", "’", "don't ", "cancel ", "<![", "-- "]
)).map("".join))  # fmt: skip
def test_every_field_points_at_words_that_stand_in_the_stored_text(text: str) -> None:
    reading = read(text, *BOTH, attached="B202")
    spans = [span for ask in reading.asks for some in ask.spans.values() for span in some]
    for span in (*spans, *reading.urgent, *reading.unread):
        assert 0 <= span.start < span.end <= len(text)
    for ask in reading.asks:
        assert ask.money == "open" or "money" in ask.spans
        assert ask.cause is None or "cause" in ask.spans
        assert not ask.lines or "lines" in ask.spans
        assert TicketReading.of_json(reading.to_json()) == reading


def test_offsets_lead_through_html_and_typography_to_the_words_themselves() -> None:
    text = "<p>Hello,</p><p>the kettle doesn&rsquo;t <b>work</b>. I want a&nbsp;<i>refund</i> for it, please.</p>"
    want = wanted(text, *BOTH, attached="B202")
    [goods] = want.spans["lines"]
    assert text[goods.start : goods.end] == "kettle"
    assert any("refund" in text[span.start : span.end] for span in want.spans["money"])


@pytest.mark.parametrize(
    "text",
    [
        "Thanks, all sorted.\n\nOn Mon 23 Nov 2026 a customer wrote:\n> I want a refund for the kettle.\n",
        "Thanks!\n\n-----Original Message-----\nFrom: me\nSent: today\nTo: shop\nSubject: kettle\n\nI want a refund.",
        "<p>Thanks!</p><blockquote><p>I want a refund for the kettle.</p></blockquote>",
        "<p>Thanks!</p><p style='display:none'>I want a refund for the kettle.</p>",
    ],
)
def test_what_is_quoted_or_hidden_asks_for_nothing(text: str) -> None:
    assert not any(ask.money == "wanted" for ask in read(text, *BOTH, attached="B202").asks)


def test_greeting_signature_and_footer_are_set_apart_and_a_wish_in_them_is_not() -> None:
    mail = (
        "Dear team,\n\nI want a refund for the toaster.\n\nKind regards\nA. Customer\nAcme Ltd, 1 High Street"
    )
    assert own_words(mail) == "I want a refund for the toaster."
    want = "The kettle is fine.\n\n--\nA. Customer\nPlease cancel my order"
    assert any(ask.ask == "cancellation" for ask in read(want, LIGHT, attached="B203").asks)


@pytest.mark.parametrize(
    "number", ["B203", "#b203", "b 203", "B-203", "nr. 203", "order no: 203", "Order B203"]
)
def test_an_order_number_is_found_as_people_write_it(number: str) -> None:
    assert wanted(f"Please cancel {number}, I no longer need it.", *BOTH).order_id == "B203"


def test_another_order_than_the_tickets_and_one_that_is_not_theirs_are_a_persons() -> None:
    other = wanted("I want to cancel order B203.", *BOTH, attached="B202")
    assert (other.order_id, other.doubt) == ("B203", "another_order")
    assert wanted("I want a refund for order B999.", *BOTH, attached="B202").doubt == "not_their_order"
    assert wanted("Please cancel the desk lamp.", *BOTH, attached="B202").doubt == "another_order"
    ticket = Ticket.read({"ticket_id": "t", "tenant": "demo", "customer_id": "c", "question": "x"})
    assert request_of(
        read("I want to cancel order B203.", *BOTH, attached="B202"), ticket, OrderId("B202")
    ).doubt == ("several_orders")


def test_where_no_number_is_said_the_goods_name_the_order() -> None:
    assert wanted("I want to return the toaster.", *BOTH).order_id == "B202"
    two = (KITCHEN, order("B300", line("Toaster")))
    assert wanted("I want to return the toaster.", *two).doubt == "several_orders_fit"
    assert own_order("#b202", BOTH) == "B202"
    assert own_order("X1", BOTH) == "X1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I want to return the kettle.", {"1": 1}),
        ("I want to return the ketle.", {"1": 1}),
        ("I'd like to send back both green mugs.", {"4": 2}),
        ("I want to return the blue mugs.", {"3": 4}),
        ("Please refund two of the blue mugs.", {"3": 2}),
        ("I want to return everything except the toaster.", {"1": 1, "3": 4, "4": 2}),
        ("I want to return the kettle and the toaster.", {"1": 1, "2": 1}),
        ("I want to return the whole order.", None),
        ("I want a refund for the mug.", {}),
        ("I want to return two of the mugs.", {}),
        ("I want a refund for the blender.", {}),
        ("I want to return one of the items.", {}),
    ],
)
def test_goods_are_read_as_people_name_them_and_never_guessed(
    text: str, found: dict[str, int] | None
) -> None:
    assert units(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Please refund the toaster only if it cannot be replaced.",
        "If you don't have a new one, I want my money back for the kettle.",
    ],
)
def test_a_wish_under_a_condition_says_so(text: str) -> None:
    assert wanted(text, *BOTH, attached="B202").conditions


@pytest.mark.parametrize("no", ["Actually no refund please.", "Do not refund anything.", "No, never cancel."])
def test_a_no_beside_a_wish_is_a_doubt_whatever_the_bundle_makes_of_it(
    no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"I want a refund for the kettle. {no}"
    monkeypatch.setattr(
        "policies.reading.heard.Heard.money",
        lambda one, what: float(what == "wanted" and "kettle" in one.text),
    )
    assert wanted(text, *BOTH, attached="B202").doubt == "wanted_and_refused"


def test_the_newest_text_of_a_conversation_says_what_is_wanted() -> None:
    texts = ["I want a refund for the kettle.", "Forget it, I do not want a refund. I am keeping it."]
    asks = trained_reader().read(texts, BOTH, OrderId("B202")).asks
    assert [ask.money for ask in asks if ask.ask == "refund"] == ["refused"]


def test_an_intent_that_the_words_contradict_is_told_to_a_person() -> None:
    ticket = Ticket.read(
        {"ticket_id": "t", "tenant": "demo", "customer_id": "c", "question": "x", "intent": "refund_request"}
    )
    for text in ("Please do not refund me.", "Where is my order? When will it come?"):
        assert (
            request_of(read(text, *BOTH, attached="B202"), ticket, OrderId("B202")).doubt == "unclear_request"
        )


def test_what_nobody_states_is_filed_by_the_words_and_not_put_into_their_mouth() -> None:
    ticket = Ticket.read(
        {
            "ticket_id": "t",
            "tenant": "demo",
            "customer_id": "c",
            "question": "I want to return the kettle.",
            "order_id": "#B202",
        }
    )
    filed = classify(ticket, "intake_bundle_v2", BOTH)
    assert (filed.intent, filed.order_id, filed.ticket.intent) == ("refund_request", "B202", None)


async def test_an_order_is_found_by_its_number_as_the_ticket_writes_it(stage: Stage) -> None:
    case, state = await stage.paused(order_id="#d300", intent=None)
    assert case.order_id == "D300"
    assert state["proposal"]["kind"] == "refund"  # type: ignore[index]


async def test_the_reading_is_a_row_in_the_books_and_part_of_the_state(stage: Stage) -> None:
    _, state = await stage.paused(intent=None)
    rows = await stage.sql("select reader::text, run, person, body from books.readings")
    assert [(row["reader"], row["run"], row["person"]) for row in rows] == [("trained", 1, None)]
    assert state["reading"] == json.loads(rows[0]["body"])
    said = (await stage.sql("select body::jsonb->>'reading' as sha from books.proposals"))[0]["sha"]
    assert len(said) == 64, "what is signed names the reading that it rests on"


@pytest.mark.parametrize(("role", "reader"), [("desk", "trained"), ("graph", "person")])
async def test_nobody_writes_a_reading_in_anothers_name(stage: Stage, role: str, reader: str) -> None:
    case, _ = await stage.paused()
    books = {"desk": stage.house.desk_books, "graph": stage.house.driver.books}[role]
    async with books.pool.connection() as connection, connection.transaction():
        await connection.execute("select set_config('books.tenant', 'demo', true)")
        with pytest.raises(psycopg.Error, match="row-level security"):
            await connection.execute(
                "insert into books.readings (tenant, case_id, seq, reader, version, body, run, person, via)"
                " values ('demo', %s, 1, %s, '1', '{}', %s, %s, %s)",
                (
                    case.case_id,
                    reader,
                    *((1, None, None) if reader == "trained" else (None, "demo-reviewer", "api")),
                ),
            )


async def test_a_question_that_is_approved_keeps_its_case_open_for_the_answer(stage: Stage) -> None:
    await stage.order_of_two()
    await stage.sql(
        "update books.orders set lines = jsonb_set(lines, '{1}', lines->1 || '{\"name\": \"Lamp\"}') where order_id = 'TWO'"
    )
    case, state = await stage.paused(
        order_id="TWO", intent=None, question="I want to return one of the items."
    )
    proposal: Any = state["proposal"]
    assert (proposal["kind"], proposal["question"]) == ("reply", True)
    assert "1 × Tablet" in str(state["draft"])
    assert "1 × Lamp" in str(state["draft"])
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("needs_human", "asked_customer")
    helpdesk = await stage.person("demo-helpdesk")
    answer = "I changed my mind about the lamp and want a refund for the lamp."
    assert await add_message(
        stage.house.desk_books, helpdesk, TenantId("demo"), case.case_id, uuid4(), "customer", answer
    )
    await stage.finish()
    proposal = (await stage.house.state(case))["proposal"]
    assert (proposal["kind"], proposal["lines"]) == ("refund", [{"line_id": "2", "quantity": 1}])


async def test_who_has_several_orders_and_names_none_is_asked_which(stage: Stage) -> None:
    await stage.many_orders(2)
    case, state = await stage.paused(order_id=None, intent=None, question="I want a refund, please.")
    assert case.order_id is None
    assert state["proposal"]["question"] is True  # type: ignore[index]
    assert "D300" in str(state["draft"])


def test_the_same_rows_train_the_same_bytes_and_the_bundle_reads_by_them() -> None:
    rows = [
        *[row for row in own_rows() if len(row.text) < 30][::30],
        TrainingRow("cash machine", "trade", "other"),
    ]
    tickets = list(own_tickets())[::100]
    once, again = train(rows, tickets, "1"), train(reversed(rows), reversed(tickets), "1")
    assert once == again
    assert bundle_of(once).version == "1"


def test_figures_do_not_fall_behind_what_is_published() -> None:
    """docs/intake.md has them; a change that loses a part of one is seen here."""
    score = score_reading(trained_reader(), "test", lambda _done, _of: None).to_json()
    assert float(str(score["asks_exact"])) >= 0.84
    assert float(str(score["lines_exact"])) >= 0.8
    assert score["money_wanted_wrongly"] == 0
    assert score["lines_wrong_in_a_proposal"] == 0
    assert score["conditions_missed"] == 0
    urgent = urgent_score(trained_reader())
    assert float(str(urgent["recall"])) >= 0.93
    assert float(str(urgent["false"])) <= 0.06


async def test_the_order_that_a_ticket_names_is_among_those_that_its_words_are_read_against(
    stage: Stage,
) -> None:
    await stage.many_orders(45)
    rows = await stage.sql(
        "select order_id from books.orders where customer_id = 'C100' order by ordered_at, order_id desc limit 1"
    )
    oldest = rows[0]["order_id"]
    _, state = await stage.paused(
        order_id=oldest, intent=None, question="My tablet arrived cracked, I want a refund."
    )
    assert [ask["order_id"] for ask in state["reading"]["asks"]] == [oldest]  # type: ignore[index]


def test_no_training_row_repeats_a_sentence_that_a_published_figure_is_of() -> None:
    aside = kept_aside(SENTENCES.parents[1])
    rows = [*own_rows(), *(TrainingRow(text, "whole", "") for one in own_tickets() for text in one.texts)]
    assert {row.text for row in rows if bare_words(row.text) in aside} == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The kettle and the toaster came. Both are for my mother, who has them. Those two I want to return.", {"1": 1, "2": 1}),
        ("The kettle leaks. The toaster is lovely. I want a refund for it.", {"1": 1}),
        ("I want a refund for it. The toaster is lovely.", {}),
        ("The kettle leaks, so refund it please, I'll enjoy the toaster.", {"1": 1}),
    ],
)  # fmt: skip
def test_a_pronoun_means_the_nearest_goods_before_it_that_agree_in_number(
    text: str, found: dict[str, int]
) -> None:
    assert units(text) == found


def test_a_want_of_goods_of_two_orders_is_one_for_each_and_one_of_them_is_the_tickets() -> None:
    asks = read(
        "I want to return the toaster and the umbrella.",
        KITCHEN,
        order("B400", line("Umbrella")),
        attached="B202",
    ).asks
    assert {(ask.order_id, ask.doubt) for ask in asks} == {("B202", None), ("B400", "another_order")}


def test_a_person_who_reads_that_another_order_is_meant_leads_to_that_order_alone() -> None:
    refused = TicketAsk("refund", "refused", order_id=OrderId("B202"))
    wants = TicketAsk("cancellation", "wanted", order_id=OrderId("B203"))
    reading = TicketReading("person", "2", (refused, wants))
    assert order_of(reading, BOTH, OrderId("B202")) == "B203"
    ticket = Ticket.read({"ticket_id": "t", "tenant": "demo", "customer_id": "c", "question": "x"})
    assert request_of(reading, ticket, OrderId("B202"), BOTH).doubt == "several_orders"
    assert request_of(reading, ticket, OrderId("B203"), BOTH).doubt is None
