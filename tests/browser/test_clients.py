"""LangGraph's own clients, in a page of another origin in a real browser: what works in each, and what each is refused.

The page comes from an origin that GRAPH_ALLOWED_ORIGINS names; the clients are the packages of npm, bundled as an
application bundles them.
"""

import re
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from running import INBOX, RunningHouse, until
from server_kit import signed_ticket

HERE = Path(__file__).parent
ESBUILD = HERE / "node_modules/.bin/esbuild"
APPROVE = {"decisions": [{"type": "approve"}]}
REJECT = {"decisions": [{"type": "reject", "message": "not this time"}]}
RESPOND = [{"type": "response", "args": "we do not do this"}]
CLIENTS = ("runs.stream", "joinStream", "threads.stream", "RemoteGraph", "useStream")

pytestmark = pytest.mark.skipif(
    not ESBUILD.exists(), reason="no packages here: npm ci --prefix tests/browser"
)


class Visitor:
    """A page of another origin, with the clients in it."""

    def __init__(self, house: RunningHouse, page: Page) -> None:
        self.house = house
        self.page = page

    def act(self, action: str, who: str = "demo-reviewer", **said: Any) -> dict[str, Any]:
        """What a client told or was refused by."""
        house = {"url": self.house.graph_url, "token": self.house.tokens()[f"{who}@server"]}
        found: dict[str, Any] = self.page.evaluate(
            "([house, action, said]) => window.act(house, action, said)", [house, action, said]
        )
        return found


@pytest.fixture(name="visitor", scope="module")
def _visitor(
    running: RunningHouse, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visitor]:
    bundle = tmp_path_factory.mktemp("clients") / "clients.js"
    subprocess.run(
        [
            str(ESBUILD), "clients.mjs", "--bundle", "--format=iife", "--platform=browser", "--log-level=error",
            '--define:process.env.NODE_ENV="production"', f"--outfile={bundle}",
        ],
        cwd=HERE, check=True,
    )  # fmt: skip
    context = chromium.new_context()
    context.grant_permissions(["local-network-access"], origin=INBOX)  # as its reader is asked to
    context.route(f"{INBOX}/", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"))
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.goto(f"{INBOX}/")
    page.add_script_tag(path=str(bundle))
    yield Visitor(running, page)
    context.close()


def case_of(house: RunningHouse, number: int) -> str:
    return str(house.paused(order_id=f"X{number}")["case_id"])


def test_a_client_connects_lists_and_opens(visitor: Visitor) -> None:
    case = case_of(visitor.house, 420)
    assert visitor.act("connect")["told"] == ["refund_agent"]
    until(lambda: case in visitor.act("list")["told"], "listed")
    assert visitor.act("open", thread=case)["told"] == {
        "title": "Refund 79.00 USD · order X420 · tablet arrived cracked",
        "first": "amount",
    }


@pytest.mark.parametrize("number", range(len(CLIENTS)), ids=CLIENTS)
def test_an_answer_by_each_client_is_a_decision_and_is_followed_to_its_end(
    visitor: Visitor, number: int
) -> None:
    house, by = visitor.house, CLIENTS[number]
    for place, (resume, end) in enumerate(
        ((APPROVE, "refunded"), (REJECT, "rejected"), (RESPOND, "rejected"))
    ):
        case = case_of(house, 421 + 3 * number + place)
        assert visitor.act("answer", by=by, thread=case, resume=resume) == {"told": end}
        [vote] = house.sql("select person, via::text from books.votes where case_id = %s", case)
        assert vote == {"person": "demo-reviewer", "via": "server"}
    messages = visitor.act("messages", thread=case)["told"]
    assert messages[-2:] == ["Rejected by demo-reviewer: other.", "Nothing is paid."]


@pytest.mark.parametrize("number", range(len(CLIENTS)), ids=CLIENTS)
def test_each_client_shows_why_an_answer_does_not_count(visitor: Visitor, number: int) -> None:
    house, by = visitor.house, CLIENTS[number]
    case = case_of(house, 440 + 3 * number)

    def refused(who: str, said: str, thread: str = case, resume: object = APPROVE) -> None:
        answer = visitor.act("answer", who=who, by=by, thread=thread, resume=resume)
        assert "refused" in answer and "no answer within" not in answer["refused"], answer
        assert said in answer["refused"], answer

    before = house.case(case)
    refused("demo-auditor", "decides nothing here")
    refused(
        "demo-reviewer",
        "is made at the desk" if by != "useStream" else "",
        resume={"decisions": [{"type": "edit"}]},
    )
    assert house.case(case) == before

    # The page is stale: a second proposal stands where the first one is shown.
    house.decide(before, word="revise", amount_minor=100)
    until(lambda: house.case(case)["state"]["proposal"]["amount_minor"] == 100, "proposed again")
    until(lambda: house.sdk().threads.get(case)["metadata"]["amount_minor"] == 100, "in its row")  # type: ignore[index]
    refused("demo-reviewer", f"/cases/{case}")

    # The time to decide is over.
    late = case_of(house, 441 + 3 * number)
    house.sql(
        "set session_replication_role = replica; update books.proposals set proposed_at = now() - interval '71 hours',"
        f" expires_at = now() - interval '1 second' where case_id = '{late}'"
    )
    refused("demo-reviewer", "", thread=late)
    assert not house.sql("select 1 from books.votes where case_id = %s", late)

    # A second reviewer was first.
    second = case_of(house, 442 + 3 * number)
    assert house.decide(house.case(second), "demo-reviewer-2").status_code == 200
    refused("demo-reviewer", "", thread=second)
    house.reaches(second, "refunded")
    votes = house.sql("select person from books.votes where case_id = %s", second)
    assert [vote["person"] for vote in votes] == ["demo-reviewer-2"]


def test_a_ticket_is_started_by_the_streaming_protocol_and_by_a_remote_graph(visitor: Visitor) -> None:
    house = visitor.house
    for number, by in enumerate(("threads.stream", "RemoteGraph")):
        thread, ticket = str(uuid.uuid4()), signed_ticket(house, order_id=f"X{460 + number}")
        started = visitor.act("start", who="demo-helpdesk", by=by, thread=thread, ticket=ticket)
        assert started["told"] in ("needs_human", ["approval"]), started
        again = visitor.act("start", who="demo-helpdesk", by=by, thread=thread, ticket=ticket)
        assert "refused" in again, again


def test_a_page_reads_why_it_may_not_write(visitor: Visitor) -> None:
    case = case_of(visitor.house, 462)
    before = visitor.house.case(case)
    for what in ("state", "delete", "goto", "stateless"):
        answer = visitor.act("write", thread=case, what=what)
        assert "not allowed here" in answer["refused"], answer
        assert answer["status"] == 403
    assert visitor.house.case(case) == before


def test_two_reviewers_at_once_in_two_clients_are_one_refund(visitor: Visitor) -> None:
    house, case = visitor.house, case_of(visitor.house, 463)
    with ThreadPoolExecutor(1) as pool:
        desk = pool.submit(house.decide, house.case(case), "demo-reviewer-2")
        visitor.act("answer", by="runs.stream", thread=case, resume=APPROVE)
        desk.result()
    house.reaches(case, "refunded")
    assert len([one for one in house.refunds() if one["payment_id"] == "pay_X463"]) == 1


HOSTILE = (
    "My tablet arrived cracked, refund please.\n\n![x](https://evil.example/seen.png) [click](https://evil.example) "
    "<img src=x onerror=alert(1)> <iframe srcdoc='<script>alert(1)</script>'></iframe> <style>*{display:none}</style>\n\n"
    "<https://evil.example> https://evil.example/a www.evil.example WWW.evil.example evil@example.com mailto:e@x.org\n\n"
    "[ref] [ref][] [text][ref] [^1]\n\n[ref]: https://evil.example\n[^1]: https://evil.example\n\n<!-- x --> <?php x ?> </div>\n\n"
    "&#91;x&#93;(https://evil.example) \\<img src=x> &lt;img src=x&gt; ![x] (https://evil.example)"
)


def texts_in(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for one in value for text in texts_in(one)]
        case dict():
            return [text for one in value.values() for text in texts_in(one)]
        case _:
            return []


def test_nothing_that_a_customer_writes_acts_in_a_page_of_others(visitor: Visitor) -> None:
    """Broken? A frame in a ticket runs in the reviewer's page, with the reviewer's token; a picture says it is read."""
    house = visitor.house
    case = str(house.paused(order_id="X464", question=HOSTILE)["case_id"])
    state: Any = house.sdk().threads.get_state(case)
    texts = [*texts_in(state["values"]), *texts_in([task["interrupts"] for task in state["tasks"]])]
    assert sum("evil" in text for text in texts) >= 3
    acts = re.compile(r"<(?!/?(?:p|blockquote|strong|em|code|pre|ul|ol|li|h\d|br|del|hr|table|t\w+)\b)")
    for html in visitor.act("render", texts=texts)["told"]:
        assert not acts.search(html), html
    # The renderer is one that would: the same words as they came do all of it.
    [raw] = visitor.act("render", texts=[HOSTILE])["told"]
    assert all(tag in raw for tag in ("<img", "<iframe", "<a href", "<style"))
