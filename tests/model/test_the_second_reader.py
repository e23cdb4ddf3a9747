"""A model reads beside the trained reader: it may doubt, warn and fill a gap; it opens no way to money by itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_openai import FakeOpenAI, served
from hypothesis import given, settings
from hypothesis import strategies as st
from model_kit import data_of, diligent, fenced, model_manifest, model_stage, profile, section, spend_limits
from stage import Cluster

from graph.model.reader import AskRead, GoodsRead, Proved, TicketRead
from policies.manifest import ModelRoute
from policies.reading.heard import MONEY_ASKS
from policies.reading.second import together
from policies.request import request_of
from refunds.ids import LineId, OrderId
from refunds.order import Units
from refunds.reading import TextSpan, TicketAsk, TicketReading
from refunds.ticket import Ticket
from refunds.vocabulary import AskKind, Cause, MoneyWish, ReadingDoubt

ORDER = OrderId("D300")
WORDS = (TextSpan(0, 4),)
TICKET = Ticket.read({"ticket_id": "t", "tenant": "demo", "customer_id": "c", "question": "x"})


def first(*asks: TicketAsk) -> TicketReading:
    return TicketReading("trained", "2", asks)


def second(*asks: TicketAsk) -> TicketReading:
    return TicketReading("model", "1", asks)


REFUND = TicketAsk("refund", "wanted", order_id=ORDER, spans={"ask": WORDS, "money": WORDS})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (first(REFUND), second()),
        (first(REFUND), second(TicketAsk("refund", "refused", order_id=ORDER))),
        (first(REFUND), second(TicketAsk("refund", "wanted", order_id=OrderId("D301")))),
        (first(), second(REFUND)),
        (first(TicketAsk("refund")), second(REFUND)),
        (first(TicketAsk("policy_question")), second(TicketAsk("cancellation", "wanted"))),
        (
            first(TicketAsk("refund", "wanted", order_id=ORDER, lines=(Units(LineId("1"), 1),))),
            second(TicketAsk("refund", "wanted", order_id=ORDER, lines=(Units(LineId("1"), 2),))),
        ),
    ],
)
@pytest.mark.parametrize("intent", [None, "refund_request"])
def test_readers_that_contradict_each_other_on_money_make_the_case_a_persons(
    one: TicketReading, other: TicketReading, intent: str | None
) -> None:
    word = together(one, other)
    assert word.contradictions
    stated = TICKET.model_copy(update={"intent": intent, "items": ["SKU-1"] if intent else None})
    wanted = [ask for ask in word.reading.asks if ask.money == "wanted"]
    assert all(ask.doubt == "readers_disagree" for ask in wanted)
    assert request_of(word.reading, stated, ORDER).doubt == "unclear_request"


def test_readers_that_agree_leave_the_reading_as_it_is() -> None:
    word = together(first(REFUND), second(REFUND))
    assert (word.contradictions, word.reading.asks) == ((), (REFUND,))


def test_what_the_first_left_open_is_suggested_and_marked_as_the_seconds_and_no_cause_is_given() -> None:
    open_one = TicketAsk("refund", "wanted", order_id=ORDER, lines=(), spans={"ask": WORDS, "money": WORDS})
    said = replace(
        REFUND, lines=(Units(LineId("1"), 1),), cause="damaged", spans={"lines": WORDS, "cause": WORDS}
    )
    [ask] = together(first(open_one), second(said)).reading.asks
    assert (ask.lines, ask.suggested, ask.cause, ask.by_second) == ((), (LineId("1"),), None, ("lines",))
    assert TicketReading.of_json(together(first(open_one), second(said)).reading.to_json()).asks == (ask,)
    [warned] = together(first(REFUND), second(replace(REFUND, conditions=True))).reading.asks
    assert warned.conditions
    alone = TicketAsk("complaint", cause="damaged", spans={"ask": WORDS, "cause": WORDS})
    assert [ask.cause for ask in together(first(REFUND), second(REFUND, alone)).reading.asks] == [None, None]


ASKS = st.lists(
    st.builds(
        TicketAsk,
        st.sampled_from(["refund", "cancellation", "policy_question", "order_status"]),
        st.sampled_from(["wanted", "refused", "open"]),
        order_id=st.sampled_from([None, ORDER, OrderId("D301")]),
        lines=st.sampled_from([None, (), (Units(LineId("1"), 1),), (Units(LineId("2"), 3),)]),
        cause=st.sampled_from([None, "damaged", "late"]),
        doubt=st.sampled_from([None, "not_sure"]),
        conditions=st.booleans(),
    ).filter(lambda ask: (ask.money == "open") or ask.ask in MONEY_ASKS),
    max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(ASKS, ASKS)
def test_whatever_a_second_reader_says_it_opens_no_way_to_money(
    mine: list[TicketAsk], theirs: list[TicketAsk]
) -> None:
    word = together(first(*mine), second(*theirs)).reading
    free = [ask for ask in word.asks if ask.money == "wanted" and ask.doubt is None and not ask.conditions]
    before = [ask for ask in mine if ask.money == "wanted" and ask.doubt is None and not ask.conditions]
    for ask in free:
        assert any(
            (ask.ask, ask.order_id, ask.lines, ask.cause) == (one.ask, one.order_id, one.lines, one.cause)
            for one in before
        )


def told(**fields: Any) -> AskRead:
    given: dict[str, Any] = {
        "ask": "refund", "words": "refund", "money": "wanted", "order_id": None, "goods": [], "goods_words": None,
        "all_of_order": False, "cause": None, "cause_words": None, "condition_words": None,
    }  # fmt: skip
    return AskRead(**(given | fields))


def test_what_no_words_of_the_customer_prove_is_not_read() -> None:
    proved = Proved(["I’d like a refund.", "<p>The lamp is <b>broken</b>.</p>"], ())
    reading = proved.reading(
        TicketRead(
            asks=[
                told(words="I'd like a refund", cause="damaged", cause_words="is broken"),
                told(ask="cancellation", words="cancel it all"),
                told(ask="complaint", words="broken", cause="late", cause_words="three weeks"),
            ],
            urgent_words="a fire",
        ),
        "1",
    )
    assert [(ask.ask, ask.cause) for ask in reading.asks] == [("refund", "damaged"), ("complaint", None)]
    assert reading.urgent == ()
    assert proved.missing == ["cancel it all", "three weeks", "a fire"]
    [span] = reading.asks[0].spans["ask"]
    assert (span.start, span.end) == (0, 17)


def test_goods_that_were_not_bought_are_not_read() -> None:
    proved = Proved(["Refund the mugs."], ())
    goods = [GoodsRead(line_id="1", quantity=1)]
    [ask] = proved.reading(TicketRead(asks=[told(words="Refund the mugs", order_id="X9", goods=goods, goods_words="mugs")], urgent_words=None), "1").asks  # fmt: skip
    assert (ask.order_id, ask.lines) == (None, None)


def answering(reading: str) -> Any:
    """A model that reads so and does its other work well."""

    def answer(body: dict[str, Any]) -> str:
        if body["response_format"]["json_schema"]["name"] == "TicketRead":
            return reading.replace("WORDS", fenced(section(data_of(body), "customer"))[:60])
        return diligent(body)

    return answer


WISH = "My tablet arrived cracked. I want a refund."


def asked(**fields: Any) -> str:
    one = told(
        words="I want a refund", order_id="D300", cause="damaged", cause_words="arrived cracked", **fields
    )
    return json.dumps({"asks": [one.model_dump(mode="json")], "urgent_words": None})


@pytest.mark.parametrize(
    ("answer", "kind", "readers", "finding"),
    [
        (asked(), "refund", {"trained", "model"}, None),
        (asked(money="refused"), "handoff", {"trained", "model"}, "contradiction"),
        (json.dumps({"asks": [], "urgent_words": None}), "handoff", {"trained", "model"}, "contradiction"),
        ("I would rather not say.", "refund", {"trained"}, "without_model"),
        (json.dumps({"asks": [], "urgent_words": "arrived cracked"}), "handoff", {"trained", "model"}, "contradiction"),
    ],
    ids=["agrees", "refuses", "reads nothing", "answers badly", "sees danger"],
)  # fmt: skip
async def test_a_model_reads_within_the_run_and_its_word_is_a_row_in_the_books(
    cluster: Cluster,
    url: str,
    tmp_path: Path,
    answer: str,
    kind: str,
    readers: set[str],
    finding: str | None,
) -> None:
    routes = [ModelRoute(provider="fake", model="small")]
    pinned = model_manifest(
        spending=spend_limits(), budgets=profile(), models={"plan": routes, "draft": routes, "read": routes}
    )
    with served(FakeOpenAI(answering(answer))) as fake:
        async with model_stage(cluster, url, tmp_path, fake, pinned) as stage:
            _, state = await stage.paused(intent=None, question=WISH)
            assert state["proposal"]["kind"] == kind  # type: ignore[index]
            rows = await stage.sql(
                "select reader::text, body::jsonb as body from books.readings order by seq"
            )
            assert {row["reader"] for row in rows} == readers
            assert state["reading"] == rows[-1]["body"]
            calls = await stage.sql("select sum(tokens) as n from books.model_calls where phase = 'settled'")
            steps = await stage.sql("select sum(tokens) as n from books.trace_events")
            stepless = '"urgent_words": "' in answer  # handed over before any step could carry the cost
            assert steps[0]["n"] == (None if stepless else calls[0]["n"])
            kinds = {row["kind"] for row in await stage.sql("select kind::text from books.findings")}
            assert finding is None or finding in kinds


def test_the_closed_sets_of_the_form_are_those_of_the_books() -> None:
    schema = TicketRead.model_json_schema()["$defs"]["AskRead"]["properties"]
    assert schema["ask"]["enum"] == list(AskKind.__args__)  # type: ignore[attr-defined]
    assert schema["money"]["enum"] == list(MoneyWish.__args__)  # type: ignore[attr-defined]
    assert schema["cause"]["anyOf"][0]["enum"] == list(Cause.__args__)  # type: ignore[attr-defined]
    assert "readers_disagree" in ReadingDoubt.__args__  # type: ignore[attr-defined]
