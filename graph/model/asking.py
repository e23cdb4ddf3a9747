"""Asking: a question goes to the first model that may and can answer it, and every call stands in the books.

A call is weighed and reserved before it is made and settled after it. What may pass is tried again within the
deadline, then the next model is asked. A crash finds the answer in the books and pays for it once.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import stamina
from pydantic import BaseModel

from graph.model.endpoint import ELSEWHERE, TRANSIENT, Endpoint, ModelQuestion, Words
from graph.model.providers import Provider
from graph.model.receipts import STOPPED, call_receipt, read_model_answer, summed
from graph.planner import PlanContext
from graph.tracing import Spans
from policies.budget import Limits
from policies.prompts import Prompt
from policies.spending import THROTTLE, SpendLimits, SpentSums, Sum, Weighed, weigh
from records.books import Books, BooksAway
from records.model_calls import Load, Place, Receipt, Request, SpentRow, alert, reserve, settle, stored_answer
from refunds.canonical import digest
from refunds.finding import Finding
from refunds.ids import TenantId
from refunds.vocabulary import HandoffReason, ModelFeature, ModelOutcome

log = logging.getLogger("countersign.model")

PAUSE_SECONDS = 0.2
RETRY_AFTER_MOST = 4.0
"""Who asks for a longer pause is not waited for: the next model is asked."""

SETTLE_SECONDS = 10.0
SLOT_SECONDS = 2.0
"""So long a slot is waited for where another model could be asked."""

TURN_SECONDS = 0.25
"""Between two looks whether an endpoint has a slot."""

OPEN_AFTER = 5
OPEN_SECONDS = 30.0
"""After so many failures in a row nobody asks for so long; then one call tries."""

NOTHING = Sum()

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class CallContext:
    """For whom a model is asked: the place in the books, and what the run may still spend."""

    tenant: TenantId
    place: Place
    left: Limits


def call_context(plan_context: PlanContext, feature: ModelFeature, spent: Sum, took_ms: int) -> CallContext:
    """For a feature of a run: its place in the books, and what is left after what was spent on the way."""
    case = plan_context.case
    place = Place(
        case.case_id,
        case.customer_id,
        plan_context.release or case.release,
        plan_context.run,
        plan_context.step,
        feature,
    )
    return CallContext(case.tenant, place, plan_context.left.less(spent, took_ms))


@dataclass(frozen=True, slots=True)
class ModelResult(Generic[Form]):
    """What came of a question, and what it cost. Exactly one of `value`, `reason` and `outcome` says how it ended."""

    value: Form | None
    outcome: ModelOutcome
    spent: Sum
    reason: HandoffReason | None = None
    """The budget that it would have breached."""

    findings: tuple[Finding, ...] = ()
    words: str = ""
    """What is wrong with the answer, for one more try."""


class CallFailed(Exception):
    """A call failed in a way that may pass."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.outcome)
        self.receipt = receipt


class NoSlot(Exception):
    """The endpoint takes no more for now, or is given time to recover."""


class BudgetExceeded(Exception):
    """The call does not fit into a budget."""

    def __init__(self, reason: HandoffReason, detail: str, spent: Sum = NOTHING) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.spent = spent
        """What was spent on the way to it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the books and the spend limits say of one call."""

    weighed: Weighed
    slot: bool
    recovering: bool
    month_micros: int


@dataclass(frozen=True)
class Asking:
    """The models of one feature in their order, with what they may cost."""

    books: Books
    endpoints: Sequence[Endpoint]
    prompt: Prompt
    spend_limits: SpendLimits
    spans: Spans
    ticks: Callable[[], float] = time.monotonic

    async def ask(
        self, context: CallContext, question: ModelQuestion, form: type[Form], words: Words | None = None
    ) -> ModelResult[Form]:
        """The first answer that a model gives within the run's time; or why there is none."""
        deadline = self.ticks() + context.left.latency_ms / 1000
        spent, notes = Sum(), list[Finding]()
        last: ModelOutcome = "timed_out"
        stored = await self._stored(context, question)
        for number, endpoint in enumerate(self.endpoints):
            if stored is not None and stored[0] is not endpoint:
                continue  # a crash left the answer of another one
            try:
                if stored is not None and words is not None:
                    await words(stored[1].text)
                receipt = (
                    stored[1]
                    if stored is not None
                    else await self._of(endpoint, context, question, deadline, spent, words, notes)
                )
            except BudgetExceeded as exceeded:
                notes.append(Finding("budget", f"{exceeded.detail}: {exceeded.reason}"))
                return ModelResult(None, last, spent + exceeded.spent, exceeded.reason, tuple(notes))
            except NoSlot:
                notes.append(Finding("model_failed", f"{endpoint.name}: no slot"))
                continue
            spent += Sum(receipt.tokens, receipt.cost_micros)
            last = receipt.outcome
            if receipt.outcome in ELSEWHERE:
                notes.append(Finding("model_failed", f"{endpoint.name}: {receipt.outcome}"))
                continue
            if number:
                notes.append(Finding("fallback_model", endpoint.name))
            value, outcome, why = read_model_answer(receipt, form)
            return ModelResult(value, outcome, spent, None, tuple(notes), why)
        return ModelResult(None, last, spent, None, tuple(notes))

    async def _of(
        self,
        endpoint: Endpoint,
        context: CallContext,
        question: ModelQuestion,
        deadline: float,
        spent: Sum,
        words: Words | None,
        notes: list[Finding],
    ) -> Receipt:
        """One model, tried again for what may pass; the last receipt, which may be of a failure."""
        request = self._request(endpoint, question)
        receipts: list[Receipt] = []

        def passing(error: Exception) -> bool | float:
            if not isinstance(error, CallFailed):
                return False
            wait = error.receipt.retry_after_ms
            if wait is None:
                return True
            return wait / 1000 if wait / 1000 <= min(RETRY_AFTER_MOST, deadline - self.ticks()) else False

        try:
            async for attempt in stamina.retry_context(
                on=passing,
                attempts=endpoint.served.provider.attempts,
                timeout=max(0.1, deadline - self.ticks()),
                wait_initial=PAUSE_SECONDS,
                wait_max=2.0,
            ):
                with attempt:
                    before = spent + summed(receipts)
                    receipt = await self._call(
                        endpoint, context, request, question, deadline, before, words, notes
                    )
                    receipts.append(receipt)
                    if receipt.outcome in TRANSIENT:
                        raise CallFailed(receipt)
        except CallFailed:
            pass  # the last receipt says how
        except BudgetExceeded as exceeded:
            raise BudgetExceeded(exceeded.reason, exceeded.detail, summed(receipts)) from None
        except NoSlot:
            if not receipts:
                raise
        total = summed(receipts)
        return replace(receipts[-1], tokens=total.tokens, cost_micros=total.cost_micros)

    async def _stored(self, context: CallContext, question: ModelQuestion) -> tuple[Endpoint, Receipt] | None:
        """The answer that this run got before it died, of whichever model gave it."""
        reads = self.books.reading(context.tenant)
        for endpoint in self.endpoints:
            found = await stored_answer(
                reads, context.place, self._request(endpoint, question).request_sha256
            )
            if found is not None:
                return endpoint, found
        return None

    def _request(self, endpoint: Endpoint, question: ModelQuestion) -> Request:
        """The question to one model, by its hash, and the most that it can cost there."""
        asked = digest(
            {
                "endpoint": endpoint.name,
                "system": question.system,
                "data": question.data,
                "schema": question.schema(),
                "max_tokens": question.max_tokens,
            }
        )
        most = question.most_tokens
        cost = endpoint.served.price.cost_micros(most - question.max_tokens, question.max_tokens)
        return Request(
            endpoint.name,
            endpoint.served.route.model,
            self.prompt.version,
            self.prompt.sha256,
            asked,
            most,
            cost,
        )

    async def _call(
        self,
        endpoint: Endpoint,
        context: CallContext,
        request: Request,
        question: ModelQuestion,
        deadline: float,
        before: Sum,
        words: Words | None,
        notes: list[Finding],
    ) -> Receipt:
        """One call: reserved, made, settled. Raises BudgetExceeded, NoSlot."""
        attempt = await self._slot(endpoint, context, request, deadline, before, notes)
        started = self.ticks()
        place = context.place
        with self.spans.call(context.tenant, place, request, self.prompt) as span:
            try:
                answer = await endpoint.ask(
                    question, min(endpoint.served.provider.seconds, max(0.1, deadline - started)), words
                )
            except BaseException:
                # Stopped in the middle: what was asked for may be counted, so all of it was spent.
                await asyncio.shield(
                    self._settle(context, attempt, call_receipt(endpoint, request, STOPPED, 0))
                )
                raise
            took = max(0, round((self.ticks() - started) * 1000))
            receipt = call_receipt(endpoint, request, answer, took)
            span.ended(receipt, question)
        await self._settle(context, attempt, receipt)
        return receipt

    async def _settle(self, context: CallContext, attempt: int, receipt: Receipt) -> None:
        """Write what came of a call. Where that cannot be, it stays reserved: as much as it can have cost."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS), self.books.transaction(context.tenant) as tx:
                await settle(tx, context.place, attempt, receipt)
        except (BooksAway, TimeoutError):
            log.warning("a model call of case %s could not be settled", context.place.case_id)

    async def _slot(
        self,
        endpoint: Endpoint,
        context: CallContext,
        request: Request,
        deadline: float,
        before: Sum,
        notes: list[Finding],
    ) -> int:
        """The attempt that is reserved, once the endpoint has a slot. Raises BudgetExceeded, NoSlot."""
        left, began = context.left, self.ticks()
        if before.tokens + request.tokens > left.tokens:
            raise BudgetExceeded("token_budget_exhausted", "the run")
        if before.cost_micros + request.cost_micros > left.cost_micros:
            raise BudgetExceeded("cost_budget_exhausted", "the run")
        while True:
            async with self.books.transaction(context.tenant) as tx:
                judged, attempt = await reserve(
                    tx,
                    context.place,
                    request,
                    lambda load, sums: self._judge(endpoint, request, context, load, sums),
                    lambda judged: judged.weighed.reason is None and judged.slot,
                )
                if attempt is not None:
                    for share in judged.weighed.alerts:
                        if await alert(tx, share, judged.month_micros):
                            log.warning("tenant %s has spent %s %% of its month", context.tenant, share)
            if judged.weighed.reason is not None:
                raise BudgetExceeded(judged.weighed.reason, judged.weighed.detail)
            if attempt is not None:
                if judged.weighed.detail:
                    notes.append(Finding("spend_warning", judged.weighed.detail))
                return attempt
            waited = self.ticks() - began
            patient = SLOT_SECONDS if endpoint is not self.endpoints[-1] else math.inf
            if judged.recovering or waited >= patient or self.ticks() + TURN_SECONDS >= deadline:
                raise NoSlot
            await asyncio.sleep(TURN_SECONDS)

    def _judge(
        self, endpoint: Endpoint, request: Request, context: CallContext, load: Load, sums: Sequence[SpentRow]
    ) -> Judged:
        spent = spent_of(sums, context.place.customer_id)
        weighed = weigh(self.spend_limits, spent, Sum(request.tokens, request.cost_micros))
        ago = load.failed_seconds_ago
        broken = load.failures >= OPEN_AFTER and ago is not None
        recovering = broken and ago is not None and (ago < OPEN_SECONDS or load.in_flight > 0)
        slot = not recovering and has_slot(
            endpoint.served.provider, load, request.tokens, throttled=weighed.throttled
        )
        return Judged(weighed, slot, recovering, spent.tenant_month.cost_micros + request.cost_micros)


def has_slot(provider: Provider, load: Load, tokens: int, *, throttled: bool) -> bool:
    """Whether an endpoint takes one more call now: not at a limit, but always the first call of a minute."""
    narrower = THROTTLE if throttled else 1
    return (
        load.in_flight < max(1, provider.concurrency // narrower)
        and load.requests < max(1, provider.requests_per_minute // narrower)
        and (load.tokens == 0 or load.tokens + tokens <= provider.tokens_per_minute // narrower)
    )


def spent_of(sums: Sequence[SpentRow], customer_id: str) -> SpentSums:
    """The sums of the books as what a call is weighed against."""
    by = {(row.period, row.customer_id): Sum(row.tokens, row.cost_micros) for row in sums}
    return SpentSums(
        customer_day=by.get(("day", customer_id), Sum()),
        tenant_day=by.get(("day", ""), Sum()),
        tenant_month=by.get(("month", ""), Sum()),
    )
