"""LangGraph Studio's page comes from elsewhere and asks this server: its calls, from its origin, in a real browser.

Studio itself is a hosted program that cannot be had here; what it asks of a server is what its origin, its headers and
LangGraph's published API say. The page below comes from Studio's address and asks each of these.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from running import RunningHouse

from graph.settings import STUDIO

ASK = """async ([url, method, token, body]) => {
  try {
    const answer = await fetch(url, {
      method,
      headers: { "content-type": "application/json", "x-auth-scheme": "langsmith", ...(token ? { "x-api-key": token } : {}) },
      body: body === null ? undefined : JSON.stringify(body),
    });
    return { status: answer.status, text: await answer.text(), exposed: [...answer.headers.keys()] };
  } catch (error) {
    return { status: 0, text: String(error), exposed: [] };
  }
}"""

FIRST_WORDS = """async ([url, token, body]) => {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "x-auth-scheme": "langsmith", "x-api-key": token },
    body: JSON.stringify(body),
  });
  const reader = answer.body.getReader();
  const first = await reader.read();
  await reader.cancel();
  return { status: answer.status, kind: answer.headers.get("content-type"), where: answer.headers.get("content-location"),
           first: new TextDecoder().decode(first.value) };
}"""


class AskingPage:
    """A page of an origin, that asks the server."""

    def __init__(self, house: RunningHouse, page: Page) -> None:
        self.house = house
        self.page = page

    def ask(
        self, method: str, path: str, body: Any = None, who: str | None = "demo-reviewer"
    ) -> dict[str, Any]:
        token = self.house.tokens()[f"{who}@server"] if who else None
        found: dict[str, Any] = self.page.evaluate(ASK, [self.house.graph_url + path, method, token, body])
        return found


@pytest.fixture(name="studio", scope="module")
def _studio(running: RunningHouse, chromium: Browser) -> Iterator[AskingPage]:
    yield from page_of(running, chromium, STUDIO)


@pytest.fixture(name="elsewhere", scope="module")
def _elsewhere(running: RunningHouse, chromium: Browser) -> Iterator[AskingPage]:
    yield from page_of(running, chromium, "https://evil.example")


def page_of(house: RunningHouse, chromium: Browser, origin: str) -> Iterator[AskingPage]:
    context = chromium.new_context()
    context.grant_permissions(["local-network-access"], origin=origin)  # as its reader is asked to
    context.route(
        f"{origin}/studio", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>")
    )
    page = context.new_page()
    page.goto(f"{origin}/studio")
    yield AskingPage(house, page)
    context.close()


def looks(thread: str, assistant: str) -> list[tuple[str, str, Any]]:
    """What Studio reads: the server, the graph with its boxed part, threads, state, history."""
    return [
        ("GET", "/ok", None),
        ("GET", "/info", None),
        ("POST", "/assistants/search", {"limit": 100}),
        ("GET", f"/assistants/{assistant}", None),
        ("GET", f"/assistants/{assistant}/graph?xray=true", None),
        ("GET", f"/assistants/{assistant}/schemas", None),
        ("GET", f"/assistants/{assistant}/subgraphs", None),
        ("POST", f"/assistants/{assistant}/versions", {}),
        ("POST", "/threads/search", {"limit": 20, "metadata": {"graph_id": "refund_agent"}}),
        ("POST", "/threads/count", {}),
        ("GET", f"/threads/{thread}", None),
        ("GET", f"/threads/{thread}/state?subgraphs=true", None),
        ("POST", f"/threads/{thread}/history", {"limit": 10}),
        ("GET", f"/threads/{thread}/history?limit=10", None),
        ("GET", f"/threads/{thread}/runs", None),
    ]


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/threads/{t}/state", {"values": {"status": "refunded"}, "as_node": "approval"}),
    ("PATCH", "/threads/{t}", {"metadata": {"graph_id": "other"}}),
    ("DELETE", "/threads/{t}", None),
    ("POST", "/threads/{t}/copy", {}),
    ("POST", "/threads/{t}/runs/stream", {"assistant_id": "refund_agent", "command": {"goto": "refund"}}),
    ("POST", "/threads/{t}/runs/stream", {"assistant_id": "refund_agent", "input": {"ticket": {}}, "interrupt_before": ["refund"]}),
    ("POST", "/assistants", {"graph_id": "refund_agent"}),
    ("PATCH", "/assistants/refund_agent", {"name": "mine"}),
    ("PUT", "/store/items", {"namespace": ["a"], "key": "b", "value": {}}),
    ("POST", "/store/items/search", {"namespace_prefix": []}),
    ("POST", "/runs/stream", {"assistant_id": "refund_agent", "input": {}}),
    ("GET", "/openapi.json", None),
]  # fmt: skip


def test_studio_inspects_the_graph_its_threads_their_state_and_history(studio: AskingPage) -> None:
    thread = studio.house.paused(order_id="X470")["case_id"]
    assistant = studio.house.sdk().assistants.search()[0]["assistant_id"]
    for method, path, body in looks(thread, assistant):
        answer = studio.ask(method, path, body)
        assert answer["status"] == 200, (method, path, answer)
    drawn = studio.ask("GET", f"/assistants/{assistant}/graph?xray=true")["text"]
    assert '"case_agent:plan"' in drawn and '"refund"' in drawn
    schemas = studio.ask("GET", f"/assistants/{assistant}/schemas")["text"]
    for name in ("input_schema", "output_schema", "state_schema"):
        assert f'"{name}":null' not in schemas.replace(" ", "")
    state = studio.ask("GET", f"/threads/{thread}/state")["text"]
    assert "Refund 79.00 USD · order X470" in state and "response_schema" in state


def test_studio_shows_why_it_may_not_write(studio: AskingPage) -> None:
    case = studio.house.paused(order_id="X471")
    for method, path, body in WRITES:
        answer = studio.ask(method, path.replace("{t}", case["case_id"]), body)
        assert answer["status"] == 403, (method, path, answer)
        assert "not allowed here" in answer["text"]
    assert studio.house.case(case["case_id"])["state"] == case["state"]


def test_studio_answers_a_pause_as_its_person_and_reads_the_stream(studio: AskingPage) -> None:
    house, case = studio.house, studio.house.paused(order_id="X472")
    url = f"{house.graph_url}/threads/{case['case_id']}/runs/stream"
    body = {
        "assistant_id": "refund_agent",
        "command": {"resume": {"decisions": [{"type": "approve"}]}},
        "stream_mode": ["values", "updates", "debug"],
        "stream_subgraphs": True,
    }
    told = studio.page.evaluate(FIRST_WORDS, [url, house.tokens()["demo-reviewer@server"], body])
    assert (told["status"], told["kind"].split(";")[0]) == (200, "text/event-stream")
    assert told["where"].startswith(f"/threads/{case['case_id']}/runs/")
    assert "event: " in told["first"]
    house.reaches(case["case_id"], "refunded")


def test_studio_without_a_token_of_this_server_sees_nothing(studio: AskingPage) -> None:
    assert studio.ask("POST", "/threads/search", {}, who=None)["status"] == 401


def test_a_page_of_another_origin_reads_nothing_with_any_token(elsewhere: AskingPage) -> None:
    """Broken? Any page that its reader opens could use a token that it has come by, and read what it finds."""
    thread = elsewhere.house.paused(order_id="X473")["case_id"]
    for method, path, body in [*looks(thread, "refund_agent"), *WRITES]:
        answer = elsewhere.ask(method, path.replace("{t}", thread), body)
        assert (answer["status"], answer["exposed"]) == (0, []), (method, path, answer)
