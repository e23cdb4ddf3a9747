"""python -m evals.screenshots: the main pages as pictures for the documents, from a house that really runs."""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from evals.browser import NoBrowser, Served, browser, served, sign_in_by_keyboard
from evals.day import free_port

HERE = Path(__file__).parents[1] / "docs" / "pages"
SIZE: ViewportSize = {"width": 1280, "height": 860}

TICKETS = (
    {"ticket_id": "r-101", "customer_id": "C100", "order_id": "D300"},
    {
        "ticket_id": "r-102",
        "customer_id": "C102",
        "order_id": "D302",
        "question": "My laptop arrived broken. I want my money back, please.",
    },
    {
        "ticket_id": "r-103",
        "customer_id": "C103",
        "order_id": "D303",
        "question": "My camera is defective. Refund, please.",
    },
    {
        "ticket_id": "r-104",
        "customer_id": "C101",
        "order_id": "D301",
        "question": "What is the return policy for headphones?",
        "intent": "policy_question",
    },
    {
        "ticket_id": "r-105",
        "customer_id": "C101",
        "order_id": None,
        "question": "Where is my parcel?",
        "intent": "order_question",
    },
    {
        "ticket_id": "r-106",
        "customer_id": "C100",
        "order_id": "D300",
        "intent": None,
        "question": "The tablet arrived cracked. If you cannot mend it, I want a refund. When is your shop open?",
    },
    {
        "ticket_id": "r-107",
        "customer_id": "C101",
        "order_id": "D301",
        "question": "My headphones arrived broken. Refund, please.",
    },
    {
        "ticket_id": "r-108",
        "customer_id": "C101",
        "order_id": "D301",
        "question": "The parcel got crushed in the post. Which pictures do you want of it?",
        "intent": "policy_question",
    },
)


def shoot(page: Page, house: Served, name: str, at: str) -> None:
    """One page in light and in dark, as it stands when nothing moves any more."""
    page.goto(house.desk + at)
    page.wait_for_selector("#live[data-on]")
    both(page, name)


def both(page: Page, name: str) -> None:
    """What is on the screen, in light and in dark."""
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_timeout(300)
    page.screenshot(path=HERE / f"{name}.png", animations="disabled")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=HERE / f"{name}-dark.png", animations="disabled")
    page.emulate_media(color_scheme="light")


def main() -> int:
    """0 done, 1 where there is no browser."""
    argparse.ArgumentParser(
        prog="python -m evals.screenshots",
        description="Take the pictures of docs/pages from a house of its own.",
        epilog="example: make screenshots",
    ).parse_args()
    HERE.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="countersign-pictures-") as name,
            browser() as opened,
        ):
            folder = Path(name)
            folder.chmod(0o755)
            with served(folder, free_port(), free_port()) as house:
                _pictures(opened.new_page(viewport=SIZE), opened.new_page(viewport=SIZE), house)
    except NoBrowser as error:
        sys.stderr.write(f"evals.screenshots: {error}\n")
        return 1
    return 0


def _pictures(reviewer: Page, operator: Page, house: Served) -> None:
    cases = [house.submit(**ticket) for ticket in TICKETS]
    time.sleep(4)
    person = "demo-specialist"
    sign_in_by_keyboard(reviewer, house.desk, person, house.password(person))
    shoot(reviewer, house, "queue", "/")
    shoot(reviewer, house, "case", f"/cases/{cases[1]}")
    shoot(reviewer, house, "letters", "/letters")
    reviewer.goto(f"{house.desk}/cases/{cases[4]}")
    reviewer.wait_for_selector("#live[data-on]")
    reviewer.keyboard.press("t")
    both(reviewer, "hand-over")
    reviewer.goto(f"{house.desk}/cases/{cases[7]}")
    reviewer.wait_for_selector("#live[data-on]")
    reviewer.locator("#h-near").scroll_into_view_if_needed()
    both(reviewer, "offers")
    reviewer.keyboard.press("1")
    both(reviewer, "offer-taken")
    reviewer.goto(f"{house.desk}/customers/demo/C101")
    for kind, words in (("language", "German"), ("accessibility", "large print, please")):
        reviewer.select_option("select[name=kind]", kind)
        reviewer.fill("#h-note ~ form input[name=text]", words)
        reviewer.select_option("select[name=source]", "customer")
        reviewer.get_by_role("button", name="Remember it").click()
        reviewer.wait_for_selector(f"text={words}")
    both(reviewer, "memory")
    alike = house.desk + "/alike?tenant=demo&rule=damaged-electronics"
    reviewer.goto(alike)
    both(reviewer, "alike")
    reviewer.goto(f"{house.desk}/cases/{cases[5]}")
    reviewer.wait_for_selector("#live[data-on]")
    reviewer.keyboard.press("f")
    both(reviewer, "reading")
    reviewer.goto(f"{house.desk}/cases/{cases[0]}")
    reviewer.wait_for_selector("#live[data-on]")
    reviewer.wait_for_selector("body[data-read]")
    reviewer.keyboard.press("a")
    reviewer.wait_for_selector("#strip [data-status=refunded]")
    reviewer.keyboard.press("r")
    reviewer.wait_for_url(re.compile("/cases/"))
    person = "demo-operator"
    sign_in_by_keyboard(operator, house.desk, person, house.password(person))
    shoot(operator, house, "operations", "/ops")
    shoot(operator, house, "audit", "/audit")
    shoot(operator, house, "unknown", "/unknown")
    shoot(reviewer, house, "my-day", "/mine")


if __name__ == "__main__":
    sys.exit(main())
