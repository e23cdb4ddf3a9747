"""python -m evals.pages: what each page of the desk takes with many cases, half of them waiting and half of them ended.

The cases are copies of two real ones, row for row, with customers of their own; the pages are asked for over HTTP by
people who have signed in, one at a time.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg

from evals.bench.growth import copy_case
from evals.browser import Served, served
from evals.day import free_port
from runtime.embedded import EmbeddedPostgres
from runtime.home import DATABASE

TIMES = 20
GOAL_MS = 150.0
SEARCH_GOAL_MS = 300.0
CUSTOMERS = 20_000

# The copies are of one customer and ticket: each gets a name, a customer and words of its own, as real ones have.
_NAMED = """
update books.waiting w set ticket_id = c.ticket_id, customer_id = c.customer_id,
  words = books.case_words(c.ticket, c.ticket_id, c.customer_id, w.order_id),
  found_by = lower(concat_ws(' ', c.ticket_id, c.customer_id, w.order_id, w.case_id))
from books.cases c where c.tenant = w.tenant and c.case_id = w.case_id
"""
_CUSTOMERS = """
update books.cases c set customer_id = 'P' || (1 + abs(hashtext(c.case_id::text)) %% %s) where ticket_id like 'copy-%%'
"""
_PEOPLE = """
insert into books.customers (tenant, customer_id, name, email)
select 'demo', 'P' || n, 'Person ' || md5(n::text), 'p' || n || '@shop.example' from generate_series(1, %s) n
on conflict do nothing
"""


def grow(folder: Path, cases: int, waiting: str, ended: str) -> None:
    """Copies of a case that waits and of one that has ended, half of each."""
    url = EmbeddedPostgres(folder).url(DATABASE)
    half = cases // 2
    for case, start, end in ((waiting, 1, half), (ended, half + 1, cases)):
        copy_case(url, _Copied(case), start, end)  # type: ignore[arg-type]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(_PEOPLE, (CUSTOMERS,))
        connection.execute(_CUSTOMERS, (CUSTOMERS,))
        connection.execute(_NAMED)
        connection.execute("vacuum analyze")


class _Copied:
    """The name of a case, which is all that a copy is made by."""

    def __init__(self, case_id: str) -> None:
        self.case_id = case_id


def visitor_of(house: Served, person: str) -> httpx.Client:
    """A client with a person's session."""
    client = httpx.Client(base_url=house.desk, trust_env=False, timeout=60, follow_redirects=False)
    answer = client.post("/sign-in", data={"name": person, "password": house.password(person)})
    if answer.status_code != 303:
        raise SystemExit(f"evals.pages: {person} could not sign in: {answer.status_code}")
    return client


def pages_of(waiting: str, ended: str) -> list[tuple[str, str, str]]:
    """Each page with its name and who opens it."""
    reviewer, operator = "demo-specialist", "demo-operator"
    return [
        ("queue", "/", reviewer),
        ("rows", "/rows", reviewer),
        ("queue, page 500", "/?page=500", reviewer),
        ("queue, largest first", "/?sort=amount", reviewer),
        ("search: a ticket", "/?search=copy-77", reviewer),
        ("search: a word of all", "/?search=tablet", reviewer),
        ("search: a name", "/?search=Person", reviewer),
        ("search: nothing", "/?search=xyzzy", reviewer),
        ("case", f"/cases/{waiting}", reviewer),
        ("case that ended", f"/cases/{ended}", reviewer),
        ("next", f"/next?after={waiting}", reviewer),
        ("my day", "/mine", reviewer),
        ("many alike", "/alike", reviewer),
        ("unknown outcomes", "/unknown", reviewer),
        ("policy", "/library", reviewer),
        ("policy, a search", "/library?search=cracked", reviewer),
        ("letters", "/letters", reviewer),
        ("releases", "/releases", operator),
        ("traces", "/traces", operator),
        ("audit", "/audit", operator),
        ("audit of a case", f"/audit/cases/{ended}", operator),
        ("operations", "/ops", operator),
    ]


def measure_pages(
    house: Served, waiting: str, ended: str, said: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Each page so many times, after once unmeasured."""
    clients = {who: visitor_of(house, who) for who in ("demo-specialist", "demo-operator")}
    found = []
    for name, at, who in pages_of(waiting, ended):
        took = []
        for turn in range(TIMES + 1):
            begun = time.perf_counter()
            answer = clients[who].get(at)
            if answer.status_code not in {200, 303}:
                raise SystemExit(f"evals.pages: {at} answered {answer.status_code}")
            if turn:
                took.append((time.perf_counter() - begun) * 1000)
        took.sort()
        goal = SEARCH_GOAL_MS if name.startswith("search") else GOAL_MS
        p50, p95 = took[len(took) // 2], took[int(len(took) * 0.95) - 1]
        found.append({"page": name, "p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "goal_ms": goal})
        said(f"{name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms" + ("" if p95 <= goal else f"  (goal {goal:.0f})"))
    return found


def main() -> int:
    """0 where every page is within its goal, 1 where one is not."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.pages",
        description="Measure every page of the desk with many cases.",
        epilog="example: python -m evals.pages --cases 100000",
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one JSON object a page")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="countersign-pages-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with served(folder, free_port(), free_port()) as house:
            waiting = house.submit(ticket_id="waits")
            ended = house.submit(ticket_id="ends", customer_id="C101", order_id="D301")
            time.sleep(4)
            _reject(visitor_of(house, "demo-reviewer-2"), ended)
            time.sleep(4)
            _say(f"copying {asked.cases} cases")
            grow(folder, asked.cases, waiting, ended)
            found = measure_pages(house, waiting, ended, _say)
    if asked.json:
        sys.stdout.writelines(f"{json.dumps(row)}\n" for row in found)
    return int(any(row["p95_ms"] > row["goal_ms"] for row in found))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _reject(client: httpx.Client, case_id: str) -> None:
    """End a case by a word at the page."""
    page = client.get(f"/cases/{case_id}").text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    digest = page.partition('name="digest" value="')[2].partition('"')[0]
    client.post(
        f"/cases/{case_id}/decide", data={"csrf": csrf, "digest": digest, "act": "reject", "code": "other"}
    )


if __name__ == "__main__":
    sys.exit(main())
