"""Postgres is stopped hard, again and again, under traffic: nothing is lost, nothing is paid twice."""

import asyncio
import contextlib
import random
import tempfile
from pathlib import Path

import psycopg
from conftest import CAMPAIGN
from stage import Stage, open_stage, prepare_template

from desk.decisions import Conflict, DecisionRequest
from records.books import BooksAway, Refused
from records.states import State
from runtime.embedded import EmbeddedPostgres
from runtime.home import Home, make_database, with_database

RESTARTS, CASES = (50, 60) if CAMPAIGN else (8, 24)

# What a broken connection may raise, wherever in the house it is noticed.
AWAY = (BooksAway, Refused, Conflict, psycopg.Error, OSError, LookupError, TimeoutError)


async def carry(stage: Stage, number: int) -> None:
    """One case from ticket to refund, tried again for as long as the database comes and goes."""
    state: State = {}
    for attempt in range(200):
        with contextlib.suppress(*AWAY):
            case = await stage.submit(ticket_id=f"restart-{number}", order_id=f"X{number}")
            state = await stage.run(case)
            if state["status"] == "needs_human":
                # A case that was handed over because the books were away too long is sent back by its reviewer.
                handed_over = state["reason"] == "tool_unavailable"
                await stage.say(
                    case,
                    DecisionRequest("revise", note="again") if handed_over else DecisionRequest("approve"),
                )
                await stage.run(case)
            await stage.house.executor.settle_all(late_failures=False)
            state = await stage.run(case)
            if state["status"] == "refunded":
                return
        await asyncio.sleep(min(0.05 * (attempt + 1), 0.5))
    raise AssertionError(f"case {number} did not arrive: {state}")


async def test_hard_restarts_under_traffic_lose_nothing_and_pay_once() -> None:
    with tempfile.TemporaryDirectory(prefix="countersign-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240
        # The disk's own promises stay on: this is about what survives.
        postgres = EmbeddedPostgres(folder, {"synchronous_commit": "on"})
        home = Home(folder)
        url = with_database(await asyncio.to_thread(postgres.start), "books")
        await asyncio.to_thread(make_database, url)
        await prepare_template(home, url)
        dice = random.Random(7)
        stopped = 0

        async def monkey() -> None:
            nonlocal stopped
            while stopped < RESTARTS:
                await asyncio.sleep(dice.uniform(0.05, 0.4))
                await asyncio.to_thread(postgres.restart_hard)
                stopped += 1

        try:
            async with open_stage(home, url, folder) as stage:
                await stage.many_orders(CASES)
                restarts = asyncio.create_task(monkey())
                slots = asyncio.Semaphore(6)

                async def in_a_slot(number: int) -> None:
                    async with slots:
                        await carry(stage, number)

                await asyncio.gather(*(in_a_slot(number) for number in range(1, CASES + 1)))
                while not restarts.done():
                    with contextlib.suppress(*AWAY):
                        await stage.house.driver.sweep()
                    await asyncio.sleep(0.05)
                await restarts
                refunds = stage.house.provider.all_refunds()
                assert len(refunds) == CASES
                assert len({refund.decision_id for refund in refunds}) == CASES
            async with open_stage(home, url, folder) as stage:
                await stage.finish()
                rows = await stage.sql("select status, count(*) as n from books.case_state group by status")
                assert {row["status"]: row["n"] for row in rows} == {"refunded": CASES}
                assert stage.refunds() == CASES
            assert stopped == RESTARTS
        finally:
            await asyncio.to_thread(postgres.stop)
