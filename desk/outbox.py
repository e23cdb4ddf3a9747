"""The outbox: write the reply that a case calls for, once, and send what has not gone out."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from desk.channels import Channel, NotSent
from desk.follow_ups import FollowUps, is_follow_up
from desk.letters import Letter, letter
from desk.ratings import RATED
from policies.languages import DEFAULT
from policies.letter_templates import templates
from records.books import Books, Transaction
from records.cases import Case, case_by_id
from records.customers import lost_replies
from records.queue import enqueue_desk
from records.replies import (
    CustomerReply,
    Recipient,
    note_delivery,
    recipient_of,
    replies_of,
    round_of,
    write_reply,
)
from records.snapshots import snapshot_at
from records.states import left_now
from records.takeovers import takeovers_of
from refunds.canonical import sha256
from refunds.ids import CaseId, TenantId

TRIES = 10
"""After so many a reply waits for a person to replay it; the pauses between them double from half a minute."""

MOST = 500

DAYS = 2
"""After so many a case that never got its reply is not answered any more by itself."""

log = logging.getLogger("countersign.desk")


class ReplyNotSent(Exception):
    """A reply did not go out; it is tried again, and stands among the dead jobs until then."""


@dataclass(frozen=True)
class Outbox:
    """Replies in the books and the channel they leave by."""

    books: Books
    channel: Channel
    domain: str
    follow_ups: FollowUps
    rating_link: Callable[[TenantId, CaseId], str] | None = None
    """Where a customer says how it was; None where nobody outside can reach this house."""

    async def answer(self, tenant: TenantId, case_id: CaseId) -> None:
        """Write what the case calls for now and send everything of it that has not gone out. Raises ReplyNotSent."""
        async with self.books.transaction(tenant) as tx:
            case = await case_by_id(tx, case_id)
            if case is None:
                return
            if case.mode != "production":
                return  # nothing of it leaves the house
            recipient = await recipient_of(tx, case.customer_id)
            says = templates(case.tenant, recipient.language or DEFAULT)
            subject = says.says("subject", ticket=case.ticket_id)
            due = await self._due(tx, case, recipient)
            if due is not None and recipient.address is not None:
                await self._write(tx, case, recipient, due)
            elif due is not None:
                log.info("no address for the reply to case %s: it is listed in operations", case_id)
            unsent = [reply for reply in await replies_of(tx, case_id) if reply.delivered_at is None]
        failures = [
            failure
            for reply in unsent
            if (failure := await self._send(case, reply, recipient.address, subject))
        ]
        await self.follow_ups.open(
            case
        )  # whether the letter went out or not: what is left is a case of its own
        if failures:
            raise ReplyNotSent(f"case {case_id}: {'; '.join(failures)}")

    async def sweep(self) -> int:
        """Enqueue what calls for a reply and has none, and what is to be tried again; how many."""
        enqueued = 0
        for tenant in await self.books.tenants():
            async with self.books.transaction(tenant) as tx:
                for row in await lost_replies(tx, tries=TRIES, most=MOST, days=DAYS):
                    await enqueue_desk(tx, tenant, CaseId(row["case_id"]))
                    enqueued += 1
        return enqueued

    async def _due(self, tx: Transaction, case: Case, recipient: Recipient) -> Letter | None:
        """What the case calls for where it stands."""
        snapshot = await snapshot_at(tx, case.case_id)
        taken = await takeovers_of(tx, case.case_id)
        by_person = [row["reply"] for row in taken if row["act"] == "reply"]
        reply = by_person[-1] if by_person else None
        left = () if taken or is_follow_up(case) else left_now(case, snapshot)
        says = templates(case.tenant, recipient.language or DEFAULT)
        return letter(
            snapshot.state,
            snapshot.current,
            reply,
            says,
            name=recipient.name,
            left=left,
            amounts_in=recipient.language,
        )

    async def _write(self, tx: Transaction, case: Case, recipient: Recipient, due: Letter) -> None:
        round_ = await round_of(tx, case.case_id, due.outcome)
        again = f".{round_}" if round_ > 1 else ""
        name = f"{case.case_id}.{due.outcome}{again}@{self.domain}"
        says = templates(case.tenant, recipient.language or DEFAULT)
        body = due.body
        if self.rating_link is not None and due.outcome in RATED:
            link = self.rating_link(case.tenant, case.case_id)
            body = f"{body}\n\n{says.says('rating', link=link)}"
        await write_reply(tx, case.case_id, due.outcome, round_, name, recipient.address or "", body)

    async def _send(
        self, case: Case, reply: CustomerReply, recipient: str | None, subject: str
    ) -> str | None:
        """Send one reply; why not, where it did not go."""
        failure = None
        if recipient is None or sha256(recipient) != reply.recipient_sha256:
            failure = "the address of the customer is another one since the reply was written"
        else:
            try:
                await self.channel.send(reply.message_id, recipient, reply.body, subject)
            except NotSent as error:
                failure = str(error)
        async with self.books.transaction(case.tenant) as tx:
            await note_delivery(
                tx,
                case.case_id,
                reply,
                self.channel.name,
                delivered=failure is None,
                detail=failure or "",
            )
        return failure
