"""The audit: an edited, deleted, reordered, truncated or rewritten row is reported, always."""

import json
import random
from pathlib import Path

import pytest
from conftest import CAMPAIGN
from stage import Cluster, Stage, another_key

from app.house import home_private_key, home_trusted_keys
from desk.decisions import DecisionRequest
from records.audit import AuditFinding, anchor, read_copy, verify_trail
from refunds.canonical import canonical, sha256

MUTATIONS = 2_000 if CAMPAIGN else 500

AUDITED = (
    "cases", "case_events", "trace_events", "proposals", "votes", "decisions", "disbursements", "sends", "settlements",
    "flags",
)  # fmt: skip

EDITS = {
    "cases": "ticket = ticket || ' '",
    "case_events": "reason = reason || 'x'",
    "trace_events": "result = result || 'x'",
    "proposals": "reason = reason || 'x'",
    "votes": "note = coalesce(note, '') || 'x'",
    "decisions": "decided_at = decided_at + interval '1 second'",
    "disbursements": "ordered_at = ordered_at + interval '1 second'",
    "sends": "key = key || 'x'",
    "settlements": "detail = detail || 'x'",
    "flags": "reason = reason || 'x'",
}


async def busy(stage: Stage) -> None:
    """Books with every audited kind of row, anchored twice."""
    from desk.flags import set_kill_switch

    await stage.ordered()
    await stage.finish()
    await stage.house.anchor()
    case, _ = await stage.paused(order_id="D301", customer_id="C101")
    await stage.say(case, DecisionRequest("reject", "wording"))
    operator = await stage.person("demo-operator")
    await set_kill_switch(stage.house.desk_books, operator, on=False, reason="drill", tenant="demo")
    await stage.finish()
    await stage.house.anchor()


async def found(stage: Stage) -> list[AuditFinding]:
    keys = home_trusted_keys(stage.house.home, "anchor")
    return (await verify_trail(stage.house.desk_books, keys.read, stage.house.home.anchors_file))[0]


async def mutate(stage: Stage, dice: random.Random) -> str:
    """One random change by an administrator who turned the triggers off; what it was."""
    kind = dice.choice(
        ["edit", "delete", "tail", "event", "event_gone", "reorder", "anchor", "forge", "truncate"]
    )
    table = dice.choice(AUDITED)
    one = f"ctid = (select ctid from books.{table} order by random() limit 1)"
    event = "ctid = (select ctid from books.audit_events order by random() limit 1)"
    match kind:
        case "edit":
            await stage.sql(f"update books.{table} set {EDITS[table]} where {one}")
            return f"edit {table}"
        case "delete":
            await stage.sql(f"delete from books.{table} where {one}")
            return f"delete {table}"
        case "tail":
            await stage.sql(
                "delete from books.audit_events a where (tenant, chain, seq) in (select tenant, chain, max(seq)"
                " from books.audit_events group by tenant, chain order by random() limit 1)"
            )
        case "event":
            column = dice.choice(["subject", "subject_key", "actor"])
            await stage.sql(f"update books.audit_events set {column} = {column} || 'x' where {event}")
        case "event_gone":
            await stage.sql(f"delete from books.audit_events where {event}")
        case "reorder":
            await stage.sql(
                "with chosen as (select chain, seq from books.audit_events where seq > 1 order by random() limit 1)"
                " update books.audit_events a set seq = a.seq + 100000 from chosen c"
                " where a.chain = c.chain and a.seq = c.seq"
            )
        case "anchor":
            await stage.sql(
                "update books.anchors set payload = replace(payload, '\"heads\"', '\"heads\" ') where anchor_no = 1"
            )
        case "forge":
            await stage.sql(
                "insert into books.case_events (tenant, case_id, seq, status, reason)"
                " select tenant, case_id, 99, 'refunded', 'forged' from books.cases limit 1"
            )
        case _:
            await stage.sql(f"delete from books.{table}")
            return f"truncate {table}"
    return kind


@pytest.mark.parametrize("part", range(10))
async def test_every_mutation_is_reported(stage: Stage, part: int) -> None:
    """Each is rolled back, so that each is found alone."""
    await busy(stage)
    assert await found(stage) == []
    dice = random.Random(part)
    for number in range(MUTATIONS // 10):
        await stage.sql("begin")
        try:
            await stage.sql("set local session_replication_role = replica")
            what = await mutate(stage, dice)
            findings = await verified_inside(stage)
        finally:
            await stage.sql("rollback")
        assert findings, f"{part}/{number}: {what} went unreported"


async def verified_inside(stage: Stage) -> list[AuditFinding]:
    """The same verification, read through the connection that holds the mutation."""
    from records.audit import Anchor, anchored_heads, verify_anchors, verify_tenant
    from records.books import Transaction
    from refunds.ids import TenantId

    tx = Transaction(stage.owner)
    await stage.sql("set local search_path = books")
    await stage.sql("set local timezone = 'UTC'")
    await stage.sql("select set_config('books.tenant', 'demo', true)")
    keys = home_trusted_keys(stage.house.home, "anchor")
    table = [Anchor.of(row) for row in await tx.rows("all_anchors")]
    outer = read_copy(stage.house.home.anchors_file)
    findings = verify_anchors(table, keys.read, "table")
    findings += [AuditFinding("*", "anchors", 0, "differ")] if table != outer else []
    return findings + (await verify_tenant(tx, TenantId("demo"), anchored_heads(outer)))[0]


async def test_a_whole_rewrite_by_an_administrator_is_reported(stage: Stage) -> None:
    """The row, its event and every hash after it are made anew: only the signed heads can tell."""
    await busy(stage)
    await stage.sql("set session_replication_role = replica")
    await stage.sql("update books.settlements set detail = 'rewritten'")
    await stage.sql(
        "update books.audit_events e set row_sha256 ="
        " (select encode(sha256(convert_to(jsonb_strip_nulls(to_jsonb(s))::text, 'UTF8')), 'hex') from books.settlements s"
        "  where e.subject_key = s.decision_id || '/' || s.seq) where subject = 'settlements'"
    )
    rows = await stage.sql(
        "select chain, seq, subject, subject_key, row_sha256, actor, tenant,"
        " to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as moment from books.audit_events order by chain, seq"
    )
    from records.audit import FIRST, chain_text

    previous: dict[str, str] = {}
    for row in rows:
        before = previous.get(row["chain"], FIRST)
        digest = sha256(
            chain_text(
                [
                    before,
                    row["tenant"],
                    row["chain"],
                    str(row["seq"]),
                    row["subject"],
                    row["subject_key"],
                    row["row_sha256"],
                    row["actor"],
                    row["moment"],
                ]
            )
        )
        await stage.sql(
            "update books.audit_events set previous = %s, hash = %s where chain = %s and seq = %s",
            before, digest, row["chain"], row["seq"],
        )  # fmt: skip
        previous[row["chain"]] = digest
    await stage.sql("set session_replication_role = origin")
    findings = [str(finding) for finding in await found(stage)]
    assert findings
    assert all("signed head" in finding for finding in findings), findings


async def test_anchors_that_are_rewritten_with_another_key_are_reported(stage: Stage) -> None:
    await busy(stage)
    forger = another_key(home_private_key(stage.house.home, "anchor").kid)
    for row in await stage.sql("select anchor_no, payload from books.anchors"):
        await stage.forced(
            "update books.anchors set signature = %s where anchor_no = %s",
            forger.sign(row["payload"]),
            row["anchor_no"],
        )
    assert any("not as it was signed" in str(finding) for finding in await found(stage))


async def test_anchors_that_are_gone_from_the_table_are_missed_by_the_outer_copy(stage: Stage) -> None:
    await busy(stage)
    await stage.forced("delete from books.anchors where anchor_no > 1")
    assert any("missing from the table" in str(finding) for finding in await found(stage))


async def test_everything_gone_is_reported(stage: Stage) -> None:
    await busy(stage)
    for table in (*AUDITED, "audit_events", "anchors"):
        await stage.forced(f"delete from books.{table}")
    assert await found(stage)


async def test_the_outer_copy_is_made_whole_after_a_crash_between_the_two(stage: Stage) -> None:
    await busy(stage)
    copy = stage.house.home.anchors_file
    lines = copy.read_text().splitlines()
    copy.write_text(lines[0] + "\n")
    await anchor(stage.house.anchorer_books, home_private_key(stage.house.home, "anchor").sign, copy)
    assert [json.loads(line) for line in copy.read_text().splitlines()] == [
        json.loads(line) for line in lines
    ]


async def test_no_word_of_a_customer_is_in_the_audit(stage: Stage) -> None:
    await stage.paused(question="My tablet arrived cracked, secret-word-4711, I want a refund.")
    rows = await stage.sql("select * from books.audit_events")
    assert rows
    assert "secret-word-4711" not in canonical(
        [{name: str(value) for name, value in row.items()} for row in rows]
    )


@pytest.fixture(autouse=True)
def _own_anchors(cluster: Cluster) -> None:
    """Each test's books have an outer copy of their own."""
    Path(cluster.home.anchors_file).unlink(missing_ok=True)
