"""The simulated provider: a payment provider of our own, stateful and able to misbehave.

It keeps its own books in a file of its own, as a provider does: charges, refunds, and for each idempotency
key the parameters and the answer, saved 500s too, for 24 hours of its movable clock. A key that is being
worked on answers 409. Faults strike before or after the effect.
"""

import asyncio
import fcntl
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

from cashier.processor import (
    Answer,
    Broken,
    Declined,
    InFlight,
    KeyMismatch,
    Made,
    ProviderRefund,
    ProviderStatus,
    RefundRequest,
    Unknown,
)
from refunds.canonical import canonical, digest
from refunds.ids import PaymentId, TenantId
from refunds.money import Currency, Money

KEY_SECONDS = 24 * 3600
BUSY_SECONDS = 30

Fault = Literal[
    "drop_before",
    "drop_after",
    "error_without_effect",
    "error_after_effect",
    "rate_limited",
    "slow",
    "pending",
    "declined",
    "list_unavailable",
    "list_behind",
]

Charges = Callable[[TenantId, PaymentId], Awaitable[Money | None]]
"""What was once paid: it stands in for the world in which these payments were made."""

_SCHEMA = """
create table if not exists clock (shift_seconds real not null);
create table if not exists faults (id integer primary key, kind text not null, seconds real not null);
create table if not exists charges (payment_id text primary key, amount_minor integer not null, currency text not null);
create table if not exists refunds (
  refund_id text primary key, tenant text not null, decision_id text not null, payment_id text not null,
  amount_minor integer not null, currency text not null, status text not null, made_at real not null);
create table if not exists keys (
  key text primary key, parameters text not null, answer text not null, saved_at real not null);
"""


class SimulatedProvider:
    """One provider in one file."""

    def __init__(self, file: Path, charges: Charges) -> None:
        self.file = file
        self._charges = charges

    async def refund(self, request: RefundRequest) -> Answer:
        paid = await self._charges(request.tenant, request.payment_id)
        return await asyncio.to_thread(self._refund, request, paid)

    async def refunds_of(self, tenant: TenantId, payment_id: PaymentId) -> Sequence[ProviderRefund] | None:
        return await asyncio.to_thread(self._refunds_of, tenant, payment_id)

    # What a test or an operator of it may do --------------------------------------------------

    def misbehave(self, kind: Fault, *, times: int = 1, seconds: float = 0.0) -> None:
        """Let the next calls go wrong in this way."""
        with self._open() as books:
            books.executemany("insert into faults (kind, seconds) values (?, ?)", [(kind, seconds)] * times)

    def move_clock(self, seconds: float) -> None:
        """Move its clock on."""
        with self._open() as books:
            books.execute("insert into clock values (?)", (seconds,))

    def settle(self, refund_id: str, status: ProviderStatus) -> None:
        """A pending refund succeeds, or a refund fails later on."""
        with self._open() as books:
            books.execute("update refunds set status = ? where refund_id = ?", (status, refund_id))

    def refund_outside(
        self, tenant: TenantId, payment_id: PaymentId, amount: Money, decision_id: str = ""
    ) -> str:
        """Somebody refunds in the provider's own dashboard; or, with a decision, books that these do not know did.

        The id follows from the payment and the refunds that it has, so that two runs of one episode agree on it.
        """
        with self._open() as books:
            found = books.execute(f"{_SELECT} where tenant = ? and payment_id = ?", (tenant, payment_id))
            name = digest([tenant, payment_id, len(found.fetchall())])
            refund = ProviderRefund(f"re_{name[:32]}", tenant, decision_id, payment_id, amount, "succeeded")
            self._insert(books, refund)
        return refund.refund_id

    def all_refunds(self) -> list[ProviderRefund]:
        """Every refund there is, in the order they were made."""
        with self._open() as books:
            return [_refund(row) for row in books.execute(f"{_SELECT} order by made_at")]

    # The provider ------------------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.file, timeout=BUSY_SECONDS, isolation_level=None)) as books:
            books.execute("pragma journal_mode = wal")
            books.executescript(_SCHEMA)
            books.execute("begin immediate")
            try:
                yield books
            except BaseException:
                books.execute("rollback")
                raise
            books.execute("commit")

    @contextmanager
    def _in_flight(self, key: str) -> Iterator[bool]:
        """Hold the key while it is worked on; the hold ends with the process."""
        folder = self.file.with_suffix(".inflight")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / digest(key)).open("a") as hold:
            try:
                fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _next_fault(self, *kinds: Fault) -> tuple[str, float] | None:
        with self._open() as books:
            row = books.execute("select id, kind, seconds from faults order by id limit 1").fetchone()
            if row is None or row[1] not in kinds:
                return None
            books.execute("delete from faults where id = ?", (row[0],))
            return row[1], row[2]

    def _refunds_of(self, tenant: TenantId, payment_id: PaymentId) -> list[ProviderRefund] | None:
        fault = self._next_fault("list_unavailable", "list_behind")
        if fault is not None:
            return None if fault[0] == "list_unavailable" else []
        with self._open() as books:
            rows = books.execute(f"{_SELECT} where tenant = ? and payment_id = ?", (tenant, payment_id))
            return [_refund(row) for row in rows]

    def _refund(self, request: RefundRequest, paid: Money | None) -> Answer:
        fault, seconds = self._next_fault(
            "drop_before", "drop_after", "error_without_effect", "error_after_effect", "rate_limited", "slow",
            "pending", "declined",
        ) or (None, 0.0)  # fmt: skip
        if fault == "drop_before":
            return Unknown("the connection was lost before the provider read it")
        if fault == "rate_limited":
            return Unknown("429")
        with self._in_flight(request.key) as mine:
            if not mine:
                return InFlight()
            if fault == "slow":
                time.sleep(seconds)
            answer = self._answer(request, paid, fault)
        return Unknown("the response was lost") if fault == "drop_after" else answer

    def _answer(self, request: RefundRequest, paid: Money | None, fault: str | None) -> Answer:
        parameters = canonical(
            [request.tenant, str(request.decision_id), request.payment_id, request.amount.amount_minor,
             request.amount.currency]
        )  # fmt: skip
        with self._open() as books:
            now = self._now(books)
            books.execute("delete from keys where saved_at < ?", (now - KEY_SECONDS,))
            saved = books.execute(
                "select parameters, answer from keys where key = ?", (request.key,)
            ).fetchone()
            if saved is not None:
                return _answer_of(books, saved[1]) if saved[0] == parameters else KeyMismatch()
            answer = self._execute(books, request, paid, fault)
            books.execute(
                "insert into keys values (?, ?, ?, ?)", (request.key, parameters, _saved(answer), now)
            )
            return answer

    def _execute(
        self, books: sqlite3.Connection, request: RefundRequest, paid: Money | None, fault: str | None
    ) -> Answer:
        if fault == "error_without_effect":
            return Broken()
        if fault == "declined":
            return Declined("card_closed")
        if paid is None or paid.currency != request.amount.currency:
            return Declined("resource_missing")
        gone = books.execute(
            "select coalesce(sum(amount_minor), 0) from refunds"
            " where tenant = ? and payment_id = ? and status <> 'failed'",
            (request.tenant, request.payment_id),
        ).fetchone()[0]
        if gone + request.amount.amount_minor > paid.amount_minor:
            return Declined("charge_already_refunded" if gone == paid.amount_minor else "amount_too_large")
        refund = ProviderRefund(
            refund_id=f"re_{uuid4().hex}",
            tenant=request.tenant,
            decision_id=str(request.decision_id),
            payment_id=request.payment_id,
            amount=request.amount,
            status="pending" if fault == "pending" else "succeeded",
        )
        self._insert(books, refund)
        return Broken() if fault == "error_after_effect" else Made(refund)

    def _insert(self, books: sqlite3.Connection, refund: ProviderRefund) -> None:
        books.execute(
            "insert into refunds values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                refund.refund_id, refund.tenant, refund.decision_id, refund.payment_id, refund.amount.amount_minor,
                refund.amount.currency, refund.status, self._now(books),
            ),
        )  # fmt: skip

    def _now(self, books: sqlite3.Connection) -> float:
        shift = books.execute("select coalesce(sum(shift_seconds), 0) from clock").fetchone()[0]
        return time.time() + float(shift)


_SELECT = "select refund_id, tenant, decision_id, payment_id, amount_minor, currency, status from refunds"


def _refund(row: tuple[str, str, str, str, int, str, ProviderStatus]) -> ProviderRefund:
    return ProviderRefund(row[0], row[1], row[2], row[3], Money(row[4], Currency(row[5])), row[6])


def _saved(answer: Answer) -> str:
    match answer:
        case Made(refund):
            return canonical({"made": refund.refund_id})
        case Declined(code):
            return canonical({"declined": code})
        case _:
            return canonical({"broken": True})


def _answer_of(books: sqlite3.Connection, saved: str) -> Answer:
    """The saved answer; a refund is shown as it was made, its status as it is."""
    answer = json.loads(saved)
    if "made" in answer:
        row = books.execute(f"{_SELECT} where refund_id = ?", (answer["made"],)).fetchone()
        return Made(_refund(row))
    return Declined(answer["declined"]) if "declined" in answer else Broken()
