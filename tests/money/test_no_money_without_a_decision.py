"""No money without a decision: whoever reaches the graph, its state, its checkpoints or the books."""

import asyncio
import uuid
from typing import Any

import psycopg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command
from stage import Stage

from desk.decisions import Conflict, DecisionRequest
from desk.flags import set_kill_switch
from graph.checkpointer import strict_serializer
from graph.settling import NoCase
from records.cases import Case

FORGED = [
    pytest.param(Command(goto="refund"), id="goto-refund"),
    pytest.param(Command(goto="settlement"), id="goto-settlement"),
    pytest.param(Command(goto="refund", update={"proposal": {"amount_minor": 99_999}}), id="goto-update"),
    pytest.param(
        Command(resume={"decisions": [{"type": "approve"}]}, update={"proposal": {"amount_minor": 99_999}}),
        id="resume-update",
    ),
    pytest.param(Command(resume={"decisions": [{"type": "approve"}]}), id="resume-approve"),
    pytest.param(Command(resume=[{"type": "accept"}]), id="resume-accept"),
    pytest.param(Command(resume={"decision_id": str(uuid.uuid4())}), id="resume-decision"),
]


def config_of(case: Case, **more: str) -> RunnableConfig:
    return {"configurable": {"thread_id": str(case.thread_id), **more}}


async def nothing_moved(stage: Stage) -> None:
    assert await stage.count("disbursements") == 0
    await stage.finish()
    assert await stage.count("disbursements") == 0
    assert stage.refunds() == 0


async def paid_as_signed(stage: Stage, case: Case) -> None:
    """After whatever was tried, the case can still be decided, and pays what is signed, once."""
    await stage.say(case, DecisionRequest("approve"))
    await stage.run(case)
    await stage.finish()
    assert [refund.amount.amount_minor for refund in stage.house.provider.all_refunds()] == [7_900]
    assert (await stage.house.state(case))["status"] == "refunded"


@pytest.mark.parametrize("forged", FORGED)
async def test_a_forged_command_orders_nothing_and_the_case_waits_on(
    stage: Stage, forged: Command[Any]
) -> None:
    case, _ = await stage.paused()
    await stage.house.driver.graph.ainvoke(forged, config_of(case), durability="sync")
    await nothing_moved(stage)
    assert (await stage.house.state(case))["status"] == "needs_human"
    await paid_as_signed(stage, case)


@pytest.mark.parametrize("node", ["approval", "refund", "settlement"])
async def test_a_state_write_in_a_nodes_name_orders_nothing(stage: Stage, node: str) -> None:
    case, _ = await stage.paused()
    graph = stage.house.driver.graph
    await graph.aupdate_state(
        config_of(case), {"status": "approved", "proposal": {"amount_minor": 1}}, as_node=node
    )
    await graph.ainvoke(None, config_of(case), durability="sync")
    await nothing_moved(stage)


async def test_an_old_checkpoint_pays_no_second_time(stage: Stage) -> None:
    async with asyncio.timeout(60):
        case, _ = await stage.paused()
        graph = stage.house.driver.graph
        old = (await graph.aget_state(config_of(case))).config
        await stage.say(case, DecisionRequest("approve"))
        await stage.run(case)
        await stage.finish()
        assert stage.refunds() == 1
        await graph.ainvoke(Command(resume="again"), old, durability="sync")
        await graph.ainvoke(None, old, durability="sync")
        await stage.finish()
        assert stage.refunds() == 1
        assert await stage.count("disbursements") == 1


async def test_a_forked_checkpoint_of_a_paused_case_orders_nothing(stage: Stage) -> None:
    case, _ = await stage.paused()
    graph = stage.house.driver.graph
    old = (await graph.aget_state(config_of(case))).config
    forked = await graph.aupdate_state(old, {"status": "approved"}, as_node="approval")
    await graph.ainvoke(Command(goto="refund"), forked, durability="sync")
    await nothing_moved(stage)


async def test_a_copied_thread_orders_nothing_even_when_the_first_is_approved(stage: Stage) -> None:
    case = await stage.approved()
    copy = uuid.uuid4()
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        columns = [
            row["column_name"]
            for row in await stage.sql(
                "select column_name from information_schema.columns where table_schema = 'checkpoints'"
                " and table_name = %s order by ordinal_position",
                table,
            )
        ]
        names = ", ".join(columns)
        picked = ", ".join("%s" if name == "thread_id" else name for name in columns)
        await stage.sql(
            f"insert into checkpoints.{table} ({names}) select {picked} from checkpoints.{table} where thread_id = %s",
            str(copy),
            str(case.thread_id),
        )
    config: RunnableConfig = {"configurable": {"thread_id": str(copy)}}
    for command in (Command(resume="wake-up"), Command(goto="refund")):
        with pytest.raises(NoCase):
            await stage.house.driver.graph.ainvoke(command, config, durability="sync")
    assert await stage.count("disbursements") == 0


async def test_an_edited_checkpoint_row_changes_nothing_that_is_paid(stage: Stage) -> None:
    case, _ = await stage.paused()
    kind, blob = strict_serializer().dumps_typed({"amount_minor": 888_888, "kind": "refund"})
    await stage.sql(
        "update checkpoints.checkpoint_blobs set type = %s, blob = %s where channel = 'proposal'", kind, blob
    )
    await stage.sql(
        "update checkpoints.checkpoints set checkpoint = jsonb_set(checkpoint, '{channel_values,status}', '\"approved\"')"
    )
    await paid_as_signed(stage, case)


async def test_a_forged_first_state_is_dropped(stage: Stage) -> None:
    case = await stage.submit()
    forged: Any = {
        "ticket": case.ticket.to_json(),
        "status": "approved",
        "proposal": {"amount_minor": 1, "kind": "refund"},
        "refund": {"result": "refund_created"},
        "case_id": str(uuid.uuid4()),
    }
    await stage.house.driver.graph.ainvoke(forged, config_of(case), durability="sync")
    state = await stage.house.state(case)
    assert (state["status"], state["refund"]) == ("needs_human", None)
    await nothing_moved(stage)


async def test_a_second_thread_for_a_ticket_is_a_duplicate(stage: Stage) -> None:
    case, _ = await stage.paused()
    config: RunnableConfig = {"configurable": {"thread_id": str(uuid.uuid4())}}
    result = await stage.house.driver.graph.ainvoke(
        {"ticket": case.ticket.to_json()}, config, durability="sync"
    )
    assert (result["status"], result["reason"]) == ("bypassed", "duplicate_ticket")
    await nothing_moved(stage)


async def order_as_graph(stage: Stage, case: Case, **changed: object) -> str:
    """The insert that the graph's role can do, with columns changed; the reason it was refused, or ''."""
    rows = await stage.sql("select * from books.decisions where case_id = %s", case.case_id)
    row = {
        name: rows[0][name]
        for name in (
            "tenant", "decision_id", "proposal_id", "case_id", "thread_id", "word", "digest", "kind", "payment_id",
            "order_id", "amount_minor", "currency",
        )
    } | changed  # fmt: skip
    async with stage.house.driver.books.pool.connection() as connection:
        tenant = row.pop("session_tenant", "demo")
        try:
            async with connection.transaction():
                await connection.execute("select set_config('books.tenant', %s, true)", (tenant,))
                names = ", ".join(row)
                marks = ", ".join(["%s"] * len(row))
                await connection.execute(
                    f"insert into books.disbursements ({names}) values ({marks})", list(row.values())
                )
        except psycopg.Error as error:
            return str(error.diag.message_primary)
    return ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"amount_minor": 7_901}, "blocked:approval_mismatch"),
        ({"amount_minor": 1}, "blocked:approval_mismatch"),
        ({"digest": "0" * 64}, "blocked:approval_mismatch"),
        ({"order_id": "D301"}, "blocked:approval_mismatch"),
        ({"payment_id": "pay_D301"}, "blocked:approval_mismatch"),
        ({"currency": "EUR"}, "blocked:approval_mismatch"),
        ({"thread_id": uuid.uuid4()}, "blocked:approval_mismatch"),
        ({"case_id": uuid.uuid4()}, "blocked:approval_mismatch"),
        ({"decision_id": uuid.uuid4()}, "blocked:approval_mismatch"),
        ({"session_tenant": ""}, "blocked:not_approved"),
        ({"session_tenant": "other"}, "blocked:not_approved"),
        ({"payment_id": None}, "blocked:approval_mismatch"),
        ({"amount_minor": None}, "blocked:approval_mismatch"),
        ({"digest": None}, "blocked:approval_mismatch"),
        ({"decision_id": None}, "blocked:approval_mismatch"),
        ({"tenant": None}, "blocked:not_approved"),
        (
            {"kind": "reply"},
            'new row for relation "disbursements" violates check constraint "disbursements_kind_check"',
        ),
        (
            {"word": "reject"},
            'new row for relation "disbursements" violates check constraint "disbursements_word_check"',
        ),
        ({}, ""),
    ],
)
async def test_the_order_of_money_is_what_was_decided_or_nothing(
    stage: Stage, changed: dict[str, object], why: str
) -> None:
    """Another case's, another amount, a NULL in a key, an unset and a wrong tenant; and, last, the right one."""
    case = await stage.approved()
    assert await order_as_graph(stage, case, **changed) == why
    assert await stage.count("disbursements") == (0 if why else 1)


async def test_another_cases_decision_orders_nothing(stage: Stage) -> None:
    first = await stage.approved()
    other, _ = await stage.paused(order_id="D301", customer_id="C101")
    refused = await order_as_graph(stage, first, case_id=other.case_id, thread_id=other.thread_id)
    assert refused == "blocked:approval_mismatch"
    await stage.house.driver.graph.ainvoke(Command(goto="refund"), config_of(other), durability="sync")
    assert await stage.count("disbursements") == 0


async def test_a_lapsed_decision_goes_back_to_a_new_proposal(stage: Stage) -> None:
    case = await stage.approved()
    await stage.move_clock(hours=72 + 25)
    state = await stage.run(case)
    assert (state["status"], state["reason"]) == ("needs_human", "approval_lapsed")
    assert await stage.count("disbursements") == 0
    assert await stage.count("proposals") == 2
    await paid_as_signed(stage, case)


async def test_a_decision_that_lapses_after_the_order_is_not_sent(stage: Stage) -> None:
    case = await stage.ordered()
    await stage.move_clock(hours=72 + 25)
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("needs_human", "approval_lapsed")
    assert stage.refunds() == 0
    await paid_as_signed(stage, case)


async def test_an_undecided_proposal_expires_and_is_nobodys_rejection(stage: Stage) -> None:
    case, state = await stage.paused()
    await stage.move_clock(hours=73)
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "expired"
    person = await stage.person("demo-reviewer")
    proposal: Any = state["proposal"]
    with pytest.raises(Conflict):
        await stage.house.desk.decide(
            person, case.tenant, case.case_id, proposal["digest"], DecisionRequest("approve")
        )
    await nothing_moved(stage)


async def test_a_reused_decision_is_a_duplicate(stage: Stage) -> None:
    case = await stage.ordered()
    assert "duplicate key" in await order_as_graph(stage, case)
    await stage.finish()
    await stage.house.driver.graph.ainvoke(Command(goto="refund"), config_of(case), durability="sync")
    await stage.finish()
    assert stage.refunds() == 1


async def test_four_concurrent_resumes_order_once_in_forty_trials(stage: Stage) -> None:
    await stage.many_orders(40)
    graph = stage.house.driver.graph
    for trial in range(1, 41):
        case = await stage.approved(order_id=f"X{trial}")
        await asyncio.gather(
            *(graph.ainvoke(Command(resume="wake-up"), config_of(case), durability="sync") for _ in range(4)),
            return_exceptions=True,
        )
    assert await stage.count("disbursements") == 40
    await stage.finish()
    assert stage.refunds() == 40
    assert {refund.amount.amount_minor for refund in stage.house.provider.all_refunds()} == {7_900}


async def send_as_cashier(stage: Stage) -> str:
    """The insert that the cashier's role can do for the only disbursement; the reason it was refused, or ''."""
    decision = (await stage.decision_ids())[0]
    async with stage.house.executor.books.pool.connection() as connection:
        try:
            async with connection.transaction():
                await connection.execute("select set_config('books.tenant', 'demo', true)")
                await connection.execute(
                    "insert into books.sends (tenant, decision_id, attempt, epoch, key) values ('demo', %s, 1, 1, 'k')",
                    (decision,),
                )
        except psycopg.Error as error:
            return str(error.diag.message_primary)
    return ""


@pytest.mark.parametrize(
    ("what", "why"), [("nothing", ""), ("kill", "blocked:kill_switch"), ("time", "blocked:expired")]
)
@pytest.mark.parametrize("act", ["order", "send"])
async def test_postgres_itself_refuses_an_order_or_a_send_that_is_switched_off_or_late(
    stage: Stage, what: str, why: str, act: str
) -> None:
    """Whatever a program believes that it has checked."""
    case = await stage.approved() if act == "order" else await stage.ordered()
    if what == "kill":
        operator = await stage.person("demo-operator")
        await set_kill_switch(stage.house.desk_books, operator, on=True, reason="drill", tenant="demo")
    if what == "time":
        await stage.move_clock(hours=97)
    assert await (order_as_graph(stage, case) if act == "order" else send_as_cashier(stage)) == why
