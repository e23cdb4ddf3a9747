"""The life of refunds in any order: submit, decide, revise, crash, retry, resume, expire, kill.

After each step the sums hold; at the end the books alone rebuild every state.
"""

import asyncio
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar, get_args

from conftest import CAMPAIGN
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from langgraph.types import Command
from stage import Cluster, Stage, open_stage

from cashier.simulated_provider import Fault
from desk.decisions import Conflict, DecisionRequest, NothingToDecide
from desk.flags import set_kill_switch
from desk.notes import BadDecision
from desk.people import NoAuthority
from records.cases import Case

Answer = TypeVar("Answer")

ORDERS = ("D300", "D301", "D302", "D303", "D304")
CUSTOMERS = {"D300": "C100", "D301": "C101", "D302": "C102", "D303": "C103", "D304": "C104"}
WHO = ("demo-reviewer", "demo-reviewer-2", "demo-specialist", "demo-specialist-2")


class Life(RuleBasedStateMachine):
    """One shop; every rule is something that a customer, a person, a provider or a machine does."""

    cluster: Cluster

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.url = self.cluster.clone()
        self.cases: list[Case] = []
        self.killed = False
        self.stage: Stage

    def do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        async def opened() -> Stage:
            return await self.stack.enter_async_context(
                open_stage(self.cluster.home, self.url, Path(self.folder.name))
            )

        self.stage = self.do(opened())

    @rule(order=st.sampled_from(ORDERS))
    def submit(self, order: str) -> None:
        async def submitted() -> Case:
            return await self.stage.submit(order_id=order, customer_id=CUSTOMERS[order])

        self.cases.append(self.do(submitted()))

    @precondition(lambda self: self.cases)
    @rule(data=st.data())
    def run(self, data: st.DataObject) -> None:
        self.do(self.stage.run(data.draw(st.sampled_from(self.cases))))

    @precondition(lambda self: self.cases)
    @rule(
        data=st.data(),
        who=st.sampled_from(WHO),
        word=st.sampled_from(["approve", "approve", "approve", "reject", "revise"]),
        amount=st.integers(min_value=0, max_value=10_000),
    )
    def decide(self, data: st.DataObject, who: str, word: str, amount: int) -> None:
        case = data.draw(st.sampled_from(self.cases))
        said = {
            "approve": DecisionRequest("approve"),
            "reject": DecisionRequest("reject", "other"),
            "revise": DecisionRequest("revise", revised_amount_minor=amount),
        }[word]

        async def decided() -> None:
            state = await self.stage.house.state(case)
            if state["proposal"] is None:
                return
            with suppress(Conflict, NoAuthority, BadDecision, NothingToDecide):
                await self.stage.say(case, said, who)

        self.do(decided())

    @rule()
    def crash(self) -> None:
        """Everything that a process holds in memory is gone."""

        async def died() -> Stage:
            await self.stack.aclose()
            self.stack = AsyncExitStack()
            return await self.stack.enter_async_context(
                open_stage(self.cluster.home, self.url, Path(self.folder.name))
            )

        self.stage = self.do(died())

    @rule(fault=st.none() | st.sampled_from(get_args(Fault)))
    def retry(self, fault: Fault | None) -> None:
        async def passed() -> None:
            if fault is not None:
                self.stage.house.provider.misbehave(fault)
            await self.stage.house.executor.settle_all()

        self.do(passed())

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), command=st.sampled_from(["resume", "goto"]))
    def resume(self, data: st.DataObject, command: str) -> None:
        """Somebody reaches the graph and answers for themselves, or jumps."""
        case = data.draw(st.sampled_from(self.cases))
        forged: Command[Any] = (
            Command(goto="refund")
            if command == "goto"
            else Command(resume={"decisions": [{"type": "approve"}]})
        )

        async def forced() -> None:
            config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
            snapshot = await self.stage.house.driver.graph.aget_state(config)
            if snapshot.values:
                await self.stage.house.driver.graph.ainvoke(forged, config, durability="sync")

        self.do(forced())

    @rule(hours=st.sampled_from([1, 30, 73, 100]))
    def expire(self, hours: int) -> None:
        self.do(self.stage.move_clock(hours=hours))

    @rule()
    def kill(self) -> None:
        self.killed = not self.killed
        self.switch(self.killed)

    def switch(self, on: bool) -> None:
        async def switched() -> None:
            operator = await self.stage.person("demo-operator")
            await set_kill_switch(self.stage.house.desk_books, operator, on=on, reason="drill", tenant="demo")

        self.do(switched())

    @rule()
    def sweep(self) -> None:
        self.do(self.stage.house.driver.sweep())

    @invariant()
    def the_sums_hold(self) -> None:
        """Refunded ≤ ordered ≤ approved ≤ paid, on every payment; every disbursement has its approval."""
        if not hasattr(self, "stage"):
            return
        rows = self.do(
            self.stage.sql(
                "select p.payment_id, p.amount_minor as paid,"
                " coalesce((select sum(d.amount_minor) from books.disbursements d left join books.settlement_state s"
                "   using (tenant, decision_id) where d.payment_id = p.payment_id"
                "   and coalesce(s.outcome, 'pending') not in ('failed', 'refused')), 0) as ordered,"
                " coalesce((select sum(x.amount_minor) from books.decisions x where x.payment_id = p.payment_id"
                "   and x.word = 'approve'), 0) as approved from books.payments p"
            )
        )
        gone: dict[str, int] = {}
        for refund in self.stage.house.provider.all_refunds():
            if refund.status != "failed":
                gone[refund.payment_id] = gone.get(refund.payment_id, 0) + refund.amount.amount_minor
        for row in rows:
            assert gone.get(row["payment_id"], 0) <= row["ordered"] <= row["paid"], row
            assert row["ordered"] <= row["approved"], row
        orphans = self.do(
            self.stage.sql(
                "select 1 as n from books.disbursements d where not exists (select from books.decisions x"
                " where x.decision_id = d.decision_id and x.word = 'approve' and x.amount_minor = d.amount_minor)"
            )
        )
        assert orphans == []

    def teardown(self) -> None:
        try:
            if hasattr(self, "stage"):
                if self.killed:
                    self.switch(on=False)
                self.do(self.end())
        finally:
            if hasattr(self, "stage"):
                self.do(self.stack.aclose())
            self.runner.close()
            self.cluster.drop(self.url)
            self.folder.cleanup()

    async def end(self) -> None:
        """The sweep and the cashier finish what is left; then graph and books say the same of every case."""
        for _ in range(6):
            await self.stage.finish()
            for refund in self.stage.house.provider.all_refunds():
                if refund.status == "pending":
                    self.stage.house.provider.settle(refund.refund_id, "succeeded")
            await self.stage.move_clock(minutes=6)
        for case in self.cases:
            books = await self.stage.house.state(case)
            config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
            values = (await self.stage.house.driver.graph.aget_state(config)).values
            assert books["status"] not in {"received", "approved"}, books
            if (
                books["status"] != "refund_failed"
            ):  # a late failure is news that the ended thread does not hear
                assert values["status"] == books["status"], (
                    values["status"],
                    books["status"],
                    books["reason"],
                )


async def test_a_jump_into_a_case_that_was_turned_away_leaves_it_to_a_person(stage: Stage) -> None:
    operator = await stage.person("demo-operator")
    await set_kill_switch(stage.house.desk_books, operator, on=True, reason="drill", tenant="demo")
    case = await stage.submit()
    await stage.run(case)
    config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
    await stage.house.driver.graph.ainvoke(Command(goto="refund"), config, durability="sync")
    assert (await stage.house.state(case))["status"] == "bypassed"


def test_any_order_of_events_keeps_the_sums(cluster: Cluster) -> None:
    Life.cluster = cluster
    Life.TestCase.settings = settings(
        max_examples=200 if CAMPAIGN else 8,
        stateful_step_count=40 if CAMPAIGN else 25,
        deadline=None,
        derandomize=not CAMPAIGN,
        suppress_health_check=list(HealthCheck),
    )
    Life.TestCase("runTest").runTest()
