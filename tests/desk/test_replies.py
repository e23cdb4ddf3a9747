"""Replies: one a case and outcome, after the outcome is true, at least once, under a message id that stays."""

import asyncio
import email
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from desk_kit import DeskStage, DeskStages
from running import free_port
from stage import QUESTION, Stage

from app.imports import import_customer_book
from desk.channels import FileChannel, NotSent, SmtpChannel, message
from desk.outbox import ReplyNotSent
from refunds.canonical import sha256
from refunds.ids import TenantId


@dataclass
class Fickle:
    """A channel that fails so many times first, also after it has taken the reply."""

    failures: int = 0
    after_taking: bool = False
    taken: list[tuple[str, str, str]] = field(default_factory=list)
    name: str = "fickle"

    async def send(self, message_id: str, recipient: str, body: str, subject: str = "") -> None:
        assert subject or body
        fails = self.failures > 0
        self.failures -= fails
        if fails and not self.after_taking:
            raise NotSent("not now")
        self.taken.append((message_id, recipient, body))
        if fails:
            raise NotSent("taken, and the answer was lost")


async def test_nothing_is_told_before_the_outcome_is_true(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.answer_customer(case.case_id)
    await desk.decide(case.case_id)
    await desk.answer_customer(case.case_id)
    await desk.stage.run(case)
    assert await desk.status(case.case_id) == "refund_pending"
    await desk.answer_customer(case.case_id)
    assert desk.sent() == []
    await desk.stage.finish()
    await desk.answer_customer(case.case_id)
    [text] = desk.sent()
    [refund] = desk.stage.house.provider.all_refunds()
    assert "We returned $79.00" in text.replace("=\n", "")
    assert refund.refund_id not in text, "an id of the provider is no business of the customer"
    assert f"Subject: Your request {case.ticket_id}" in text
    assert "return-policy" not in text and not re.search(r"\d{4}-\d{2}-\d{2}", text.partition("\n\n")[2])


async def text_of(desk: DeskStage, case_id: object) -> str:
    await desk.answer_customer(case_id)
    [reply] = (await desk.view(case_id))["replies"]
    return str(reply["body"])


async def test_each_end_has_its_own_words(desk: DeskStage) -> None:
    replied, _ = await desk.stage.paused(question=QUESTION, intent="policy_question")
    await desk.decide(replied.case_id)
    rejected, _ = await desk.stage.paused()
    await desk.decide(rejected.case_id, word="reject", code="outside_window", note="internal: looks odd")
    failed = await desk.stage.approved(
        customer_id="C101", order_id="D301", question="My headphones arrived broken, refund please"
    )
    desk.stage.house.provider.misbehave("declined")
    await desk.stage.finish()
    expired, _ = await desk.stage.paused(customer_id="C100", order_id="D300")
    await desk.stage.move_clock(hours=24 * 30)
    await desk.stage.finish()
    bypassed = await desk.stage.submit(question="I call my lawyer", intent=None)
    await desk.stage.run(bypassed)
    assert "Our policy says" in await text_of(desk, replied.case_id)
    told = await text_of(desk, rejected.case_id)
    assert "has passed" in told
    assert "internal" not in told
    failure = await text_of(desk, failed.case_id)
    assert "could not be made" in failure
    assert "goes back" not in failure
    assert "in time" in await text_of(desk, expired.case_id)
    assert "a person will read it" in await text_of(desk, bypassed.case_id)


async def test_a_hand_over_tells_the_customer_that_a_person_has_it(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(order_id="D999")
    assert "a person will read it" in await text_of(desk, case.case_id)


async def test_one_reply_a_case_and_outcome(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id, word="reject", code="other")
    await desk.stage.finish()
    for _ in range(4):
        await desk.answer_customer(case.case_id)
    assert await desk.stage.count("replies") == 1
    assert await desk.stage.count("deliveries") == 1
    assert len(desk.sent()) == 1


@pytest.mark.parametrize("after_taking", [False, True])
async def test_it_is_sent_at_least_once_under_one_message_id(
    desk_on: DeskStages, after_taking: bool, stage: Stage
) -> None:
    channel = Fickle(failures=3, after_taking=after_taking)
    async with desk_on(channel) as desk:
        case, _ = await stage.paused()
        await desk.decide(case.case_id, word="reject", code="other")
        await stage.finish()
        for _ in range(3):
            with pytest.raises(ReplyNotSent):
                await desk.answer_customer(case.case_id)
        await desk.answer_customer(case.case_id)
        await desk.answer_customer(case.case_id)
        assert len(channel.taken) == (4 if after_taking else 1)
        assert len({taken[0] for taken in channel.taken}) == 1
        [reply] = (await desk.view(case.case_id))["replies"]
        assert (reply["attempts"], reply["delivered_at"] is not None) == (4, True)


async def test_recipient_and_text_are_in_the_audit_as_hashes_only(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id, word="reject", code="other")
    await desk.stage.finish()
    await desk.answer_customer(case.case_id)
    [row] = await desk.stage.sql("select recipient_sha256, body_sha256, body from books.replies")
    assert row["recipient_sha256"] == sha256("c100@demo.example")
    assert row["body_sha256"] == sha256(row["body"])
    [event] = await desk.stage.sql("select * from books.audit_events where subject = 'replies'")
    assert "c100" not in str(event)
    assert "Hello" not in str(event)
    [sent] = await desk.stage.sql("select to_jsonb(d)::text as said from books.deliveries d")
    assert "c100" not in sent["said"]


async def test_to_a_changed_address_nothing_is_sent(desk_on: DeskStages, stage: Stage) -> None:
    channel = Fickle(failures=1)
    async with desk_on(channel) as desk:
        case, _ = await stage.paused()
        await desk.decide(case.case_id, word="reject", code="other")
        await stage.finish()
        with pytest.raises(ReplyNotSent):
            await desk.answer_customer(case.case_id)
        await stage.sql("update books.customers set email = 'evil@evil.example' where customer_id = 'C100'")
        with pytest.raises(ReplyNotSent):
            await desk.answer_customer(case.case_id)
        assert channel.taken == []


async def test_without_an_address_in_the_books_nothing_is_written_or_sent(
    desk_on: DeskStages, stage: Stage
) -> None:
    """A customer id that looks like an address is none. It is no failure that is tried for ever: a person sees it."""
    channel = Fickle()
    async with desk_on(channel) as desk:
        for customer in ("victim@example.com,second@example.org", "<x@y.z>", "a:b@x.com;", "C999"):
            case = await stage.submit(customer_id=customer, question="I call my lawyer", intent=None)
            await stage.run(case)
            await desk.answer_customer(case.case_id)
        assert channel.taken == []
        assert await stage.count("replies") == 0
        await stage.move_clock(minutes=1)
        assert await desk.services.outbox.sweep() == 0


async def test_what_the_sweep_finds_is_what_was_lost(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id, word="reject", code="other")
    await desk.stage.finish()
    assert await desk.services.outbox.sweep() == 0
    await desk.stage.sql("truncate jobs.procrastinate_jobs cascade")
    await desk.stage.move_clock(minutes=1)
    assert await desk.services.outbox.sweep() == 1
    await desk.answer_customer(case.case_id)
    await desk.stage.move_clock(minutes=10)
    assert await desk.services.outbox.sweep() == 0


class Inbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.recipients: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        del server, session
        self.mails.append(email.message_from_bytes(envelope.content))
        self.recipients += envelope.rcpt_tos
        return "250 taken"


@contextmanager
def mail_server(inbox: Inbox) -> Iterator[int]:
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield int(controller.port)
    finally:
        controller.stop()


async def test_a_real_mail_server_takes_it(desk_on: DeskStages, stage: Stage) -> None:
    inbox = Inbox()
    with mail_server(inbox) as port:
        async with desk_on(SmtpChannel("127.0.0.1", port, "support@shop.example")) as desk:
            case, _ = await stage.paused()
            await desk.decide(case.case_id, word="reject", code="other")
            await stage.finish()
            await desk.answer_customer(case.case_id)
    [mail] = inbox.mails
    assert inbox.recipients == ["c100@demo.example"]
    assert mail["Message-ID"] == f"<{case.case_id}.rejected@shop.example>"
    assert mail["From"] == "support@shop.example"


async def test_a_mail_server_that_is_away_is_a_try_that_failed(desk_on: DeskStages, stage: Stage) -> None:
    async with desk_on(SmtpChannel("127.0.0.1", free_port(), "support@shop.example")) as desk:
        case, _ = await stage.paused()
        await desk.decide(case.case_id, word="reject", code="other")
        await stage.finish()
        with pytest.raises(ReplyNotSent):
            await desk.answer_customer(case.case_id)
        [row] = await stage.sql("select delivered, detail from books.deliveries")
        assert (row["delivered"], row["detail"].split()[0]) == (False, "ConnectionRefusedError")


def test_nothing_in_a_text_becomes_a_header() -> None:
    body = "Bcc: evil@evil.example\r\nSubject: you won\r\n\r\n.\r\nQUIT"
    mail = message("m@x", "a@b.example", "c@d.example", body, "Your request")
    parsed = email.message_from_bytes(mail.as_bytes())
    assert parsed["Bcc"] is None
    assert parsed.get_all("Subject") == ["Your request"]
    for bad in ("c@d.example\r\nBcc: evil@evil.example", "c@d.example\nX: y"):
        with pytest.raises(ValueError, match=r"linefeed|newline|carriage"):
            message("m@x", "a@b.example", bad, "hello", "Your request")
    assert isinstance(mail, EmailMessage)


def test_the_same_message_again_is_the_same_file(tmp_path: Path) -> None:
    channel = FileChannel(tmp_path, "a@b.example")
    for _ in range(2):
        asyncio.run(channel.send("m@x", "c@d.example", "hello"))
    assert [file.name for file in tmp_path.iterdir()] == ["m@x.eml"]


async def test_an_address_that_comes_later_lets_the_reply_out(desk: DeskStage, tmp_path: Path) -> None:
    """Until then the case is one line in operations, and hides nothing behind it."""
    stage = desk.stage
    case = await stage.submit(customer_id="C999", question="I call my lawyer", intent=None)
    await stage.run(case)
    await desk.answer_customer(case.case_id)
    await stage.move_clock(days=3)
    async with desk.visit("demo-operator") as visitor:
        assert "Customers whom no reply reaches" in (await visitor.get("/ops")).text
    file = tmp_path / "customers.jsonl"
    lines = [
        {"customer_id": "C999", "email": "c999@demo.example", "name": "Jo Doe", "language": "en"},
        {"customer_id": "C998", "email": "no address"}, {"customer_id": "C999"}, {"customer_id": "C100", "name": "Al Roe"},
        {"customer_id": "C997", "email": "a\x00@b.example"}, {"customer_id": "C996", "address": "x\ud800"},
    ]  # fmt: skip
    file.write_text("\n".join(json.dumps(line) for line in lines))
    done = await import_customer_book(stage.url, TenantId("demo"), file)
    assert (done.read, done.written, done.answered, sorted(done.bad)) == (6, 2, 1, [2, 3, 5, 6])
    await desk.answer_customer(case.case_id)
    assert len(desk.sent()) == 1 and "c999@demo.example" in desk.sent()[0]
    async with desk.visit("demo-operator") as visitor:
        assert "Customers whom no reply reaches" not in (await visitor.get("/ops")).text
    rows = await stage.sql("select email, name from books.customers where customer_id = 'C100'")
    assert (rows[0]["email"], rows[0]["name"]) == ("c100@demo.example", "Al Roe")
