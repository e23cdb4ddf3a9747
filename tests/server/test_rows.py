"""Stock interfaces see what is so: thread rows follow the books, across drives and restarts, and by tenant."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import RunningHouse, until
from server_kit import other_shop, signed_ticket

TRUE_WITHIN_SECONDS = 2.0


def row_of(house: RunningHouse, case_id: str) -> dict[str, Any]:
    found = house.sdk("demo-auditor").threads.search(metadata={"case_id": case_id})
    return dict(found[0]) if found else {}


def is_true(house: RunningHouse, case_id: str, status: str, row_status: str) -> bool:
    row = row_of(house, case_id)
    return bool(row) and (row["metadata"]["status"], row["status"], (row["values"] or {}).get("status")) == (
        status,
        row_status,
        status,
    )


def test_after_any_drive_the_row_tells_the_truth_within_two_seconds(running: RunningHouse) -> None:
    """Nine of ten looks, because a machine that runs other laws beside this one may hold one of them up."""
    waits: list[float] = []

    def true_soon(case_id: str, status: str, row_status: str) -> None:
        seen = time.monotonic()
        until(partial(is_true, running, case_id, status, row_status), f"{status} in its row")
        waits.append(time.monotonic() - seen)

    for number in range(5):
        case = running.paused(order_id=f"X{200 + number}")
        true_soon(case["case_id"], "needs_human", "interrupted")
        assert row_of(running, case["case_id"])["metadata"]["amount_minor"] == 7_900
        ended = "refunded" if number % 2 else "rejected"
        word = {"word": "approve"} if number % 2 else {"word": "reject", "code": "other"}
        assert running.decide(case, **word).status_code == 200
        running.reaches(case["case_id"], ended)
        true_soon(case["case_id"], ended, "idle")
    assert sum(wait < TRUE_WITHIN_SECONDS for wait in waits) >= 9, waits


def test_the_drawing_shows_the_boxed_part_and_the_refund_outside_it(running: RunningHouse) -> None:
    with running.graph("demo-auditor") as client:
        drawn = client.get("/assistants/refund_agent/graph", params={"xray": "1"}).json()
    nodes = {node["id"] for node in drawn["nodes"]}
    boxed = {node.split(":", 1)[1] for node in nodes if node.startswith("case_agent:")}
    assert {"plan", "evidence", "order", "draft", "propose", "block"} <= boxed
    assert {"admission", "approval", "refund", "settlement", "close"} <= nodes
    assert not boxed & {"refund", "settlement", "approval"}


def test_another_tenant_sees_and_touches_nothing(running: RunningHouse) -> None:
    case = running.paused(order_id="X210")
    thread = case["case_id"]
    token = other_shop(running)
    with running.graph(None, authorization=f"Bearer {token}") as client:
        assert client.post("/threads/search", json={"limit": 1000}).json() == []
        assert client.post("/threads/search", json={"metadata": {"tenant": "demo"}}).json() == []
        assert client.post("/threads/count", json={}).json() == 0
        for method, path, body in [
            ("GET", f"/threads/{thread}", None),
            ("GET", f"/threads/{thread}/state", None),
            ("GET", f"/threads/{thread}/history", None),
            ("POST", f"/threads/{thread}/history", {}),
            ("POST", f"/threads/{thread}/state/checkpoint", {"checkpoint": {"checkpoint_id": "1"}}),
            ("GET", f"/threads/{thread}/runs", None),
            ("GET", f"/threads/{thread}/stream", None),
            ("POST", "/threads", {"thread_id": thread, "if_exists": "do_nothing"}),
            ("POST", "/threads", {"thread_id": thread, "metadata": {"tenant": "demo"}}),
            ("POST", f"/threads/{thread}/runs", {"assistant_id": "refund_agent", "input": {"ticket": {"tenant": "other"}}}),
            ("POST", f"/threads/{thread}/runs", {"assistant_id": "refund_agent", "command": {"resume": {"decisions": [{"type": "approve"}]}}}),
        ]:  # fmt: skip
            answer = client.request(method, path, json=body)
            refused = answer.status_code in {403, 404, 409} or "404: Thread with ID" in answer.text
            assert refused, (method, path, answer.status_code, answer.text[:300])
            assert "tablet" not in answer.text.lower()
    assert running.case(thread)["state"] == case["state"]


def test_a_restart_brings_back_what_waits_and_the_rest_when_it_is_asked_for(running: RunningHouse) -> None:
    waiting = [running.paused(order_id=f"X{number}") for number in range(211, 215)]
    ended = running.paused(order_id="X215")
    running.decide(ended, word="reject", code="other")
    running.reaches(ended["case_id"], "rejected")
    # A thread that has run and is bound to no case: its ticket was another case's.
    used = running.sdk("demo-helpdesk").threads.create()["thread_id"]
    ticket = signed_ticket(running, order_id="X216")
    running.reaches(running.submit(**ticket), "needs_human")
    told: Any = running.sdk("demo-helpdesk").runs.wait(used, "refund_agent", input={"ticket": ticket})
    assert told["reason"] == "duplicate_ticket"
    running.stop()
    running.start()
    rows = running.sdk().threads.search(status="interrupted", limit=1000)
    found = {(row["metadata"] or {})["case_id"] for row in rows}
    assert found >= {case["case_id"] for case in waiting}
    assert ended["case_id"] not in found
    assert running.sdk().threads.get(ended["case_id"])["status"] == "idle"
    state = running.sdk().threads.get_state(ended["case_id"])
    assert isinstance(state["values"], dict)
    assert state["values"]["status"] == "rejected"
    with running.graph("demo-helpdesk") as client:
        body = {"assistant_id": "refund_agent", "input": {"ticket": signed_ticket(running, order_id="X217")}}
        again = client.post(f"/threads/{used}/runs", json=body)
    assert (again.status_code, "a second input" in again.text) == (403, True)


def test_where_workers_drive_the_server_is_read_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    house = RunningHouse(tmp_path / "h", runner="workers", workers=2)
    try:
        house.start()
        case = house.paused()
        reviewer = house.sdk()
        assert reviewer.threads.get(case["case_id"])["status"] == "interrupted"
        for call in (
            reviewer.threads.create,
            lambda: reviewer.runs.wait(
                case["case_id"], "refund_agent", command={"resume": {"decisions": [{"type": "approve"}]}}
            ),
        ):
            with pytest.raises(httpx.HTTPStatusError) as refused:
                call()
            assert refused.value.response.status_code == 403
        assert house.decide(case).status_code == 200
        house.reaches(case["case_id"], "refunded")
        assert len(house.refunds()) == 1
        until(partial(is_true, house, case["case_id"], "refunded", "idle"), "followed")
    finally:
        house.close()
