"""From the pause to the end: approval, refund, settlement, close. Outside the autonomous part.

`approval` and `settlement` only read, so running them again is harmless; the resume value only wakes
the thread and is not kept. `refund` orders, by one insert that Postgres checks. Each looks at the books first:
whoever jumps here by force finds what the books say and nothing else.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, assert_never

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, interrupt

from graph.conversation import conversation_of
from graph.eye import inert
from graph.patience import Patience
from graph.reviewer import RESPONSE_SCHEMA, interrupt_payload, settlement_payload
from graph.snapshot import FINAL, CaseSnapshot, forget, snapshot_of, state_after_agent, thread_of
from graph.state import CaseState
from policies.manifest import Manifest
from policies.transitions import CaseFacts, cross
from records.books import Books
from records.cases import write_event
from records.money import order_refund
from refunds.refund import approved
from refunds.vocabulary import CaseStatus, RefundResult

ENDS = frozenset({"replied", "rejected", "expired", "closed_by_human", "refunded", "refund_failed"})

AfterApproval = Literal["approval", "case_agent", "refund", "close"]
AfterRefund = Literal["settlement", "approval", "close"]
AfterSettlement = Literal["settlement", "refund", "approval", "close"]


class NoCase(Exception):
    """This thread is bound to no case: a copied or forked thread orders nothing."""


@dataclass(frozen=True)
class Settling:
    """The nodes outside of the autonomous part, with the services that they call."""

    books: Books
    manifest: Manifest
    patience: Patience = field(default_factory=Patience)

    async def approval(self, state: CaseState, config: RunnableConfig) -> Command[AfterApproval]:
        del state
        snapshot = await self._snapshot(config)
        if snapshot.state.ended:
            cross("approval", "close", snapshot.facts)
            return Command(goto="close")
        if snapshot.facts.waiting:
            asks = snapshot.current.decision.asks if snapshot.current and snapshot.current.decision else None
            interrupt({"waiting_for": asks})
            snapshot = await self._after_pause(config)
        elif _waits_for_decision(snapshot.facts):
            interrupt(await interrupt_payload(self.books, snapshot), response_schema=RESPONSE_SCHEMA)
            snapshot = await self._after_pause(config)
        target = _after_approval(snapshot.facts)
        cross("approval", target, snapshot.facts)
        # No update: the node that runs next writes the status that holds by then.
        return Command(goto=target)

    async def refund(self, state: CaseState, config: RunnableConfig) -> Command[AfterRefund]:
        del state
        snapshot = await self._snapshot(config)
        decision = snapshot.current.decision if snapshot.current else None
        if decision is None or decision.word != "approve" or decision.terms.kind != "refund":
            cross("refund", "approval", snapshot.facts)
            return Command(goto="approval")
        if snapshot.state.ended:
            cross("refund", "close", snapshot.facts)
            return Command(goto="close")
        result = await order_refund(self.books, approved(decision), thread_of(config))
        target = _after_refund(result)
        cross("refund", target, (await self._snapshot(config)).facts)
        match result:
            case "refund_created" | "duplicate_ignored" | "blocked:expired":
                pass
            case "blocked:kill_switch" | "awaiting_return":
                await self._note(snapshot, "refund_pending", result)
            case "blocked:approval_mismatch" | "blocked:not_approved" | "blocked:over_refund":
                await self._note(snapshot, "refund_failed", result)
            case "blocked:mode":
                await self._end_without_effect(snapshot)
            case _:
                assert_never(result)
        update = _shown(await self._snapshot(config))
        if update["refund"] and result == "duplicate_ignored":
            update["refund"] = {**update["refund"], "result": result}
        return Command(goto=target, update=update)

    async def settlement(self, state: CaseState, config: RunnableConfig) -> Command[AfterSettlement]:
        del state
        snapshot = await self._snapshot(config)
        target = _after_settlement(snapshot)
        if target == "settlement" and not snapshot.parked and snapshot.facts.outcome != "needs_person":
            await self.patience.until(partial(self._is_settled, config))
            snapshot = await self._snapshot(config)
            target = _after_settlement(snapshot)
        if target == "settlement":
            interrupt(settlement_payload(snapshot))
            snapshot = await self._after_pause(config)
            target = _after_settlement(snapshot)
        cross("settlement", target, snapshot.facts)
        return Command(goto=target)

    async def close(self, state: CaseState, config: RunnableConfig) -> dict[str, Any]:
        """Write the end that the books bear out. What was bypassed or blocked stays open: it is a person's now."""
        del state
        snapshot = await self._snapshot(config)
        status, reason = _the_end(snapshot)
        if not snapshot.state.ended and status in ENDS:
            async with self.books.transaction(snapshot.case.tenant) as tx:
                await write_event(tx, snapshot.case, status, reason, ended=True)
            snapshot = await self._snapshot(config)
        return _shown(snapshot)

    async def _snapshot(self, config: RunnableConfig) -> CaseSnapshot:
        snapshot = await snapshot_of(self.books, thread_of(config))
        if snapshot is None:
            raise NoCase(str(thread_of(config)))
        return snapshot

    async def _after_pause(self, config: RunnableConfig) -> CaseSnapshot:
        """Read anew: a person or the cashier has acted meanwhile."""
        forget()
        return await self._snapshot(config)

    async def _is_settled(self, config: RunnableConfig) -> bool:
        return _after_settlement(await self._after_pause(config)) != "settlement"

    async def _end_without_effect(self, snapshot: CaseSnapshot) -> None:
        """Approved, in a mode that lets nothing out: the case ends there, and the books say why."""
        async with self.books.transaction(snapshot.case.tenant) as tx:
            await tx.rows("end_without_effect", case_id=snapshot.case.case_id)

    async def _note(self, snapshot: CaseSnapshot, status: CaseStatus, reason: str) -> None:
        if (snapshot.state.status, snapshot.state.reason) != (status, reason):
            async with self.books.transaction(snapshot.case.tenant) as tx:
                await write_event(tx, snapshot.case, status, reason, ended=False)


def _shown(snapshot: CaseSnapshot) -> dict[str, Any]:
    return inert({**state_after_agent(snapshot), "messages": conversation_of(snapshot)})


def _waits_for_decision(now: CaseFacts) -> bool:
    return now.open_proposal and now.word is None and not now.expired and not now.withdrawn


def _after_approval(now: CaseFacts) -> AfterApproval:
    if now.bypassed or now.blocked:
        return "close"
    if now.waiting:
        return "approval"
    if not now.open_proposal or now.lapsed or now.withdrawn or now.word == "revise":
        return "case_agent"
    if now.expired or now.word == "reject":
        return "close"
    if now.word is None:
        return "approval"
    return "refund" if now.kind == "refund" else "close"


def _after_refund(result: RefundResult) -> AfterRefund:
    match result:
        case "refund_created" | "duplicate_ignored" | "blocked:kill_switch" | "awaiting_return":
            return "settlement"
        case "blocked:expired":
            return "approval"
        case "blocked:approval_mismatch" | "blocked:not_approved" | "blocked:over_refund" | "blocked:mode":
            return "close"
        case _:
            assert_never(result)


def _after_settlement(snapshot: CaseSnapshot) -> AfterSettlement:
    now = snapshot.facts
    if now.word != "approve" or now.kind != "refund" or now.lapsed:
        return "approval"
    if now.outcome in FINAL:
        return "close"
    if now.ordered or snapshot.parked:
        return "settlement"
    return "refund"


def _the_end(snapshot: CaseSnapshot) -> tuple[CaseStatus, str]:
    """How the case ended, by the facts."""
    now, current = snapshot.facts, snapshot.current
    if current is None or current.decision is None or now.blocked:
        if current is not None and now.expired:
            return "expired", "time_to_decide"
        return snapshot.state.status, snapshot.state.reason
    if now.word == "reject":
        return "rejected", current.decision.code or "other"
    if now.kind == "reply":
        return "replied", "approve"
    if now.kind == "handoff":
        return "closed_by_human", "approve"
    return snapshot.state.status, snapshot.state.reason
