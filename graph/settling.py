"""From the pause to the end: approval, refund, settlement, close. Outside the autonomous part.

`approval` and `settlement` only read, so running them again is harmless; the resume value is a doorbell
that nobody keeps. `refund` orders, by one insert that Postgres checks. Each looks at the books first:
whoever jumps here by force finds what the books say and nothing else.
"""

from dataclasses import dataclass
from typing import Any, Literal, assert_never

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, interrupt

from graph.reviewer import RESPONSE_SCHEMA, doorbell
from graph.sight import FINAL, Sight, leave, look_again, see, state_after_agent, thread_of
from graph.state import CaseState
from policies.manifest import Manifest
from policies.transitions import CaseFacts, cross
from records.books import Books
from records.cases import write_event
from records.money import order_refund
from refunds.refund import approved
from refunds.words import CaseStatus, RefundResult

ENDS = frozenset({"replied", "rejected", "expired", "closed_by_human", "refunded", "refund_failed"})

AfterApproval = Literal["approval", "case_agent", "refund", "close"]
AfterRefund = Literal["settlement", "approval", "close"]
AfterSettlement = Literal["settlement", "refund", "approval", "close"]


class NoCase(Exception):
    """This thread is bound to no case: a copied or forked thread orders nothing."""


@dataclass(frozen=True)
class Settling:
    """The nodes, with what they work on."""

    books: Books
    manifest: Manifest

    async def approval(self, state: CaseState, config: RunnableConfig) -> Command[AfterApproval]:
        del state
        sight = await self._look(config)
        if sight.state.ended:
            cross("approval", "close", sight.facts)
            return Command(goto="close")
        if sight.facts.waiting:
            interrupt({"waiting_for": sight.end.decision.asks if sight.end and sight.end.decision else None})
            sight = await self._look_again(config)
        elif _waits_for_decision(sight.facts):
            interrupt(doorbell(sight), response_schema=RESPONSE_SCHEMA)
            sight = await self._look_again(config)
        target = _after_approval(sight.facts)
        cross("approval", target, sight.facts)
        leave(sight)
        # Whoever comes next shows where the case stands then.
        return Command(goto=target)

    async def refund(self, state: CaseState, config: RunnableConfig) -> Command[AfterRefund]:
        del state
        sight = await self._look(config)
        decision = sight.end.decision if sight.end else None
        if decision is None or decision.word != "approve" or decision.kind != "refund":
            cross("refund", "approval", sight.facts)
            return Command(goto="approval")
        if sight.state.ended:
            cross("refund", "close", sight.facts)
            return Command(goto="close")
        result = await order_refund(self.books, approved(decision), thread_of(config))
        target = _after_refund(result)
        after = await self._look_again(config)
        cross("refund", target, after.facts)
        match result:
            case "refund_created" | "duplicate_ignored" | "blocked:expired":
                leave(after)
            case "blocked:kill_switch":
                await self._note(sight, "refund_pending", result)
                after = leave(await self._look_again(config))
            case "blocked:approval_mismatch" | "blocked:not_approved" | "blocked:over_refund":
                await self._note(sight, "refund_failed", result)
                after = leave(await self._look_again(config))
            case "blocked:mode":
                await self._end_without_effect(sight)
                after = leave(await self._look_again(config))
            case _:
                assert_never(result)
        update = state_after_agent(after)
        if update["refund"] and result == "duplicate_ignored":
            update["refund"] = {**update["refund"], "result": result}
        return Command(goto=target, update=update)

    async def settlement(self, state: CaseState, config: RunnableConfig) -> Command[AfterSettlement]:
        del state
        sight = await self._look(config)
        target = _after_settlement(sight)
        if target == "settlement":
            interrupt({"waiting_for": "settlement"})
            sight = await self._look_again(config)
            target = _after_settlement(sight)
        cross("settlement", target, sight.facts)
        leave(sight)
        return Command(goto=target)

    async def close(self, state: CaseState, config: RunnableConfig) -> dict[str, Any]:
        """Write the end that the books bear out. What was bypassed or blocked stays open: it is a person's now."""
        del state
        sight = await self._look(config)
        status, reason = _the_end(sight)
        if not sight.state.ended and status in ENDS:
            async with self.books.transaction(sight.case.tenant) as tx:
                await write_event(tx, sight.case, status, reason, ended=True)
            sight = await self._look_again(config)
        return state_after_agent(sight)

    async def _look(self, config: RunnableConfig) -> Sight:
        sight = await see(self.books, thread_of(config))
        if sight is None:
            raise NoCase(str(thread_of(config)))
        return sight

    async def _look_again(self, config: RunnableConfig) -> Sight:
        sight = await look_again(self.books, thread_of(config))
        if sight is None:
            raise NoCase(str(thread_of(config)))
        return sight

    async def _end_without_effect(self, sight: Sight) -> None:
        """Approved, in a mode that lets nothing out: the case ends there, and the books say why."""
        async with self.books.transaction(sight.case.tenant) as tx:
            await tx.rows("end_without_effect", case_id=sight.case.case_id)

    async def _note(self, sight: Sight, status: CaseStatus, reason: str) -> None:
        if (sight.state.status, sight.state.reason) != (status, reason):
            async with self.books.transaction(sight.case.tenant) as tx:
                await write_event(tx, sight.case, status, reason, ended=False)


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
        case "refund_created" | "duplicate_ignored" | "blocked:kill_switch":
            return "settlement"
        case "blocked:expired":
            return "approval"
        case "blocked:approval_mismatch" | "blocked:not_approved" | "blocked:over_refund" | "blocked:mode":
            return "close"
        case _:
            assert_never(result)


def _after_settlement(sight: Sight) -> AfterSettlement:
    now = sight.facts
    if now.word != "approve" or now.kind != "refund" or now.lapsed:
        return "approval"
    if now.outcome in FINAL:
        return "close"
    if now.ordered or sight.killed:
        return "settlement"
    return "refund"


def _the_end(sight: Sight) -> tuple[CaseStatus, str]:
    """How the case ended, by the facts."""
    now, end = sight.facts, sight.end
    if end is None or end.decision is None or now.blocked:
        if end is not None and now.expired:
            return "expired", "time_to_decide"
        return sight.state.status, sight.state.reason
    if now.word == "reject":
        return "rejected", end.decision.code or "other"
    if now.kind == "reply":
        return "replied", "approve"
    if now.kind == "handoff":
        return "closed_by_human", "approve"
    return sight.state.status, sight.state.reason
