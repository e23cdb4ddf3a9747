"""Notices: people are told that a case is new, runs out of time, needs a second approval, or has an unknown outcome.

Each is written down once, sent by a job, and tried again after a pause that doubles. It says ids, an amount and a time,
never a customer's words; its link shows a page and does nothing.
"""

import logging
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from desk.channels import Channel, NotSent
from desk.inquiries import UNKNOWN_SECONDS
from desk.webhooks import Webhook
from policies.deadlines import WARN_SHARE
from records.books import Books, Row, Transaction
from records.queue import enqueue_idle_notices, enqueue_notice
from refunds.canonical import sha256
from refunds.ids import TenantId
from refunds.money import Currency, Money
from refunds.vocabulary import Notice, Role

log = logging.getLogger("countersign.desk")

TRIES = 8
"""The pauses between them double from ten seconds; after the last a notice stands in operations."""

MOST = 500

_HEADS: dict[Notice, str] = {
    "new": "A case waits for a person",
    "expiring": "The time to decide is running out",
    "second_approval": "A second approval is needed",
    "unknown_outcome": "The outcome of a refund is not known",
    "rolled_back": "A release was rolled back by itself",
    "mentioned": "A colleague names you in a note",
}
_WHO: dict[Notice, list[Role]] = {
    "new": ["reviewer", "specialist"],
    "expiring": ["reviewer", "specialist"],
    "second_approval": ["reviewer", "specialist"],
    "unknown_outcome": ["specialist", "operator"],
    "rolled_back": ["operator"],
    "mentioned": [],
}
"""Who is told, by role; a note tells those whom it names."""


class NoticeNotSent(Exception):
    """A notice did not reach everybody; it is tried again, and stands among the dead jobs until then."""


class Receiver(Protocol):
    """Somebody to be told, by one channel."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    async def tell(self, notice_id: str, subject: str, text: str, facts: dict[str, object]) -> None: ...


@dataclass(frozen=True, slots=True)
class Mail:
    """One person's address."""

    channel: Channel
    address: str
    domain: str

    @property
    def name(self) -> str:
        return self.channel.name

    async def tell(self, notice_id: str, subject: str, text: str, facts: dict[str, object]) -> None:
        del facts
        name = f"{notice_id}.{sha256(self.address)[:12]}.notice@{self.domain}"
        await self.channel.send(name, self.address, text, subject)


@dataclass(frozen=True, slots=True)
class Hook:
    """Another house's address."""

    webhook: Webhook

    @property
    def name(self) -> str:
        return "webhook"

    @property
    def address(self) -> str:
        return self.webhook.url

    async def tell(self, notice_id: str, subject: str, text: str, facts: dict[str, object]) -> None:
        del subject, text
        await self.webhook.post(notice_id, facts)


@dataclass(frozen=True)
class Notices:
    """The notices of the books and the ways they leave by."""

    books: Books
    channel: Channel | None
    webhook: Webhook | None
    domain: str
    public_url: str

    @property
    def wanted(self) -> bool:
        """Whether anybody is to be told at all."""
        return self.channel is not None or self.webhook is not None

    async def sweep(self) -> int:
        """Write down and enqueue what is due, and what is to be tried again; how many."""
        if not self.wanted:
            return 0
        enqueued = 0
        for tenant in await self.books.tenants():
            async with self.books.transaction(tenant) as tx:
                due = await tx.rows(
                    "notices_due", share=WARN_SHARE, unknown_seconds=UNKNOWN_SECONDS, most=MOST
                )
                for row in due:
                    written = await tx.row(
                        "insert_notice", case_id=row["case_id"], kind=row["kind"], about=row["about"]
                    )
                    if written is not None:
                        await enqueue_notice(tx, tenant, written["notice_id"])
                        enqueued += 1
                unsent = await tx.rows("notices_unsent", tries=TRIES, most=MOST)
                enqueued += await enqueue_idle_notices(tx, tenant, [row["notice_id"] for row in unsent])
        return enqueued

    async def send(self, tenant: TenantId, notice_id: UUID) -> None:
        """Tell everybody who has not been told. Raises NoticeNotSent."""
        async with self.books.transaction(tenant) as tx:
            row = await tx.row("notice", notice_id=notice_id)
            if row is None:
                return
            tried = {
                (known["receiver_sha256"], known["channel"]): known
                for known in await tx.rows("notice_tries_of", notice_id=notice_id)
            }
            receivers = await self._receivers(tx, row)
        if not receivers:
            await self._note(tenant, notice_id, "", "none", None)
            return
        failures = []
        for receiver in receivers:
            known = tried.get((sha256(receiver.address), receiver.name))
            if known is not None and (known["delivered"] or known["attempts"] >= TRIES):
                continue
            failure = await self._tell(tenant, notice_id, row, receiver)
            if failure is not None:
                failures.append(failure)
        if failures:
            raise NoticeNotSent(f"notice {notice_id}: {'; '.join(failures)[:300]}")

    async def _receivers(self, tx: Transaction, notice: Row) -> list[Receiver]:
        found: list[Receiver] = []
        if self.channel is not None:
            if notice["kind"] == "mentioned":
                seq = int(notice["about"])
                rows = await tx.rows("addresses_of_mentioned", case_id=notice["case_id"], seq=seq)
            else:
                rows = await tx.rows("addresses_of_deciders", roles=_WHO[notice["kind"]])
            found += [Mail(self.channel, row["email"], self.domain) for row in rows]
        if self.webhook is not None:
            found.append(Hook(self.webhook))
        return found

    async def _tell(self, tenant: TenantId, notice_id: UUID, row: Row, receiver: Receiver) -> str | None:
        """Tell one; why not, where they were not reached."""
        failure = None
        try:
            await receiver.tell(
                str(notice_id), _HEADS[row["kind"]], self._text(row), self._facts(tenant, row)
            )
        except NotSent as error:
            failure = str(error)
        await self._note(tenant, notice_id, receiver.address, receiver.name, failure)
        return failure

    async def _note(
        self, tenant: TenantId, notice_id: UUID, address: str, channel: str, failure: str | None
    ) -> None:
        """Write a try down; one that there was nobody to tell is done too."""
        async with self.books.transaction(tenant) as tx:
            await tx.rows(
                "insert_notice_try",
                notice_id=notice_id,
                receiver_sha256=sha256(address),
                channel=channel,
                delivered=failure is None,
                detail=failure or "",
            )

    def _link(self, row: Row) -> str:
        return f"{self.public_url}/cases/{row['case_id']}"

    def _text(self, row: Row) -> str:
        if row["kind"] == "rolled_back":
            return f"{_HEADS[row['kind']]}: {row['about']}\n\n{self.public_url}/releases"
        lines = [f"{_HEADS[row['kind']]}: {row['ticket_id']} ({row['reason']})"]
        if row["amount_minor"]:
            lines.append(f"Amount: {Money(row['amount_minor'], Currency(row['currency']))}")
        if row["expires_at"]:
            lines.append(f"Decide by: {row['expires_at']:%Y-%m-%d %H:%M} UTC")
        lines += ["", self._link(row), "", "This link shows the case. Nothing is decided by opening it."]
        return "\n".join(lines)

    def _facts(self, tenant: TenantId, row: Row) -> dict[str, object]:
        """What a webhook says."""
        return {
            "notice_id": str(row["notice_id"]),
            "kind": row["kind"],
            "tenant": tenant,
            "case_id": str(row["case_id"]),
            "ticket_id": row["ticket_id"],
            "status": row["status"],
            "reason": row["about"] if row["kind"] == "rolled_back" else row["reason"],
            "amount_minor": row["amount_minor"],
            "currency": row["currency"],
            "expires_at": row["expires_at"].isoformat() if row["expires_at"] else None,
            "link": self._link(row),
        }
