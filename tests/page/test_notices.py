"""People are told of a case, once a reason, at least once each; the links show and do nothing."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from typing import Any, Literal

import pytest
from aiosmtpd.controller import Controller
from desk_kit import SECRET, DeskStage
from pydantic import SecretStr
from running import free_port

from desk.channels import SmtpChannel
from desk.notices import TRIES, NoticeNotSent, Notices
from desk.outbox import Outbox
from desk.webhooks import TOLERANCE_SECONDS, Webhook, genuine
from refunds.ids import CaseId, TenantId

DEMO = TenantId("demo")
HOOK_SECRET = "shared with the receiver"


@dataclass
class Mailbox:
    """A real SMTP server's other side."""

    letters: list[bytes] = field(default_factory=list)
    refuses: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        del server, session
        if self.refuses:
            self.refuses -= 1
            return "451 not now"
        self.letters.append(envelope.original_content)
        return "250 taken"


@dataclass
class Receiver:
    """A real HTTP receiver that fails, hangs and takes the same twice."""

    port: int = 0
    behaviour: list[Literal["take", "fail", "hang", "take_and_hang", "garbage"]] = field(default_factory=list)
    taken: list[tuple[dict[str, str], str]] = field(default_factory=list)
    handling: list[asyncio.Task[Any]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.handling.append(task)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value for name, value in re.findall(r"^([\w-]+): (.*?)\r$", head, re.MULTILINE)
        }
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        now = self.behaviour.pop(0) if self.behaviour else "take"
        if now in {"take", "take_and_hang"}:
            self.taken.append((headers, body))
        if now in {"hang", "take_and_hang"}:
            await reader.read()  # until the sender has given up and hung up
        said = {"fail": b"HTTP/1.1 500 no\r\n", "garbage": b"what?\r\n"}.get(now, b"HTTP/1.1 204 ok\r\n")
        writer.write(said + b"content-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def listening(receiver: Receiver) -> AsyncIterator[Webhook]:
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield Webhook(f"http://127.0.0.1:{receiver.port}/hook", SecretStr(HOOK_SECRET), seconds=0.4)
    server.close()
    await asyncio.gather(*receiver.handling)
    await server.wait_closed()


def notices(desk: DeskStage, webhook: Webhook | None = None, channel: SmtpChannel | None = None) -> Notices:
    return Notices(desk.stage.house.desk_books, channel, webhook, "shop.example", "http://desk")


async def deliver(desk: DeskStage, told: Notices) -> int:
    """What the job queue does: every notice that was written, once; how many did not reach everybody."""
    await told.sweep()
    failed = 0
    for row in await desk.stage.sql("select notice_id from books.notices order by at"):
        try:
            await told.send(DEMO, row["notice_id"])
        except NoticeNotSent:
            failed += 1
    return failed


async def test_a_webhook_is_signed_and_names_its_case_and_no_words(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    receiver = Receiver()
    async with listening(receiver) as webhook:
        assert await deliver(desk, notices(desk, webhook)) == 0
    [(headers, body)] = receiver.taken
    said = json.loads(body)
    assert (said["kind"], said["case_id"], said["amount_minor"], said["link"]) == (
        "new",
        str(case.case_id),
        7_900,
        f"http://desk/cases/{case.case_id}",
    )
    assert "cracked" not in body and "C100" not in body
    stamp, given = headers["countersign-timestamp"], headers["countersign-signature"]
    assert genuine(HOOK_SECRET, stamp, body, given, time.time())
    assert not genuine("another secret", stamp, body, given, time.time())
    assert not genuine(HOOK_SECRET, stamp, body.replace("7900", "1"), given, time.time())
    assert not genuine(HOOK_SECRET, stamp, body, given, time.time() + TOLERANCE_SECONDS + 2)
    assert not genuine(HOOK_SECRET, str(int(stamp) + 1), body, given, time.time())


async def test_a_receiver_that_fails_hangs_and_repeats_is_told_at_least_once(desk: DeskStage) -> None:
    await desk.stage.paused()
    receiver = Receiver(behaviour=["fail", "hang", "garbage", "take_and_hang", "take"])
    async with listening(receiver) as webhook:
        told = notices(desk, webhook)
        assert [await deliver(desk, told) for _ in range(6)] == [1, 1, 1, 1, 0, 0]
    assert len(receiver.taken) == 2
    assert len({headers["countersign-notice"] for headers, _ in receiver.taken}) == 1
    tries = await desk.stage.sql("select attempt, delivered, detail from books.notice_tries order by attempt")
    assert [row["delivered"] for row in tries] == [False, False, False, False, True]
    assert tries[0]["detail"] == "webhook: HTTP 500"


async def test_a_receiver_that_never_answers_ends_where_operators_see_it(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    nobody = Webhook("http://127.0.0.1:9/hook", SecretStr(HOOK_SECRET), seconds=0.4)
    told = notices(desk, nobody)
    for _ in range(TRIES):
        assert await deliver(desk, told) == 1
    assert await deliver(desk, told) == 0
    await desk.stage.move_clock(hours=30)
    assert await told.sweep() == 0
    async with desk.visit("demo-operator") as operator:
        page = (await operator.get("/ops")).text
        assert "Notices that reached nobody" in page and str(case.case_id) in page and "ConnectError" in page


async def test_what_was_not_sent_is_enqueued_again_after_a_pause(desk: DeskStage) -> None:
    await desk.stage.paused()
    nobody = Webhook("http://127.0.0.1:9/hook", SecretStr(HOOK_SECRET), seconds=0.4)
    told = notices(desk, nobody)
    await deliver(desk, told)
    await desk.stage.forced("delete from jobs.procrastinate_jobs")
    assert await told.sweep() == 0
    await desk.stage.move_clock(seconds=11)
    assert [await told.sweep(), await told.sweep()] == [1, 0]  # while a job is about it no other is


async def test_each_kind_falls_due_once(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(
        customer_id="C103", order_id="D303", question="My camera is defective. Refund, please."
    )
    told = notices(desk, Webhook("http://127.0.0.1:9", SecretStr("x")))
    kinds: list[str] = []

    async def due() -> None:
        for _ in range(2):
            await told.sweep()
        kinds[:] = [
            row["kind"]
            for row in await desk.stage.sql("select kind::text from books.notices order by at, kind")
        ]

    await due()
    assert kinds == ["new"]
    await desk.decide(case.case_id, "demo-reviewer")
    await due()
    assert kinds == ["new", "second_approval"]
    await desk.stage.move_clock(hours=55)
    await due()
    assert kinds == ["new", "second_approval", "expiring"]
    await desk.decide(case.case_id, "demo-specialist")
    await desk.stage.run(case)
    desk.stage.house.provider.misbehave("drop_before")
    await desk.stage.house.executor.settle_all()
    await desk.stage.move_clock(seconds=40)
    await due()
    assert kinds == ["new", "second_approval", "expiring", "unknown_outcome"]


async def test_whom_nobody_can_tell_is_not_tried_for_ever(desk: DeskStage) -> None:
    """A channel is there and nobody has an address."""
    await desk.stage.paused()
    told = notices(desk, channel=SmtpChannel("127.0.0.1", 9, "desk@shop.example"))
    assert await deliver(desk, told) == 0
    await desk.stage.forced("delete from jobs.procrastinate_jobs")
    await desk.stage.move_clock(minutes=5)
    assert await told.sweep() == 0


async def test_a_refund_that_failed_is_told(desk: DeskStage) -> None:
    """Though the proposal that it failed for was told of before."""
    told = notices(desk, Webhook("http://127.0.0.1:9", SecretStr("x")))
    case, _ = await desk.stage.paused()
    await told.sweep()
    await desk.decide(case.case_id)
    desk.stage.house.provider.misbehave("declined")
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refund_failed"
    await told.sweep()
    rows = await desk.stage.sql("select kind::text from books.notices")
    assert [row["kind"] for row in rows] == ["new", "new"]


async def test_nobody_is_told_where_nobody_wants_it(desk: DeskStage) -> None:
    await desk.stage.paused()
    assert await notices(desk).sweep() == 0
    assert await desk.stage.count("notices") == 0


async def test_people_are_told_by_mail_each_at_their_own_address(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.stage.sql(
        "update books.people set email = person || '@shop.example' where person in ('demo-reviewer', 'demo-specialist', 'demo-auditor')"
    )
    mailbox = Mailbox(refuses=1)
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        told = notices(desk, channel=SmtpChannel("127.0.0.1", port, "desk@shop.example"))
        assert [await deliver(desk, told) for _ in range(3)] == [1, 0, 0]
    finally:
        controller.stop()
    mails = [message_from_bytes(letter) for letter in mailbox.letters]
    assert sorted(mail["To"] for mail in mails) == [
        "demo-reviewer@shop.example",
        "demo-specialist@shop.example",
    ]
    assert len({mail["Message-ID"] for mail in mails}) == 2
    mail = mails[0]
    assert mail["Subject"] == "A case waits for a person"
    text = str(mail.get_payload())
    assert f"http://desk/cases/{case.case_id}" in text and "79.00 USD" in text and "cracked" not in text


async def test_opening_a_link_decides_nothing(desk: DeskStage) -> None:
    """A mail scanner opens every address that it finds, with and without the session of its reader."""
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.client(None) as scanner:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        for address in {
            f"/cases/{case.case_id}",
            *re.findall(r'(?:href|action|hx-post|hx-get)="(/[^"]*)"', page),
        } - {"/live"}:
            for who in (visitor.client, scanner):
                for method in ("GET", "HEAD", "OPTIONS"):
                    assert (await who.request(method, address.replace("&amp;", "&"))).status_code < 500
    for table in ("votes", "claims", "assignments", "takeovers", "messages"):
        assert await desk.stage.count(table) == 0, table


async def test_the_customers_thumb_is_written_by_the_form_and_once(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id)
    await desk.stage.finish()
    ratings = desk.services.ratings
    outbox = replace(desk.services.outbox, rating_link=ratings.link)
    await outbox.answer(DEMO, CaseId(case.case_id))
    [letter] = [
        text for text in desk.sent() if "How was this?" in text.replace("=\r\n", "").replace("=\n", "")
    ]
    link = ratings.link(DEMO, case.case_id).removeprefix("http://desk")
    assert link.split(".")[0][-20:] in letter.replace("=\r\n", "").replace("=\n", "")
    async with desk.client(None) as customer:
        for _ in range(3):
            assert "How was this?" in (await customer.get(link)).text
        assert await desk.stage.count("ratings") == 0
        assert (await customer.post(link, data={"thumb": "sideways"})).status_code == 422
        assert (
            "has reached us"
            in (await customer.post(link, data={"thumb": "down", "word": "<b>slow</b>"})).text
        )
        assert "it stands" in (await customer.post(link, data={"thumb": "up"})).text
        for bad in (
            link[:-6] + ("A" if link[-6] != "A" else "B") + link[-5:],
            "/rate/x",
            "/rate/" + "a" * 500,
        ):
            assert (await customer.get(bad)).status_code == 404
            assert (await customer.post(bad, data={"thumb": "up"})).status_code == 404
    [row] = await desk.stage.sql("select thumb::text, word from books.ratings")
    assert row == {"thumb": "down", "word": "<b>slow</b>"}
    async with desk.visit("demo-operator") as operator:
        page = (await operator.get("/ops")).text
        assert "thumbs down" in page and "&lt;b&gt;slow&lt;/b&gt;" in page


def test_the_secret_of_a_link_is_needed(desk: DeskStage) -> None:
    from desk.ratings import NoSuchLink, Ratings

    theirs = Ratings(desk.stage.house.desk_books, SECRET + "x", "http://desk").link(
        DEMO, CaseId(__import__("uuid").uuid4())
    )
    with pytest.raises(NoSuchLink):
        desk.services.ratings.read(theirs.rsplit("/", 1)[1])


async def test_the_outbox_asks_for_no_thumb_where_nobody_can_reach_the_house(desk: DeskStage) -> None:
    assert isinstance(desk.services.outbox, Outbox)
    case, _ = await desk.stage.paused()
    await desk.decide(case.case_id, word="reject", code="other")
    await desk.stage.finish()
    await desk.answer_customer(case.case_id)
    assert "How was this?" not in desk.sent()[0]
