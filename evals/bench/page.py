"""python -m evals.bench.page: from the key that approves to `refunded` on the screen, in a real browser.

The word is read from the settlement in the books, not from a thread. The default is the embedded database and one
process of each kind: what `make serve` gives.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from evals.browser import NoBrowser, Served, browser, served, sign_in_by_keyboard
from evals.day import free_port
from runtime.home import Home

GOAL_SECONDS = 1.0


def pressed(page: Page, house: Served, case_id: str) -> float:
    """Seconds from the key to the word."""
    page.goto(f"{house.desk}/cases/{case_id}")
    page.wait_for_selector("#live[data-on]")
    page.wait_for_selector("body[data-read]")
    begun = time.perf_counter()
    page.keyboard.press("a")
    page.wait_for_selector(f"#strip:has(a[href='/cases/{case_id}']) [data-status=refunded]")
    return time.perf_counter() - begun


def orders(home: Home, most: int) -> None:
    """An order of its own for every ticket."""
    from evals.bench.product import many_orders  # noqa: PLC0415  (its imports take a second that others need not wait)

    many_orders(home.admin_url(), most)


def measure_page(house: Served, page: Page, cases: int) -> dict[str, float]:
    """The figures of so many approvals, one after the other."""
    orders(Home(house.folder), cases)
    waiting = [house.submit(ticket_id=f"p-{number}", order_id=f"B{number}") for number in range(1, cases + 1)]
    sign_in_by_keyboard(page, house.desk, "demo-reviewer", house.password("demo-reviewer"))
    time.sleep(2 + cases / 15)
    seconds = sorted(pressed(page, house, case_id) for case_id in waiting)
    return {
        "cases": cases,
        "keys": 1,
        "p50_s": round(statistics.median(seconds), 3),
        "p95_s": round(seconds[min(cases - 1, int(cases * 0.95))], 3),
        "worst_s": round(seconds[-1], 3),
    }


def main() -> int:
    """0 where the goal is met, 1 where it is not or there is no browser."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.bench.page",
        description="Time the page from the key that approves to `refunded` on the screen.",
        epilog="example: python -m evals.bench.page --cases 60",
    )
    parser.add_argument("--cases", type=int, default=60)
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="countersign-page-") as name, browser() as opened:
            folder = Path(name)
            folder.chmod(0o755)
            with served(folder, free_port(), free_port(), {"DESK_TAKE_BACK_SECONDS": "0"}) as house:
                found = measure_page(house, opened.new_page(), options.cases)
    except NoBrowser as error:
        sys.stderr.write(f"evals.bench.page: {error}\n")
        return 1
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["p95_s"] <= GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
