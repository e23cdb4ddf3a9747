"""An answer on the server API becomes its person's decision at the desk, or nothing at all."""

import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from conftest import CAMPAIGN
from running import RunningHouse, until
from server_kit import signed_ticket, two_shops

APPROVE = {"decisions": [{"type": "approve"}]}
AT_ONCE = 40 if CAMPAIGN else 12


def answered(
    house: RunningHouse, case_id: str, resume: Any, who: str = "demo-reviewer", **more: Any
) -> httpx.Response:
    """A resume over plain HTTP; with the answer of the server."""
    body = {"assistant_id": "refund_agent", "command": {"resume": resume}, **more}
    with house.graph(who) as client:
        return client.post(f"/threads/{case_id}/runs/wait", json=body)


def test_a_client_takes_a_ticket_from_nothing_to_its_refund(running: RunningHouse) -> None:
    """Create a thread, run a ticket to the interrupt, see state and payload, answer as a person."""
    signed = signed_ticket(running, order_id="X1")
    helpdesk, reviewer = running.sdk("demo-helpdesk"), running.sdk("demo-reviewer")
    thread = helpdesk.threads.create()
    state = helpdesk.runs.wait(
        thread["thread_id"], "refund_agent", input={"ticket": signed, "approval": "forged"}
    )
    assert isinstance(state, dict)
    assert (state["status"], state["reason"]) == ("needs_human", "draft_ready_for_review")
    assert "approval" not in state
    [waiting] = until(
        lambda: reviewer.threads.search(metadata={"case_id": state["case_id"]}, status="interrupted"),
        "in its row",
    )
    [[pause]] = waiting["interrupts"].values()
    assert {
        "action_requests",
        "review_configs",
        "action_request",
        "config",
        "description",
        "proposal",
    } <= set(pause["value"])
    assert pause["response_schema"]["title"] == "Answer"
    assert reviewer.threads.get_state(thread["thread_id"])["next"] == ["approval"]
    assert running.case(state["case_id"])["submitted_by"] == "demo-helpdesk"
    reviewer.runs.wait(thread["thread_id"], "refund_agent", command={"resume": APPROVE})
    case = running.reaches(state["case_id"], "refunded")
    assert case["state"]["refund"]["amount_minor"] == 7_900
    votes = running.sql("select person from books.votes where case_id = %s", state["case_id"])
    assert [vote["person"] for vote in votes] == ["demo-reviewer"]


@pytest.mark.parametrize(
    ("resume", "status", "order"),
    [
        (APPROVE, "refunded", "X60"),
        ({"decisions": [{"type": "reject", "message": "not this time"}]}, "rejected", "X61"),
        ([{"type": "accept", "args": None}], "refunded", "X62"),
        ([{"type": "ignore", "args": None}], "rejected", "X63"),
        ([{"type": "response", "args": "we do not do this"}], "rejected", "X64"),
    ],
    ids=["approve", "reject", "accept", "ignore", "response"],
)
def test_every_dialect_of_the_field_is_understood(
    running: RunningHouse, resume: Any, status: str, order: str
) -> None:
    case = running.paused(order_id=order)
    assert answered(running, case["case_id"], resume).status_code == 200
    assert running.reaches(case["case_id"], status)


def test_an_answer_may_name_the_pause(running: RunningHouse) -> None:
    case = running.paused(order_id="X40")
    waiting = until(
        lambda: running.sdk().threads.search(metadata={"case_id": case["case_id"]}, status="interrupted"),
        "there",
    )
    [[pause]] = waiting[0]["interrupts"].values()
    assert answered(running, case["case_id"], {pause["id"]: APPROVE}).status_code == 200
    assert running.reaches(case["case_id"], "refunded")


def test_an_answer_to_another_threads_pause_is_none(running: RunningHouse) -> None:
    cases = [running.paused(order_id=f"X{46 + number}") for number in range(2)]
    rows = [
        until(lambda name=case["case_id"]: running.sdk().threads.search(metadata={"case_id": name}, status="interrupted"), "there")  # type: ignore[misc]
        for case in cases
    ]  # fmt: skip
    [[pause]] = rows[0][0]["interrupts"].values()
    assert answered(running, cases[1]["case_id"], {pause["id"]: APPROVE}).status_code == 409
    assert running.status(cases[1]["case_id"]) == "needs_human"


def test_an_interface_may_say_back_what_it_showed(running: RunningHouse) -> None:
    case = running.paused(order_id="X48")
    waiting = until(
        lambda: running.sdk().threads.search(metadata={"case_id": case["case_id"]}, status="interrupted"),
        "there",
    )
    [[pause]] = waiting[0]["interrupts"].values()
    shown = pause["value"]["action_request"]
    assert answered(running, case["case_id"], [{"type": "accept", "args": shown}]).status_code == 200
    assert running.reaches(case["case_id"], "refunded")


def test_what_is_recorded_is_told_whatever_the_row_or_the_queue_says(running: RunningHouse) -> None:
    """No row of the thread here, or a run under way on it: an answer is 200 and recorded, or refused and not."""
    for strategy in ("reject", "enqueue"):
        case = running.paused(order_id="X49" if strategy == "reject" else "X50")
        with ThreadPoolExecutor(6) as pool:
            codes = Counter(
                pool.map(
                    lambda who, name=case["case_id"], how=strategy: (
                        answered(running, name, APPROVE, who, multitask_strategy=how).status_code
                    ),
                    ["demo-reviewer", "demo-reviewer-2", "demo-specialist"] * 2,
                )
            )
        votes = running.sql("select person from books.votes where case_id = %s", case["case_id"])
        assert len(votes) == codes[200] == 1, (codes, votes)
        running.reaches(case["case_id"], "refunded")


def test_a_thread_has_one_first_run(running: RunningHouse) -> None:
    helpdesk = running.sdk("demo-helpdesk")
    thread = helpdesk.threads.create()["thread_id"]
    tickets = [signed_ticket(running, order_id=f"X{52 + number}") for number in range(6)]

    def run(ticket: dict[str, Any]) -> int:
        with running.graph("demo-helpdesk") as client:
            body = {"assistant_id": "refund_agent", "input": {"ticket": ticket}}
            return client.post(f"/threads/{thread}/runs", json=body).status_code

    with ThreadPoolExecutor(6) as pool:
        codes = Counter(pool.map(run, tickets))
    assert codes == {200: 1, 403: 5}


def test_a_first_run_brings_a_ticket_of_its_threads_tenant(running: RunningHouse) -> None:
    token = two_shops(running)
    with running.graph(None, authorization=f"Bearer {token}") as client:
        thread = client.post("/threads", json={"metadata": {"tenant": "demo"}}).json()["thread_id"]
        for ticket, code in [
            (running.ticket(tenant="other"), 403),
            ({"tenant": "demo", "x": "y" * 100_000}, 422),
            (running.ticket(tenant="nobody"), 403),
        ]:
            body = {"assistant_id": "refund_agent", "input": {"ticket": ticket}}
            assert client.post(f"/threads/{thread}/runs", json=body).status_code == code
        assert client.get(f"/threads/{thread}/runs").json() == []


def test_a_case_that_is_held_is_503_and_nothing_is_written_later(running: RunningHouse) -> None:
    """Somebody holds the case for longer than the server waits."""
    case = running.paused(order_id="X58")
    with psycopg.connect(running.admin_url()) as holder:
        holder.execute("set search_path = books")
        holder.execute("select hold_case('demo', %s)", (case["case_id"],))
        assert answered(running, case["case_id"], APPROVE).status_code == 503
    # What waited for the case has let go, and the request that it was for has ended.
    until(lambda: not running.sql("select 1 from pg_locks where not granted"), "let go")
    assert running.status(case["case_id"]) == "needs_human"
    assert answered(running, case["case_id"], APPROVE).status_code == 200


def test_a_decision_made_at_the_desk_may_be_named(running: RunningHouse) -> None:
    case = running.paused(order_id="X41")
    decision = running.decide(case).json()["decision_id"]
    assert answered(running, case["case_id"], {"decision_id": decision}).status_code == 200
    assert running.reaches(case["case_id"], "refunded")
    other = running.paused(order_id="X42")
    assert answered(running, other["case_id"], {"decision_id": decision}).status_code == 403
    assert running.status(other["case_id"]) == "needs_human"


@pytest.mark.parametrize(
    "resume",
    ["approve", True, None, {}, [], {"decisions": []}, {"decisions": [{"type": "approve"}, {"type": "approve"}]},
     {"decisions": [{"type": "edit", "edited_action": {}}]}, [{"type": "edit", "args": {}}], {"a" * 32: "x"},
     {"decisions": [{"type": "approve", "edited_action": {"name": "pay_refund", "args": {"amount": 1}}}]},
     [{"type": "accept", "args": {"action": "pay_refund", "args": {"amount": "1.00 USD"}}}],
     {"decisions": [{"type": "approve", "args": {"amount": 1}}]}, [{"type": "accept", "args": None, "amount": 1}],
     {"deadbeef": {"decisions": [{"type": "approve"}]}},
     {"decisions": [{"type": "approve"}], "amount": 1}],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_leaves_the_case(running: RunningHouse, resume: Any) -> None:
    case = running.paused(order_id="X43")
    answer = answered(running, case["case_id"], resume)
    assert answer.status_code in {403, 409, 422}, answer.text
    assert running.case(case["case_id"])["state"] == case["state"]


def test_without_authority_it_is_403_and_the_case_is_untouched(running: RunningHouse) -> None:
    case = running.paused(
        customer_id="C102", order_id="D302", question="My laptop arrived broken. Refund please."
    )
    before = running.case(case["case_id"])
    for who in ("demo-reviewer", "demo-auditor", "demo-helpdesk", "demo-operator"):
        assert answered(running, case["case_id"], APPROVE, who).status_code == 403
    assert running.case(case["case_id"]) == before


def test_above_the_ceiling_of_its_token_it_is_403(running: RunningHouse) -> None:
    case = running.paused(
        customer_id="C103", order_id="D303", question="My camera arrived broken. Refund please."
    )
    answer = answered(running, case["case_id"], APPROVE, "demo-specialist")
    assert answer.status_code == 403
    assert "ceiling" in answer.text
    assert running.status(case["case_id"]) == "needs_human"


def test_what_one_submitted_one_does_not_approve(running: RunningHouse) -> None:
    reviewer = running.sdk("demo-reviewer")
    thread = reviewer.threads.create()
    state = reviewer.runs.wait(
        thread["thread_id"], "refund_agent", input={"ticket": signed_ticket(running, order_id="X44")}
    )
    assert isinstance(state, dict)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        reviewer.runs.wait(thread["thread_id"], "refund_agent", command={"resume": APPROVE})
    assert refused.value.response.status_code == 403
    assert running.status(state["case_id"]) == "needs_human"


def test_a_second_proposal_makes_an_answer_without_a_digest_ambiguous(running: RunningHouse) -> None:
    case = running.paused(order_id="X45")
    running.decide(case, word="revise", amount_minor=100)
    second = until(
        lambda: (found := running.case(case["case_id"]))["state"]["proposal"]["digest"] != case["state"]["proposal"]["digest"]
        and found["state"]["status"] == "needs_human" and found,
        "proposed again",
    )  # fmt: skip
    assert isinstance(second, dict)
    answer = answered(running, case["case_id"], APPROVE)
    assert answer.status_code == 409
    assert f"/cases/{case['case_id']}" in answer.text
    stale = {"decisions": [{"type": "approve", "digest": case["state"]["proposal"]["digest"]}]}
    assert answered(running, case["case_id"], stale).status_code == 409
    assert running.case(case["case_id"])["state"] == second["state"]
    known = {"decisions": [{"type": "approve", "digest": second["state"]["proposal"]["digest"]}]}
    assert answered(running, case["case_id"], known).status_code == 200
    assert running.reaches(case["case_id"], "refunded")["state"]["refund"]["amount_minor"] == 100


def test_cases_answered_by_four_at_once_are_refunded_once_each(running: RunningHouse) -> None:
    cases = [running.submit(order_id=f"X{100 + number}") for number in range(AT_ONCE)]
    for case_id in cases:
        running.reaches(case_id, "needs_human")
    together = threading.Barrier(4)

    def four(case_id: str, who: str) -> int:
        together.wait(timeout=60)
        return answered(running, case_id, APPROVE, who).status_code

    said: Counter[int] = Counter()
    with ThreadPoolExecutor(4) as pool:
        for case_id in cases:
            people = ("demo-reviewer", "demo-reviewer-2", "demo-specialist", "demo-specialist-2")
            said.update(pool.map(four, [case_id] * 4, people))
    assert set(said) == {200, 409}, said
    assert said[200] == AT_ONCE
    for case_id in cases:
        running.reaches(case_id, "refunded")
    made = Counter(refund["payment_id"] for refund in running.refunds())
    assert [made[f"pay_X{100 + number}"] for number in range(AT_ONCE)] == [1] * AT_ONCE


def test_one_through_the_sdk_against_one_through_the_desk_is_one_refund(running: RunningHouse) -> None:
    together = threading.Barrier(2)
    for number in range(6):
        case = running.paused(order_id=f"X{150 + number}")

        def by_desk(case: dict[str, Any] = case) -> int:
            together.wait(timeout=60)
            return running.decide(case, "demo-reviewer-2").status_code

        def by_sdk(case: dict[str, Any] = case) -> int:
            together.wait(timeout=60)
            return answered(running, case["case_id"], APPROVE).status_code

        with ThreadPoolExecutor(2) as pool:
            codes = sorted(job.result() for job in (pool.submit(by_desk), pool.submit(by_sdk)))
        assert codes == [200, 409]
        running.reaches(case["case_id"], "refunded")
    made = Counter(refund["payment_id"] for refund in running.refunds())
    assert [made[f"pay_X{150 + number}"] for number in range(6)] == [1] * 6


def test_with_the_desk_away_it_is_503_and_the_case_stays(running: RunningHouse) -> None:
    """The desk is stopped, not killed: the house as a whole stays up."""
    case = running.paused(order_id="X170")
    assert answered(running, case["case_id"], {"decisions": [{"type": "maybe"}]}).status_code == 422
    os.kill(running.pids()["desk"], signal.SIGSTOP)
    try:
        assert answered(running, case["case_id"], APPROVE).status_code == 503
    finally:
        os.kill(running.pids()["desk"], signal.SIGCONT)
    with running.desk("demo-auditor") as desk:
        until(lambda: desk.get("/readyz").status_code == 200, "ready again")
    assert running.status(case["case_id"]) == "needs_human"
    assert answered(running, case["case_id"], APPROVE).status_code == 200
    assert running.reaches(case["case_id"], "refunded")
