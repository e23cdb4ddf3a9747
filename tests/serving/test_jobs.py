"""Background work: what a worker had in hand is not lost, what dies is seen and can be replayed, clocks are kept."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from running import RunningHouse, until
from stage import Stage
from warm import countersign

from desk.decisions import DecisionRequest
from desk.jobs import jobs_that_died, replay_job
from graph.runner import Runner
from records.queue import enqueue
from runtime.jobs import NoSuchJob, Routine, Worker

PATIENCE = 60.0


async def eventually(look: Callable[[], Any], what: str) -> None:
    """Look until it is so."""
    for _ in range(int(PATIENCE / 0.05)):
        found = look()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never {what}")


def url_of(stage: Stage, role: Any = "graph") -> str:
    return stage.house.home.role_url(role, stage.url)


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.work(stop))
    try:
        yield
    finally:
        stop.set()
        await task


def runner(stage: Stage) -> Runner:
    return Runner(stage.house.driver, url_of(stage), 2)


async def status(stage: Stage, case: Any) -> str:
    return str((await stage.house.state(case))["status"])


async def test_a_wake_up_is_heard(stage: Stage) -> None:
    async with at_work(runner(stage).worker()):
        case = await stage.submit()

        async def paused() -> bool:
            return await status(stage, case) == "needs_human"

        await eventually(paused, "paused")
    assert await stage.sql("select 1 from jobs.procrastinate_jobs where task_name = 'drive_case'") == []


async def test_a_job_that_dies_is_seen_and_can_be_replayed(stage: Stage) -> None:
    broken = [True]

    async def drive(tenant: str, case_id: str) -> None:
        if broken[0]:
            raise RuntimeError(f"no luck with {case_id}")
        await runner(stage).drive(tenant, case_id)

    worker = Worker(stage.house.driver.books, url_of(stage), "graph", tasks={"drive_case": drive})
    operator = await stage.person("demo-operator")
    books = stage.house.desk_books
    async with at_work(worker):
        case = await stage.submit()

        async def dead() -> bool:
            return len(await jobs_that_died(books, operator, most=10)) == 1

        await eventually(dead, "dead")
        [job] = await jobs_that_died(books, operator, most=10)
        assert (job["queue"], job["task"], job["args"]["case_id"]) == (
            "graph",
            "drive_case",
            str(case.case_id),
        )
        async with books.transaction(case.tenant) as tx:
            await enqueue(tx, case.tenant, case.case_id)

        async def again() -> bool:
            found = await jobs_that_died(books, operator, most=10)
            return len(found) == 1 and found[0]["id"] != job["id"]

        await eventually(again, "dead again, in one row")
        broken[0] = False
        [job] = await jobs_that_died(books, operator, most=10)
        assert job["why"] == f"RuntimeError: no luck with {case.case_id}", "what it died of, in one line"
        await replay_job(books, operator, job["id"])

        async def done() -> bool:
            return await status(stage, case) == "needs_human" and not await jobs_that_died(
                books, operator, most=10
            )

        await eventually(done, "done")
    with pytest.raises(NoSuchJob):
        await replay_job(books, operator, 10**9)


async def test_what_a_dead_worker_had_in_hand_is_taken_up(stage: Stage) -> None:
    """Its job is being done, its lock held, and nobody has heard from it for a minute."""
    case = await stage.submit()
    await stage.sql("set search_path = books, jobs")
    await stage.sql(
        "insert into jobs.procrastinate_workers (last_heartbeat) values (now() - interval '1 minute')"
    )
    await stage.sql(
        "update jobs.procrastinate_jobs set status = 'doing', worker_id = (select max(id) from jobs.procrastinate_workers)"
    )
    async with at_work(runner(stage).worker()):

        async def paused() -> bool:
            return await status(stage, case) == "needs_human"

        await eventually(paused, "taken up")


async def test_a_stop_finishes_what_is_in_hand(stage: Stage) -> None:
    begun, finished = asyncio.Event(), asyncio.Event()

    async def slow(tenant: str, case_id: str) -> None:
        del tenant, case_id
        begun.set()
        await asyncio.sleep(1.0)  # the time is the subject: longer than the stop takes to be said
        finished.set()

    worker = Worker(stage.house.driver.books, url_of(stage), "graph", tasks={"drive_case": slow})
    async with at_work(worker):
        await stage.submit()
        await asyncio.wait_for(begun.wait(), PATIENCE)
    assert finished.is_set()
    assert await stage.sql("select 1 from jobs.procrastinate_jobs where task_name = 'drive_case'") == []


async def test_a_routine_that_keeps_failing_is_one_dead_job(stage: Stage) -> None:
    tried = [0]

    async def fail() -> None:
        tried[0] += 1
        raise RuntimeError("never")

    worker = Worker(stage.house.driver.books, url_of(stage), "graph", routines={"fail": Routine(1, fail)})
    async with at_work(worker):
        await eventually(lambda: tried[0] >= 4, "tried again and again")
    operator = await stage.person("demo-operator")
    assert len(await jobs_that_died(stage.house.desk_books, operator, most=100)) == 1


async def test_the_sweep_enqueues_what_is_idle_and_nothing_twice(stage: Stage) -> None:
    case, _ = await stage.paused()
    await stage.sql("truncate jobs.procrastinate_jobs cascade")
    assert await runner(stage).sweep() == 0
    await stage.say(case, DecisionRequest("approve"))
    await stage.sql("truncate jobs.procrastinate_jobs cascade")
    assert await runner(stage).sweep() == 1
    assert await runner(stage).sweep() == 0


async def test_a_proposal_expires_and_an_approval_lapses_by_the_sweep(stage: Stage) -> None:
    undecided, _ = await stage.paused()
    await stage.move_clock(hours=24 * 5)
    lapsing, _ = await stage.paused(
        customer_id="C101", order_id="D301", question="My headphones arrived broken. Refund please."
    )
    await stage.say(lapsing, DecisionRequest("approve"))
    await stage.sql("truncate jobs.procrastinate_jobs cascade")
    await stage.move_clock(hours=24 * 9)
    async with at_work(runner(stage).worker()):

        async def both() -> bool:
            return (await status(stage, undecided), await status(stage, lapsing)) == (
                "expired",
                "needs_human",
            )

        await eventually(both, "expired and asked for again")
    assert (await stage.house.state(lapsing))["reason"] == "approval_lapsed"
    assert stage.refunds() == 0


async def test_the_cashier_is_woken_by_the_order_and_polls_besides(stage: Stage) -> None:
    await stage.ordered()
    [job] = await stage.sql(
        "select queue_name, task_name from jobs.procrastinate_jobs where task_name = 'settle'"
    )
    assert job == {"queue_name": "cashier", "task_name": "settle"}


def command(house: RunningHouse, *words: str, who: str = "demo-operator") -> subprocess.CompletedProcess[str]:
    environment = house.variables() | {"COUNTERSIGN_TOKEN": house.tokens()[who]}
    return subprocess.run(
        [countersign(), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_the_command_line_shows_and_replays_the_dead(running: RunningHouse) -> None:
    """A reply whose address changed after it was written: a person looks, mends it, and replays."""
    running.sql(
        "insert into books.customers (tenant, customer_id, email) values ('demo', 'C900', 'first@x.example')"
    )
    case = running.submit(customer_id="C900", order_id=None)
    running.reaches(case, "needs_human")
    until(lambda: running.case(case)["replies"], "told that a person has it")
    running.sql("update books.customers set email = 'second@x.example' where customer_id = 'C900'")
    running.sql(
        "insert into books.replies (tenant, case_id, outcome, message_id, recipient_sha256, body, body_sha256)"
        " select tenant, case_id, 'approved', 'x-' || message_id, recipient_sha256, body, body_sha256 from books.replies"
        " where case_id = %s",
        case,
    )
    running.sql(
        "insert into jobs.procrastinate_jobs (queue_name, task_name, lock, args) values"
        " ('desk', 'answer_customer', %s, jsonb_build_object('tenant', 'demo', 'case_id', %s::text))",
        f"reply:{case}", case,
    )  # fmt: skip

    def dead() -> str:
        said = command(running, "queue", "--dead").stdout
        return said if case in said else ""

    listed = until(dead, "listed")
    assert "answer_customer" in listed
    number = next(line.split()[0] for line in listed.splitlines() if case in line)
    running.sql("update books.customers set email = 'first@x.example' where customer_id = 'C900'")
    assert command(running, "queue", "--replay", number).returncode == 0
    until(lambda: all(reply["delivered_at"] for reply in running.case(case)["replies"]), "delivered")
    until(lambda: case not in command(running, "queue", "--dead").stdout, "alive")
    refused = command(running, "queue", "--dead", who="demo-reviewer")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
