"""Who answers on the server API sees what comes of it: in the stream of the answer, in the row, in the messages."""

import asyncio
import json
import os
import signal
from typing import Any

import pytest
from running import RunningHouse, until
from server_kit import other_shop
from starlette.types import Message, Receive, Scope, Send

from graph.server.streams import OF_ONE_TOKEN, ThreadStreams, TooManyStreams

APPROVE = {"decisions": [{"type": "approve"}]}


def row_of(house: RunningHouse, case_id: str) -> dict[str, Any]:
    return dict(house.sdk().threads.get(case_id))


def test_the_answers_own_stream_goes_on_to_the_refund(running: RunningHouse) -> None:
    case = running.paused(order_id="X400")
    seen = [
        part.data.get("status")
        for part in running.sdk().runs.stream(
            case["case_id"], "refund_agent", command={"resume": APPROVE}, stream_mode="values"
        )
        if isinstance(part.data, dict)
    ]
    assert seen[-1] == "refunded"
    assert seen.index("refund_pending") < seen.index("refunded")


def test_the_state_of_a_thread_is_whole_after_an_answer_here(running: RunningHouse) -> None:
    """The server numbers what it writes in a form of its own: nothing of an older number may stay in its place."""
    case = running.paused(order_id="X401")
    told: Any = running.sdk().runs.wait(case["case_id"], "refund_agent", command={"resume": APPROVE})
    kept: Any = running.sdk().threads.get_state(case["case_id"])["values"]
    assert told == {name: kept[name] for name in told}
    assert kept["refund"]["legs"] == [
        {"payment_id": "pay_X401", "amount_minor": 7_900, "outcome": "succeeded"}
    ]
    assert [ask["state"] for ask in kept["reading"]["asks"]] == ["done"]


def test_the_messages_tell_the_case_from_the_question_to_its_end(running: RunningHouse) -> None:
    asked = "My tablet arrived cracked. I want a refund, please."
    case = running.paused(order_id="X402", question=asked)
    waiting: Any = running.sdk().threads.get_state(case["case_id"])["values"]
    assert [message["type"] for message in waiting["messages"]] == ["human", "ai"]
    assert waiting["messages"][0]["content"] == asked
    running.sdk().runs.wait(case["case_id"], "refund_agent", command={"resume": APPROVE})
    ended: Any = running.sdk().threads.get_state(case["case_id"])["values"]
    assert ended["messages"][:2] == waiting["messages"]
    assert [message["content"] for message in ended["messages"][2:]] == [
        "Approved by demo-reviewer.",
        "Refunded: 79.00 USD.",
    ]
    assert len({message["id"] for message in ended["messages"]}) == 4


def test_a_thread_that_waits_for_the_provider_is_nobodys_work(running: RunningHouse) -> None:
    """The cashier stands still, so the provider is not asked: the answer ends, and nothing is left to press."""
    case = running.paused(order_id="X403")
    cashier = running.pids()["cashier"]
    os.kill(cashier, signal.SIGSTOP)
    try:
        told: Any = running.sdk().runs.wait(case["case_id"], "refund_agent", command={"resume": APPROVE})
        assert told["status"] == "refund_pending"
        assert (
            row_of(running, case["case_id"])["status"],
            row_of(running, case["case_id"])["interrupts"],
        ) == ("idle", {})
        until(
            lambda: row_of(running, case["case_id"])["metadata"]["status"] == "refund_pending", "in its row"
        )
        listed = running.sdk().threads.search(status="interrupted", limit=1000)
        assert case["case_id"] not in {one["thread_id"] for one in listed}
        [[pause]] = [task["interrupts"] for task in running.sdk().threads.get_state(case["case_id"])["tasks"]]
        assert pause["value"] == {
            "waiting_for": "settlement",
            "says": "Approved by demo-reviewer: 79.00 USD is being paid, and the desk shows how far it is. Nothing to decide.",
        }
        with running.graph() as client:
            again = client.post(
                f"/threads/{case['case_id']}/runs",
                json={"assistant_id": "refund_agent", "command": {"resume": APPROVE}},
            )
        assert (again.status_code, "demo-reviewer said approve" in again.text) == (409, True)
    finally:
        os.kill(cashier, signal.SIGCONT)
    running.reaches(case["case_id"], "refunded")
    until(lambda: row_of(running, case["case_id"])["metadata"]["status"] == "refunded", "in its row")


def test_a_thread_keeps_the_time_of_its_case(running: RunningHouse) -> None:
    case = running.paused(order_id="X404")
    row = until(lambda: running.sdk().threads.search(metadata={"case_id": case["case_id"]}), "there")[0]
    received = running.sql("select received_at from books.cases where case_id = %s", case["case_id"])
    assert row["created_at"] == received[0]["received_at"].isoformat()
    running.stop()
    running.start()
    again = running.sdk().threads.get(case["case_id"])
    assert [again[name] for name in ("created_at", "updated_at")] == [
        row["created_at"],
        row["updated_at"],
    ]


def test_the_streaming_protocol_answers_a_pause_and_shows_what_comes_of_it(running: RunningHouse) -> None:
    """As `threads.stream` of the SDKs does: a stream of the thread is opened, and a command answers."""
    case = running.paused(order_id="X405")
    [[pause]] = [task["interrupts"] for task in running.sdk().threads.get_state(case["case_id"])["tasks"]]
    thread = f"/threads/{case['case_id']}"
    answer = {
        "id": 7,
        "method": "input.respond",
        "params": {"interrupt_id": pause["id"], "namespace": [], "response": APPROVE},
    }
    statuses: list[str] = []
    with running.graph() as client:
        with client.stream(
            "POST", f"{thread}/stream/events", json={"channels": ["values", "lifecycle"]}
        ) as events:
            told = client.post(f"{thread}/commands", json=answer).json()
            assert (told["type"], told["id"]) == ("success", 7)
            for line in events.iter_lines():
                if not line.startswith("data:"):
                    continue
                event = json.loads(line[5:])
                data = event["params"]["data"]
                if event["method"] == "values":
                    statuses.append(data.get("status"))
                if (
                    event["method"] == "lifecycle"
                    and data["event"] == "completed"
                    and not event["params"]["namespace"]
                ):
                    break
        assert statuses[-1] == "refunded"
        again = client.post(f"{thread}/commands", json=answer).json()
        assert again["type"] == "error"
    votes = running.sql("select person from books.votes where case_id = %s", case["case_id"])
    assert [vote["person"] for vote in votes] == ["demo-reviewer"]


def test_the_streaming_protocol_is_closed_to_other_tenants_and_to_people_without_authority(
    running: RunningHouse,
) -> None:
    case = running.paused(order_id="X406")
    [[pause]] = [task["interrupts"] for task in running.sdk().threads.get_state(case["case_id"])["tasks"]]
    thread = f"/threads/{case['case_id']}"
    answer = {
        "id": 1,
        "method": "input.respond",
        "params": {"interrupt_id": pause["id"], "namespace": [], "response": APPROVE},
    }
    stranger = other_shop(running)
    with running.graph(None, authorization=f"Bearer {stranger}") as client:
        told = client.post(f"{thread}/commands", json=answer)
        assert told.json()["type"] == "error"
        with client.stream("POST", f"{thread}/stream/events", json={"channels": ["values"]}) as events:
            assert "tablet" not in "".join(events.iter_lines()).lower()
    with running.graph("demo-auditor") as client:
        told = client.post(f"{thread}/commands", json=answer)
        assert (told.json()["type"], "decides nothing here" in told.json()["message"]) == ("error", True)
    with running.graph(None) as client:
        assert client.post(f"{thread}/commands", json=answer).status_code == 401
        assert client.post(f"{thread}/stream/events", json={"channels": ["values"]}).status_code == 401
    assert running.case(case["case_id"])["state"] == case["state"]


def test_what_the_customer_wrote_since_is_read_at_the_desk_before_money_moves(running: RunningHouse) -> None:
    """Other interfaces show the case as it was at its pause."""
    case = running.paused(order_id="X407")
    with running.desk() as desk:
        body = {"author": "customer", "text": "Stop: I only want a repair, no refund!"}
        told = desk.post(f"/api/cases/{case['case_id']}/messages", json=body)
        assert told.is_success, told.text
    with running.graph() as client:
        answer = client.post(
            f"/threads/{case['case_id']}/runs",
            json={"assistant_id": "refund_agent", "command": {"resume": APPROVE}},
        )
    assert (answer.status_code, "has written since" in answer.text) == (409, True)
    assert running.status(case["case_id"]) == "needs_human"


async def test_a_stream_of_a_thread_ends_and_one_token_has_so_many() -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    streams, sent = ThreadStreams(seconds=0.05), list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def one() -> None:
        await streams.run("token", endless, {"type": "http"}, asyncio.Queue().get, send)

    async with asyncio.TaskGroup() as group:
        for _ in range(OF_ONE_TOKEN):
            group.create_task(one())
        await asyncio.sleep(0)
        with pytest.raises(TooManyStreams):
            await one()
    assert [message["type"] for message in sent].count("http.response.body") == OF_ONE_TOKEN
    assert not streams.open
    await one()
