"""The executor: one order of money at a time, from the lock on its payment to its settlement.

The send is committed before the provider is called. Whatever was sent and not answered is looked for at
the provider first, by what we wrote beside it, and only then asked for again under the same key.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, assert_never
from uuid import UUID

from psycopg.errors import UniqueViolation

from cashier.inquiries import AskAgain, Finding, Inquiry, Known, Told, look_into
from cashier.processor import (
    Answer,
    Broken,
    Declined,
    InFlight,
    KeyMismatch,
    Made,
    Processor,
    ProviderRefund,
    RefundRequest,
    Unknown,
)
from cashier.verification import NotPayable, Payable, UnknownKey, verify
from policies.signature import PublicKeys
from records.books import Books, BooksAway, Refused, Row
from records.queue import ring
from refunds.ids import CaseId, DecisionId, PaymentId, TenantId
from refunds.money import Currency, Money
from refunds.words import SettlementOutcome

log = logging.getLogger("countersign.cashier")

PAYMENT_LOCK = 12

SEND_DEADLINE_SECONDS = 30.0
"""From reading the order to the call: a process that was stopped for longer must look again first."""

CALL_SECONDS = 30.0

KEY_TRUST = timedelta(hours=20)
"""A provider may forget a key after 24 hours; four hours before that it is trusted no more."""

EPOCH_PAUSE = timedelta(minutes=5)
"""Between two empty lists before a key is given up: a list may be behind."""

ASKED_AFTER = timedelta(seconds=20)
"""Before that nobody asks about an order of money, so nobody looks for a question."""

LATE_FAILURE_DAYS = 30
"""For so long a provider may still tell that a refund failed at the customer's bank."""

MOST = 200
"""Orders of money on a page of a pass."""

ALREADY_GONE = frozenset({"charge_already_refunded", "amount_too_large"})
"""Declines that may speak of the very refund that was asked for before."""


def seconds_awake_or_not() -> float:
    """Seconds of a clock that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


Paid = Literal["settled", "waiting", "parked", "elsewhere", "done"]


@dataclass(slots=True)
class Doubt:
    """A key that answered a definitive 5xx: kept in memory, learnt again after a restart."""

    epoch: int
    empty_since: datetime | None = None


@dataclass(frozen=True)
class Executor:
    """The till's hands."""

    books: Books
    processor: Processor
    desk_keys: PublicKeys
    retry_seconds: float = 2.0
    """Base of the pause between two asks for the same refund; doubles up to five minutes."""

    ticks: Callable[[], float] = seconds_awake_or_not
    page_size: int = MOST
    doubts: dict[DecisionId, Doubt] = field(default_factory=dict)

    async def settle_all(self, *, late_failures: bool = True) -> int:
        """One pass over every tenant; how many orders of money were settled."""
        settled = 0
        for tenant in await self.books.tenants():
            async for decision_id in self._orders(tenant, "unsettled"):
                settled += await self._try(tenant, decision_id)
            if late_failures:
                async for decision_id in self._orders(tenant, "recently_succeeded", days=LATE_FAILURE_DAYS):
                    settled += await self._try(tenant, decision_id)
        return settled

    async def _orders(self, tenant: TenantId, query: str, **values: object) -> AsyncIterator[DecisionId]:
        """Every order of money that a query lists, page by page: none waits behind others for ever."""
        after, after_id = datetime.min.replace(tzinfo=UTC), UUID(int=0)
        while True:
            async with self.books.transaction(tenant) as page:
                rows = await page.rows(query, after=after, after_id=after_id, most=self.page_size, **values)
            for row in rows:
                yield DecisionId(row["decision_id"])
            if len(rows) < self.page_size:
                return
            after, after_id = rows[-1]["place"], rows[-1]["decision_id"]

    async def _try(self, tenant: TenantId, decision_id: DecisionId) -> bool:
        """Settle one; what goes wrong with it is its own matter, unless the books are away."""
        try:
            return await self.settle(tenant, decision_id) == "settled"
        except BooksAway:
            raise
        except Refused as refused:
            log.info("order %s waits: %s", decision_id, refused)
        except Exception:
            log.exception("order %s waits; the next pass tries again", decision_id)
        return False

    async def settle(self, tenant: TenantId, decision_id: DecisionId) -> Paid:
        """Bring one order of money as far as it goes now."""
        ordered = await self._ordered(tenant, decision_id)
        if ordered is None:
            return "done"
        async with self.books.alone(PAYMENT_LOCK, f"{tenant}:{ordered['payment_id']}") as mine:
            if not mine:
                return "elsewhere"
            return await self._settle(tenant, decision_id)

    async def _ordered(self, tenant: TenantId, decision_id: DecisionId) -> Row | None:
        async with self.books.transaction(tenant) as page:
            return await page.row("disbursement", decision_id=decision_id)

    async def _settle(self, tenant: TenantId, decision_id: DecisionId) -> Paid:
        started = self.ticks()
        async with self.books.transaction(tenant) as page:
            ordered = await page.row("disbursement", decision_id=decision_id)
            if ordered is None:
                return "done"
            votes = await page.rows("votes_of", proposal_id=ordered["proposal_id"])
            sends = await page.rows("sends_of", decision_id=decision_id)
            settlements = await page.rows("settlements_of", decision_id=decision_id)
            late = ordered["now"] - ordered["ordered_at"] > ASKED_AFTER
            asked = await page.row("provider_act_due", decision_id=decision_id) if sends or late else None
        last = settlements[-1]["outcome"] if settlements else None
        order = _Order(tenant, decision_id, ordered, sends, len(settlements), last)
        if asked is not None and (last in {"succeeded", "failed", "refused"} or not sends):
            await self._tell(
                order, asked, f"the outcome is known: {last}" if last else "nothing was sent yet"
            )
        elif asked is not None:
            return await self._answer(order, asked, verify(ordered, votes, self.desk_keys), started)
        match last:
            case "succeeded" | "pending":
                return await self._follow(order, last)
            case "needs_person":
                return await self._look_again(order)
            case "failed" | "refused":
                return "done"
            case _:
                pass
        verified = verify(ordered, votes, self.desk_keys)
        if isinstance(verified, UnknownKey):
            if not sends and ordered["past_paying"]:
                return await self._write(order, "refused", None, "blocked:expired")
            log.error(
                "order %s is signed with %s, which is not in CASHIER_DESK_KEYS", decision_id, verified.kid
            )
            return "waiting"
        if isinstance(verified, NotPayable):
            if sends:
                return await self._write(order, "needs_person", None, verified.reason)
            return await self._write(order, "refused", None, verified.reason)
        if sends:
            return await self._look_then_ask_again(order, verified, started)
        return await self._first_send(order, verified, started)

    async def _first_send(self, order: "_Order", verified: Payable, started: float) -> Paid:
        there = await self._list(order)
        if there is None:
            return "waiting"
        if any(_is_ours(refund, order) for refund in there):
            # It was sent, and the record of the sending is lost: the provider's word counts.
            return await self._look_then_ask_again(order, verified, started)
        if order.row["killed"]:
            return "parked"
        if verified.refund.execute_by <= order.row["now"]:
            return await self._write(order, "refused", None, "blocked:expired")
        if await self._passes_what_was_paid(order, verified, there):
            return await self._write(order, "refused", None, "blocked:over_refund")
        return await self._send(order, verified, 1, started)

    async def _look_then_ask_again(self, order: "_Order", verified: Payable, started: float) -> Paid:
        """Something was sent and no end of it is known: look first, whatever is asked after."""
        there = await self._list(order)
        if there is None:
            return "waiting"
        found = [refund for refund in there if _is_ours(refund, order)]
        if len(found) > 1:
            return await self._write(order, "needs_person", None, "more than one refund at the provider")
        if found:
            return await self._made(order, verified, found[0])
        epoch: int = order.sends[-1]["epoch"]
        first_of_epoch = next(send for send in order.sends if send["epoch"] == epoch)
        if first_of_epoch["age"] > KEY_TRUST:
            return await self._write(
                order, "needs_person", None, "sent over 20 hours ago and not at the provider"
            )
        if verified.refund.execute_by <= order.row["now"]:
            return await self._write(
                order, "needs_person", None, "not at the provider and past its time to pay"
            )
        if order.row["killed"]:
            return "parked"
        pause = min(self.retry_seconds * 2 ** (len(order.sends) - 1), 300.0)
        if order.sends[-1]["age"] < timedelta(seconds=pause):
            return "waiting"
        next_epoch = self._next_epoch(order, epoch)
        if next_epoch is None:
            return "waiting"
        return await self._send(order, verified, next_epoch, started)

    def _next_epoch(self, order: "_Order", epoch: int) -> int | None:
        """The same epoch; the next one after a definitive 5xx and two empty lists five minutes apart; None between."""
        doubt = self.doubts.get(order.decision_id)
        if doubt is None or doubt.epoch != epoch:
            return epoch
        now: datetime = order.row["now"]
        if doubt.empty_since is None:
            doubt.empty_since = now
        return epoch + 1 if now - doubt.empty_since >= EPOCH_PAUSE else None

    async def _send(self, order: "_Order", verified: Payable, epoch: int, started: float) -> Paid:
        refund = verified.refund
        try:
            await self._note_send(order, verified, epoch)
            async with self.books.transaction(order.tenant) as page:
                killed = await page.row("kill_switch")
        except Refused as refused:
            if refused.reason == "blocked:kill_switch":
                return "parked"
            raise
        if killed is None or killed["killed"]:
            return "parked"
        if self.ticks() - started > SEND_DEADLINE_SECONDS:
            return "waiting"
        request = RefundRequest(
            verified.key(epoch), order.tenant, order.decision_id, refund.payment_id, refund.amount
        )
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self.processor.refund(request)
        except TimeoutError:
            answer = Unknown("no answer in time")
        return await self._answered(order, verified, epoch, answer)

    async def _note_send(self, order: "_Order", verified: Payable, epoch: int) -> None:
        """Commit that the provider is about to be called with this epoch's key."""
        async with self.books.transaction(order.tenant) as page:
            await page.rows(
                "insert_send",
                decision_id=order.decision_id,
                attempt=len(order.sends) + 1,
                epoch=epoch,
                key=verified.key(epoch),
            )

    async def _answered(self, order: "_Order", verified: Payable, epoch: int, answer: Answer) -> Paid:
        match answer:
            case Made(refund):
                return await self._made(order, verified, refund)
            case Declined(code):
                return await self._declined(order, verified, code)
            case KeyMismatch():
                return await self._write(order, "needs_person", None, "the key was used for something else")
            case Broken():
                self.doubts[order.decision_id] = Doubt(epoch)
                return "waiting"
            case InFlight() | Unknown():
                return "waiting"
            case _:
                assert_never(answer)

    async def _declined(self, order: "_Order", verified: Payable, code: str) -> Paid:
        """A no to the first ask is an end; a no after an ask without an answer may be about our own refund."""
        if order.sends:
            there = await self._list(order)
            if there is None:
                return "waiting"
            found = next((refund for refund in there if _is_ours(refund, order)), None)
            if found is not None:
                return await self._made(order, verified, found)
            if code in ALREADY_GONE:
                return await self._write(
                    order, "needs_person", None, f"{code}, and no refund of ours is listed"
                )
        return await self._write(order, "failed", None, code)

    async def _made(self, order: "_Order", verified: Payable, refund: ProviderRefund) -> Paid:
        """The provider has it: pending is not paid, and another amount is for a person."""
        if refund.amount != verified.refund.amount or refund.payment_id != verified.refund.payment_id:
            return await self._write(
                order, "needs_person", refund.refund_id, "the provider has another amount or payment"
            )
        return await self._write(order, refund.status, refund.refund_id, "")

    async def _follow(self, order: "_Order", last: SettlementOutcome) -> Paid:
        """A pending refund may end, and one that succeeded may fail later on."""
        there = await self._list(order)
        found = next((refund for refund in there or () if _is_ours(refund, order)), None)
        if found is None or found.status == last or (last == "succeeded" and found.status != "failed"):
            return "waiting" if last == "pending" else "done"
        return await self._write(order, found.status, found.refund_id, "")

    async def _look_again(self, order: "_Order") -> Paid:
        """A person's matter may solve itself: the refund shows up at the provider. Nothing is ever sent here."""
        found = [refund for refund in await self._list(order) or () if _is_ours(refund, order)]
        asked = (order.row["amount_minor"], order.row["currency"])
        if len(found) != 1 or (found[0].amount.amount_minor, found[0].amount.currency) != asked:
            return "done"
        return await self._write(order, found[0].status, found[0].refund_id, "")

    async def _answer(
        self, order: "_Order", asked: Row, verified: Payable | NotPayable | UnknownKey, started: float
    ) -> Paid:
        """What a named person asked: look, and say what was found; a silent provider is asked again later."""
        there = await self._list(order)
        if there is None:
            return "waiting"
        amount = Money(order.row["amount_minor"], Currency(order.row["currency"]))
        inquiry = Inquiry(
            asked["act"], asked["provider_refund_id"], amount, order.tenant, str(order.decision_id)
        )
        found = look_into(inquiry, there)
        try:
            paid, said = await self._follow_up(order, found, verified, started)
        except (Refused, UniqueViolation) as error:
            # The refund settles another order, or the books have another end: an answer too.
            why = error.reason if isinstance(error, Refused) else "that refund settles another order of money"
            paid, said = "waiting", f"nothing came of it: {why}"
        await self._tell(order, asked, said)
        return paid

    async def _follow_up(
        self, order: "_Order", found: Finding, verified: Payable | NotPayable | UnknownKey, started: float
    ) -> tuple[Paid, str]:
        """What comes of what was found, and what the person is told."""
        match found:
            case Known(status, refund_id) if status == order.last:
                return "waiting", f"the provider has {refund_id}: still {status}"
            case Known(status, refund_id):
                paid = await self._write(order, status, refund_id, "")
                return paid, f"the provider has {refund_id}: {status}"
            case AskAgain():
                return await self._ask_again(order, verified, started)
            case Told(said):
                return "waiting", said
            case _:
                assert_never(found)

    async def _tell(self, order: "_Order", asked: Row, said: str) -> None:
        """Answer the person who asked."""
        async with self.books.transaction(order.tenant) as page:
            await page.rows(
                "insert_provider_answer",
                decision_id=order.decision_id,
                act_id=asked["act_id"],
                said=said[:500],
            )
            await ring(page, order.tenant, CaseId(order.row["case_id"]))

    async def _ask_again(
        self, order: "_Order", verified: Payable | NotPayable | UnknownKey, started: float
    ) -> tuple[Paid, str]:
        """The same under the same key, where that cannot pay twice and is still approved."""
        if not isinstance(verified, Payable):
            return "waiting", "not asked again: what was approved cannot be verified"
        epoch: int = order.sends[-1]["epoch"]
        first_of_epoch = next(send for send in order.sends if send["epoch"] == epoch)
        if first_of_epoch["age"] > KEY_TRUST:
            return (
                "waiting",
                "not asked again: the key is over 20 hours old, and a second ask might pay twice",
            )
        if verified.refund.execute_by <= order.row["now"]:
            return "waiting", "not asked again: the time to pay of this approval is over"
        if order.row["killed"]:
            return "waiting", "not asked again: the kill switch is on"
        there = await self._list(order)
        if there is None or await self._passes_what_was_paid(order, verified, there):
            return "waiting", "not asked again: with it more would be refunded than was paid"
        paid = await self._send(order, verified, epoch, started)
        told = {
            "settled": "the provider answered",
            "waiting": "no answer that ends it",
            "parked": "the kill switch is on",
        }
        return paid, f"asked again with the same key: {told.get(paid, paid)}"

    async def _list(self, order: "_Order") -> Sequence[ProviderRefund] | None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await self.processor.refunds_of(order.tenant, PaymentId(order.row["payment_id"]))
        except TimeoutError:
            return None

    async def _passes_what_was_paid(
        self, order: "_Order", verified: Payable, there: Sequence[ProviderRefund]
    ) -> bool:
        """The provider's own sum counts too: somebody may have refunded in its dashboard."""
        refund = verified.refund
        async with self.books.transaction(order.tenant) as page:
            payment = await page.row("payment", payment_id=refund.payment_id)
        if payment is None or payment["currency"] != refund.amount.currency:
            return True
        gone = sum(other.amount.amount_minor for other in there if other.status != "failed")
        return bool(gone + refund.amount.amount_minor > payment["amount_minor"])

    async def _write(
        self, order: "_Order", outcome: SettlementOutcome, refund_id: str | None, detail: str
    ) -> Paid:
        """Settle and ring, in one transaction; what is a person's matter already stays it."""
        if outcome == order.last == "needs_person":
            return "waiting"
        async with self.books.transaction(order.tenant) as page:
            await page.rows(
                "insert_settlement",
                decision_id=order.decision_id,
                seq=order.settlements + 1,
                outcome=outcome,
                provider_refund_id=refund_id,
                detail=detail,
            )
            await ring(page, order.tenant, CaseId(order.row["case_id"]))
        self.doubts.pop(order.decision_id, None)
        return "settled"


@dataclass(frozen=True, slots=True)
class _Order:
    """One order of money as it was read under the lock."""

    tenant: TenantId
    decision_id: DecisionId
    row: Row
    sends: Sequence[Row]
    settlements: int
    last: SettlementOutcome | None


def _is_ours(refund: ProviderRefund, order: _Order) -> bool:
    return refund.tenant == order.tenant and refund.decision_id == str(order.decision_id)
