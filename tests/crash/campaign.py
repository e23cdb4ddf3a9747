"""The crash campaign: a story a run, killed at a point, then what one process makes of all the dead ones at once.

python tests/crash/campaign.py reads its orders as JSON on standard input and prints one JSON object with
what went wrong. It forks for every run, so it is a process of its own without threads.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import psycopg
from mortality import MORTALITY, MortalBooks, MortalProvider, MortalSaver
from stage import MANY_ORDERS, MANY_PAYMENTS, Stage, open_stage

from app.house import home_trusted_keys
from cashier.charges import charges_of
from cashier.executor import Executor
from cashier.processor import Answer, ProviderRefund, RefundRequest
from cashier.simulated_provider import Charges, Fault, SimulatedProvider
from desk.decisions import DecisionRequest
from desk.inquiries import ask_provider
from graph.cursor import CursorSaver
from graph.drive import Driver, Durability
from graph.refund_graph import refund_graph
from records.audit import verify_trail
from records.cases import Case, case_by_ticket
from refunds.ids import PaymentId, TenantId
from runtime.home import Home

FAULTS: tuple[str, ...] = ("none", *get_args(Fault))
ROUNDS = 14
"""More than any story needs: two for a saved 500 and its pause, one for each lost answer."""

WRITES = (
    "insert_case", "insert_proposal", "insert_trace", "insert_vote", "insert_decision", "insert_disbursements",
    "insert_send", "insert_settlement", "insert_case_event", "defer_job",
)  # fmt: skip


STALLS = (
    "before:insert_send#1", "committed:insert_send#1", "before:provider_refund#1", "after:provider_refund#1",
    "before:insert_settlement#1", "before:insert_disbursements#1", "after:insert_disbursements#1",
)  # fmt: skip


A_GIFT_CARD_EACH = """
alter table books.payments disable trigger sealed;
update books.payments set amount_minor = 2900 where order_id like 'X%';
alter table books.payments enable trigger sealed;
insert into books.payments (tenant, payment_id, order_id, method, kind, amount_minor, currency)
select 'demo', 'gift_X' || n, 'X' || n, 'gift_card_1', 'gift_card', 5000, 'USD' from generate_series(0, %(most)s) n
"""


@dataclass(frozen=True)
class Run:
    """One run: which order, which fault, where it dies, what the person says afterwards if it is still open."""

    number: int
    fault: str
    fatal: str | None
    late_word: str


@dataclass(frozen=True)
class Orders:
    """What the campaign is asked to do."""

    home: Home
    url: str
    folder: Path
    durability: Durability
    runs: int
    seed: int

    @property
    def payments(self) -> tuple[str, ...]:
        """How the payments of an order begin: in every second batch an order was paid with a card and a gift card."""
        return ("pay", "gift") if self.seed % 2 == 0 else ("pay",)


class Providers:
    """The provider of each run, by the payment of its order: any cashier may settle the order of any run."""

    def __init__(
        self, orders: Orders, charges: Charges, kind: type[SimulatedProvider] = SimulatedProvider
    ) -> None:
        self.providers = {
            f"X{number}": kind(folder_of(orders, number) / "provider.sqlite", charges)
            for number in range(orders.runs + 1)
        }

    async def refund(self, request: RefundRequest) -> Answer:
        return await self.of(request.payment_id).refund(request)

    async def refunds_of(self, tenant: TenantId, payment_id: PaymentId) -> Sequence[ProviderRefund] | None:
        return await self.of(payment_id).refunds_of(tenant, payment_id)

    def of(self, payment_id: str) -> SimulatedProvider:
        """The provider of the order that a payment is of."""
        return self.providers[payment_id.partition("_")[2]]


def folder_of(orders: Orders, number: int) -> Path:
    """Where the provider of a run keeps its own books."""
    folder = orders.folder / f"run-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@asynccontextmanager
async def mortal_stage(orders: Orders, run: Run) -> AsyncIterator[Stage]:
    """A house that can die, on the run's own provider."""
    folder = folder_of(orders, run.number)
    async with open_stage(
        orders.home, orders.url, folder, durability=orders.durability, books_type=MortalBooks
    ) as stage:
        house = stage.house
        saver = house.driver.graph.checkpointer
        assert isinstance(saver, CursorSaver)
        services = house.driver.services
        driver = Driver(
            services, refund_graph(services, MortalSaver(saver.pool, serde=saver.serde)), orders.durability
        )
        providers = Providers(orders, charges_of(house.executor.books), MortalProvider)
        provider = providers.providers[f"X{run.number}"]
        keys = home_trusted_keys(orders.home, "desk")
        executor = Executor(house.executor.books, providers, keys, retry_seconds=0)
        MORTALITY.fatal = run.fatal
        yield replace(stage, house=replace(house, driver=driver, provider=provider, executor=executor))


async def story(orders: Orders, run: Run) -> list[str]:
    """From intake to close, in one process; the points that were passed."""
    async with mortal_stage(orders, run) as stage:
        if run.fault != "none":
            stage.house.provider.misbehave(run.fault, seconds=0.05)  # type: ignore[arg-type]
        MORTALITY.order.clear()
        MORTALITY.passed.clear()
        case = await submit(stage, run)
        await stage.run(case)
        await stage.say(case, DecisionRequest("approve"))
        await stage.run(case)
        await stage.house.executor.settle_all()
        await stage.run(case)
        return list(MORTALITY.order)


async def submit(stage: Stage, run: Run) -> Case:
    return await stage.submit(ticket_id=f"run-{run.number}", order_id=f"X{run.number}")


async def recover(orders: Orders, dead: Sequence[Run]) -> list[str]:
    """The next process, with all dead stories on its hands at once: submit again, sweep, decide what is open, settle.

    What is wrong with their ends, each after the number of its run.
    """
    async with open_stage(
        orders.home, orders.url, orders.folder / "recovery", durability=orders.durability
    ) as stage:
        house = stage.house
        providers = Providers(orders, charges_of(house.executor.books))
        executor = replace(house.executor, processor=providers)
        cases = {run: await submit(stage, run) for run in dead}
        for _ in range(ROUNDS):
            await house.driver.sweep()
            waits = False
            for run, case in cases.items():
                state = await house.state(case)
                if state["status"] == "needs_human":
                    word = (
                        DecisionRequest("approve")
                        if run.late_word == "approve"
                        else DecisionRequest("reject", "other")
                    )
                    await stage.say(case, word)
                waits = waits or state["status"] == "refund_pending"
            await executor.settle_all()
            for provider in providers.providers.values():
                for refund in provider.all_refunds():
                    if refund.status == "pending":
                        provider.settle(refund.refund_id, "succeeded")
            await give_keys_up(stage)
            if all([await ended(stage, case) for case in cases.values()]):
                break
            if waits:
                await stage.move_clock(minutes=61)
        return [
            f"{run.number}: {wrong}"
            for run, case in cases.items()
            for wrong in await wrongs(orders, run, stage, case, providers.providers[f"X{run.number}"])
        ]


async def give_keys_up(stage: Stage) -> None:
    """What a specialist does about a key that answers an error: after an hour they have it paid with a new one."""
    rows = await stage.sql(
        "select decision_id from books.settlement_state where outcome = 'needs_person' and detail like '%%an error to its key%%'"
    )
    specialist = await stage.person("demo-specialist")
    for row in rows:
        await ask_provider(stage.house.desk_books, specialist, row["decision_id"], "new_key", None, "")


async def ended(stage: Stage, case: Case) -> bool:
    rows = await stage.sql("select ended from books.case_state where case_id = %s", case.case_id)
    return bool(rows[0]["ended"])


async def wrongs(
    orders: Orders, run: Run, stage: Stage, case: Case, provider: SimulatedProvider
) -> list[str]:
    """What the end of a run may not be; nothing, if all laws held."""
    found: list[str] = []
    state = await stage.house.state(case)
    refunds = [refund for refund in provider.all_refunds() if refund.status != "failed"]
    rows = await stage.sql(
        "select d.amount_minor, s.outcome from books.disbursements d"
        " left join books.settlement_state s using (tenant, decision_id) where d.case_id = %s",
        case.case_id,
    )
    if not await ended(stage, case):
        found.append(f"stuck at {state['status']} {state['reason']}")
    if len({refund.payment_id for refund in refunds}) != len(refunds):
        found.append(f"{len(refunds)} refunds at the provider")
    if state["status"] == "rejected" and (refunds or rows):
        found.append("paid and rejected")
    if (state["status"] == "refunded") != (len(refunds) == len(orders.payments)):
        found.append(f"{state['status']} with {len(refunds)} refunds at the provider")
    if state["status"] not in {"refunded", "rejected"} and run.fault != "declined":
        found.append(f"ended {state['status']} {state['reason']}")
    if sorted(row["amount_minor"] for row in rows if row["outcome"] == "succeeded") != sorted(
        refund.amount.amount_minor for refund in refunds
    ):
        found.append("the books and the provider differ")
    async with stage.house.desk_books.transaction(case.tenant) as tx:
        if await case_by_ticket(tx, f"run-{run.number}") is None:
            found.append("lost")
    if run.number % 25 == 0:
        findings, _ = await verify_trail(
            stage.house.desk_books, home_trusted_keys(orders.home, "anchor").read, orders.folder / "none"
        )
        found += [str(finding) for finding in findings]
    return found


def forked(work: Callable[[], Coroutine[Any, Any, list[str]]]) -> list[str] | None:
    """Run the work in a process of its own; its answer, or None where it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = asyncio.run(work())
        except BaseException:  # noqa: BLE001  (whatever it was, the parent must hear of it)
            answer = [f"raised: {traceback.format_exc()}"]
        with os.fdopen(writer, "w") as out:
            json.dump(answer, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answered:
        text = answered.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def stalled(orders: Orders, runs: Sequence[Run]) -> list[str]:
    """A process each is stopped at its point; all lose their sessions; another finishes; then they wake and go on."""
    children: list[int] = []
    for run in runs:
        child = os.fork()
        if child == 0:
            MORTALITY.signal = signal.SIGSTOP
            with contextlib.suppress(Exception):
                asyncio.run(story(orders, run))
            os._exit(0)
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            for other in children:
                os.kill(other, signal.SIGKILL)
            return [f"{run.number}: it was not stopped"]
        children.append(child)
    with psycopg.connect(orders.url, autocommit=True) as owner:
        owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and usename in ('desk', 'graph', 'cashier')"
        )
    before = forked(lambda: recover(orders, runs))
    for child in children:
        os.kill(child, signal.SIGCONT)
    for child in children:
        os.waitpid(child, 0)
    after = forked(lambda: recover(orders, runs))
    return ["the recovery died"] if before is None or after is None else before + after


def make_orders(orders: Orders) -> None:
    """An order with a payment for every run."""
    with psycopg.connect(orders.url, autocommit=True) as owner:
        owner.execute(MANY_ORDERS, {"most": orders.runs, "letter": "X"})
        owner.execute(MANY_PAYMENTS, {"most": orders.runs, "letter": "X"})
        if len(orders.payments) > 1:
            for statement in A_GIFT_CARD_EACH.split(";"):
                owner.execute(statement, {"most": orders.runs} if "%(" in statement else None)


def plan(orders: Orders, points: list[str]) -> list[Run]:
    """The runs: every point around a write, a checkpoint or the provider first, then any, each with a fault."""
    dice = random.Random(orders.seed)
    grave = [
        point
        for point in points
        if "checkpoint" in point or "provider" in point or any(write in point for write in WRITES)
    ]
    chosen = [dice.choice(grave) if number % 4 else dice.choice(points) for number in range(orders.runs)]
    return [
        Run(number, dice.choice(FAULTS), point, dice.choice(["approve", "reject"]))
        for number, point in enumerate(chosen, start=1)
    ]


def named(wrong: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """What went wrong, with the point and the fault of its run."""
    names = {str(run.number): f" (killed at {run.fatal}, fault {run.fault})" for run in runs}
    return [item + names.get(item.partition(":")[0], "") for item in wrong]


def main() -> None:
    told = json.load(sys.stdin)
    orders = Orders(
        Home(Path(told["home"])),
        told["url"],
        Path(told["folder"]),
        told["durability"],
        told["runs"],
        told["seed"],
    )
    make_orders(orders)
    first = Run(0, "none", None, "approve")
    points = forked(lambda: story(orders, first)) or []
    after = forked(lambda: recover(orders, [first]))
    wrong: list[str] = ["the recovery died"] if after is None else after
    killed = 0
    if told.get("stall"):
        runs = [Run(number, "none", point, "approve") for number, point in enumerate(STALLS, start=1)]
        wrong += named(stalled(orders, runs), runs)
        sys.stdout.write(json.dumps({"wrong": wrong, "stalled": len(STALLS)}) + "\n")
        return
    runs = plan(orders, points)
    for run in runs:
        died = forked(lambda run=run: story(orders, run))  # type: ignore[misc]
        killed += died is None
        wrong += [f"{run.number}: {item}" for item in died or [] if item.startswith("raised:")]
    after = forked(lambda: recover(orders, runs))
    wrong += ["the recovery died"] if after is None else after
    wrong = named(wrong, runs)
    with psycopg.connect(orders.url) as owner:
        left = owner.execute(
            "select c.ticket_id || ' ' || s.status || ' ' || s.reason from books.case_state s"
            " join books.cases c using (tenant, case_id) where not s.ended"
        ).fetchall()
    sys.stdout.write(
        json.dumps({"points": points, "killed": killed, "wrong": wrong, "left": [row[0] for row in left]})
        + "\n"
    )


if __name__ == "__main__":
    main()
