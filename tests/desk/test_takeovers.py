"""A case that was bypassed or blocked is somebody's work: they reply, propose and let somebody else decide, or close."""

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from desk_kit import DeskStage
from stage import Stage, requested

from desk.decisions import DecisionRequest
from desk.takeovers import TakeoverRequest, take_case_over
from evals.exam.world import Scripted
from records.cases import Case, write_event
from refunds.canonical import canonical, sha256
from refunds.ids import CaseId

URGENT = "My tablet caught fire and burned me. I will call my lawyer. I want a refund."


async def bypassed(desk: DeskStage) -> Case:
    case = await desk.stage.submit(question=URGENT, intent=None)
    state = await desk.stage.run(case)
    assert (state["status"], state["reason"]) == ("bypassed", "classifier_human_review")
    return case


async def take_over(desk: DeskStage, case_id: CaseId, who: str = "demo-reviewer", **body: object) -> int:
    answer = await desk.ask("POST", f"/api/cases/{case_id}/takeovers", body, who)
    return answer.status_code


async def test_it_stays_in_the_queue_with_its_reason_and_a_clock(desk: DeskStage) -> None:
    case = await bypassed(desk)
    [row] = (await desk.ask("GET", "/api/cases")).json()["cases"]
    assert (row["case_id"], row["status"], row["reason"]) == (
        str(case.case_id),
        "bypassed",
        "classifier_human_review",
    )
    assert row["owner"] is None
    assert row["due_at"]


async def test_a_person_replies_and_the_customer_is_told_exactly_that(desk: DeskStage) -> None:
    case = await bypassed(desk)
    assert await take_over(desk, case.case_id, act="reply", reply="We are calling you now.") == 200
    assert await desk.status(case.case_id) == "replied"
    await desk.answer_customer(case.case_id)
    [text] = desk.sent()
    assert "We are calling you now." in text
    assert (await desk.ask("GET", "/api/cases")).json()["cases"] == []
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "replied"


async def test_a_person_closes_it_with_a_reason(desk: DeskStage) -> None:
    case = await bypassed(desk)
    assert await take_over(desk, case.case_id, act="close") == 422
    assert await take_over(desk, case.case_id, act="close", note="spam") == 200
    assert await desk.status(case.case_id) == "closed_by_human"
    assert await take_over(desk, case.case_id, act="close", note="again") == 409


async def test_a_persons_own_proposal_is_decided_by_somebody_else(desk: DeskStage) -> None:
    case = await bypassed(desk)
    proposal: dict[str, Any] = {
        "act": "propose",
        "amount_minor": 5_000,
        "reply": "We return 50.00 USD to you.",
    }
    assert await take_over(desk, case.case_id, **proposal) == 200
    await desk.stage.finish()
    view = await desk.view(case.case_id)
    assert (view["state"]["status"], view["state"]["reason"]) == ("needs_human", "proposed_by_person")
    assert view["state"]["proposal"]["amount_minor"] == 5_000
    assert view["state"]["trace"] == []
    own = await desk.decide(case.case_id)
    assert own.status_code == 403
    assert (await desk.decide(case.case_id, "demo-reviewer-2")).status_code == 200
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"
    assert [refund.amount.amount_minor for refund in desk.stage.house.provider.all_refunds()] == [5_000]


async def test_the_same_rules_and_the_same_authority_hold(desk: DeskStage) -> None:
    case = await bypassed(desk)
    for amount in (0, 7_901, 1_000_000):
        assert await take_over(desk, case.case_id, act="propose", amount_minor=amount, reply="x") == 422
    assert await take_over(desk, case.case_id, act="propose", amount_minor=100, reply="") == 422
    for who in ("demo-auditor", "demo-helpdesk", "demo-operator"):
        assert await take_over(desk, case.case_id, who, act="close", note="x") == 403
    large = await desk.stage.submit(customer_id="C102", order_id="D302", question=URGENT, intent=None)
    await desk.stage.run(large)
    assert await take_over(desk, large.case_id, act="propose", amount_minor=60_000, reply="All of it.") == 200
    await desk.stage.finish()
    assert (await desk.decide(large.case_id, "demo-reviewer-2")).status_code == 403
    assert (await desk.decide(large.case_id, "demo-specialist")).status_code == 200
    await desk.stage.finish()
    assert await desk.status(large.case_id) == "refunded"


async def test_without_an_order_of_its_customer_nothing_can_be_proposed(desk: DeskStage) -> None:
    for fields in ({"order_id": None, "customer_id": "C999"}, {"order_id": "D301"}):
        case = await desk.stage.submit(question=URGENT, intent=None, **fields)
        await desk.stage.run(case)
        assert await take_over(desk, case.case_id, act="propose", amount_minor=100, reply="x") == 422
        assert await take_over(desk, case.case_id, act="reply", reply="Please name your order.") == 200


async def test_a_blocked_case_is_taken_over_too(stages: Any) -> None:
    async with stages(planner=Scripted(requested("issue_refund"))) as stage:
        case = await stage.submit()
        assert (await stage.run(case))["status"] == "blocked"
        assert await propose(stage, case) == "needs_human"


async def propose(stage: Stage, case: Case) -> str:
    """A person of the stage proposes a refund of their own; where the case stands then."""
    person = await stage.person("demo-reviewer")
    await take_case_over(
        stage.house.desk,
        person,
        case.tenant,
        case.case_id,
        TakeoverRequest("propose", "We return 10.00 USD.", 1_000),
    )
    await stage.finish()
    return str((await stage.house.state(case))["status"])


async def test_a_hand_over_is_answered_proposed_or_closed(desk: DeskStage) -> None:
    answered, _ = await desk.stage.paused(order_id="D999")
    assert await take_over(desk, answered.case_id, act="reply", reply="Which order do you mean?") == 200
    await desk.stage.finish()
    assert await desk.status(answered.case_id) == "closed_by_human"
    await desk.answer_customer(answered.case_id)
    assert any("Which order do you mean?" in text for text in desk.sent())

    proposed, state = await desk.stage.paused(question="Where is my money? Refund it.", items=["SKU-9"])
    assert isinstance(state["proposal"], dict)
    assert state["proposal"]["kind"] == "handoff"
    assert (
        await take_over(desk, proposed.case_id, act="propose", amount_minor=700, reply="7.00 USD for you.")
        == 200
    )
    await desk.stage.finish()
    assert (await desk.view(proposed.case_id))["state"]["proposal"]["amount_minor"] == 700
    assert (await desk.decide(proposed.case_id)).status_code == 403
    assert (await desk.decide(proposed.case_id, "demo-specialist")).status_code == 200
    await desk.stage.finish()
    assert await desk.status(proposed.case_id) == "refunded"


async def test_what_waits_for_a_word_is_decided_and_not_taken_over(desk: DeskStage) -> None:
    case, state = await desk.stage.paused()
    for body in (
        {"act": "reply", "reply": "x"},
        {"act": "close", "note": "x"},
    ):
        assert await take_over(desk, case.case_id, **body) == 409
    assert await desk.stage.house.state(case) == state


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is the return policy for my cracked tablet?", "reply"),
        ("My tablet arrived cracked. I want a refund, please.", "refund"),
    ],
)
async def test_a_refund_of_ones_own_may_stand_in_the_place_of_what_is_proposed(
    desk: DeskStage, question: str, kind: str
) -> None:
    """A wrong reply becomes a refund, and a refund another one; somebody else decides it."""
    case, state = await desk.stage.paused(question=question, intent=None)
    assert state["proposal"]["kind"] == kind  # type: ignore[index]
    digest = state["proposal"]["digest"]  # type: ignore[index]
    for act in ("reply", "close"):
        body = {"act": act, "note": "because", **({"reply": "Hello."} if act == "reply" else {})}
        assert await take_over(desk, case.case_id, **body) == 409
    too_much = await desk.ask(
        "POST",
        f"/api/cases/{case.case_id}/takeovers",
        {"act": "propose", "reply": "We return 99.00 USD.", "amount_minor": 9_900, "digest": digest},
    )
    assert (too_much.status_code, "at most 79.00 USD" in too_much.text) == (422, True)
    reply = "We return 40.00 USD for the crack."
    wanted: dict[str, Any] = {"act": "propose", "reply": reply, "amount_minor": 4_000}
    # What was on the screen is named, and is what stands there.
    assert await take_over(desk, case.case_id, **wanted) == 422
    assert await take_over(desk, case.case_id, **wanted, digest="0" * 64) == 409
    assert await take_over(desk, case.case_id, **wanted, digest=digest) == 200
    await desk.stage.run(case)
    assert await take_over(desk, case.case_id, who="demo-specialist", **wanted, digest=digest) == 409
    proposal = await desk.newest(case.case_id)
    assert (proposal["kind"], proposal["amount_minor"], proposal["edited_by"]) == (
        "refund",
        4_000,
        "demo-reviewer",
    )
    assert (await desk.decide(case.case_id)).status_code == 403
    assert (await desk.decide(case.case_id, "demo-reviewer-2")).status_code == 200
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"
    [paid] = await desk.stage.sql("select amount_minor from books.disbursements")
    assert paid["amount_minor"] == 4_000


async def test_a_refund_that_failed_is_taken_up_again(desk: DeskStage) -> None:
    case = await desk.stage.approved()
    desk.stage.house.provider.misbehave("declined")
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refund_failed"
    assert [row["case_id"] for row in (await desk.ask("GET", "/api/cases")).json()["cases"]] == [
        str(case.case_id)
    ]
    assert (
        await take_over(desk, case.case_id, act="propose", amount_minor=7_900, reply="We try again.") == 200
    )
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "needs_human"
    assert (await desk.decide(case.case_id, "demo-specialist")).status_code == 200
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"
    assert desk.stage.refunds() == 1


@pytest.mark.parametrize("reply", ["Hello,\r\nwe pay.", "with\ta tab", "x" * 6_000])
async def test_whatever_text_is_taken_can_be_proposed(desk: DeskStage, reply: str) -> None:
    case = await bypassed(desk)
    assert await take_over(desk, case.case_id, act="propose", amount_minor=100, reply=reply) == 200
    await desk.stage.finish()
    assert (await desk.view(case.case_id))["state"]["reason"] == "proposed_by_person"


async def test_what_cannot_be_proposed_is_refused_at_once(desk: DeskStage) -> None:
    case = await bypassed(desk)
    for reply in ("x" * 6_001, "bell \x07", "", " \r\n "):
        assert await take_over(desk, case.case_id, act="propose", amount_minor=100, reply=reply) == 422
    assert await take_over(desk, case.case_id, act="close", note="x", reply="and this is lost") == 422
    assert await desk.status(case.case_id) == "bypassed"


async def test_no_model_runs_for_what_admission_turned_away(desk: DeskStage, stages: Any) -> None:
    del desk
    planner = Scripted(requested("draft_reply"))
    async with stages(planner=planner) as stage:
        case = await stage.submit(question=URGENT, intent=None)
        await stage.run(case)
        assert await propose(stage, case) == "needs_human"
        await stage.say(case, DecisionRequest("revise", note="look again"), "demo-reviewer-2")
        await stage.finish()
        state = await stage.house.state(case)
        assert (state["status"], state["reason"]) == ("needs_human", "classifier_human_review")
        assert planner.asked == 0


async def test_a_person_may_raise_what_a_person_set(desk: DeskStage) -> None:
    case = await bypassed(desk)
    await take_over(desk, case.case_id, act="propose", amount_minor=1_000, reply="10.00 USD.")
    await desk.stage.finish()
    await desk.decide(case.case_id, "demo-reviewer-2", word="revise", note="too little")
    await desk.stage.finish()
    assert (
        await take_over(
            desk, case.case_id, "demo-specialist", act="propose", amount_minor=2_000, reply="20.00 USD."
        )
        == 200
    )
    await desk.stage.finish()
    view = await desk.view(case.case_id)
    assert (view["state"]["reason"], view["state"]["proposal"]["amount_minor"]) == (
        "proposed_by_person",
        2_000,
    )
    assert (await desk.decide(case.case_id, "demo-specialist")).status_code == 403
    assert (await desk.decide(case.case_id, "demo-reviewer-2")).status_code == 200
    await desk.stage.finish()
    assert desk.stage.refunds() == 1


async def test_an_approval_that_was_never_ordered_can_be_followed(desk: DeskStage) -> None:
    """Two approvals of one payment: the second was over it, and a person takes it up while its approval is in force."""
    first, _ = await desk.stage.paused()
    second, _ = await desk.stage.paused()
    for case in (first, second):
        await desk.decide(case.case_id)
    await desk.stage.finish()
    [failed] = [case for case in (first, second) if await desk.status(case.case_id) == "refund_failed"]
    await desk.stage.forced("update books.payments set amount_minor = 20000 where payment_id = 'pay_D300'")
    assert await take_over(desk, failed.case_id, act="propose", amount_minor=500, reply="5.00 USD.") == 200
    await desk.stage.finish()
    assert await desk.status(failed.case_id) == "needs_human"


async def test_a_second_success_is_told_too(desk: DeskStage) -> None:
    case = await desk.stage.approved()
    desk.stage.house.provider.misbehave("declined")
    await desk.stage.finish()
    await desk.answer_customer(case.case_id)
    await take_over(desk, case.case_id, act="propose", amount_minor=7_900, reply="We try again.")
    await desk.stage.finish()
    await desk.decide(case.case_id, "demo-specialist")
    desk.stage.house.provider.misbehave("declined")
    await desk.stage.finish()
    await desk.answer_customer(case.case_id)
    view = await desk.view(case.case_id)
    assert [reply["outcome"] for reply in view["replies"]] == ["refund_failed", "refund_failed"]
    assert len({reply["message_id"] for reply in view["replies"]}) == 2


@pytest.mark.parametrize("said", [("refund_failed", True), ("bypassed", False)])
async def test_a_run_that_looked_too_early_writes_nothing(desk: DeskStage, said: tuple[Any, bool]) -> None:
    """A person took the case up, or ended it, after the run had looked."""
    case = await desk.stage.approved()
    desk.stage.house.provider.misbehave("declined")
    await desk.stage.finish()
    wanted = {"act": "propose", "amount_minor": 100} if said[1] else {"act": "reply"}
    assert await take_over(desk, case.case_id, reply="We look at it.", **wanted) == 200
    books = desk.stage.house.driver.books
    async with books.transaction(case.tenant) as tx:
        reason = "declined" if said[1] else "kill_switch"
        assert not await write_event(tx, case, said[0], reason, ended=said[1])


@pytest.mark.parametrize("person", ["demo-reviewer-2", "demo-specialist"])
async def test_postgres_alone_refuses_an_editor_who_asked_for_nothing(desk: DeskStage, person: str) -> None:
    """A proposal names somebody who never wrote one, past every program."""
    case = await bypassed(desk)
    await take_over(desk, case.case_id, act="propose", amount_minor=900, reply="9.00 USD.")
    await desk.stage.finish()
    [row] = await desk.stage.sql("select body from books.proposals where case_id = %s", case.case_id)
    said = json.loads(row["body"])
    await desk.decide(case.case_id, "demo-specialist-2", word="revise", note="again")
    forged = said | {"proposal_id": str(uuid4()), "edited_by": person, "supersedes": said["proposal_id"]}
    forged["edited_upward"] = False
    text = canonical(forged)
    await desk.stage.sql("select set_config('books.tenant', 'demo', false)")
    with pytest.raises(psycopg.Error) as refused:
        await desk.stage.sql(
            "insert into books.proposals (tenant, proposal_id, case_id, thread_id, digest, body, kind, reason, payment_id,"
            " order_id, amount_minor, currency, release, graph_version, supersedes, edited_by, edited_upward, expires_at)"
            " select tenant, %s, case_id, thread_id, %s, %s, kind, reason,"
            " payment_id, order_id, amount_minor, currency, release, graph_version, %s, %s, false, now() + interval '1 day'"
            " from books.proposals where proposal_id = %s",
            forged["proposal_id"], sha256(text), text, said["proposal_id"], person, said["proposal_id"],
        )  # fmt: skip
    assert refused.value.diag.message_detail == "nobody of that name asked for this amount"


async def test_a_case_of_the_kill_switch_runs_when_it_is_lifted(desk: DeskStage) -> None:
    on = {"on": True, "reason": "drill"}
    await desk.ask("POST", "/api/flags/kill_switch", on, "demo-operator")
    case = await desk.stage.submit()
    assert (await desk.stage.run(case))["reason"] == "kill_switch"
    await desk.answer_customer(case.case_id)
    assert desk.sent() == []
    await desk.ask("POST", "/api/flags/kill_switch", on | {"on": False}, "demo-operator")
    jobs = await desk.stage.sql(
        "select 1 from jobs.procrastinate_jobs where task_name = 'drive_case' and args->>'case_id' = %s and status = 'todo'",
        str(case.case_id),
    )
    assert len(jobs) >= 2
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "needs_human"
