"""Auditors and operators: who did what from where, to take away and to check; flags that narrow; figures that tell."""

import json
import re
from pathlib import Path

import pytest
from conftest import Stages
from desk_kit import DeskStage
from stage import requested

from app.house import home_trusted_keys
from desk.decisions import DecisionRequest
from evals.exam.world import Scripted
from policies.steering import BadFlag, Steering, flag_value, steering_of
from records.export import BadExport, verify_export


async def test_the_audit_says_who_what_when_on_which_digest_from_where(desk: DeskStage) -> None:
    case, state = await desk.stage.paused()
    other, _ = await desk.stage.paused()
    assert isinstance(state["proposal"], dict)
    digest = state["proposal"]["digest"]
    async with desk.visit() as visitor, desk.visit("demo-auditor") as auditor:
        await visitor.post(f"/cases/{case.case_id}/claim", act="claim")
        await visitor.decide(case.case_id, "approve", note="as agreed")
        await desk.decide(other.case_id, word="reject", code="other")
        await desk.stage.finish()
        page = (await auditor.get("/audit")).text
        for shown in (
            "demo-reviewer",
            digest,
            "approve",
            "claim",
            "as agreed",
            "127.0.0.1",
            '$79<span class="part">.00</span>',
            ">desk<",
            ">program<",
        ):
            assert shown in page, shown
        alone = (await auditor.get(f"/audit?case={case.case_id}")).text
        assert "reject" not in alone[alone.index("<tbody>") : alone.index("</tbody>")]
        assert "Nothing was done." in (await auditor.get("/audit?person=demo-reviewer-2")).text
        assert "Nothing was done." in (await auditor.get("/audit?since=2999-01-01")).text
        assert "claim</td>" in (await auditor.get("/audit?act=claim")).text
        for bad in ("case=x", "since=yesterday"):
            assert (await auditor.get(f"/audit?{bad}")).status_code == 422
        printed = (await auditor.get(f"/audit/cases/{case.case_id}")).text
        for shown in (
            digest,
            "My tablet arrived cracked",
            "demo-reviewer",
            "refunded",
            "damaged-electronics",
        ):
            assert shown in printed, shown


async def test_an_export_proves_itself_without_the_books(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id)
    await desk.stage.finish()
    await desk.stage.house.anchor()
    read = home_trusted_keys(desk.stage.house.home, "anchor").read
    async with desk.visit("demo-auditor") as auditor:
        for path in (f"/audit/export?case={case.case_id}", "/audit/export?tenant=demo"):
            answer = await auditor.get(path)
            assert "attachment" in answer.headers["content-disposition"]
            lines = answer.text.splitlines()
            whole = verify_export(lines, read)
            assert (whole.findings, whole.anchored) == ([], whole.events)
            assert whole.events > 12
    await desk.decide((await desk.stage.paused())[0].case_id)
    later = await auditor_lines(desk, "/audit/export?tenant=demo")
    assert verify_export(later, read).events > verify_export(later, read).anchored


async def auditor_lines(desk: DeskStage, path: str) -> list[str]:
    async with desk.visit("demo-auditor") as auditor:
        return (await auditor.get(path)).text.splitlines()


async def test_whatever_is_changed_in_an_export_shows(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id)
    await desk.stage.finish()
    await desk.stage.house.anchor()
    lines = await auditor_lines(desk, f"/audit/export?case={case.case_id}")
    read = home_trusted_keys(desk.stage.house.home, "anchor").read
    events = [number for number, line in enumerate(lines) if "event" in json.loads(line)]
    vote = next(number for number in events if json.loads(lines[number])["event"]["subject"] == "votes")
    edited = json.loads(lines[vote])
    edited["event"]["row"] = edited["event"]["row"].replace("demo-reviewer", "demo-reviewer-2")
    for name, changed in {
        "a row edited": [*lines[:vote], json.dumps(edited), *lines[vote + 1 :]],
        "an event left out": [*lines[:vote], *lines[vote + 1 :]],
        "the tail left out": lines[: events[-1]] + lines[events[-1] + 1 :],
        "two swapped": [lines[0], lines[2], lines[1], *lines[3:]],
    }.items():
        assert verify_export(changed, read).findings, name
    anchored = [line.replace('"anchor_no":1', '"anchor_no":2') for line in lines]
    assert verify_export(anchored, read).findings
    with pytest.raises(BadExport, match="line 1"):
        verify_export(["{}"], read)
    whole = await auditor_lines(desk, "/audit/export?tenant=demo")
    without = [line for line in whole if '"chain":"' + str(case.case_id) not in line]
    assert any(
        "signed, and not in the export" in str(found) for found in verify_export(without, read).findings
    )
    with pytest.raises(BadExport, match="whose export"):
        verify_export(lines[1:], read)
    nobodys = verify_export(lines, lambda _: None)
    assert nobodys.findings


async def test_the_kill_switch_stops_at_once_and_says_so(desk: DeskStage) -> None:
    case = await desk.stage.approved()
    async with desk.visit("demo-operator") as operator:
        assert (
            await operator.post("/ops/flags", name="kill_switch", value="on", reason=" ")
        ).status_code == 422
        answer = await operator.post(
            "/ops/flags", name="kill_switch", value="on", reason="provider incident", tenant="*"
        )
        assert answer.headers["hx-redirect"] == "/ops"
        await desk.stage.finish()
        assert desk.stage.refunds() == 0
        page = (await operator.get("/ops")).text
        assert "provider incident" in page and 'class="alarm"' in page
        await operator.post("/ops/flags", name="kill_switch", value="off", reason="over", tenant="*")
        await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"


async def test_flags_narrow_the_agent_from_its_next_run_on(desk: DeskStage) -> None:
    async with desk.visit("demo-operator") as operator:
        for name, value, reason in (
            ("step_cap", "2", "step_budget_exhausted"),
            ("step_cap", "off", "draft_ready_for_review"),
            ("retrieval_only", "on", "retrieval_only"),
            ("retrieval_only", "off", "draft_ready_for_review"),
        ):
            assert (
                await operator.post("/ops/flags", name=name, value=value, reason="a test")
            ).status_code == 200
            _, state = await desk.stage.paused()
            assert state["reason"] == reason, (name, value)
        await operator.post(
            "/ops/flags", name="disabled_tools", tools="lookup_order", value="", reason="a test"
        )
        _, state = await desk.stage.paused()
        assert state["reason"] == "tool_unavailable"
        await operator.post("/ops/flags", name="disabled_tools", value="", reason="a test")
        _, state = await desk.stage.paused()
        assert state["reason"] == "draft_ready_for_review"
        for name, value in (
            ("step_cap", "0"),
            ("step_cap", "ten"),
            ("retrieval_only", "maybe"),
            ("free_money", "on"),
        ):
            assert (await operator.post("/ops/flags", name=name, value=value, reason="x")).status_code == 422


async def test_what_is_retrieved_only_carries_its_quotes(desk: DeskStage) -> None:
    async with desk.visit("demo-operator") as operator:
        await operator.post("/ops/flags", name="retrieval_only", value="on", reason="a test")
    case, state = await desk.stage.paused(
        question="What is the return policy for my cracked tablet?", intent="policy_question"
    )
    assert state["citations"]
    async with desk.visit() as visitor:
        assert "Write or propose" in (await visitor.get(f"/cases/{case.case_id}")).text


async def test_a_planner_cannot_call_what_is_off(stages: Stages) -> None:
    from desk.flags import set_flag

    planner = Scripted(
        requested("lookup_order", order_id="D300"), requested("request_human_approval", reason="done")
    )
    async with stages(planner=planner) as stage:
        operator = await stage.person("demo-operator")
        await set_flag(
            stage.house.desk_books,
            operator,
            name="disabled_tools",
            value="lookup_order",
            reason="t",
            tenant="demo",
        )
        case = await stage.submit()
        state = await stage.run(case)
        trace = state["trace"]
        assert isinstance(trace, list)
        assert trace[0]["result"] == "tool_unavailable"


def test_flags_narrow_together_and_never_widen() -> None:
    assert steering_of([]) == Steering()
    both = steering_of(
        [
            ("step_cap", "9"),
            ("step_cap", "3"),
            ("disabled_tools", "lookup_order"),
            ("disabled_tools", "get_policy_evidence"),
            ("retrieval_only", "off"),
            ("retrieval_only", "on"),
        ]
    )
    assert both == Steering(3, frozenset({"lookup_order", "get_policy_evidence"}), retrieval_only=True)
    assert both.steps(2) == 2 and Steering().steps(4) == 4 and Steering(step_cap=64).steps(4) == 4
    assert steering_of([("retrieval_only", "true"), ("no_drafts", "yes"), ("step_cap", "few")]) == Steering()
    for name, value, says in (
        ("step_cap", "65", "from 1 to 64, or off"),
        ("step_cap", "٣", "from 1 to 64, or off"),
        ("disabled_tools", "draft_reply", "draft_reply is none of get_policy_evidence, lookup_order"),
        ("nothing", "on", "flag: one of"),
    ):
        with pytest.raises(BadFlag, match=says):
            flag_value(name, value)
    assert flag_value("disabled_tools", " lookup_order, ,off") == ("disabled_tools", "lookup_order")


async def test_the_figures_tell_who_decides_how(desk: DeskStage) -> None:
    await desk.stage.many_orders(40)
    for number in range(30):
        case, _ = await desk.stage.paused(order_id=f"X{number}")
        await desk.stage.say(case, DecisionRequest("approve"), "demo-reviewer-2")
    big, _ = await desk.stage.paused(
        customer_id="C103", order_id="D303", question="My camera is defective. Refund, please."
    )
    await desk.stage.say(big, DecisionRequest("approve"), "demo-specialist")
    await desk.stage.say(big, DecisionRequest("reject", "suspected_abuse"), "demo-reviewer")
    away = await desk.stage.submit(route="human_review_now", bundle_version="intake_bundle_v2")
    await desk.stage.finish()
    await desk.stage.run(away)
    async with desk.visit("demo-operator") as operator:
        page = (await operator.get("/ops")).text
        assert re.search(r"\d+ of 30 within five seconds|30 approvals in a row", page)
        assert "Two who disagreed" in page and "demo-specialist: approve" in page
        assert "the intake wants a person to read it" in page and "a draft is ready" in page
        assert "$2,370.00" in page
        reviews = page[page.index("To review again") :]
        assert all(kind in reviews for kind in ("refunded", "rejected", "kept from the agent"))


def test_the_command_that_checks_needs_an_export_and_a_key_alone(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "bad.jsonl").write_text("{}\n")
    script = [
        sys.executable,
        "-m",
        "countersign",
        "audit",
        "check",
        str(tmp_path / "bad.jsonl"),
        "--keys",
        str(tmp_path / "none.json"),
    ]
    done = subprocess.run(
        script,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "COUNTERSIGN_HOME": str(tmp_path)},
    )
    assert done.returncode == 1 and "none.json" in done.stderr and "Traceback" not in done.stderr
