"""What a reviewer is shown at a pause: what they need first stands first, in words, and nothing in it acts by itself."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from markdown_it import MarkdownIt
from stage import Stage

from graph.reviewer import TITLE_LIMIT, payload_of
from graph.snapshot import read_snapshot
from records.orders import order_facts
from refunds.money import Currency, Money
from refunds.order import MadeRefund

FIRST = ["amount", "to", "for", "customer_wrote", "refunded_before", "why", "decide_by", "reply", "order_id"]
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


@pytest.mark.parametrize("question", [HOSTILE, "*cracked* _tablet_ `refund` <b>please</b> | # · now"])
async def test_a_title_is_one_line_without_marks(stage: Stage, question: str) -> None:
    title = (await pause_of(stage, question=question))["action_request"]["action"]
    assert len(title) <= TITLE_LIMIT
    assert not set("*_`#<>[]|\\\n") & set(title)


async def test_nothing_that_a_customer_writes_acts_in_a_reviewers_page(stage: Stage) -> None:
    """Broken? A picture in a question tells its sender that it is being read, and a link asks to be pressed."""
    value = await pause_of(stage, question=HOSTILE)
    tokens = MarkdownIt("js-default", {"linkify": False, "html": True}).parse(value["description"])
    kinds = {token.type for token in tokens} | {
        inner.type for token in tokens for inner in token.children or ()
    }
    assert kinds <= {
        "paragraph_open", "paragraph_close", "inline", "text", "softbreak", "blockquote_open", "blockquote_close",
    }  # fmt: skip
    # What makes links of bare addresses finds none.
    for sign in ("https://", "www.evil", "evil@"):
        assert sign not in value["description"]
    shown = "".join(inner.content for token in tokens for inner in token.children or ())
    for words in ("# Approve this", "![x](https://evil.example/seen.png)", "<img src=x onerror=alert(1)>"):
        assert words in shown


async def test_a_hand_over_says_what_it_is(stage: Stage) -> None:
    value = await pause_of(stage, question="How warm is the water of your pool?", order_id=None)
    assert value["action_request"]["action"].startswith("Take over · ")
    assert "amount" not in value["action_request"]["args"]
    assert value["description"].startswith("A person takes this case:")
