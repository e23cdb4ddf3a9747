"""A real browser at the desk's page: for the pictures in the documents, and for what a key press costs.

Playwright and a Chromium are development tools; nothing of the house itself loads them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

OPEN_SECONDS = 120.0
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowser(Exception):
    """There is no Chromium: Debian has one (apt-get install chromium-headless-shell), or set CHROMIUM to yours."""

    def __init__(self) -> None:
        super().__init__((self.__doc__ or "").strip())


def chromium() -> str | None:
    """The browser's path; None where there is none."""
    # The shell draws no window that nobody sees: it starts at once and takes a third of the processor's time.
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser. Raises NoBrowser."""
    path = chromium()
    if path is None:
        raise NoBrowser
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield opened
        finally:
            opened.close()


@dataclass(frozen=True)
class Served:
    """A house that runs on the demo shop."""

    desk: str
    folder: Path

    def submit(self, **fields: object) -> str:
        """A ticket; its case id."""
        ticket = {
            "tenant": "demo",
            "customer_id": "C100",
            "order_id": "D300",
            "question": "My tablet arrived cracked. I want a refund, please.",
            "intent": "refund_request",
        }
        token = json.loads((self.folder / "demo-tokens.json").read_text())["demo-helpdesk"]
        answer = httpx.post(
            f"{self.desk}/api/tickets",
            json={name: value for name, value in {**ticket, **fields}.items() if value is not None},
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=30,
        )
        answer.raise_for_status()
        return str(answer.json()["case_id"])

    def password(self, person: str) -> str:
        return str(json.loads((self.folder / "demo-passwords.json").read_text())[person])


@contextmanager
def served(
    folder: Path, graph_port: int, desk_port: int, settings: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """`countersign serve` on a home of its own, for as long as the block takes."""
    log = folder / "serve.log"
    command = [
        str(Path(sys.executable).parent / "countersign"), "serve",
        "--graph-port", str(graph_port), "--desk-port", str(desk_port),
    ]  # fmt: skip
    with log.open("wb") as out:
        house = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "COUNTERSIGN_HOME": str(folder), **(settings or {})},
        )
    try:
        deadline = time.monotonic() + OPEN_SECONDS
        while "The house is open." not in (said := log.read_text(errors="replace")):
            if house.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the house did not open:\n{said[-2_000:]}")
            time.sleep(0.2)
        yield Served(f"http://127.0.0.1:{desk_port}", folder)
    finally:
        house.send_signal(signal.SIGINT)
        house.wait(timeout=60)


def sign_in_by_keyboard(page: Page, house: str, person: str, password: str, then: str = "/") -> None:
    """Sign in by keyboard and open a page."""
    page.goto(house + "/sign-in")
    page.wait_for_selector(
        "input[name=name]:focus"
    )  # a function would be eval, which the page's policy forbids
    page.keyboard.type(person)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_url(house + "/")
    if then != "/":
        page.goto(house + then)
