"""The page marks in the customer's text the words that the reading rests on, and says what it took from them."""

import re
from datetime import UTC, datetime
from html import unescape

from desk_kit import DeskStage
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.marked import marked
from policies.reading import trained_reader
from refunds.ids import LineId, OrderId, Sku
from refunds.money import Currency, Money
from refunds.order import CustomerOrder, Line

TABLET = Line(LineId("1"), Sku("S"), "Tablet", "tablet", Money(7_900, Currency("USD")))
OWN = CustomerOrder(OrderId("D300"), "delivered", datetime(2026, 1, 1, tzinfo=UTC), (TABLET,))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(max_size=80) | st.just("My tablet arrived cracked. I want a refund."), min_size=1, max_size=3
    )
)
def test_marked_words_are_the_texts_and_nothing_else(texts: list[str]) -> None:
    reading = trained_reader().read(texts, [OWN], OWN.order_id)
    assert ["".join(one.text for one in words) for words in marked(texts, reading)] == texts


async def test_a_reviewer_sees_which_words_a_reading_rests_on(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(
        intent=None, question="<b>Hello</b>, my tablet arrived cracked. I want a refund."
    )
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
    marks = {
        unescape(text): title for title, text in re.findall(r'<mark title="([^"]*)">([^<]*)</mark>', page)
    }
    assert "refund: money" in marks["I want a refund."]
    assert "refund: lines" in marks["tablet"]
    assert any("refund: cause" in title for text, title in marks.items() if "cracked" in text)
    assert "&lt;b&gt;" in page
    assert "<b>Hello" not in page
    assert re.search(r"<li>refund · of D300 · .*damaged · money wanted</li>", page)


async def test_a_question_says_that_approving_it_keeps_the_case_open(desk: DeskStage) -> None:
    await desk.stage.many_orders(2)
    case, _ = await desk.stage.paused(order_id=None, intent=None, question="I want a refund, please.")
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
    assert "sends this question and keeps the case open for the answer" in page
