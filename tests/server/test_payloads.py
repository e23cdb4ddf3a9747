"""What other interfaces send, as they send it, to the real server: each is a person's decision or nothing at all."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import RunningHouse, until

RECORDED: list[dict[str, Any]] = json.loads(Path(__file__).with_name("payloads.json").read_text())


def filled(value: Any, shown: Any, pause: str) -> Any:
    """A recorded body with what this thread's pause says."""
    match value:
        case "@shown":
            return shown
        case dict():
            return {
                pause if key == "@pause" else key: filled(inner, shown, pause) for key, inner in value.items()
            }
        case list():
            return [filled(inner, shown, pause) for inner in value]
        case _:
            return value


def sent(
    house: RunningHouse, case_id: str, recorded: dict[str, Any], who: str = "demo-reviewer"
) -> httpx.Response:
    row = until(
        lambda: house.sdk().threads.search(metadata={"case_id": case_id}, status="interrupted"), "in its row"
    )[0]
    [[pause]] = row["interrupts"].values()
    body = filled(recorded["body"], pause["value"]["action_request"], pause["id"])
    with house.graph(who) as client:
        return client.post(f"/threads/{case_id}{recorded['path']}", json=body)


@pytest.mark.parametrize(
    ("number", "recorded"), list(enumerate(RECORDED)), ids=[one["who"] for one in RECORDED]
)
def test_every_interface_is_understood(running: RunningHouse, number: int, recorded: dict[str, Any]) -> None:
    case = running.paused(order_id=f"X{360 + number}")
    answer = sent(running, case["case_id"], recorded)
    if "ends" in recorded:
        assert answer.status_code == 200, answer.text
        running.reaches(case["case_id"], recorded["ends"])
        [vote] = running.sql("select person, via::text from books.votes where case_id = %s", case["case_id"])
        assert vote == {"person": "demo-reviewer", "via": "server"}
        return
    assert answer.status_code == recorded["status"], answer.text
    assert running.case(case["case_id"])["state"] == case["state"]
    waiting = running.sql("select stage from books.waiting where case_id = %s", case["case_id"])
    assert [row["stage"] for row in waiting] == [0]


def test_an_answer_that_cannot_be_read_is_recorded_and_leaves_the_case(running: RunningHouse) -> None:
    case = running.paused(order_id="X380")
    unreadable = next(one for one in RECORDED if one["who"] == "Agent Chat UI edits")
    assert sent(running, case["case_id"], unreadable).status_code == 422
    rows = running.sql("select person, why from books.unread_answers where case_id = %s", case["case_id"])
    assert [(row["person"], "made at the desk" in row["why"]) for row in rows] == [("demo-reviewer", True)]
    with running.desk("demo-auditor") as desk:
        assert desk.get(f"/api/cases/{case['case_id']}").json()["state"] == case["state"]


def test_without_authority_the_same_payload_is_403_and_the_case_is_pending(running: RunningHouse) -> None:
    case = running.paused(order_id="X381")
    for who in ("demo-auditor", "demo-helpdesk"):
        assert sent(running, case["case_id"], RECORDED[0], who).status_code == 403
    assert running.status(case["case_id"]) == "needs_human"


def test_stock_interfaces_may_filter_by_what_a_thread_is_about(running: RunningHouse) -> None:
    case = running.paused(order_id="X382")
    known = {"tenant": "demo", "case_id": case["case_id"], "amount_minor": 7_900, "currency": "USD"}
    [row] = until(
        lambda: running.sdk().threads.search(metadata=known, status="interrupted"), "found by its metadata"
    )
    assert row["metadata"] is not None
    assert row["metadata"]["expires_at"] == case["state"]["proposal"]["expires_at"]
