"""A real browser before a house that really runs; without a Chromium these laws are skipped with the way to one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect
from running import RunningHouse

from evals.browser import browser, chromium, sign_in_by_keyboard

expect.set_options(timeout=60_000)  # a limit, never a measure

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
REFUSED = "Failed to load resource: the server responded with a status of"
"""What the browser itself says of an answer such as 409; the page shows it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if chromium() is None:
        here = str(Path(__file__).parent)
        for item in items:
            if str(item.path).startswith(here):
                item.add_marker(
                    pytest.mark.skip(
                        reason="no Chromium here: apt-get install chromium-headless-shell, or set CHROMIUM"
                    )
                )


@dataclass
class Desk:
    """Visitors of a running house, and everything that their browsers complained of."""

    house: RunningHouse
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def visitor(
        self, person: str = "demo-reviewer", then: str = "/", width: int = 1280, height: int = 900
    ) -> Page:
        """A person with a browser of their own, signed in."""
        context = self.browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", self._asked)
        password = json.loads((self.house.folder / "demo-passwords.json").read_text())[person]
        sign_in_by_keyboard(page, self.house.desk_url, person, password, then)
        page.wait_for_selector("#live[data-on]")
        self.pages.append(page)
        return page

    def _asked(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(REFUSED):
            self.complaints.append(f"{kind}: {text}")


@pytest.fixture(name="chromium", scope="module")
def _chromium(running: RunningHouse) -> Iterator[Browser]:
    """One for all: while it is open its thread has a running loop, so these laws come before any that need one."""
    del running
    with browser() as opened:
        yield opened


@pytest.fixture(name="desk")
def _desk(running: RunningHouse, chromium: Browser) -> Iterator[Desk]:
    """The desk; at the end of each law nothing may have been complained of."""
    desk = Desk(running, chromium)
    yield desk
    for page in desk.pages:
        page.context.close()
    assert desk.complaints == []
