"""What people decide and what is enforced agree: what may be approved is paid, and what is not payable cannot be approved."""

from dataclasses import replace
from typing import Any

import pytest
from desk_kit import DeskStage
from stage import Stage, another_key

from app.house import home_trusted_keys
from cashier.executor import Executor
from desk.decisions import Conflict, DecisionRequest, Desk
from desk.people import NoAuthority
from policies.authority import rule_of, rules_for
from policies.signature import new_key, public_keys
from refunds.ids import TenantId
from refunds.money import Currency, Money

CAMERA = {
    "order_id": "D303",
    "customer_id": "C103",
    "question": "My camera arrived broken. I want a refund, please.",
}
DEMO, USD = TenantId("demo"), Currency("USD")


@pytest.mark.parametrize("amount", [0, 1, 49_999, 50_000, 199_999, 200_000, 10_000_000])
async def test_the_houses_rule_is_one_in_python_and_postgres(stage: Stage, amount: int) -> None:
    rule = rule_of(Money(amount, USD), rules_for(DEMO, [USD]))
    [row] = await stage.sql("select * from books.house_rule(%s)", amount)
    assert rule is not None
    assert (row["approvals"], row["specialists"]) == (rule.approvals, rule.specialists)


async def test_a_looser_rule_in_the_books_lets_nobody_approve_what_is_not_paid(stage: Stage) -> None:
    """One person may say yes to anything, say the books: the house's own rule counts, at the desk as at the cashier."""
    await stage.forced("update books.authority_rules set approvals = 1, specialists = 0")
    case, _ = await stage.paused(**CAMERA)
    first = await stage.say(case, DecisionRequest("approve"))
    assert (first.decision, first.more_people) == (None, 1)
    with pytest.raises(Exception, match="no_authority"):
        await stage.sql("select set_config('books.tenant', 'demo', false)")
        await stage.sql(
            "insert into books.decisions (tenant, decision_id, proposal_id, case_id, thread_id, word, digest, kind,"
            " payment_id, order_id, amount_minor, currency, decided_by, decided_at, execute_by)"
            " select tenant, decision_id, proposal_id, case_id, thread_id, word, digest, kind, payment_id, order_id,"
            " amount_minor, currency, person, decided_at, execute_by from books.votes"
        )
    await stage.say(case, DecisionRequest("approve"), "demo-specialist")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_a_stricter_rule_in_the_books_counts(stage: Stage) -> None:
    await stage.forced(
        "update books.authority_rules set approvals = 2, specialists = 1 where currency = 'USD'"
    )
    case, _ = await stage.paused()
    assert (await stage.say(case, DecisionRequest("approve"))).decision is None


@pytest.mark.parametrize(
    "change",
    [
        "insert into books.policy_documents select tenant, document_id, 99, title, region, 'withdrawn', effective_on,"
        " expires_on, rules, repeat('0', 64), imported_at from books.policy_documents d where {cited}",
        "insert into books.policy_reviews (tenant, document_id, version, seq, sha256, verdict, person, note)"
        " select tenant, document_id, version, 9, sha256, 'reject', 'demo-specialist', 'not any more'"
        " from books.policy_documents d where {cited}",
    ],
    ids=["withdrawn", "approved no more"],
)
async def test_policy_that_is_taken_back_while_a_proposal_waits_is_not_approved_and_paid(
    stage: Stage, change: str
) -> None:
    case, state = await stage.paused()
    [cited] = state["proposal"]["citations"]  # type: ignore[index]
    where = f"d.document_id = '{cited['document_id']}' and d.version = {cited['version']}"
    await stage.sql("select set_config('books.tenant', 'demo', false)")
    await stage.sql(change.format(cited=where))
    with pytest.raises(Conflict, match="policy"):
        await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    again = await stage.house.state(case)
    assert again["proposal"]["id"] != state["proposal"]["id"]  # type: ignore[index]
    cites = [one["document_id"] for one in again["proposal"]["citations"]]  # type: ignore[index]
    assert cited["document_id"] not in cites
    assert stage.refunds() == 0


async def test_what_a_person_edited_waits_for_a_person_when_its_policy_is_taken_back(stage: Stage) -> None:
    case, _ = await stage.paused()
    await stage.say(case, DecisionRequest("revise", revised_amount_minor=5_000, note="less"))
    state = await stage.run(case)
    [cited] = state["proposal"]["citations"]  # type: ignore[index]
    await stage.sql("select set_config('books.tenant', 'demo', false)")
    await stage.sql(
        "insert into books.policy_reviews (tenant, document_id, version, seq, sha256, verdict, person, note)"
        " select tenant, document_id, version, 9, sha256, 'reject', 'demo-specialist', 'not any more'"
        " from books.policy_documents d where d.document_id = %s and d.version = %s",
        cited["document_id"],
        cited["version"],
    )
    await stage.finish()
    with pytest.raises(Conflict, match="policy"):
        await stage.say(case, DecisionRequest("approve"), "demo-reviewer-2")
    assert stage.refunds() == 0


async def test_a_new_key_has_a_new_name_and_an_unknown_one_waits(stage: Stage) -> None:
    """The desk's key was lost and made anew: what it signs waits until the cashier is given the new one, and is then paid."""
    new = new_key("desk")
    assert new.kid != new_key("desk").kid
    desk = Desk(stage.house.desk_books, new)
    case, state = await stage.paused()
    person = await stage.person("demo-reviewer")
    digest = state["proposal"]["digest"]  # type: ignore[index]
    await desk.decide(person, DEMO, case.case_id, digest, DecisionRequest("approve"))
    await stage.run(case)
    await stage.house.executor.settle_all()
    assert (await stage.count("settlements"), stage.refunds()) == (0, 0)
    assert (await stage.house.state(case))["status"] == "refund_pending"
    keys = public_keys([new.public()])
    executor = Executor(stage.house.executor.books, stage.house.provider, keys, retry_seconds=0)
    await executor.settle_all()
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_another_key_under_the_same_name_still_pays_nothing(stage: Stage) -> None:
    """Only a forger makes one: the house's own keys are named after themselves."""
    kid = stage.house.desk.key.kid
    forger = replace(stage.house.desk, key=another_key(kid))
    case, state = await stage.paused()
    digest = state["proposal"]["digest"]  # type: ignore[index]
    await forger.decide(
        await stage.person("demo-reviewer"), DEMO, case.case_id, digest, DecisionRequest("approve")
    )
    await stage.run(case)
    await stage.finish()
    assert (await stage.house.state(case))["reason"] == "blocked:approval_mismatch"
    assert stage.refunds() == 0
    assert home_trusted_keys(stage.house.home, "desk").knows(kid)


async def rows_of_the_books(stage: Stage) -> dict[str, int]:
    """How many rows each table has; heartbeats and what a process keeps for itself left out."""
    tables = await stage.sql(
        "select relname from pg_class where relnamespace = 'books'::regnamespace and relkind = 'r' order by 1"
    )
    return {
        row["relname"]: await stage.count(row["relname"]) for row in tables if row["relname"] != "heartbeats"
    }


def bodies(case_id: object, digest: str) -> dict[str, Any]:
    """A body that each route would take."""
    return {
        "word": "approve", "digest": digest, "act": "check", "reason": "a test", "value": "on", "on": True, "tenant": "demo",
        "text": "hello", "case_id": str(case_id), "thread_id": str(case_id), "why": "nobody could read it",
    }  # fmt: skip


@pytest.mark.parametrize("token", ["demo-auditor", "demo-auditor@server"])
async def test_an_auditors_token_writes_nothing_at_all(desk: DeskStage, token: str) -> None:
    """Every route that is not a read, with each field that its body has: refused, and no row anywhere."""
    stage = desk.stage
    case, state = await stage.paused()
    digest = state["proposal"]["digest"]  # type: ignore[index]
    before = await rows_of_the_books(stage)
    spec = desk.app.openapi()
    tried = 0
    for path, verbs in spec["paths"].items():
        for verb, described in verbs.items():
            if verb == "get":
                continue
            tried += 1
            at = path
            for parameter in described.get("parameters", []):
                if parameter["in"] == "path":
                    value = case.case_id if parameter["name"].endswith("_id") else "1"
                    at = at.replace("{" + parameter["name"] + "}", str(value))
            body = body_for(spec, described, bodies(case.case_id, digest))
            answer = await desk.ask(verb.upper(), at, body, who=token)
            assert answer.status_code in {401, 403}, (verb, path, answer.status_code, answer.text)
    assert tried > 15
    assert await rows_of_the_books(stage) == before


def body_for(spec: dict[str, Any], described: dict[str, Any], known: dict[str, Any]) -> object:
    """A body with the fields of the route, from what is known."""
    content = (
        described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    )
    name = content.get("$ref", "").rsplit("/", 1)[-1]
    fields = spec.get("components", {}).get("schemas", {}).get(name, {}).get("properties", {})
    return {field: known[field] for field in fields if field in known}


async def test_who_may_not_decide_is_told_so_before_anything_is_read(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    with pytest.raises(NoAuthority):
        await desk.stage.say(case, DecisionRequest("approve"), "demo-auditor")
