"""Growth: what a resume and a page of the queue cost with 1,000 and with 100,000 cases that wait.

The cases that are timed are real ones, paused before the load; the load is copies of one of them, row for row. The
server is started anew before the resumes, so the first of them are cold.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

from app.shop import DEMO
from evals.bench.product import Product, open_product
from records.cases import Case
from records.named_queries import named_queries, planned_once
from runtime.embedded import EmbeddedPostgres
from runtime.home import Home

TIMED = 30
"""Tickets resumed cold, and as many hot."""

LISTINGS = 25

# A copy of a case: each column that names the case, its thread or something of it gets a name of its own.
_COPIES = {
    "books.cases": {"case_id": "case", "thread_id": "case", "ticket_id": "ticket", "jti": "jti"},
    "books.case_events": {"case_id": "case"},
    "books.proposals": {
        "case_id": "case",
        "thread_id": "case",
        "proposal_id": "proposal",
    },
    "books.trace_events": {"case_id": "case"},
    "books.audit_events": {"chain": "case"},
    "books.waiting": {"case_id": "case"},
    "checkpoints.checkpoints": {"thread_id": "case"},
    "checkpoints.checkpoint_blobs": {"thread_id": "case"},
    "checkpoints.checkpoint_writes": {"thread_id": "case"},
}
_NAMES = {
    "case": "md5('case' || n)::uuid::text",
    "proposal": "md5('proposal' || n)::uuid::text",
    "ticket": "'copy-' || n",
    "jti": "'copy-jti-' || n",
}


@dataclass(frozen=True, slots=True)
class Level:
    """What it cost with so many that wait."""

    waiting: int
    first_ms: float
    """The very first after the server was started anew."""

    cold_ms: float
    hot_ms: float
    list_ms: float
    """Fifty of the queue, in the database."""

    disk_mb: float


_COLUMNS = """
select attname, atttypid::regtype::text from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum
"""


def copy_case(url: str, case: Case, start: int, end: int) -> None:
    """Copies of a paused case, numbered from one to another; without triggers, which would check each."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        for table, names in _COPIES.items():
            columns = connection.execute(_COLUMNS, (table,)).fetchall()
            picked = [
                f"({_NAMES[names[name]]})::{kind}" if name in names else f't."{name}"'
                for name, kind in columns
            ]
            key = next(iter(names)) if len(names) == 1 else "case_id"
            listed = ", ".join(f'"{name}"' for name, _ in columns)
            text = (
                f"insert into {table} ({listed}) select {', '.join(picked)} from {table} t,"  # noqa: S608
                f" generate_series(%s::integer, %s::integer) n where t.{key}::text = %s"
            )
            connection.execute(text.encode(), (start, end, str(case.case_id)))
        connection.execute("set session_replication_role = origin")
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")


async def measure_growth(
    home: Home,
    url: str,
    postgres: EmbeddedPostgres,
    levels: tuple[int, ...],
    numbers: Callable[[], int],
    said: Callable[[str], None],
) -> list[Level]:
    """A level after the other, on books that only grow."""
    found, copied = [], 0
    for level in levels:
        tickets = [str(numbers()) for _ in range(2 * TIMED + 1)]
        async with open_product(home, url, "exit", 8) as product:
            for ticket in tickets:
                await product.pause(ticket)
            cases = product.cases
        said(f"copying up to {level} waiting cases")
        copy_case(url, cases[tickets[-1]], copied + 1, level)
        copied = level
        postgres.stop()
        url_now = postgres.start()
        assert url_now.rsplit("/", 1)[0] == url.rsplit("/", 1)[0]  # noqa: S101  (the port is kept)
        async with open_product(home, url, "exit", 8) as product:
            product.cases = cases
            cold = [await timed_approval(product, ticket) for ticket in tickets[:TIMED]]
            hot = [await timed_approval(product, ticket) for ticket in tickets[TIMED : 2 * TIMED]]
        found.append(
            Level(
                level, cold[0] * 1000, median(cold) * 1000, median(hot) * 1000, listing_ms(url), disk_mb(url)
            )
        )
    return found


async def timed_approval(product: Product, ticket: str) -> float:
    """Seconds from a person's yes to the ordered money."""
    begun = time.perf_counter()
    await product.resume(ticket)
    return time.perf_counter() - begun


def listing_ms(url: str) -> float:
    """The median of what Postgres says it took to plan and list the first fifty that wait, as the desk."""
    return median(float(plan["Execution Time"] + plan["Planning Time"]) for plan in listing_plans(url))


def listing_plans(url: str) -> list[dict[str, Any]]:
    """How Postgres lists them, so many times."""
    statement = named_queries()["list_waiting"]
    unfiltered = dict.fromkeys(re.findall(r"%\((\w+)\)s", statement))
    values = unfiltered | {"most": 50, "skip": 0, "handover_hours": 24, "asked": "", "me": ""}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set role desk")
        connection.execute("set search_path = books")
        connection.execute("select set_config('books.tenant', %s, false)", (DEMO,))
        query = sql.SQL("explain (analyze, format json) ") + sql.SQL(statement)
        prepare = planned_once("list_waiting")
        rows = [connection.execute(query, values, prepare=prepare).fetchone() for _ in range(LISTINGS)]
    return [row[0][0] for row in rows if row]


def disk_mb(url: str) -> float:
    """What the books and the checkpoints take."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "select sum(pg_total_relation_size(c.oid)) / 1048576.0"
            " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname in ('books', 'checkpoints') and c.relkind = 'r'"
        ).fetchone()
    return float(row[0]) if row else 0.0
