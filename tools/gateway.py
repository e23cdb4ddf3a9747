"""The gateway: the only way to a tool.

It takes the case's own context, made from its row and never from arguments; checks tier and quota; times
the call; and turns every failure into a result.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol, assert_never

from policies.actions import TIERS, GetPolicyEvidence, LookupOrder, action_name
from policies.documents import DEFAULT_REGION
from policies.request import MoneyRequest
from policies.steering import steering_of
from records.books import WAITS, Books, BooksAway, Waits
from records.cases import Case
from records.run_inputs import RunInput
from refunds.canonical import digest
from refunds.evidence import Evidence, Grounded
from refunds.finding import Finding
from refunds.ids import CaseId, CustomerId, OrderId, TenantId
from refunds.masking import NOBODY, KnownNames, known_of
from refunds.order import OrderFacts
from refunds.trace import TraceEvent
from refunds.vocabulary import Action
from runtime.shelf import Sense
from tools.get_policy_evidence import MoneyClaim, get_policy_evidence
from tools.invocation import Invocation
from tools.lookup_order import lookup_order
from tools.order_service import OrderService, ServiceAway, gone_on

log = logging.getLogger("countersign.tools")

CALLS_A_RUN = 16
"""Above any budget of steps: a run that asks more often is broken."""

CALLS_A_MINUTE = 1_200
MINUTE_SECONDS = 60.0
"""What the tools of one tenant are called at most, by one process."""

BOOKS_SECONDS = 2.0
"""Seconds for the books to answer a probe, after a tool took too long."""

SECONDS: Mapping[Action, float] = {"get_policy_evidence": 5.0, "lookup_order": 6.0}
"""The deadline of each tool, its retries and its fallback in it."""

REPEATS = 2
"""The second time a planner asks the same, it is shown the stored result; the third time ends the run."""

Ticks = Callable[[], float]
"""Seconds of a clock that only goes forward."""

ToolRequest = GetPolicyEvidence | LookupOrder


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom a tool works: from the case row, re-made on every start and resume."""

    tenant: TenantId
    case_id: CaseId
    customer_id: CustomerId
    order_id: OrderId | None
    region: str
    as_of: date
    """The day whose policy counts: the order's, or today where there is none."""

    claim: MoneyClaim = "none"
    """Whether the ticket asks for money back, and whether it says for what: named items, or a cancellation."""

    disabled: frozenset[Action] = frozenset()
    """Tools that an operator has turned off."""

    release: str = ""
    run: int = 1
    known: KnownNames = NOBODY
    """What is masked wherever words of the case leave the process."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call; the event is its row of the trace."""

    event: TraceEvent
    evidence: Evidence | None = None
    order: OrderFacts | None = None
    source: str = "books"
    findings: tuple[Finding, ...] = ()

    ends_run: bool = False
    """The agent asked too often for one and the same thing: the run goes to a person."""


def context_of(
    case: Case, start: RunInput, release: str, request: MoneyRequest, order_id: OrderId | None
) -> ToolContext:
    """The context of a case that is about this order."""
    order = next((one for one in start.orders if one.order_id == order_id), None)
    return ToolContext(
        tenant=case.tenant,
        case_id=case.case_id,
        customer_id=case.customer_id,
        order_id=order_id,
        region=(order.region if order else start.region) or DEFAULT_REGION,
        as_of=((order.ordered_at if order else start.ordered_at) or start.now).date(),
        claim=_claim_of(request),
        disabled=steering_of(start.flags).disabled_tools,
        release=release,
        run=start.run,
        known=known_of(start.customer, (case.order_id, case.ticket_id, *(case.ticket.items or ()))),
    )


def _claim_of(request: MoneyRequest) -> MoneyClaim:
    if not request.wanted:
        return "none"
    return "stated" if request.of_what else "unstated"


class Meaning(Protocol):
    """An embedding model, behind the budget of the case."""

    @property
    def model(self) -> str: ...

    async def of_question(
        self, context: "ToolContext", question: str, run: int, step: int
    ) -> list[float] | None: ...


@dataclass
class Gateway:
    """Calls tools on the books, and on the shop's own service where there is one. One a process."""

    books: Books
    ticks: Ticks = time.monotonic
    orders: OrderService | None = None
    meaning: Meaning | None = None
    """Says what a question means, where the house has an embedding model."""

    calls: dict[TenantId, deque[float]] = field(default_factory=dict)

    async def call(
        self,
        context: ToolContext,
        request: ToolRequest,
        args: object,
        before: Sequence[TraceEvent],
        step: int | None = None,
    ) -> ToolResult:
        """Run a tool for a case, once for the same arguments; never raises for what a tool does.

        Raises BooksAway: the case waits for the books then, and nobody is handed what no tool said.
        """
        action = action_name(request)
        checked: dict[str, object] = (
            {"question": request.question}
            if isinstance(request, GetPolicyEvidence)
            else {"order_id": request.order_id}
        )
        step = len(before) + 1 if step is None else step
        event = TraceEvent(step, action, args, "tool_unavailable", 0, 0, checked)
        if TIERS[action] != "read" or len(before) >= CALLS_A_RUN or action in context.disabled:
            return ToolResult(event)
        same = [row for row in before if row.action == action and row.checked_args == checked]
        if same:
            stored = replace(event, result="loop_detected", result_sha256=same[0].result_sha256)
            return ToolResult(stored, ends_run=len(same) >= REPEATS)
        if not self._within_a_minute(context.tenant):
            log.warning("tenant %s calls tools too often", context.tenant)
            return ToolResult(event)
        started, waits = self.ticks(), Waits()
        counting = WAITS.set(waits)
        try:
            async with asyncio.timeout(SECONDS[action]):
                result, started = await self._run_when_there(context, request, step, waits)
        except TimeoutError:
            if waits.seconds > SECONDS[action] / 2 or not await self._books_there():
                raise BooksAway(f"the books were away for as long as {action} waits") from None
            log.warning("tool %s took too long", action)
            result = ToolResult(event)
        except Exception as error:  # noqa: BLE001  (whatever a tool does, the run goes on to a person)
            log.warning("tool %s failed: %s", action, type(error).__name__)
            result = ToolResult(event)
        finally:
            WAITS.reset(counting)
        elapsed_ms = max(0, round((self.ticks() - started - waits.seconds) * 1000))
        return replace(
            result,
            event=replace(
                result.event,
                step=event.step,
                action=action,
                args=args,
                checked_args=checked,
                latency_ms=elapsed_ms,
            ),
        )

    def _within_a_minute(self, tenant: TenantId) -> bool:
        """Whether a tenant may call once more; counted by this process."""
        now = self.ticks()
        calls = self.calls.setdefault(tenant, deque(maxlen=CALLS_A_MINUTE))
        if len(calls) == CALLS_A_MINUTE and 0 < now - calls[0] < MINUTE_SECONDS:
            return False
        calls.append(now)
        return True

    async def _run_when_there(
        self, context: ToolContext, request: ToolRequest, step: int, waits: Waits
    ) -> tuple[ToolResult, float]:
        """Run a tool, and again where the books were away for a moment: their restart must not hand a case over.

        With the result comes when the try that answered began; from then on its waits are counted, for to wait for the
        books is no latency of the tool.
        """
        pause, away = 0.05, 0.0
        while True:
            started, waits.seconds = self.ticks(), 0.0
            try:
                return await self._run(context, request, step), started
            except BooksAway:
                away += self.ticks() - started + pause
                await asyncio.sleep(pause)
                pause = min(2 * pause, 1.0)
            except asyncio.CancelledError:
                waits.seconds += away
                raise

    async def _books_there(self) -> bool:
        """Whether the books answer at all."""
        try:
            async with asyncio.timeout(BOOKS_SECONDS):
                await self.books.tenants()
        except (BooksAway, TimeoutError):
            return False
        return True

    async def _run(self, context: ToolContext, request: ToolRequest, step: int) -> ToolResult:
        reads = self.books.reading(context.tenant, context.customer_id)
        match request:
            case GetPolicyEvidence(question):
                sense, noticed = await self._sense(context, question, step)
                evidence = await get_policy_evidence(
                    reads, context.tenant, question, context.region, context.as_of, context.claim, sense
                )
                shown = (
                    [citation.to_json() for citation in evidence.citations]
                    if isinstance(evidence, Grounded)
                    else [offer.to_json() for offer in evidence.offers]
                )
                result = "grounded" if isinstance(evidence, Grounded) else "abstain"
                return ToolResult(_event(result, shown), evidence=evidence, findings=noticed)
            case LookupOrder(order_id):
                order = await lookup_order(reads, order_id, context.order_id)
                found = ToolResult(
                    _event("found" if order else "missing", order_id if order else None), order=order
                )
                return found if order is None else await self._gone_on(context, found, order, step)
            case _:
                assert_never(request)

    async def _sense(
        self, context: ToolContext, question: str, step: int
    ) -> tuple[Sense | None, tuple[Finding, ...]]:
        """What a question means, where somebody can say it; by its words alone otherwise, and that is said."""
        if self.meaning is None:
            return None, ()
        vector = await self.meaning.of_question(context, question, context.run, step)
        if vector is None:
            return None, (Finding("lexical_only", f"no embedding by {self.meaning.model}"),)
        return Sense(self.meaning.model, tuple(vector)), ()

    async def _gone_on(
        self, context: ToolContext, found: ToolResult, order: OrderFacts, step: int
    ) -> ToolResult:
        """The order as the shop's own service knows it now; as the books have it where that is away."""
        if self.orders is None:
            return found
        invocation = Invocation(
            context.case_id,
            context.tenant,
            context.customer_id,
            context.release,
            step,
            "lookup_order",
            {"order_id": order.order_id},
        )
        try:
            told = await self.orders.told_of(invocation, order.order_id)
        except ServiceAway as away:
            log.warning("the order service is away: %s", away)
            return replace(found, findings=(Finding("fallback_source", f"order service: {away}"),))
        if told is None:
            return replace(
                found, findings=(Finding("contradiction", "the order service knows no such order"),)
            )
        return replace(found, order=gone_on(order, told), source="order service")


def _event(result: str, shown: object) -> TraceEvent:
    return TraceEvent(0, "", None, result, 0, 0, None, digest([result, shown]))
