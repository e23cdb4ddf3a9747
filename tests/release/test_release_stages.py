"""Releases: each step is earned, sticks to its cases, and is taken back in one row that every process reads."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_kit import (
    V2,
    V3,
    climbed,
    entered,
    founded,
    named,
    operator,
    receipt_for,
    release_of_case,
    release_stage,
)
from stage import Stage

from desk.decisions import Conflict, DecisionRequest
from desk.notes import BadDecision
from desk.people import NoAuthority
from evals.exam.receipt import BadReceipt
from evals.exam.sets import honest
from policies.manifest import manifest
from policies.rollout import (
    assigned,
    live_of,
)
from records.books import Refused
from records.releases import EVERYBODY, release_stages, write_step
from refunds.release import ReleaseStage

# Entering ---------------------------------------------------------------------------------------------------------


async def test_without_a_release_in_the_books_a_house_runs_what_it_was_started_with(stage: Stage) -> None:
    _, state = await stage.paused()
    assert state["status"] == "needs_human"
    assert await release_stages(stage.house.desk_books.reading(EVERYBODY)) == []


async def test_the_first_release_is_live_and_a_second_first_is_refused(stage: Stage) -> None:
    kept = await founded(stage)
    assert (await release_stage(stage, V2)).state == "live"
    pinned = named(V3)
    with pytest.raises(Conflict, match="a release is live here"):
        await kept.enter(await operator(stage), pinned, receipt_for(pinned), "again", code="x", founding=True)
    _, state = await stage.paused()
    assert state["status"] == "needs_human"


@pytest.mark.parametrize("who", ["demo-reviewer", "demo-specialist", "demo-auditor", "demo-helpdesk"])
async def test_only_an_operator_of_every_tenant_moves_a_release(stage: Stage, who: str) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    person = await stage.person(who)
    with pytest.raises(NoAuthority):
        await kept.promote(person, V3, "because")
    with pytest.raises(NoAuthority):
        await kept.roll_back(person, None, "because")
    async with stage.house.desk_books.transaction(EVERYBODY) as tx:
        with pytest.raises(Refused, match="no_authority"):
            await write_step(tx, V3, "shadow", person.person, "past the desk")


async def test_a_receipt_of_another_manifest_is_refused_and_a_failed_one_is_held(stage: Stage) -> None:
    kept = await founded(stage)
    who = await operator(stage)
    with pytest.raises(BadDecision, match="not of this manifest"):
        await kept.enter(who, named(V3), receipt_for(manifest()), "borrowed", code="x")
    receipt = receipt_for(named(V3))
    receipt["rows"][0]["passed"] = False
    await kept.enter(who, named(V3), receipt, "failed", code="x")
    assert (await release_stage(stage, V3)).state == "hold"
    with pytest.raises(Conflict, match="there is no step after it"):
        await kept.promote(who, V3, "anyway")
    async with stage.house.desk_books.transaction(EVERYBODY) as tx:
        with pytest.raises(Refused, match="release_step"):
            await write_step(tx, V3, "shadow", who.person, "past the desk")


def test_a_receipt_that_was_edited_by_hand_is_seen() -> None:
    receipt = receipt_for(manifest())
    honest(receipt, "x")
    for change in (
        {"citations": ["late-delivery-v2"]},
        {"refunds": 2},
        {"status": "refunded"},
        {"passed": False},
    ):
        edited = receipt_for(manifest())
        edited["rows"][2] |= change
        with pytest.raises(BadReceipt):
            honest(edited, "x")


async def test_a_name_is_for_one_version(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    with pytest.raises(Conflict, match="a name of its own"):
        await entered(stage, kept, time_to_decide_hours=1)


@pytest.mark.parametrize("state", ["live", "canary", "rolled_back", "shadow"])
async def test_no_step_is_left_out_whoever_writes_it(stage: Stage, state: Any) -> None:
    kept = await founded(stage)
    who = await operator(stage)
    await entered(stage, kept)
    async with stage.house.desk_books.transaction(EVERYBODY) as tx:
        if state == "shadow":
            await write_step(tx, V3, "shadow", who.person, "in order")
            return
        with pytest.raises(Refused, match="release_step"):
            await write_step(tx, V3, state, who.person, "a leap", percent=5 if state == "canary" else 0)


async def test_a_release_that_was_rolled_back_never_comes_back_under_its_name(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "shadow")
    await kept.roll_back(await operator(stage), V3, "no")
    with pytest.raises(Conflict):
        await kept.promote(await operator(stage), V3, "yes")


async def test_one_release_at_a_time_is_a_canary(stage: Stage) -> None:
    kept = await founded(stage)
    for name in (V3, "refund_agent_v4"):
        await entered(stage, kept, name)
    await climbed(stage, V3, "canary")
    with pytest.raises(Refused, match="release_step"):
        await climbed(stage, "refund_agent_v4", "canary")


async def test_steps_are_in_the_audit_chain_and_nobody_changes_them(stage: Stage) -> None:
    await founded(stage)
    rows = await stage.sql("select subject_key from books.audit_events where subject = 'release_steps'")
    assert [row["subject_key"] for row in rows] == [f"{V2}/1"]
    with pytest.raises(psycopg.Error, match="append-only"):
        await stage.sql("update books.release_steps set state = 'hold'")


# Who takes a case ------------------------------------------------------------------------------------------------


CANARY = ReleaseStage(V3, "canary", 10, (), 2)
LIVE = ReleaseStage(V2, "live", 0, (), 1)


@given(st.text(min_size=1, max_size=20))
def test_a_customer_goes_the_same_way_always(customer: str) -> None:
    ways = {assigned([LIVE, CANARY], "demo", customer, "own") for _ in range(3)}
    assert len(ways) == 1
    if assigned([LIVE, CANARY], "demo", customer, "own") == V3:
        # Who is in ten per cent is in fifty too.
        assert assigned([LIVE, replace(CANARY, percent=50)], "demo", customer, "own") == V3


def test_a_canary_takes_its_share_and_the_tenants_that_it_names() -> None:
    taken = sum(assigned([LIVE, CANARY], "demo", f"C{n}", "own") == V3 for n in range(4_000))
    assert 320 <= taken <= 480
    whole = replace(CANARY, percent=0, tenants=("pilot",))
    assert assigned([LIVE, whole], "pilot", "C1", "own") == V3
    assert assigned([LIVE, whole], "demo", "C1", "own") == V2


def test_the_newest_live_release_takes_what_no_canary_takes_and_none_means_held() -> None:
    both = [LIVE, ReleaseStage(V3, "live", 0, (), 5)]
    assert live_of(both) == V3
    assert live_of([LIVE, ReleaseStage(V3, "rolled_back", 0, (), 6)]) == V2
    assert live_of([ReleaseStage(V3, "shadow", 0, (), 6)]) is None
    assert assigned([ReleaseStage(V2, "rolled_back", 0, (), 6)], "demo", "C", "own") == "own"
    assert assigned([], "demo", "C", "own") == "own"


async def test_a_case_keeps_its_release_for_life(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept, time_to_decide_hours=5)
    await stage.many_orders(12)
    await climbed(stage, V3, "canary")
    cases = [await stage.submit(order_id=f"X{n}", customer_id="C100") for n in range(2)]
    first = await release_of_case(stage, cases[0].case_id)
    assert first == assigned([LIVE, replace(CANARY, percent=50)], "demo", "C100", "own")
    async with stage.house.desk_books.transaction(EVERYBODY) as tx:
        await write_step(tx, V3, "live", (await operator(stage)).person, "everybody")
    await stage.finish()
    rows = await stage.sql("select distinct release from books.proposals")
    assert [row["release"] for row in rows] == [first]
    later = await stage.submit(order_id="X5")
    assert await release_of_case(stage, later.case_id) == V3
    await stage.finish()
    rows = await stage.sql(
        "select expires_at - proposed_at < interval '6 hours' as short from books.proposals where case_id = %s",
        later.case_id,
    )
    assert rows == [{"short": True}]  # the manifest of the books, not the process's own


async def test_what_waits_on_a_withdrawn_release_is_proposed_again_and_never_decided(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    case, before = await stage.paused()
    assert await release_of_case(stage, case.case_id) == V3
    digest = before["proposal"]["digest"]  # type: ignore[index]
    taken, enqueued_cases = await kept.roll_back(await operator(stage), None, "refusals rose")
    assert (taken, enqueued_cases) == (V3, 1)
    reviewer = await stage.person("demo-reviewer")
    with pytest.raises(Conflict):
        await stage.house.desk.decide(reviewer, case.tenant, case.case_id, digest, DecisionRequest("approve"))
    after = await stage.run(case)
    assert after["status"] == "needs_human"
    assert after["proposal"]["digest"] != digest  # type: ignore[index]
    rows = await stage.sql("select release from books.proposals order by proposed_at")
    assert [row["release"] for row in rows] == [V3, V2]
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert stage.refunds() == 1


async def test_the_sweep_proposes_again_what_no_job_reached(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    case, _ = await stage.paused()
    async with stage.house.desk_books.transaction(EVERYBODY) as tx:
        await write_step(tx, V3, "rolled_back", (await operator(stage)).person, "past the desk")
    await stage.finish()
    rows = await stage.sql(
        "select release from books.proposals where case_id = %s order by proposed_at", case.case_id
    )
    assert [row["release"] for row in rows] == [V3, V2]


async def test_what_was_countersigned_before_the_rollback_is_paid_once_as_it_was_signed(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    case = await stage.approved()
    await kept.roll_back(await operator(stage), V3, "too late for this one")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert stage.refunds() == 1


async def test_while_nothing_is_live_every_case_goes_to_a_person(stage: Stage) -> None:
    kept = await founded(stage)
    paused, _ = await stage.paused()
    await kept.roll_back(await operator(stage), V2, "stop")
    case = await stage.submit()
    state = await stage.run(case)
    assert (state["status"], state["reason"], state["trace"]) == ("bypassed", "release_held", [])
    again = await stage.run(paused)
    assert (again["status"], again["reason"]) == ("needs_human", "release_held")
    assert again["proposal"]["kind"] == "handoff"  # type: ignore[index]
    await stage.finish()
    assert await stage.count("proposals") == 2


async def test_a_release_that_this_program_cannot_be_takes_no_case(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    other = '{"agent_version": "refund_agent_v3"}'
    await stage.forced(
        "update books.releases set manifest = %s, manifest_sha256 = encode(sha256(convert_to(%s, 'UTF8')), 'hex')"
        " where release = %s",
        other,
        other,
        V3,
    )
    state = await stage.run(await stage.submit())
    assert (state["status"], state["reason"]) == ("bypassed", "release_held")


async def test_a_release_below_canary_proposes_nothing_whoever_asks(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    case, _ = await stage.paused()
    await stage.forced(
        "update books.release_steps set state = 'shadow' where release = %s and state = 'live'", V3
    )
    rows = await stage.sql("select body from books.proposals where case_id = %s", case.case_id)
    other = await stage.submit()
    body = str(rows[0]["body"]).replace(str(case.case_id), str(other.case_id))
    with pytest.raises(psycopg.Error, match="release_held"):
        await stage.sql(
            "with t as (select set_config('books.tenant', 'demo', true)) insert into books.proposals (tenant, proposal_id, case_id,"
            " thread_id, digest, body, kind, reason, payment_id, order_id, amount_minor, currency, release, graph_version, expires_at)"
            " select 'demo', (%s::jsonb->>'proposal_id')::uuid, %s, %s, encode(sha256(convert_to(%s, 'UTF8')), 'hex'), %s, 'refund',"
            " %s::jsonb->>'reason', %s::jsonb->>'payment_id', %s::jsonb->>'order_id', 7900, 'USD', %s, '1', books.clock() + interval '1 hour' from t",
            body, other.case_id, other.thread_id, body, body, body, body, body, V3,
        )  # fmt: skip
