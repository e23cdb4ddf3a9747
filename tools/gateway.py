"""The gateway: the only way to a tool.

It takes the case's own context, made from its row and never from arguments; checks tier and quota; times
the call; and turns every failure into a result.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import assert_never

from policies.actions import TIERS, GetPolicyEvidence, LookupOrder, action_name
from policies.clauses.claim import says_cancel
from policies.steering import steering_of
from records.beginnings import Beginning
from records.books import Books, BooksAway
from records.cases import Case
from refunds.canonical import digest
from refunds.evidence import Evidence, Grounded
from refunds.ids import CaseId, CustomerId, OrderId, TenantId
from refunds.order import OrderFacts
from refunds.trace import TraceEvent
from refunds.words import Action
from tools.get_policy_evidence import MoneyClaim, get_policy_evidence
from tools.lookup_order import lookup_order

log = logging.getLogger("countersign.tools")

CALLS_A_RUN = 16
"""Above any budget of steps: a run that asks more often is broken."""

CALL_SECONDS = 5

REPEATS = 2
"""The second time a planner asks the same, it is shown the stored result; the third time ends the run."""

DEFAULT_REGION = "US"

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


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call; the event is its row of the trace."""

    event: TraceEvent
    evidence: Evidence | None = None
    order: OrderFacts | None = None

    ends_run: bool = False
    """The same was asked too often: the run goes to a person."""


def context_of(case: Case, start: Beginning) -> ToolContext:
    """The context of a case."""
    return ToolContext(
        tenant=case.tenant,
        case_id=case.case_id,
        customer_id=case.customer_id,
        order_id=case.order_id,
        region=start.region or DEFAULT_REGION,
        as_of=(start.ordered_at or start.now).date(),
        claim=_claim_of(case),
        disabled=steering_of(start.flags).disabled_tools,
    )


def _claim_of(case: Case) -> MoneyClaim:
    if case.intent != "refund_request":
        return "none"
    return "stated" if case.ticket.items or says_cancel(case.ticket.question) else "unstated"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Calls tools on the books."""

    books: Books
    ticks: Ticks = time.monotonic

    async def call(
        self, context: ToolContext, request: ToolRequest, args: object, before: Sequence[TraceEvent]
    ) -> ToolResult:
        """Run a tool for a case, once for the same arguments; never raises for what a tool does."""
        action = action_name(request)
        checked: dict[str, object] = (
            {"question": request.question}
            if isinstance(request, GetPolicyEvidence)
            else {"order_id": request.order_id}
        )
        event = TraceEvent(len(before) + 1, action, args, "tool_unavailable", 0, 0, checked)
        if TIERS[action] != "read" or len(before) >= CALLS_A_RUN or action in context.disabled:
            return ToolResult(event)
        same = [row for row in before if row.action == action and row.checked_args == checked]
        if same:
            stored = replace(event, result="loop_detected", result_sha256=same[0].result_sha256)
            return ToolResult(stored, ends_run=len(same) >= REPEATS)
        started = self.ticks()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                result = await self._run_when_there(context, request)
        except Exception as error:  # noqa: BLE001  (whatever a tool does, the run goes on to a person)
            log.warning("tool %s failed: %s", action, type(error).__name__)
            result = ToolResult(event)
        elapsed_ms = max(0, round((self.ticks() - started) * 1000))
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

    async def _run_when_there(self, context: ToolContext, request: ToolRequest) -> ToolResult:
        """Run a tool, again where the books were away for a moment: a restart of them is nobody's hand-over."""
        pause = 0.05
        while True:
            try:
                return await self._run(context, request)
            except BooksAway:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 1.0)

    async def _run(self, context: ToolContext, request: ToolRequest) -> ToolResult:
        page = self.books.reading(context.tenant, context.customer_id)
        match request:
            case GetPolicyEvidence(question):
                evidence = await get_policy_evidence(
                    page, context.tenant, question, context.region, context.as_of, context.claim
                )
                shown = (
                    [citation.to_json() for citation in evidence.citations]
                    if isinstance(evidence, Grounded)
                    else []
                )
                result = "grounded" if isinstance(evidence, Grounded) else "abstain"
                return ToolResult(_event(result, shown), evidence=evidence)
            case LookupOrder(order_id):
                order = await lookup_order(page, order_id, context.order_id)
                return ToolResult(
                    _event("found" if order else "missing", order_id if order else None), order=order
                )
            case _:
                assert_never(request)


def _event(result: str, shown: object) -> TraceEvent:
    return TraceEvent(0, "", None, result, 0, 0, None, digest([result, shown]))
