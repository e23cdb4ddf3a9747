"""Workers: how much more two processes drive than one, with the queue between them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from app.shop import DEMO
from evals.bench.peer import QUESTION
from evals.bench.product import Product
from refunds.ticket import Ticket
from runtime.home import Home

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0


async def drive_seconds(
    home: Home, url: str, product: Product, workers: int, cases: int, numbers: Callable[[], int]
) -> float:
    """Seconds from the first to the last pause of cases that wait in the queue when the workers start."""
    names = []
    for _ in range(cases):
        ticket = str(numbers())
        fields = {
            "ticket_id": f"workers-{ticket}",
            "tenant": DEMO,
            "customer_id": "C100",
            "order_id": f"B{ticket}",
            "question": QUESTION,
            "intent": "refund_request",
        }
        names.append((await product.house.intake.submit(Ticket.read(fields), product.helpdesk)).case_id)
    told = {
        "PATH": os.environ["PATH"],
        "GRAPH_DATABASE_URL": home.role_url("graph", url),
        "GRAPH_INTAKE_KEYS": str(home.public_keys_file("intake")),
        "RUNNER": "workers",
        "LANGGRAPH_STRICT_MSGPACK": "true",
        "LANGSMITH_TRACING": "false",
        "LOG_LEVEL": "WARNING",
    }
    running = [
        subprocess.Popen(  # noqa: ASYNC220  (nothing else runs on this loop)
            [sys.executable, "-m", "graph"], env=told, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        for _ in range(workers)
    ]
    try:
        return _seconds(url, [str(name) for name in names])
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=60)


def _seconds(url: str, names: list[str]) -> float:
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            row = connection.execute(
                "select count(*), extract(epoch from max(proposed_at) - min(proposed_at))::float8"
                " from books.proposals where case_id = any(%s::uuid[])",
                (names,),
            ).fetchone()
            if row and row[0] == len(names):
                return float(row[1])
            time.sleep(0.2)
    raise TimeoutError(f"the workers did not drive {len(names)} cases in {PATIENCE:.0f} s")
