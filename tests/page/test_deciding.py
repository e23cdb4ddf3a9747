"""A person decides: on what is on the screen, in their own name, and within what the books allow."""

import re
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from desk_kit import DeskStage

from app.imports import import_customer_book
from desk.letters import rejection
from policies.letter_templates import templates
from refunds.ids import TenantId


async def test_one_screen_shows_what_a_decision_needs(desk: DeskStage) -> None:
    earlier, _ = await desk.stage.paused(
        question="What is the return policy for my cracked tablet?", intent="policy_question"
    )
    case, state = await desk.stage.paused()
    proposal = state["proposal"]
    assert isinstance(proposal, dict)
    async with desk.visit() as visitor:
        text = re.sub(r"</?mark[^>]*>", "", (await visitor.get(f"/cases/{case.case_id}")).text)
    for shown in (
        "My tablet arrived cracked. I want a refund, please.",
        "$79.00",
        "Approve sends this reply and returns $79.00 to card …4242, once.",
        proposal["citations"][0]["quote"],
        proposal["citations"][0]["citation_id"],
        "in force since",
        "SKU-1",
        "pay_D300",
        "Payments, USD",
        "0.00",
        earlier.ticket_id,
        "Intake signature",
        "Within what is left of the payment",
        "read the order",
        "0 tokens",
        proposal["digest"],
    ):
        assert shown in text, shown
    assert text.index("$79.00</span></h1>") < text.index("My tablet arrived cracked")


async def test_a_word_carries_its_person_its_digest_and_where_it_was_said(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        answer = await visitor.decide(case.case_id, "approve")
        assert answer.headers["hx-redirect"] == f"/next?after={case.case_id}"
    [vote] = await desk.stage.sql("select * from books.votes")
    assert (vote["person"], vote["via"], vote["address"]) == ("demo-reviewer", "page", "127.0.0.1")
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"
    assert desk.stage.refunds() == 1


async def test_what_is_not_on_the_screen_any_more_is_not_decided(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        digest = await visitor.digest(case.case_id)
        await other.decide(case.case_id, "approve")
        late = await visitor.decide(case.case_id, "approve", digest=digest)
        assert late.status_code == 409
        assert "demo-reviewer-2 said approve at" in late.text
        forged = await visitor.decide(case.case_id, "approve", digest="0" * 64)
        assert forged.status_code == 409
    assert await desk.stage.count("votes") == 1


async def test_a_reject_has_a_code_a_note_and_words_for_the_customer(desk: DeskStage) -> None:
    first, _ = await desk.stage.paused()
    second, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{first.case_id}")).text
        assert rejection("outside_window", templates()).split("\n")[2] in page
        bare = await visitor.decide(first.case_id, "reject", letter="no")
        assert (bare.status_code, "code: one of not_eligible" in bare.text) == (422, True)
        await visitor.decide(
            first.case_id, "reject", code="outside_window", letter="Dear you,\r\n\r\nno.  ", note="third time"
        )
        await visitor.decide(
            second.case_id,
            "reject",
            code="wording",
            letter=rejection("wording", templates()),
        )
    await desk.stage.finish()
    for case in (first, second):
        await desk.answer_customer(case.case_id)
        assert await desk.status(case.case_id) == "rejected"
    bodies = [
        row["body"] for row in await desk.stage.sql("select body from books.replies order by written_at")
    ]
    assert bodies == ["Dear you,\n\nno.", rejection("wording", templates())]
    [one, two] = await desk.stage.sql("select letter, code::text from books.decisions order by decided_at")
    assert (one["letter"], one["code"], two["letter"]) == ("Dear you,\n\nno.", "outside_window", None)
    assert "third time" not in bodies[0]


async def test_a_question_stops_the_clock_and_its_answer_returns_to_the_case(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        empty = await visitor.decide(case.case_id, "ask", asks="customer", note=" ")
        assert empty.status_code == 422
        await visitor.decide(case.case_id, "ask", asks="customer", note="Can you send a photo?")
        assert "clock stopped" in (await visitor.get("/?stage=2")).text
    await desk.stage.move_clock(hours=24 * 20)
    await desk.stage.finish()
    assert (await desk.view(case.case_id))["state"]["reason"] == "asked_customer"
    async with desk.visit() as visitor:
        text = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "The answer came by another way" in text
        await visitor.post(
            f"/cases/{case.case_id}/message", author="customer", text="Here it is: broken glass."
        )
        await desk.stage.finish()
        assert "Here it is: broken glass." in (await visitor.get(f"/cases/{case.case_id}")).text
    assert (await desk.view(case.case_id))["state"]["status"] == "needs_human"


async def test_the_agent_is_sent_back_with_words_and_not_for_ever(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        assert (await visitor.decide(case.case_id, "send_back", note="")).status_code == 422
        for _ in range(6):
            assert (
                await visitor.decide(case.case_id, "send_back", note="read the newer clause")
            ).status_code == 200
            await desk.stage.run(case)
        assert (await desk.view(case.case_id))["state"]["reason"] == "loop_detected"


async def test_a_refusal_keeps_what_was_typed(desk: DeskStage) -> None:
    """With the page's script the form stays as it is; without one the page comes back with it."""
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        await other.post(f"/cases/{case.case_id}/claim", act="claim")
        typed: dict[str, Any] = {
            "act": "reject",
            "code": "other",
            "letter": "A letter of ten minutes.",
            "digest": (await desk.newest(case.case_id))["digest"],
        }
        fragment = await visitor.post(f"/cases/{case.case_id}/decide", **typed)
        assert fragment.text.startswith('<p class="said"')
        page = await visitor.post(f"/cases/{case.case_id}/decide", fragment=False, **typed)
        assert page.status_code == 409
        assert "A letter of ten minutes." in page.text and "demo-reviewer-2 has claimed it" in page.text


async def test_the_next_case_opens_by_itself_and_what_is_somebody_elses_does_not(desk: DeskStage) -> None:
    first, _ = await desk.stage.paused()
    second, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        opened = await visitor.get(f"/next?after={first.case_id}")
        assert opened.headers["location"] == f"/cases/{second.case_id}?done={first.case_id}"
        assert first.ticket_id in (await visitor.get(f"/strip/{first.case_id}")).text
        await other.post(f"/cases/{second.case_id}/claim", act="claim")
        assert (await visitor.get(f"/next?after={first.case_id}")).headers[
            "location"
        ] == f"/?done={first.case_id}"


async def test_whoever_only_looks_comes_by_every_case(desk: DeskStage) -> None:
    cases = {str((await desk.stage.paused())[0].case_id) for _ in range(3)}
    async with desk.visit() as visitor:
        seen, at = [], ""
        for _ in range(3):
            at = (
                (await visitor.get(f"/next?after={at}"))
                .headers["location"]
                .removeprefix("/cases/")
                .partition("?")[0]
            )
            seen.append(at)
        assert set(seen) == cases


async def test_nobody_decides_what_they_submitted(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.stage.forced(
        "update books.cases set submitted_by = 'demo-reviewer' where case_id = %s", case.case_id
    )
    async with desk.visit() as visitor:
        assert "nobody decides a case they submitted" in (await visitor.get(f"/cases/{case.case_id}")).text
        for act, more in (("approve", {}), ("reject", {"code": "other"})):
            answer = await visitor.decide(case.case_id, act, **more)
            assert answer.status_code == 403, act
    with pytest.raises(Exception, match="no_authority"):
        await forged_reject(desk, case.case_id)


async def forged_reject(desk: DeskStage, case_id: object) -> None:
    """As a program would that skips the desk's own checks."""
    from desk.decisions import DecisionRequest
    from refunds.ids import TenantId

    house = desk.stage.house
    person = await desk.stage.person("demo-reviewer")
    async with house.desk_books.transaction(TenantId("demo")) as tx:
        from records.cases import case_by_id
        from records.snapshots import snapshot_at

        case = await case_by_id(tx, case_id)  # type: ignore[arg-type]
        assert case is not None
        snapshot = await snapshot_at(tx, case.case_id)
        assert snapshot.current is not None
        await house.desk.record(
            tx, person, case, snapshot.current, DecisionRequest("reject", "other"), snapshot.now
        )


async def test_a_second_review_is_somebody_elses(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        early = await other.post(f"/cases/{case.case_id}/second-review", verdict="agree")
        assert early.status_code == 409
        await visitor.decide(case.case_id, "reject", code="other")
        await desk.stage.finish()
        assert (
            await visitor.post(f"/cases/{case.case_id}/second-review", verdict="agree")
        ).status_code == 409
        assert (
            await other.post(f"/cases/{case.case_id}/second-review", verdict="disagree")
        ).status_code == 422
        assert (
            await other.post(
                f"/cases/{case.case_id}/second-review", verdict="disagree", note="it was eligible"
            )
        ).status_code == 200
        assert (await other.post(f"/cases/{case.case_id}/second-review", verdict="agree")).status_code == 409


async def test_a_screen_that_is_stale_says_so(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        digest = await visitor.digest(case.case_id)
        status = f"/cases/{case.case_id}/status?digest={digest}"
        assert 'role="alert"' not in (await visitor.get(status)).text
        await other.decide(case.case_id, "no_refund")
        assert "demo-reviewer-2 said send back at" in (await visitor.get(status)).text
        await desk.stage.run(case)
        assert "another proposal than the one on this screen" in (await visitor.get(status)).text


async def test_a_letter_says_amounts_in_the_language_of_the_customer_and_the_desk_in_that_of_who_reads(
    desk: DeskStage,
    tmp_path: Path,
) -> None:
    book = tmp_path / "customers.jsonl"
    book.write_text('{"customer_id": "C100", "email": "c100@shop.example", "language": "de"}')
    await import_customer_book(desk.stage.url, TenantId("demo"), book)
    case, state = await desk.stage.paused()
    assert "79,00 $ gehen auf Ihr ursprüngliches Zahlungsmittel zurück." in str(state["draft"])
    async with desk.visit() as visitor:
        for asked, shown in (("", "$79.00"), ("de-DE,de;q=0.9,en;q=0.5", "79,00 $"), ("xx", "$79.00")):
            page = (await visitor.get(f"/cases/{case.case_id}", headers={"accept-language": asked})).text
            assert f'<span class="amount">{shown}</span></h1>' in page
            assert (
                f"{shown} to card …4242, once." in page or f"erstattet einmal {shown} an card …4242." in page
            )
        await visitor.decide(case.case_id, "approve")
    await desk.stage.finish()
    await desk.answer_customer(case.case_id)
    [text] = desk.sent()
    said = BytesParser(policy=default).parsebytes(text.encode()).get_content()
    assert "79,00 $ auf Ihr ursprüngliches Zahlungsmittel zurückgegeben" in said
    assert said.startswith("Guten Tag,") and said.rstrip().endswith("Ihr Kundendienst")
