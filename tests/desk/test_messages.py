"""The customer answers: it returns to the same case and, where that waits for it, to the agent; within bounds."""

import uuid
from uuid import uuid4

import pytest
from desk_kit import DeskStage

from desk.messages import MESSAGES_A_CASE
from graph.run_start import PROPOSALS_A_CASE
from records.cases import Case

VAGUE = "I want a refund for my tablet, please."


async def asked(desk: DeskStage) -> Case:
    """A case whose customer was asked for more."""
    case, _ = await desk.stage.paused(question=VAGUE)
    answer = await desk.decide(case.case_id, word="revise", asks="customer", note="What is wrong with it?")
    assert answer.status_code == 200, answer.text
    await desk.stage.finish()
    return case


async def say(desk: DeskStage, case: Case, text: str, **more: object) -> int:
    body = {"text": text, **more}
    answer = await desk.ask("POST", f"/api/cases/{case.case_id}/messages", body, "demo-helpdesk")
    return answer.status_code


async def proposals(desk: DeskStage, case: Case) -> int:
    [row] = await desk.stage.sql("select count(*) as n from books.proposals where case_id = %s", case.case_id)
    return int(row["n"])


async def test_a_case_that_asked_waits_and_its_clock_stands_still(desk: DeskStage) -> None:
    case = await asked(desk)
    view = await desk.view(case.case_id)
    assert (view["state"]["status"], view["state"]["reason"]) == ("needs_human", "asked_customer")
    await desk.stage.move_clock(hours=24 * 20)
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "needs_human"
    assert await proposals(desk, case) == 1


async def test_the_question_goes_out_once(desk: DeskStage) -> None:
    case = await asked(desk)
    for _ in range(3):
        await desk.answer_customer(case.case_id)
    [text] = desk.sent()
    assert "What is wrong with it?" in text


async def test_the_answer_runs_the_agent_again_with_the_new_text_as_a_new_proposal(desk: DeskStage) -> None:
    case = await asked(desk)
    first = (await desk.view(case.case_id))["state"]["proposal"]["digest"]
    assert await say(desk, case, "It arrived cracked, the glass is broken.") == 201
    await desk.stage.finish()
    view = await desk.view(case.case_id)
    assert (view["state"]["status"], view["state"]["reason"]) == ("needs_human", "draft_ready_for_review")
    proposal = view["state"]["proposal"]
    assert proposal["digest"] != first
    assert (proposal["kind"], proposal["rule"]) == ("refund", "damaged-electronics")
    assert [message["body"] for message in view["messages"]] == ["It arrived cracked, the glass is broken."]
    assert (await desk.decide(case.case_id)).status_code == 200
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"
    assert desk.stage.refunds() == 1


async def test_a_colleagues_answer_is_not_the_customers(desk: DeskStage) -> None:
    case = await asked(desk)
    assert await say(desk, case, "I plan it is broken.", author="colleague") == 201
    await desk.stage.finish()
    assert (await desk.view(case.case_id))["state"]["reason"] == "asked_customer"


async def test_an_answer_may_come_before_the_graph_has_paused(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(question=VAGUE)
    await desk.decide(case.case_id, word="revise", asks="customer", note="What is wrong?")
    assert await say(desk, case, "It arrived broken.") == 201
    await desk.stage.finish()
    assert (await desk.view(case.case_id))["state"]["reason"] == "draft_ready_for_review"
    assert await proposals(desk, case) == 2


async def test_the_same_message_again_changes_nothing(desk: DeskStage) -> None:
    case = await asked(desk)
    name = str(uuid.uuid4())
    assert await say(desk, case, "It arrived broken.", message_id=name) == 201
    assert await say(desk, case, "It arrived broken.", message_id=name) == 200
    await desk.stage.finish()
    assert len((await desk.view(case.case_id))["messages"]) == 1
    assert await proposals(desk, case) == 2


async def test_where_nobody_waits_for_it_a_message_is_only_written_down(desk: DeskStage) -> None:
    case, state = await desk.stage.paused()
    assert await say(desk, case, "Hello? Approve 5,000 USD at once.") == 201
    await desk.stage.finish()
    after = await desk.stage.house.state(case)
    assert after["proposal"] == state["proposal"]
    assert await proposals(desk, case) == 1


async def test_an_answer_to_a_letter_that_ended_a_case_opens_one_of_its_own(desk: DeskStage) -> None:
    """The letter invites an answer: nobody who follows it is told that it is too late."""
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id, word="reject", code="insufficient_evidence")
    await desk.stage.finish()
    said = {"message_id": str(uuid4()), "text": "The tablet arrived cracked. I want a refund, please."}
    at = f"/api/cases/{case.case_id}/messages"
    first = await desk.ask("POST", at, said, "demo-helpdesk")
    again = await desk.ask("POST", at, said, "demo-helpdesk")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["case_id"] == again.json()["case_id"] != str(case.case_id)
    [row] = await desk.stage.sql(
        "select ticket_id, customer_id, order_id, books.question_of(ticket) as asked from books.cases where case_id = %s",
        first.json()["case_id"],
    )
    assert row["ticket_id"].startswith(f"{case.ticket_id}+a.")
    assert (row["customer_id"], row["order_id"], row["asked"]) == ("C100", "D300", said["text"])
    assert await desk.stage.count("cases") == 2
    colleague = {**said, "message_id": str(uuid4()), "author": "colleague"}
    assert (await desk.ask("POST", at, colleague, "demo-reviewer")).status_code == 409


async def test_messages_and_reruns_have_a_bound(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(question=VAGUE)
    for number in range(PROPOSALS_A_CASE + 1):
        await desk.decide(case.case_id, word="revise", asks="colleague", note="and now?")
        await desk.stage.finish()
        assert await say(desk, case, f"no idea {number}", author="colleague") == 201
        await desk.stage.finish()
    view = await desk.view(case.case_id)
    assert (view["state"]["proposal"]["kind"], view["state"]["reason"]) == ("handoff", "loop_detected")
    for number in range(MESSAGES_A_CASE):
        code = await say(desk, case, f"and {number}")
    assert code == 409


async def test_a_bad_message_is_422(desk: DeskStage) -> None:
    case = await asked(desk)
    for text in ("", "   ", "x" * 9_000, "a\x00b"):
        assert await say(desk, case, text) == 422
    assert await say(desk, case, "fine", author="demo-reviewer") == 422
    assert await say(desk, case, "fine", message_id="not-a-uuid-not-a-uuid-not-a-uuid-xx") == 422
    assert (await desk.view(case.case_id))["messages"] == []


async def test_a_second_question_is_a_second_message(desk: DeskStage) -> None:
    case = await asked(desk)
    await desk.answer_customer(case.case_id)
    await say(desk, case, "I do not know.")
    await desk.stage.finish()
    without = await desk.decide(case.case_id, word="revise", asks="customer")
    assert without.status_code == 422
    again = await desk.decide(case.case_id, word="revise", asks="customer", note="Please look again.")
    assert again.status_code == 200
    for _ in range(2):
        await desk.answer_customer(case.case_id)
    assert len(desk.sent()) == 2
    assert sum("Please look again." in text for text in desk.sent()) == 1


async def test_a_question_that_was_lost_is_found_by_the_sweep(desk: DeskStage) -> None:
    case = await asked(desk)
    await desk.stage.sql("truncate jobs.procrastinate_jobs cascade")
    await desk.stage.move_clock(minutes=1)
    assert await desk.services.outbox.sweep() == 1
    await desk.answer_customer(case.case_id)
    await desk.stage.move_clock(minutes=10)
    assert await desk.services.outbox.sweep() == 0


@pytest.mark.parametrize("act", ["reply", "close", "propose"])
async def test_a_question_that_nobody_answers_is_somebodys_work(desk: DeskStage, act: str) -> None:
    case = await asked(desk)
    body: dict[str, object] = {"act": act}
    body |= {"note": "no answer"} if act == "close" else {"reply": "We did not hear from you.\r\nGood bye."}
    body |= {"amount_minor": 100} if act == "propose" else {}
    answer = await desk.ask("POST", f"/api/cases/{case.case_id}/takeovers", body)
    assert answer.status_code == 200, answer.text
    await desk.stage.run(case)
    view = await desk.view(case.case_id)
    ends = {"reply": "replied", "close": "closed_by_human", "propose": "needs_human"}
    assert view["state"]["status"] == ends[act]
    snapshot = await desk.stage.house.driver.graph.aget_state(
        {"configurable": {"thread_id": str(case.thread_id)}}
    )
    assert snapshot.values["status"] == ends[act]
    assert bool(snapshot.interrupts) == (act == "propose")


async def test_a_message_id_of_another_case_is_refused(desk: DeskStage) -> None:
    first, second = await asked(desk), await asked(desk)
    name = str(uuid.uuid4())
    assert await say(desk, first, "It arrived broken.", message_id=name) == 201
    assert await say(desk, second, "It arrived broken.", message_id=name) == 409
