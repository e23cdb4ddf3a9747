"""python -m evals.interfaces: LangGraph's own reviewer pages before a house of its own, tried as a reviewer uses them.

The pages are the real programs, each started beside it as docs/interfaces.md says; this opens them in a real browser,
lists, opens, answers and is refused, says what each showed, and takes the pictures of docs/pages. With `--measure` it
also answers through the Python SDK and says how long that took.
"""

import argparse
import json
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import psycopg
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient
from playwright.sync_api import Browser, Page, ViewportSize

from app.house import home_private_key
from evals.browser import NoBrowser, Served, browser, served
from evals.day import ORDERS, PAYMENTS, free_port
from policies.intake import sign
from refunds.ticket import Ticket
from runtime.embedded import EmbeddedPostgres
from runtime.home import DATABASE, Home

HERE = Path(__file__).parents[1] / "docs" / "pages"
SIZE: ViewportSize = {"width": 1440, "height": 1000}
ORDERS_MADE = 600
SOON_MS = 20_000
APPROVE = {"decisions": [{"type": "approve"}]}
NOTICES = "li[role=status], [data-sonner-toast], [role=region] li"


@dataclass(frozen=True)
class Tried:
    """One thing that was tried in one interface, and what came of it."""

    interface: str
    what: str
    status: str
    """Of the case, afterwards."""

    shown: str
    """What the page said of it."""


@dataclass
class Reviewing:
    """The house, its cases, and the pages before it."""

    house: Served
    graph: str
    opened: Browser
    orders: Iterator[int]

    def token(self, person: str) -> str:
        return str(
            json.loads((self.house.folder / "demo-server-tokens.json").read_text())[f"{person}@server"]
        )

    def sdk(self, person: str = "demo-reviewer") -> SyncLangGraphClient:
        return get_sync_client(url=self.graph, headers={"authorization": f"Bearer {self.token(person)}"})

    def paused(self) -> str:
        """A case at its pause, in its row."""
        case = self.house.submit(
            ticket_id=f"t-{uuid.uuid4().hex[:10]}", order_id=f"Y{next(self.orders)}", intent=None
        )
        self.until(case, "needs_human")
        return case

    def until(self, case: str, *statuses: str) -> str:
        """The status of a case once it is one of these; whatever it is after a while."""
        deadline, status = time.monotonic() + SOON_MS / 1_000, ""
        while status not in statuses and time.monotonic() < deadline:
            time.sleep(0.1)
            status = str((self.sdk().threads.get(case)["metadata"] or {}).get("status"))
        return status

    @contextmanager
    def page(self, stored: dict[str, str]) -> Iterator[Page]:
        """A browser of its own with these things in its storage."""
        context = self.opened.new_context(viewport=SIZE)
        # Nothing of this leaves the machine: fonts of another place are answered here, empty.
        context.route(
            "**/fonts.googleapis.com/**", lambda route: route.fulfill(content_type="text/css", body="")
        )
        for name, value in stored.items():
            context.add_init_script(f"localStorage.setItem({json.dumps(name)}, {json.dumps(value)})")
        page = context.new_page()
        page.set_default_timeout(SOON_MS)
        try:
            yield page
        finally:
            context.close()


@dataclass(frozen=True)
class Interface:
    """A reviewer's page: how it is opened on a case, and what its buttons are called."""

    name: str
    stored: Callable[[str, str], dict[str, str]]
    """What its storage holds, by the address of the server and a token."""

    at: Callable[[str, str], str]
    """The address of its page, by the address of the server and a case."""

    buttons: dict[str, str]
    picture: str


def agent_inbox(url: str) -> Interface:
    """Agent Inbox at an address."""

    def stored(server: str, token: str) -> dict[str, str]:
        inbox = {
            "id": "countersign", "graphId": "refund_agent", "deploymentUrl": server, "name": "Countersign",
            "selected": True, "createdAt": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        return {
            "inbox:agent_inboxes": json.dumps([inbox]),
            "inbox:langchain_api_key": token,
            "inbox:id_backfill_completed": "true",
        }

    def at(server: str, case: str) -> str:
        del server
        opened = f"&view_state_thread_id={case}" if case else ""
        return f"{url}/?agent_inbox=countersign&inbox=interrupted&offset=0&limit=10{opened}"

    return Interface(
        "Agent Inbox",
        stored,
        at,
        {"approve": "Accept", "respond": "Send Response", "resolve": "Mark as Resolved"},
        "agent-inbox",
    )


def agent_chat(url: str) -> Interface:
    """Agent Chat UI at an address."""

    def stored(server: str, token: str) -> dict[str, str]:
        del server
        return {"lg:chat:apiKey": token}

    def at(server: str, case: str) -> str:
        opened = f"&threadId={case}" if case else ""
        return f"{url}/?apiUrl={server}&assistantId=refund_agent&chatHistoryOpen=true{opened}"

    return Interface(
        "Agent Chat UI", stored, at,
        {"approve": "Approve", "respond": "Submit rejection", "resolve": "Mark as Resolved"}, "agent-chat",
    )  # fmt: skip


def try_out(desk: Reviewing, interface: Interface, pictures: Path) -> Iterator[Tried]:
    """Everything that a reviewer does there, one after the other."""
    first = desk.paused()
    with desk.page(interface.stored(desk.graph, desk.token("demo-reviewer"))) as page:
        page.goto(interface.at(desk.graph, ""))
        page.wait_for_timeout(3_000)
        page.screenshot(path=pictures / f"{interface.picture}-list.png")
        yield Tried(
            interface.name,
            "list",
            desk.until(first, "needs_human"),
            "listed" if "arrived cracked" in page.inner_text("body") else "not listed",
        )
    reviewer, auditor = "demo-reviewer", "demo-auditor"
    for what, person in (
        ("approve", reviewer),
        ("respond", reviewer),
        ("resolve", reviewer),
        ("approve", auditor),
    ):
        case = desk.paused()
        picture = pictures / f"{interface.picture}.png" if (what, person) == ("approve", reviewer) else None
        shown = _answer(desk, interface, case, what, person, picture)
        ends = {"approve": "refunded", "respond": "rejected"}
        status = desk.until(
            case, ends.get(what, "needs_human") if person == "demo-reviewer" else "needs_human"
        )
        yield Tried(
            interface.name, what if person == "demo-reviewer" else f"{what}, without authority", status, shown
        )
    yield _stale(desk, interface)


def _answer(
    desk: Reviewing, interface: Interface, case: str, what: str, person: str, picture: Path | None
) -> str:
    """What the page says once its button was pressed."""
    with desk.page(interface.stored(desk.graph, desk.token(person))) as page:
        page.goto(interface.at(desk.graph, case))
        button = page.get_by_role("button", name=interface.buttons[what]).first
        button.wait_for()
        page.wait_for_timeout(500)
        if picture is not None:
            title = page.get_by_text(re.compile(r"^Refund 79\.00")).last
            title.evaluate("element => element.scrollIntoView({ block: 'center' })")
            page.screenshot(path=picture)
        if what == "respond":
            page.locator("textarea").first.fill("We do not do this.")
        return _pressed(page, interface.buttons[what])


def _pressed(page: Page, name: str) -> str:
    page.get_by_role("button", name=name).first.click()
    page.locator(NOTICES).filter(has_text=" ").first.wait_for()
    page.wait_for_timeout(1_500)
    notices = [" ".join(one.split()) for one in page.locator(NOTICES).all_inner_texts()]
    return " / ".join(dict.fromkeys(one for one in notices if one and not one.startswith("Notification")))


def _stale(desk: Reviewing, interface: Interface) -> Tried:
    """The page is open; a second reviewer answers first; the first presses."""
    case = desk.paused()
    with desk.page(interface.stored(desk.graph, desk.token("demo-reviewer"))) as page:
        page.goto(interface.at(desk.graph, case))
        page.get_by_role("button", name=interface.buttons["approve"]).first.wait_for()
        desk.sdk("demo-reviewer-2").runs.wait(case, "refund_agent", command={"resume": APPROVE})
        shown = _pressed(page, interface.buttons["approve"])
    return Tried(interface.name, "approve after a second reviewer", desk.until(case, "refunded"), shown)


def measure(desk: Reviewing, many: int) -> Iterator[str]:
    """From ticket to interrupt and from answer to `refunded`, as a client of the Python SDK sees it."""
    key = home_private_key(Home(desk.house.folder), "intake")
    paused: list[float] = []
    refunded: list[float] = []
    helpdesk, reviewer = desk.sdk("demo-helpdesk"), desk.sdk()
    for _ in range(many + 1):
        raw = {
            "ticket_id": f"m-{uuid.uuid4().hex[:10]}", "tenant": "demo", "customer_id": "C100",
            "order_id": f"Y{next(desk.orders)}", "question": "My tablet arrived cracked. I want a refund, please.",
            "bundle_version": "intake_bundle_v2", "route": "guarded_agent",
        }  # fmt: skip
        ticket: Any = sign(Ticket.read(raw), key, datetime.now(UTC)).to_json()
        thread = helpdesk.threads.create()["thread_id"]
        began = time.perf_counter()
        helpdesk.runs.wait(thread, "refund_agent", input={"ticket": ticket})
        paused.append(time.perf_counter() - began)
        desk.until(thread, "needs_human")
        began = time.perf_counter()
        told: Any = reviewer.runs.wait(thread, "refund_agent", command={"resume": APPROVE})
        refunded.append(time.perf_counter() - began)
        if told["status"] != "refunded":
            raise SystemExit(f"{thread}: {told['status']}")
    # The first finds nothing warm.
    for what, seconds in (("ticket to interrupt", paused[1:]), ("answer to refunded", refunded[1:])):
        cut = quantiles(seconds, n=20)
        yield f"{what}: p50 {cut[9] * 1_000:.0f} ms, p95 {cut[18] * 1_000:.0f} ms, of {many}"


def main() -> int:
    """0 done, 1 where a page cannot be reached or there is no browser."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.interfaces",
        description="Try LangGraph's own reviewer pages before a house of its own.",
        epilog="example: make interfaces ARGS='--inbox http://localhost:3000 --measure 100'",
    )
    parser.add_argument("--inbox", help="where Agent Inbox runs")
    parser.add_argument("--chat", help="where Agent Chat UI runs")
    parser.add_argument(
        "--measure", type=int, default=0, metavar="N", help="answer N cases through the Python SDK"
    )
    parser.add_argument("--pictures", type=Path, default=HERE, help="where the pictures go (docs/pages)")
    asked = parser.parse_args()
    pages = [
        make(at.rstrip("/")) for make, at in ((agent_inbox, asked.inbox), (agent_chat, asked.chat)) if at
    ]
    if not pages and not asked.measure:
        parser.error("name a page with --inbox or --chat, or --measure N")
    try:
        for at in (asked.inbox, asked.chat):
            if at:
                httpx.get(at, trust_env=False, timeout=30)
        with tempfile.TemporaryDirectory(prefix="countersign-interfaces-") as name, browser() as opened:
            folder, port = Path(name), free_port()
            folder.chmod(0o755)
            origins = ",".join(at for at in (asked.inbox, asked.chat) if at)
            with served(folder, port, free_port(), {"GRAPH_ALLOWED_ORIGINS": origins}) as house:
                with psycopg.connect(EmbeddedPostgres(folder).url(DATABASE), autocommit=True) as connection:
                    connection.execute(ORDERS, {"most": ORDERS_MADE})
                    connection.execute(PAYMENTS, {"most": ORDERS_MADE})
                desk = Reviewing(house, f"http://localhost:{port}", opened, iter(range(ORDERS_MADE)))
                for page in pages:
                    for tried in try_out(desk, page, asked.pictures):
                        sys.stdout.write(
                            f"{tried.interface} | {tried.what} | {tried.status} | {tried.shown}\n"
                        )
                        sys.stdout.flush()
                for line in measure(desk, asked.measure) if asked.measure else ():
                    sys.stdout.write(line + "\n")
    except (NoBrowser, httpx.HTTPError) as error:
        sys.stderr.write(f"evals.interfaces: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
