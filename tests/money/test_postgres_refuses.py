"""What Postgres itself refuses or reports, whoever writes: an untrue end, an order in another isolation, a foreign settlement."""

import psycopg
import pytest
from stage import Stage

from app.house import home_trusted_keys
from desk.flags import set_kill_switch
from records.audit import verify_trail


async def as_graph(stage: Stage, *statements: str, isolation: str = "read committed") -> None:
    """Statements that the graph's own role can say, in one transaction of the tenant."""
    async with stage.house.driver.books.pool.connection() as connection, connection.transaction():
        await connection.execute(f"set transaction isolation level {isolation}")
        await connection.execute("select set_config('books.tenant', 'demo', true)")
        for statement in statements:
            await connection.execute(statement)


async def test_an_untrue_end_cannot_be_hidden_in_a_trigger_of_ones_own(stage: Stage) -> None:
    case, _ = await stage.paused()
    with pytest.raises(psycopg.Error, match=r"untrue_event|permission denied"):
        await as_graph(
            stage,
            "create table checkpoints.mine (n int)",
            "create function checkpoints.hide() returns trigger language plpgsql as $$ begin"
            " insert into books.case_events (tenant, case_id, seq, status, reason, ended)"
            f" values ('demo', '{case.case_id}', 1, 'refunded', 'succeeded', true); return null; end $$",
            "create trigger hide after insert on checkpoints.mine for each row execute function checkpoints.hide()",
            "insert into checkpoints.mine values (1)",
        )
    assert (await stage.house.state(case))["status"] == "needs_human"


@pytest.mark.parametrize(
    ("status", "reason", "ended"),
    [
        ("bypassed", "customer withdrew", "false"),
        ("bypassed", "kill_switch", "true"),
        ("blocked", "because", "false"),
        ("refund_failed", "because", "true"),
        ("refund_pending", "because", "false"),
    ],
)
async def test_an_event_with_a_reason_of_ones_own_is_refused(
    stage: Stage, status: str, reason: str, ended: str
) -> None:
    case = await stage.approved() if status.startswith("refund") else await stage.submit()
    with pytest.raises(psycopg.Error, match="untrue_event"):
        await as_graph(
            stage,
            "insert into books.case_events (tenant, case_id, seq, status, reason, ended)"
            f" values ('demo', '{case.case_id}', 1, '{status}', '{reason}', {ended})",
        )


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_an_order_of_money_in_another_isolation_is_refused(stage: Stage, isolation: str) -> None:
    await stage.approved()
    names = "tenant, decision_id, proposal_id, case_id, thread_id, word, digest, kind, payment_id, order_id, amount_minor, currency"
    with pytest.raises(psycopg.Error, match="wrong_isolation"):
        await as_graph(
            stage,
            f"insert into books.disbursements ({names}) select {names} from books.decisions",
            isolation=isolation,
        )


async def test_the_flags_of_everybody_are_audited_too(stage: Stage) -> None:
    operator = await stage.person("demo-operator")
    await set_kill_switch(stage.house.desk_books, operator, on=True, reason="drill", tenant="*")
    stage.house.home.anchors_file.unlink(missing_ok=True)
    await stage.house.anchor()
    keys = home_trusted_keys(stage.house.home, "anchor")
    assert (await verify_trail(stage.house.desk_books, keys.read, stage.house.home.anchors_file))[0] == []
    await stage.forced("update books.flags set value = 'off'")
    assert (await verify_trail(stage.house.desk_books, keys.read, stage.house.home.anchors_file))[0]


async def test_a_settlement_that_the_cashier_did_not_write_is_reported(stage: Stage) -> None:
    await stage.ordered()
    await stage.sql("select set_config('books.tenant', 'demo', false)")
    await stage.sql(
        "insert into books.settlements (tenant, decision_id, seq, outcome, provider_refund_id)"
        " select tenant, decision_id, 1, 'succeeded', 're_false' from books.disbursements"
    )
    keys = home_trusted_keys(stage.house.home, "anchor")
    findings, _ = await verify_trail(
        stage.house.desk_books, keys.read, stage.house.home.anchors_file.with_name("none")
    )
    assert any(
        "settlements" in str(finding) and "written by postgres" in str(finding) for finding in findings
    )


async def test_a_missing_outer_copy_is_a_finding(stage: Stage) -> None:
    await stage.paused()
    await stage.house.anchor()
    keys = home_trusted_keys(stage.house.home, "anchor")
    findings, _ = await verify_trail(
        stage.house.desk_books, keys.read, stage.house.home.anchors_file.with_name("gone")
    )
    assert any("missing" in str(finding) for finding in findings)


async def test_nothing_is_ordered_on_a_case_that_was_said_to_have_failed(stage: Stage) -> None:
    case = await stage.approved()
    await as_graph(
        stage,
        "insert into books.case_events (tenant, case_id, seq, status, reason, ended)"
        f" values ('demo', '{case.case_id}', 1, 'refund_failed', 'blocked:over_refund', true)",
    )
    names = "tenant, decision_id, proposal_id, case_id, thread_id, word, digest, kind, payment_id, order_id, amount_minor, currency"
    with pytest.raises(psycopg.Error, match="blocked:not_approved"):
        await as_graph(
            stage, f"insert into books.disbursements ({names}) select {names} from books.decisions"
        )
