"""One thread a case: who wrote, asked, answered, noted, voted and sent what, in its order; and who looks at it now."""

import re
from pathlib import Path

import pytest
from desk_kit import DeskStage

from desk.case_notes import mentioned
from desk.notices import Notices
from desk.plain_words import reason_word
from refunds.ids import TenantId


async def test_everything_stands_in_one_thread_in_its_order(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        await visitor.decide(case.case_id, "ask", asks="customer", note="Was the parcel damaged, too?")
        await desk.stage.finish()
        await desk.answer_customer(case.case_id)
        answer = {"text": "Yes, the parcel was torn.", "author": "customer"}
        await desk.ask("POST", f"/api/cases/{case.case_id}/messages", answer, "demo-helpdesk")
        await desk.stage.finish()
        await other.post(
            f"/cases/{case.case_id}/note", note="Their third one. @demo-specialist, have a look?"
        )
        await visitor.decide(case.case_id, "approve", note="as the policy says")
        await desk.stage.finish()
        await desk.answer_customer(case.case_id)
        page = re.sub(r"</?mark[^>]*>", "", (await visitor.get(f"/cases/{case.case_id}")).text)
    thread = page[page.index('<ol class="timeline">') :]
    said = [
        "My tablet arrived cracked. I want a refund, please.",
        "Was the parcel damaged, too?",
        "Yes, the parcel was torn.",
        "Their third one. @demo-specialist, have a look?",
        "as the policy says",
        "We returned $79.00 to your original payment method",
    ]
    places = [thread.index(words) for words in said]
    assert places == sorted(places)
    for what in ("asked the customer", "noted for colleagues", "approved", "told the customer: refunded"):
        assert what in thread, what


async def test_a_note_tells_whom_it_names_and_nobody_else(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    books = desk.stage.house.desk_books
    await desk.stage.sql("update books.people set email = person || '@shop.example'")
    async with desk.visit() as visitor:
        empty = await visitor.post(f"/cases/{case.case_id}/note", note="  ")
        assert (empty.status_code, "note: empty" in empty.text) == (422, True)
        await visitor.post(
            f"/cases/{case.case_id}/note", note="Ask @demo-specialist, not @nobody or a@b.example."
        )
    [note] = await desk.stage.sql("select * from books.case_notes")
    assert (note["person"], note["mentions"]) == ("demo-reviewer", ["demo-specialist"])
    channel = desk.services.outbox.channel
    notices = Notices(books, channel, None, "shop.example", "http://desk")
    await notices.sweep()
    [told] = await desk.stage.sql("select notice_id from books.notices where kind = 'mentioned'")
    await notices.send(TenantId("demo"), told["notice_id"])
    [mail] = [text for text in desk.sent() if "names you in a note" in text]
    assert "To: demo-specialist@shop.example" in mail and case.ticket_id in mail
    assert "Ask @demo" not in mail, "what colleagues write stays in the house"
    async with desk.visit("demo-specialist") as specialist:
        assert "Ask @demo-specialist" in (await specialist.get("/mine")).text
    async with desk.visit("demo-reviewer-2") as other:
        assert "Ask @demo-specialist" not in (await other.get("/mine")).text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@ann and @bob.", ["ann", "bob"]),
        ("ann@bob mail", []),
        ("@ann, @ann!", ["ann"]),
        ("@carl is unknown", []),
        ("@@ann", []),
    ],
)
def test_who_is_named(text: str, found: list[str]) -> None:
    assert mentioned(text, {"ann", "bob"}) == found


async def test_who_looks_at_a_case_is_told_to_who_else_does(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        first = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "looks at it now" not in first
        assert "demo-reviewer looks at it now" in (await other.get(f"/cases/{case.case_id}")).text
        status = f"/cases/{case.case_id}/status"
        assert "demo-reviewer-2 looks at it now" in (await visitor.get(status)).text
        await desk.stage.move_clock(minutes=2)
        assert "looks at it now" not in (await visitor.get(status)).text
    assert await desk.stage.count("viewings") == 2


async def test_an_answer_to_a_case_that_has_ended_opens_another_from_its_page(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        await visitor.decide(case.case_id, "reject", code="wrong_order")
        await desk.stage.finish()
        said = "I mean my order D300, the tablet."
        answer = await visitor.post(f"/cases/{case.case_id}/message", author="customer", text=said)
        at = answer.headers["hx-redirect"]
        assert at.startswith("/cases/") and str(case.case_id) not in at
        assert "I mean my order D300" in re.sub(r"</?mark[^>]*>", "", (await visitor.get(at)).text)


async def test_what_stands_out_of_a_customers_year_is_shown_and_decides_nothing(desk: DeskStage) -> None:
    await desk.stage.sql(
        "insert into books.customers (tenant, customer_id, name, address, email) values"
        " ('demo', 'T1', 'Ann Doe', '1 High Street', 'ann@shop.example'), ('demo', 'T2', 'Bob Doe', '1 high street', null)"
        " on conflict do nothing"
    )
    await desk.stage.sql(
        "update books.customers set name = 'Cy Doe', address = '1 High Street' where customer_id = 'C100'"
    )
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "2 other customers have the same address" in page
        assert "Cy Doe" in page and "The customer, in a year" in page
        assert (await visitor.decide(case.case_id, "approve")).status_code == 200
        await desk.stage.finish()
        again, _ = await desk.stage.paused(ticket_id="again", question="It arrived cracked. Refund, please.")
        page = (await visitor.get(f"/cases/{again.case_id}")).text
        assert "Other cases of this order" in page and case.ticket_id in page


async def test_the_paper_shows_what_was_on_the_screen_then(desk: DeskStage) -> None:
    """The checks are looked at anew whenever a case is opened; on paper they stand as who decided saw them."""
    case, _ = await desk.stage.paused(
        customer_id="C103", order_id="D303", question="My camera is defective. Refund, please."
    )
    async with desk.visit() as visitor, desk.visit("demo-specialist") as specialist:
        await visitor.decide(case.case_id, "approve")
        await desk.ask(
            "POST",
            "/api/flags/kill_switch",
            {"on": True, "reason": "a drill", "tenant": "demo"},
            "demo-operator",
        )
        await specialist.decide(case.case_id, "approve")
    async with desk.visit("demo-auditor") as auditor:
        paper = (await auditor.get(f"/audit/cases/{case.case_id}")).text
    first, second = paper.split("Checks as demo-specialist saw them")
    assert "Checks as demo-reviewer saw them" in first
    assert "✓ Kill switch: off" in first and "✗ Kill switch: on: nothing is paid" in second
    assert "$2,399.00" in paper[: paper.index("Asked")]
    approved_by = paper[paper.index("approved by") : paper.index("came of it")]
    assert "demo-reviewer (reviewer" in approved_by and "demo-specialist (specialist" in approved_by


async def test_a_word_through_a_program_has_no_screen(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id)
    assert await desk.stage.count("seen_checks") == 0
    async with desk.visit("demo-auditor") as auditor:
        assert (
            "Nobody has decided this case on the screen"
            in (await auditor.get(f"/audit/cases/{case.case_id}")).text
        )


def test_a_planners_free_words_stand_in_no_heading() -> None:
    assert reason_word("no_approved_evidence") == "no clause found"
    assert reason_word("REFUND APPROVED BY THE MANAGER") == "the agent asks for a person"
    templates = Path(__file__).parents[2] / "desk" / "pages" / "templates"
    for name in ("_status.html", "_strip.html", "_rows.html"):
        text = (templates / name).read_text(encoding="utf-8")
        assert "reason|because" in text and "reason|plain" not in text, name
    headings = re.findall(r"<h[12][^>]*>.*?</h[12]>", (templates / "case.html").read_text(encoding="utf-8"))
    assert headings and not [one for one in headings if "reason|plain" in one]
