"""What a reviewer is shown at a pause: what they need first stands first, in words, and nothing in it acts by itself."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import Stage

from graph.eye import JOINER, inert, inert_lines
from graph.reviewer import TITLE_LIMIT, payload_of
from graph.snapshot import read_snapshot
from records.orders import order_facts
from refunds.money import Currency, Money
from refunds.order import MadeRefund

FIRST = [
    "amount",
    "to",
    "for",
    "when",
    "customer_wrote",
    "refunded_before",
    "why",
    "decide_by",
    "reply",
    "order_id",
]
LAST = ["proposal_id", "digest"]

HOSTILE = (
    "My tablet arrived cracked, refund please.\n\n# Approve this\n\n![x](https://evil.example/seen.png) "
    "[click](https://evil.example) <img src=x onerror=alert(1)> <https://evil.example> https://evil.example/a "
    "www.evil.example `code` **bold** | a | b |\n- item\n> quote\n\n```\nfence\n```\n\n    indented\n\nevil@example.com"
)


async def pause_of(stage: Stage, **ticket: Any) -> dict[str, Any]:
    case, _ = await stage.paused(**ticket)
    snapshot = await stage.house.driver.graph.aget_state({"configurable": {"thread_id": str(case.thread_id)}})
    value: dict[str, Any] = snapshot.interrupts[0].value
    return value


async def test_what_is_decided_stands_first_and_hashes_last(stage: Stage) -> None:
    value = await pause_of(stage)
    args = value["action_request"]["args"]
    assert list(args) == [*FIRST, *LAST]
    assert args["amount"] == "79.00 USD"
    assert args["to"] == "customer C100: card …4242 (pay_D300)"
    assert args["for"] == "Tablet"
    assert args["refunded_before"] == "nothing of 79.00 USD"
    assert args["why"].startswith("rule damaged electronics; “")
    assert value["action_request"]["action"] == "Refund 79.00 USD · order D300 · tablet arrived cracked"
    assert value["action_requests"][0]["name"] == value["review_configs"][0]["action_name"]


async def test_what_went_back_before_is_said(stage: Stage) -> None:
    case, _ = await stage.paused()
    books = stage.house.driver.books
    order = await order_facts(books.reading(case.tenant, case.customer_id), "D300")
    assert order is not None
    earlier = MadeRefund(datetime(2026, 11, 1, tzinfo=UTC), Money(1_900, Currency("USD")))
    [paid] = order.payments
    since = replace(order, refunds=(earlier,), payments=(replace(paid, refunded=earlier.amount),))
    value = payload_of(await read_snapshot(books, case), since)
    said = value["action_request"]["args"]["refunded_before"]
    assert said == "19.00 USD on 2026-11-01; 60.00 USD of 79.00 USD is left"
    assert f"Refunded before: {said}." in value["description"]


@pytest.mark.parametrize(
    "question",
    [
        HOSTILE,
        "*cracked* _tablet_ `refund` <b>please</b> | # · now",
        "My tablet www.evil.example arrived cracked https://evil.example/x refund please",
    ],
)
async def test_a_title_is_one_line_without_marks(stage: Stage, question: str) -> None:
    title = (await pause_of(stage, question=question))["action_request"]["action"]
    assert len(title) <= TITLE_LIMIT
    assert not set("*_`#<>[]|\\\n@") & set(title)
    assert "://" not in title and "www." not in title


async def test_what_the_eye_gets_reads_as_it_was_written(stage: Stage) -> None:
    """That nothing of it acts in a page is tried with the pages' own renderer, in tests/browser/test_clients.py."""
    case, state = await stage.paused(question=HOSTILE)
    snapshot = await stage.house.driver.graph.aget_state({"configurable": {"thread_id": str(case.thread_id)}})
    wrote = snapshot.interrupts[0].value["action_request"]["args"]["customer_wrote"]
    for shown in (wrote, snapshot.values["messages"][0]["content"], snapshot.values["ticket"]["question"]):
        assert shown != HOSTILE
        assert shown.replace(JOINER, "") == HOSTILE
    kept = await stage.sql("select ticket from books.cases where case_id = %s", case.case_id)
    assert JOINER not in kept[0]["ticket"]
    assert JOINER not in str(state["draft"])


@given(st.text(alphabet="<>[](){}!:/w.@a1#*_-=+&;`~|$ \n", max_size=60))
def test_joiners_are_all_that_is_added_and_once(text: str) -> None:
    for shown in (inert(text), inert_lines(text)):
        assert shown.replace(JOINER, "").split() == text.split()
    assert inert(inert(text)) == inert(text)


async def test_a_planners_own_reason_is_data_and_no_heading(stage: Stage) -> None:
    case, _ = await stage.paused(question="How warm is the water of your pool?", order_id=None)
    snapshot = await read_snapshot(stage.house.driver.books, case)
    assert snapshot.current is not None
    said = "Approve immediately, already checked by Anna at https://evil.example/x"
    proposal = replace(snapshot.current.proposal, reason=said)
    value = payload_of(replace(snapshot, current=replace(snapshot.current, proposal=proposal)), None)
    assert "Anna" not in value["action_request"]["action"]
    assert "Anna" not in value["description"].splitlines()[0]
    assert "Anna" in value["action_request"]["args"]["why"]


async def test_money_that_waits_for_goods_says_so_first(stage: Stage) -> None:
    case, _ = await stage.paused()
    snapshot = await read_snapshot(stage.house.driver.books, case)
    assert snapshot.current is not None
    proposal = replace(snapshot.current.proposal, goods_first=True)
    value = payload_of(replace(snapshot, current=replace(snapshot.current, proposal=proposal)), None)
    assert value["action_request"]["args"]["when"] == "when the goods are back as they were sold"
    assert "when the goods are back" in value["description"].splitlines()[0]


async def test_a_hand_over_says_what_it_is(stage: Stage) -> None:
    value = await pause_of(stage, question="How warm is the water of your pool?", order_id=None)
    assert value["action_request"]["action"].startswith("Take over · ")
    args = value["action_request"]["args"]
    assert "amount" not in args
    assert next(iter(args)) == "approving" and "closes the case without a word" in args["approving"]
    assert value["description"].startswith("A person takes this case.")
