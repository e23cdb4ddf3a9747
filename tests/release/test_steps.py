"""Releases: what each step is earned with, what takes a release back, and what a way back may not lose."""

import psycopg
import pytest
from conftest import Stages
from release_kit import (
    SMALL,
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
    release_stages_of,
)
from stage import Stage, requested

from desk.decisions import Conflict, DecisionRequest
from desk.flags import set_flag, set_kill_switch
from desk.notes import BadDecision
from desk.people import NoAuthority
from desk.releases import NotEarned
from evals.exam.world import Scripted
from graph.planner import DeterministicPlanner, PlannerView
from policies.manifest import manifest
from policies.rollout import (
    Numbers,
    ShadowNumbers,
    lacks_for_canary,
    lacks_for_live,
    out_of_band,
    rollout,
)
from records.releases import EVERYBODY, write_step

# What a step is earned with -----------------------------------------------------------------------------------------


async def test_a_shadow_has_no_effect_but_its_own_row(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await kept.promote(await operator(stage), V3, "look at it")
    case, before = await stage.paused()
    tables = [
        "proposals", "trace_events", "case_events", "model_calls", "replies", "notices", "decisions", "audit_events",
        "findings", "messages",
    ]  # fmt: skip
    counted = {table: await stage.count(table) for table in tables}
    jobs = await stage.sql("select count(*) as n from jobs.procrastinate_jobs")
    threads = await stage.sql("select count(*) as n from checkpoints.checkpoints")
    assert await stage.house.driver.shadow.sweep() == 1
    assert {table: await stage.count(table) for table in tables} == counted
    assert await stage.sql("select count(*) as n from jobs.procrastinate_jobs") == jobs
    assert await stage.sql("select count(*) as n from checkpoints.checkpoints") == threads
    rows = await stage.sql("select * from books.shadow_runs")
    assert [(row["release"], row["beside"], row["differs"], row["amount_minor"]) for row in rows] == [
        (V3, V2, [], 7_900)
    ]
    assert await stage.house.state(case) == before
    assert await stage.house.driver.shadow.sweep() == 0


async def test_a_shadow_that_drifts_is_held_there(stages: Stages) -> None:
    """The live release drafts; the candidate is let four steps fewer, so it hands over what the other proposes."""
    async with stages() as stage:
        kept = await founded(stage)
        budgets = {
            kind: profile.model_copy(update={"steps": 2}) for kind, profile in manifest().budgets.items()
        }
        await entered(stage, kept, budgets=budgets)
        await kept.promote(await operator(stage), V3, "look at it")
        for _ in range(3):
            await stage.paused()
        assert await stage.house.driver.shadow.sweep() == 3
        with pytest.raises(NotEarned, match="decision differs in 100 %"):
            await kept.promote(await operator(stage), V3, "it is friendly", percent=10)
        report = next(one for one in await kept.reports(await operator(stage)) if one.release == V3)
        assert any("path differs" in lack for lack in report.lacks)


async def test_a_shadow_goes_on_when_it_has_shown_enough(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    who = await operator(stage)
    await kept.promote(who, V3, "look at it")
    with pytest.raises(NotEarned, match="3 more shadow cases"):
        await kept.promote(who, V3, "now", percent=10)
    for _ in range(3):
        await stage.paused()
    await stage.house.driver.shadow.sweep()
    with pytest.raises(BadDecision, match="percent"):
        await kept.promote(who, V3, "now")
    with pytest.raises(BadDecision, match="percent"):
        await kept.promote(who, V3, "now", percent=51)
    with pytest.raises(BadDecision, match="tenant"):
        await kept.promote(who, V3, "now", tenants=["nobody"])
    assert (await kept.promote(who, V3, "now", percent=10)).percent == 10
    assert (await kept.promote(who, V3, "more", to="canary", percent=30)).percent == 30
    with pytest.raises(NotEarned, match="canary cases"):
        await kept.promote(who, V3, "all")


async def test_a_canary_that_degrades_takes_itself_back_and_people_are_told(stage: Stage) -> None:
    kept = await founded(stage)
    budgets = {kind: one.model_copy(update={"steps": 2}) for kind, one in manifest().budgets.items()}
    await entered(stage, kept, budgets=budgets)
    who = await operator(stage)
    await kept.promote(who, V3, "look at it")
    async with stage.house.desk_books.transaction(EVERYBODY) as tx:
        await write_step(tx, V3, "canary", who.person, "a rehearsal", tenants=["demo"])
    for _ in range(2):
        await stage.paused()
    assert await kept.watch() == []  # two cases say nothing
    paused, _ = await stage.paused()
    assert await kept.watch() == [V3]
    now = await release_stage(stage, V3)
    assert now.state == "rolled_back"
    rows = await stage.sql(
        "select person, reason from books.release_steps where release = %s order by seq desc", V3
    )
    assert rows[0] == {"person": None, "reason": "hand-off rate 100 % of 3 cases (at most 40 %)"}
    async with stage.house.desk_books.transaction(paused.tenant) as tx:
        due = await tx.rows("notices_due", share=0.8, unknown_seconds=60, most=50)
    assert [row["about"] for row in due if row["kind"] == "rolled_back"] == [f"{V3}: {rows[0]['reason']}"]
    fresh, state = await stage.paused()
    assert await release_of_case(stage, fresh.case_id) == V2
    assert state["reason"] == "draft_ready_for_review"
    assert await kept.watch() == []


async def test_a_blocked_path_is_a_band_too_and_the_last_live_release_is_a_persons_to_take_back(
    stages: Stages,
) -> None:
    async with stages(planner=Scripted(requested("issue_refund", amount=1))) as stage:
        kept = await founded(stage)
        for _ in range(3):
            await stage.run(await stage.submit())
        numbers = next(iter(await kept.reports(await operator(stage)))).numbers
        assert (numbers.cases, numbers.blocked) == (3, 3)
        assert out_of_band(numbers, SMALL.bands) == "block rate 100 % of 3 cases (at most 20 %)"
        assert await kept.watch() == []


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (Numbers(cases=2, blocked=2), None),
        (Numbers(cases=10, blocked=2), None),
        (Numbers(cases=10, blocked=3), "block rate"),
        (Numbers(cases=10, handed_over=4), None),
        (Numbers(cases=10, handed_over=5), "hand-off rate"),
        (Numbers(cases=10, decided=2, approved=0), None),
        (Numbers(cases=10, decided=4, approved=2), None),
        (Numbers(cases=10, decided=4, approved=1), "success"),
        (Numbers(cases=10, cost_micros=10_000), None),
        (Numbers(cases=10, cost_micros=10_001), "cost"),
        (Numbers(cases=10, latency_ms=60_000), None),
        (Numbers(cases=10, latency_ms=60_001), "latency"),
    ],
)
def test_exactly_at_the_edge_of_a_band_is_inside(numbers: Numbers, said: str | None) -> None:
    found = out_of_band(numbers, SMALL.bands)
    assert (found is None) if said is None else str(found).startswith(said)


def test_what_is_lacking_is_said_in_words() -> None:
    assert lacks_for_canary(ShadowNumbers(cases=3), SMALL.shadow) == []
    found = lacks_for_canary(
        ShadowNumbers(cases=3, differs={"amount": 1}, cost_micros=5, latency_ms=40, live_latency_ms=10),
        SMALL.shadow,
    )
    assert [lack.split()[0] for lack in found] == ["amount", "cost", "latency"]
    assert lacks_for_live(Numbers(cases=3), SMALL) == []
    assert lacks_for_live(Numbers(cases=1), SMALL) == ["2 more canary cases (of 3)"]
    assert rollout().shadow.cases >= 50


async def test_a_person_grades_a_shadow_once_and_only_who_decides_there(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await kept.promote(await operator(stage), V3, "look at it")
    case, _ = await stage.paused()
    await stage.house.driver.shadow.sweep()
    reviewer = await stage.person("demo-reviewer")
    await kept.grade(reviewer, case.tenant, V3, case.case_id, "down", "too cold")
    with pytest.raises(Conflict, match="before"):
        await kept.grade(reviewer, case.tenant, V3, case.case_id, "up", "")
    with pytest.raises(NoAuthority):
        await kept.grade(await operator(stage), case.tenant, V3, case.case_id, "up", "")
    shown = (await kept.shadows(reviewer, V3))[0]
    assert shown["grades"] == [["demo-reviewer", "down", "too cold"]]
    assert "cracked" not in str(shown["path"])


async def test_the_ladder_says_what_each_step_still_lacks(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await kept.promote(await operator(stage), V3, "look at it")
    live, shadow = await kept.reports(await stage.person("demo-auditor"))
    assert (live.release, live.is_live, live.next_state) == (V2, True, None)
    assert (shadow.next_state, shadow.lacks) == ("canary", ("3 more shadow cases (of 3)",))
    with pytest.raises(NoAuthority):
        await release_stages_of(stage).reports(await stage.person("demo-helpdesk"))


# What a hostile reading found ---------------------------------------------------------------------------------------


async def test_a_candidate_that_is_entered_first_stops_nothing(stage: Stage) -> None:
    kept = release_stages_of(stage)
    await entered(stage, kept)
    _, state = await stage.paused()
    assert state["reason"] == "draft_ready_for_review"
    await founded(stage)
    assert (await release_stage(stage, V2)).state == "live"


async def test_a_house_in_which_nothing_is_live_is_founded_again_under_a_new_name(stage: Stage) -> None:
    kept = await founded(stage)
    who = await operator(stage)
    await kept.roll_back(who, V2, "stop")
    again = named(V3)
    await kept.enter(who, again, receipt_for(again), "mended", code="x", founding=True)
    _, state = await stage.paused()
    assert state["reason"] == "draft_ready_for_review"


async def test_a_way_back_without_a_name_never_stops_the_last_and_never_what_a_watch_left(
    stage: Stage,
) -> None:
    kept = await founded(stage)
    who = await operator(stage)
    with pytest.raises(Conflict, match="nothing stands behind"):
        await kept.roll_back(who, None, "in a hurry")
    with pytest.raises(Conflict, match="no release is called"):
        await kept.roll_back(who, "", "an empty field")
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    await entered(stage, kept, "refund_agent_v4")
    await climbed(stage, "refund_agent_v4", "canary")
    async with stage.house.desk_books.transaction(EVERYBODY) as tx:
        await write_step(tx, "refund_agent_v4", "rolled_back", None, "hand-off rate 90 %")
    with pytest.raises(Conflict, match="took itself back"):
        await kept.roll_back(who, None, "a moment too late")
    assert (await kept.roll_back(who, V3, "meant"))[0] == V3


async def test_a_kill_switch_and_a_way_back_lose_no_proposal(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    case, _ = await stage.paused()
    who = await operator(stage)
    books = stage.house.desk_books
    await set_kill_switch(books, who, on=True, reason="an incident", tenant="*")
    await kept.roll_back(who, V3, "an incident")
    await stage.finish()
    assert await stage.count("proposals") == 1
    await set_kill_switch(books, who, on=False, reason="over", tenant="*")
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("needs_human", "draft_ready_for_review")
    rows = await stage.sql("select release from books.proposals order by proposed_at")
    assert [row["release"] for row in rows] == [V3, V2]


async def test_words_that_a_person_wrote_outlive_the_release_that_carried_them(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    case, state = await stage.paused()
    reply = str(state["draft"]).replace("Hello", "Dear customer")
    await stage.say(case, DecisionRequest("revise", revised_reply=reply))
    await stage.run(case)
    await kept.roll_back(await operator(stage), V3, "not for its words")
    after = await stage.run(case)
    assert after["draft"] == reply
    await stage.say(case, DecisionRequest("approve"), "demo-reviewer-2")
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_a_release_that_is_taken_back_in_mid_run_ends_at_a_person(stages: Stages) -> None:
    class TakenBack:
        """A planner under which the release is rolled back."""

        stage: Stage | None = None

        async def next_action(self, view: PlannerView) -> object:
            wished = await DeterministicPlanner().next_action(view)
            if self.stage is not None and len(view.results) == 3:
                async with self.stage.house.desk_books.transaction(EVERYBODY) as tx:
                    person = (await operator(self.stage)).person
                    await write_step(tx, V3, "rolled_back", person, "now")
                self.stage = None
            return wished

    planner = TakenBack()
    async with stages(planner=planner) as stage:
        kept = await founded(stage)
        await entered(stage, kept)
        await climbed(stage, V3, "live")
        planner.stage = stage
        case, state = await stage.paused()
        assert state["reason"] == "release_held"
        assert await stage.count("disbursements") == 0
        assert await release_of_case(stage, case.case_id) == V3


async def test_a_shadow_stops_with_the_kill_switch_and_with_its_release(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    who = await operator(stage)
    await kept.promote(who, V3, "look at it")
    await stage.paused()
    await set_kill_switch(stage.house.desk_books, who, on=True, reason="an incident", tenant="*")
    assert await stage.house.driver.shadow.sweep() == 0
    insert = (
        "with t as (select set_config('books.tenant', 'demo', true)) insert into books.shadow_runs (tenant, release, case_id, beside,"
        " status, kind, reason, amount_minor, currency, citations, path, draft, differs, tokens, cost_micros, latency_ms,"
        " live_cost_micros, live_latency_ms) select 'demo', %s, case_id, 'x', 'blocked', 'none', 'x', 0, 'XXX', '[]', '[]', '', '{}',"
        " 0, 0, 0, 0, 0 from books.cases, t"
    )
    with pytest.raises(psycopg.Error, match="release_step"):
        await stage.sql(insert, V3)
    await set_kill_switch(stage.house.desk_books, who, on=False, reason="over", tenant="*")
    await kept.roll_back(who, V3, "enough")
    assert await stage.house.driver.shadow.sweep() == 0
    with pytest.raises(psycopg.Error, match="release_step"):
        await stage.sql(insert, V3)


async def test_what_an_operator_narrowed_is_no_releases_fault(stage: Stage) -> None:
    kept = await founded(stage)
    await entered(stage, kept)
    await climbed(stage, V3, "live")
    await set_flag(
        stage.house.desk_books, await operator(stage), name="no_drafts", value="on", reason="x", tenant="*"
    )
    for _ in range(4):
        await stage.paused()
    assert await kept.watch() == []
    report = next(one for one in await kept.reports(await operator(stage)) if one.release == V3)
    assert (report.numbers.cases, report.numbers.handed_over) == (4, 0)
