"""The executor: one disbursement at a time, from the lock on its payment to its settlement.

The send is committed before the provider is called. Whatever was sent and not answered is looked for at
the provider first, by what we wrote beside it, and only then asked for again under the same key.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, assert_never
from uuid import UUID

from psycopg.errors import UniqueViolation

from cashier.disbursement import Disbursement, answer_person, disbursement_of, write_settlement
from cashier.found_refunds import CALL_SECONDS, LATE_FAILURE_DAYS, LONG_AGO, FoundRefunds
from cashier.guard import (
    ENDED,
    AskPerson,
    AtProvider,
    GuardVerdict,
    Refuse,
    Send,
    SendFacts,
    Wait,
    guard,
    is_labelled,
    why_not_what_was_asked,
)
from cashier.inquiries import ProviderHas, Reported, Withdrawn, look_into
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
from cashier.verification import Payable, verify_disbursement
from policies.signature import PublicKeys
from records.books import Books, BooksAway, Refused, Row
from refunds.ids import DisbursementId, TenantId
from refunds.vocabulary import ProviderAct, SettlementOutcome

log = logging.getLogger("countersign.cashier")

PAYMENT_LOCK = 12

SEND_DEADLINE_SECONDS = 30.0
"""From reading the disbursement to the call: a process that was stopped for longer must look again first."""

MOST = 200
"""Disbursements on a page of a pass."""

ALREADY_GONE = frozenset({"charge_already_refunded", "amount_too_large"})
"""Declines with which a provider may refuse a repeat because the first request did succeed."""


def seconds_awake_or_not() -> float:
    """A clock in seconds; where the system has one, it also counts while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


PassResult = Literal["settled", "waiting", "parked", "elsewhere", "done"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A key that answered a definitive 5xx: kept in memory, learnt again after a restart."""

    epoch: int
    since: datetime


@dataclass(frozen=True)
class Executor:
    """What the cashier works with."""

    books: Books
    processor: Processor
    desk_keys: PublicKeys
    retry_seconds: float = 2.0
    """Base of the pause between two asks for the same refund; doubles up to five minutes."""

    ticks: Callable[[], float] = seconds_awake_or_not
    page_size: int = MOST
    doubts: dict[DisbursementId, Doubt] = field(default_factory=dict)
    watched: dict[TenantId, datetime] = field(default_factory=dict)
    """Up to which proposal the payments of a tenant were looked at."""

    failures: dict[DisbursementId, int] = field(default_factory=dict)
    """Passes in a row in which something went wrong with a disbursement."""

    @property
    def _found_refunds(self) -> FoundRefunds:
        return FoundRefunds(self.books, self.processor, self.watched, self.page_size)

    async def settle_all(self, *, late_failures: bool = True) -> int:
        """One pass over every tenant; how many disbursements were settled."""
        settled = 0
        for tenant in await self.books.tenants():
            async for decision_id in self._disbursements(tenant, "unsettled"):
                settled += await self._try(tenant, decision_id)
            if late_failures:
                async for decision_id in self._disbursements(
                    tenant, "recently_succeeded", days=LATE_FAILURE_DAYS
                ):
                    settled += await self._try(tenant, decision_id)
                self.watched.pop(tenant, None)
            await self._found_refunds.watch(tenant)
        return settled

    async def _disbursements(
        self, tenant: TenantId, query: str, **values: object
    ) -> AsyncIterator[DisbursementId]:
        """Every disbursement that a query lists, page by page: none waits behind others for ever."""
        after, after_id = LONG_AGO, UUID(int=0)
        while True:
            async with self.books.transaction(tenant) as tx:
                rows = await tx.rows(query, after=after, after_id=after_id, most=self.page_size, **values)
            for row in rows:
                yield DisbursementId(row["decision_id"])
            if len(rows) < self.page_size:
                return
            after, after_id = rows[-1]["place"], rows[-1]["decision_id"]

    async def _try(self, tenant: TenantId, decision_id: DisbursementId) -> bool:
        """Settle one; what goes wrong with it is its own matter, unless the books are away."""
        try:
            settled = await self.settle(tenant, decision_id) == "settled"
        except BooksAway:
            raise
        except Refused as refused:
            log.info("disbursement %s waits: %s", decision_id, refused)
            await self._note_failure(tenant, decision_id, f"the books refuse it: {refused}")
            return False
        except Exception as error:
            log.exception("disbursement %s waits; the next pass tries again", decision_id)
            await self._note_failure(tenant, decision_id, f"{type(error).__name__}: {error}")
            return False
        if self.failures.pop(decision_id, None):
            async with self.books.transaction(tenant) as tx:
                await tx.rows("delete_stalled_order", decision_id=decision_id)
        return settled

    async def _note_failure(self, tenant: TenantId, decision_id: DisbursementId, why: str) -> None:
        """Pass after pass: an operator hears of it from /readyz."""
        passes = self.failures[decision_id] = self.failures.get(decision_id, 0) + 1
        async with self.books.transaction(tenant) as tx:
            await tx.rows("insert_stalled_order", decision_id=decision_id, passes=passes, why=why[:500])

    async def settle(self, tenant: TenantId, decision_id: DisbursementId) -> PassResult:
        """Bring one disbursement as far as it goes now."""
        async with self.books.transaction(tenant) as tx:
            ordered = await tx.row("disbursement", decision_id=decision_id)
        if ordered is None:
            return "done"
        async with self.books.alone(PAYMENT_LOCK, f"{tenant}:{ordered['payment_id']}") as mine:
            if not mine:
                return "elsewhere"
            return await self._settle(tenant, decision_id)

    async def _settle(self, tenant: TenantId, decision_id: DisbursementId) -> PassResult:
        started = self.ticks()
        disbursement = await disbursement_of(self.books, tenant, decision_id)
        if disbursement is None:
            return "done"
        if disbursement.asked is not None and disbursement.last in ENDED:
            await answer_person(
                self.books, disbursement, disbursement.asked, f"the outcome is known: {disbursement.last}"
            )
        elif disbursement.asked is not None and disbursement.last is None and not disbursement.sends:
            await answer_person(self.books, disbursement, disbursement.asked, "nothing was sent yet")
        elif disbursement.asked is not None:
            return await self._answer(disbursement, disbursement.asked, started)
        if disbursement.last in {"failed", "refused"}:
            return "done"
        facts = await self._facts(disbursement)
        return await self._do(disbursement, facts, guard(facts), started)

    async def _facts(self, disbursement: Disbursement, asked: ProviderAct | None = None) -> SendFacts:
        """What the guard is asked about, with the provider's list; what is unknown there is written down."""
        there = await self._found_refunds.listed(disbursement.tenant, disbursement.payment_id)
        known = await self._found_refunds.note(disbursement.tenant, disbursement.payment_id, there or ())
        doubt, sends = self.doubts.get(disbursement.decision_id), disbursement.sent()
        broken = doubt is not None and bool(sends) and doubt.epoch == sends[-1].epoch
        return SendFacts(
            tenant=disbursement.tenant,
            decision_id=disbursement.decision_id,
            payment_id=disbursement.payment_id,
            amount=disbursement.amount,
            now=disbursement.row["now"],
            past_paying=disbursement.row["past_paying"],
            killed=disbursement.row["killed"],
            verified=verify_disbursement(disbursement.row, disbursement.votes, self.desk_keys),
            sends=sends,
            last=disbursement.last,
            known=known,
            there=there,
            retry_seconds=self.retry_seconds,
            broken_for=disbursement.row["now"] - doubt.since if doubt is not None and broken else None,
            asked=asked,
        )

    async def _do(
        self, disbursement: Disbursement, facts: SendFacts, verdict: GuardVerdict, started: float
    ) -> PassResult:
        """Carry out what the guard says."""
        match verdict:
            case Send(epoch) if isinstance(facts.verified, Payable):
                return await self._send(disbursement, facts, facts.verified, epoch, started)
            case Send():
                raise AssertionError("the guard sends what was not verified")
            case AtProvider(refund):
                return await self._found(disbursement, refund)
            case Refuse(reason):
                return await self._write(disbursement, "refused", None, reason)
            case AskPerson(why):
                return await self._write(disbursement, "needs_person", None, why)
            case Wait(why):
                if disbursement.last in ENDED:
                    return "done"
                log.info("disbursement %s waits: %s", disbursement.decision_id, why)
                return "parked" if facts.killed else "waiting"
            case _:
                assert_never(verdict)

    async def _send(
        self, disbursement: Disbursement, facts: SendFacts, verified: Payable, epoch: int, started: float
    ) -> PassResult:
        """Commit that the provider is about to be called with this epoch's key, call it, and write what it says."""
        key = verified.key(epoch)
        try:
            async with self.books.transaction(disbursement.tenant) as tx:
                attempt = len(disbursement.sends) + 1
                await tx.rows(
                    "insert_send", decision_id=disbursement.decision_id, attempt=attempt, epoch=epoch, key=key
                )
            async with self.books.transaction(disbursement.tenant) as tx:
                killed = await tx.row("kill_switch")
        except Refused as refused:
            if refused.reason == "blocked:kill_switch":
                return "parked"
            raise
        if killed is None or killed["killed"]:
            return "parked"
        if self.ticks() - started > SEND_DEADLINE_SECONDS:
            return "waiting"
        leg = verified.leg
        request = RefundRequest(
            key, disbursement.tenant, disbursement.decision_id, leg.payment_id, leg.amount
        )
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self.processor.refund(request)
        except TimeoutError:
            answer = Unknown("no answer in time")
        return await self._answered(disbursement, facts, epoch, answer)

    async def _answered(
        self, disbursement: Disbursement, facts: SendFacts, epoch: int, answer: Answer
    ) -> PassResult:
        match answer:
            case Made(refund):
                wrong = why_not_what_was_asked(refund, facts)
                if wrong:
                    return await self._write(disbursement, "needs_person", None, f"it answered: {wrong}")
                return await self._found(disbursement, refund)
            case Declined(code):
                return await self._declined(disbursement, facts, code)
            case KeyMismatch():
                return await self._write(
                    disbursement, "needs_person", None, "the key was used for something else"
                )
            case Broken():
                doubt = self.doubts.get(disbursement.decision_id)
                if doubt is None or doubt.epoch != epoch:
                    self.doubts[disbursement.decision_id] = Doubt(epoch, disbursement.row["now"])
                return "waiting"
            case InFlight() | Unknown():
                return "waiting"
            case _:
                assert_never(answer)

    async def _declined(self, disbursement: Disbursement, facts: SendFacts, code: str) -> PassResult:
        """A no to the first ask is an end; a no after an ask without an answer may be about our own refund."""
        if disbursement.sends:
            there = await self._found_refunds.listed(disbursement.tenant, facts.payment_id)
            if there is None:
                return "waiting"
            found = [one for one in there if is_labelled(one, disbursement.tenant, disbursement.decision_id)]
            if len(found) == 1 and why_not_what_was_asked(found[0], facts) is None:
                return await self._found(disbursement, found[0])
            if found or code in ALREADY_GONE:
                return await self._write(
                    disbursement,
                    "needs_person",
                    None,
                    f"{code}, and no refund of ours is listed as it was asked",
                )
        return await self._write(disbursement, "failed", None, code)

    async def _found(self, disbursement: Disbursement, refund: ProviderRefund) -> PassResult:
        """The provider has it: pending is not paid, and one that succeeded may fail later on."""
        if refund.status == disbursement.last or (
            disbursement.last == "succeeded" and refund.status != "failed"
        ):
            return "done" if disbursement.last in ENDED else "waiting"
        return await self._write(disbursement, refund.status, refund.refund_id, "")

    async def _answer(self, disbursement: Disbursement, asked: Row, started: float) -> PassResult:
        """What a named person asked: look, and say what was found; a silent provider is asked again later."""
        act: ProviderAct = asked["act"]
        facts = await self._facts(disbursement, act)
        if facts.there is None:
            return "waiting"
        try:
            match act:
                case "retry" | "new_key":
                    paid, said = await self._ask_again(disbursement, facts, started)
                case "check" | "settle" | "withdraw":
                    found = look_into(act, asked["provider_refund_id"], facts, facts.there)
                    paid, said = await self._follow_up(disbursement, found)
                case _:
                    assert_never(act)
        except (Refused, UniqueViolation) as error:
            # The refund settles another disbursement, or the books have another end: an answer too.
            why = error.reason if isinstance(error, Refused) else "that refund settles another disbursement"
            paid, said = "waiting", f"nothing came of it: {why}"
        await answer_person(self.books, disbursement, asked, said)
        return paid

    async def _follow_up(
        self, disbursement: Disbursement, found: ProviderHas | Withdrawn | Reported
    ) -> tuple[PassResult, str]:
        """What comes of what was found, and what the person is told."""
        match found:
            case ProviderHas(refund) if refund.status == disbursement.last:
                return "waiting", f"the provider has {refund.refund_id}: still {refund.status}"
            case ProviderHas(refund):
                paid = await self._write(disbursement, refund.status, refund.refund_id, "")
                return paid, f"the provider has {refund.refund_id}: {refund.status}"
            case Withdrawn():
                outcome: SettlementOutcome = "failed" if disbursement.sends else "refused"
                return await self._write(
                    disbursement, outcome, None, "withdrawn"
                ), "taken back: it is not paid"
            case Reported(said):
                return "waiting", said
            case _:
                assert_never(found)

    async def _ask_again(
        self, disbursement: Disbursement, facts: SendFacts, started: float
    ) -> tuple[PassResult, str]:
        """What the guard says to a person's retry, done and said."""
        verdict = guard(facts)
        paid = await self._do(disbursement, facts, verdict, started)
        match verdict:
            case Send():
                told = {"settled": "the provider answered", "parked": "the kill switch is on"}
                how = "a new key" if facts.asked == "new_key" else "the same key"
                return paid, f"asked again with {how}: {told.get(paid, 'no answer that ends it')}"
            case AtProvider(refund):
                return paid, f"the provider has {refund.refund_id}: {refund.status}"
            case Refuse(why) | AskPerson(why) | Wait(why):
                return paid, f"not asked again: {why}"
            case _:
                assert_never(verdict)

    async def _write(
        self, disbursement: Disbursement, outcome: SettlementOutcome, refund_id: str | None, detail: str
    ) -> PassResult:
        """Settle and enqueue, in one transaction; what is a person's matter already stays it."""
        if outcome == disbursement.last == "needs_person":
            return "waiting"
        await write_settlement(self.books, disbursement, outcome, refund_id, detail)
        self.doubts.pop(disbursement.decision_id, None)
        return "settled"
