"""python -m evals.day: a day at the desk, against the real processes. Tickets come in at a steady rate, people decide.

It brings up a house of its own, lets it work, and reports what was lost, what failed, how long each stage took and
whether any process grew.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from app.shop import demo_tokens
from runtime.home import Home

DECIDERS = ("demo-reviewer", "demo-reviewer-2", "demo-specialist", "demo-specialist-2")
READING_SECONDS = (0.2, 1.0)
"""What a person needs to read a case; shorter than anybody's, so that twenty of them are never the bottleneck."""

SAMPLE_SECONDS = 5.0
WARM_UP = 0.3
"""Of the day; what a process holds after it is what it is measured against."""

ORDERS = """
insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines)
select tenant, 'Y' || n, customer_id, region, status, ordered_at, delivered_at, currency, lines
from books.orders, generate_series(0, %(most)s) n where order_id = 'D300';
"""
PAYMENTS = """
insert into books.payments (tenant, payment_id, order_id, method, amount_minor, currency)
select 'demo', 'pay_Y' || n, 'Y' || n, 'card', 7900, 'USD' from generate_series(0, %(most)s) n
"""
STAGES = """
with e as (
  select case_id,
    min(at) filter (where status = 'received') as received,
    min(at) filter (where status = 'needs_human') as paused,
    min(at) filter (where status in ('approved', 'rejected')) as decided,
    min(at) filter (where status = 'refund_pending') as ordered,
    min(at) filter (where status = 'refunded') as paid,
    max(at) filter (where ended) as ended
  from books.case_events group by case_id
), d as (select case_id, max(at) as told from books.deliveries where delivered group by case_id)
select
  extract(epoch from paused - received)::float8 as "received to paused",
  extract(epoch from ordered - decided)::float8 as "approved to ordered",
  extract(epoch from paid - ordered)::float8 as "ordered to paid",
  extract(epoch from told - ended)::float8 as "ended to reply sent"
from e left join d using (case_id)
"""


@dataclass
class Day:
    """What happens in it."""

    tickets: int
    rate: float
    clients: int
    runner: str
    workers: int
    folder: Path
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    answers: Counter[str] = field(default_factory=Counter)
    memory: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    submitted: dict[str, str] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_house(
    day: Day, ports: tuple[int, int], log: Path
) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
    """A house of its own, and the process ids of its parts."""
    command = [
        str(Path(sys.executable).parent / "countersign"), "serve", "--graph-port", str(ports[0]),
        "--desk-port", str(ports[1]), "--runner", day.runner, "--workers", str(day.workers),
    ]  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "COUNTERSIGN_HOME": str(day.folder)}
    with log.open("wb") as out:
        house = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
    deadline = time.monotonic() + 120
    while "The house is open." not in (said := log.read_text(errors="replace")):
        if house.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"evals.day: the house did not open:\n{said[-2_000:]}")
        time.sleep(0.2)
    return house, {name: int(pid) for name, pid in re.findall(r"\| (\S+) started \(pid=(\d+)\)", said)}


def rss_kb(pid: int) -> int:
    """Kilobytes of a process in memory; 0 where it is gone."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


async def timed_step(
    day: Day,
    what: str,
    client: httpx.AsyncClient,
    method: str,
    path: str,
    **more: Any,  # noqa: ANN401
) -> httpx.Response:
    """A request, counted and timed."""
    started = time.monotonic()
    answer = await client.request(method, path, **more)
    day.seconds[what].append(time.monotonic() - started)
    day.answers[f"{what} {answer.status_code}"] += 1
    return answer


async def come_in(day: Day, client: httpx.AsyncClient) -> None:
    """Tickets at a steady rate, whatever the house does with them."""
    started = time.monotonic()
    under_way: set[asyncio.Task[None]] = set()
    for number in range(day.tickets):
        await asyncio.sleep(max(0.0, started + number / day.rate - time.monotonic()))
        task = asyncio.create_task(submit_ticket(day, client, number))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


async def submit_ticket(day: Day, client: httpx.AsyncClient, number: int) -> None:
    ticket = {
        "ticket_id": f"day-{number}", "tenant": "demo", "customer_id": "C100", "order_id": f"Y{number}",
        "question": "My tablet arrived cracked. I want a refund, please.", "intent": "refund_request",
    }  # fmt: skip
    answer = await timed_step(day, "submit", client, "POST", "/api/tickets", json=ticket)
    if answer.status_code in {200, 201}:
        day.submitted[answer.json()["case_id"]] = ticket["ticket_id"]


async def deciding_person(
    day: Day, client: httpx.AsyncClient, dice: random.Random, over: asyncio.Event
) -> None:
    """A person takes a page of the queue, claims what nobody has, reads and decides; three of four are approved."""
    while not over.is_set():
        page = await timed_step(day, "queue", client, "GET", "/api/cases", params={"most": 50})
        day_rows = page.json().get("cases", [])
        waiting = [
            row["case_id"] for row in day_rows if row["status"] == "needs_human" and row["owner"] is None
        ]
        dice.shuffle(waiting)
        if not waiting:
            await asyncio.sleep(1.0)
        for case_id in waiting[:5]:
            claimed = await timed_step(day, "claim", client, "POST", f"/api/cases/{case_id}/claim")
            if claimed.status_code != 200:
                continue
            view = await timed_step(day, "case", client, "GET", f"/api/cases/{case_id}")
            proposal = view.json().get("state", {}).get("proposal") if view.status_code == 200 else None
            if proposal is None or view.json()["state"]["status"] != "needs_human":
                continue
            await asyncio.sleep(dice.uniform(*READING_SECONDS))
            word: dict[str, Any] = {"word": "approve", "digest": proposal["digest"]}
            if dice.random() < 0.25:
                word = {"word": "reject", "code": "other", "digest": proposal["digest"]}
            said = await timed_step(
                day, "decide", client, "POST", f"/api/cases/{case_id}/decisions", json=word
            )
            if said.status_code == 200:
                day.decided.add(case_id)


async def watch(day: Day, pids: dict[str, int], over: asyncio.Event) -> None:
    """Sample what every process holds, and say how far the day is."""
    started = time.monotonic()
    while not over.is_set():
        for name, pid in pids.items():
            day.memory[name].append((time.monotonic() - started, rss_kb(pid)))
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{len(day.submitted)} in, {len(day.decided)} decided ")
        try:
            await asyncio.wait_for(over.wait(), SAMPLE_SECONDS)
        except TimeoutError:
            continue


async def live_the_day(
    day: Day, desk: str, tokens: dict[str, str], pids: dict[str, int], admin_url: str
) -> None:
    """The day, and the evening in which the last cases are decided and told."""
    over = asyncio.Event()
    limits = httpx.Limits(max_connections=200)

    def client(person: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=desk,
            headers={"authorization": f"Bearer {tokens[person]}"},
            timeout=60.0,
            limits=limits,
            trust_env=False,
        )

    async with client("demo-helpdesk") as helpdesk:
        people = [client(DECIDERS[number % len(DECIDERS)]) for number in range(day.clients)]
        work = [
            asyncio.create_task(deciding_person(day, person, random.Random(number), over))  # noqa: S311
            for number, person in enumerate(people)
        ]
        watcher = asyncio.create_task(watch(day, pids, over))
        try:
            await come_in(day, helpdesk)
            deadline = time.monotonic() + 300
            while time.monotonic() < deadline and not await asyncio.to_thread(all_told, day, admin_url):  # noqa: ASYNC110
                await asyncio.sleep(1.0)
        finally:
            over.set()
            await asyncio.gather(*work, watcher)
            for person in people:
                await person.aclose()


def day_rows(admin_url: str, text: str) -> list[dict[str, Any]]:
    with psycopg.connect(admin_url, autocommit=True, row_factory=dict_row) as connection:
        return list(connection.execute(text.encode()).fetchall())


def all_told(day: Day, admin_url: str) -> bool:
    """Whether every case has ended and its customer was told."""
    [row] = day_rows(
        admin_url, "select count(distinct case_id) as told from books.deliveries where delivered"
    )
    return bool(row["told"] >= day.tickets)


def percentiles(values: list[float]) -> dict[str, float]:
    """Milliseconds: median, 95th, 99th and the worst."""
    if len(values) < 2:
        return {}
    cuts = quantiles(values, n=100)
    return {"p50": cuts[49] * 1000, "p95": cuts[94] * 1000, "p99": cuts[98] * 1000, "max": max(values) * 1000}


def drift(samples: list[tuple[float, int]]) -> dict[str, float]:
    """Memory after the warm-up: where it began and ended, and by how many per cent it differs."""
    calm = samples[int(len(samples) * WARM_UP) :]
    tenth = max(1, len(calm) // 5)
    first = sum(kb for _, kb in calm[:tenth]) / tenth
    last = sum(kb for _, kb in calm[-tenth:]) / tenth
    return {
        "from_mb": first / 1024,
        "to_mb": last / 1024,
        "per_cent": (last / first - 1) * 100 if first else 0.0,
    }


def day_report(day: Day, admin_url: str, seconds: float) -> dict[str, Any]:
    """What the day came to; nothing here is taken from what a process says of itself but the books."""
    stages: dict[str, list[float]] = defaultdict(list)
    for row in day_rows(admin_url, STAGES):
        for name, value in row.items():
            if value is not None:
                stages[name].append(value)
    ends = {row["status"]: row["n"] for row in day_rows(
        admin_url, "select status::text, count(*) as n from books.case_state group by 1")}  # fmt: skip
    [twice] = day_rows(
        admin_url,
        "select count(*) as n from (select decision_id from books.settlements where outcome = 'succeeded'"
        " group by 1 having count(*) > 1) t",
    )
    return {
        "tickets": day.tickets,
        "accepted": len(day.submitted),
        "seconds": round(seconds, 1),
        "ends": ends,
        "lost": day.tickets - sum(ends.get(end, 0) for end in ("refunded", "rejected")),
        "paid_twice": twice["n"],
        "answers_5xx": sum(count for what, count in day.answers.items() if what[-3:-2] == "5"),
        "answers": dict(sorted(day.answers.items())),
        "http_ms": {what: percentiles(values) for what, values in sorted(day.seconds.items())},
        "stages_ms": {what: percentiles(values) for what, values in stages.items()},
        "memory": {name: drift(samples) for name, samples in sorted(day.memory.items())},
    }


def day_table(said: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"{said['tickets']} tickets in {said['seconds']:.0f} s: {said['ends']}, lost {said['lost']},"
        f" paid twice {said['paid_twice']}, answers with 5xx {said['answers_5xx']}",
        "",
        "| stage, ms | p50 | p95 | p99 | max |",
        "|---|---|---|---|---|",
    ]
    for group in ("http_ms", "stages_ms"):
        prefix = "HTTP " if group == "http_ms" else ""
        for what, found in said[group].items():
            cells = (
                " | ".join(f"{found[cut]:.0f}" for cut in ("p50", "p95", "p99", "max"))
                if found
                else "– | – | – | –"
            )
            lines.append(f"| {prefix}{what} | {cells} |")
    lines += ["", "| process | MB after warm-up | MB at the end | change |", "|---|---|---|---|"]
    for name, found in said["memory"].items():
        lines.append(
            f"| {name} | {found['from_mb']:.1f} | {found['to_mb']:.1f} | {found['per_cent']:+.1f} % |"
        )
    return "\n".join(lines)


def main() -> int:
    """The day; 1 where something was lost, paid twice, answered with 5xx or grew by more than 5 %."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.day", description="A day at the desk, against the real processes.",
        epilog="example: python -m evals.day --tickets 5000 --rate 10 --clients 20",
    )  # fmt: skip
    parser.add_argument("--tickets", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=10.0, help="tickets a second")
    parser.add_argument("--clients", type=int, default=20, help="people who decide")
    parser.add_argument("--runner", choices=("server", "workers"), default="server")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="countersign-day-"))
    folder.chmod(0o755)
    day = Day(
        options.tickets, options.rate, options.clients, options.runner, options.workers, folder / "house"
    )
    ports = (free_port(), free_port())
    house, pids = start_house(day, ports, folder / "serve.log")
    try:
        home = Home(day.folder)
        admin_url = home.admin_url()
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute(ORDERS.encode(), {"most": day.tickets})
            connection.execute(PAYMENTS.encode(), {"most": day.tickets})
            connection.execute(b"analyze")
        started = time.monotonic()
        asyncio.run(live_the_day(day, f"http://127.0.0.1:{ports[1]}", demo_tokens(home), pids, admin_url))
        said = day_report(day, admin_url, time.monotonic() - started)
    finally:
        house.send_signal(signal.SIGINT)
        house.wait(timeout=90)
    shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write((json.dumps(said) if options.json else day_table(said)) + "\n")
    grew = any(abs(found["per_cent"]) > 5 for found in said["memory"].values())
    return 1 if said["lost"] or said["paid_twice"] or said["answers_5xx"] or grew else 0


if __name__ == "__main__":
    sys.exit(main())
