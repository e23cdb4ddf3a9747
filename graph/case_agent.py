"""The autonomous part: plan ⇄ evidence | order | draft, until it proposes or is blocked.

It has no node that pays and no tool that writes: the boundary is its shape. Nothing of it is
checkpointed; after a crash it reads everything again, and an open proposal of its case ends it at once.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, assert_never
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from graph.drafter import Draft, Revision, draft, drafted_by
from graph.planner import Planner, PlannerView
from graph.run import AgentRun, Runs
from graph.sight import leave, look_again, see, shown_as_seen, thread_of
from graph.state import AgentInput, AgentState, Output
from policies.actions import (
    ActionRequest,
    Blocked,
    DraftReply,
    GetPolicyEvidence,
    LookupOrder,
    RequestHumanApproval,
    action_name,
    read_wish,
)
from policies.admission import Arrival, BypassAgent, admit
from policies.budget import next_step_reason
from policies.manifest import Manifest
from policies.steering import steering_of
from policies.transitions import REVIEW_REQUIRES_DRAFT, unmet
from records.beginnings import beginning_of
from records.books import Books, Refused
from records.cases import write_event
from records.library import rules_in_force
from records.looks import open_end
from records.money import propose
from records.traces import read_trace, write_trace
from refunds.canonical import digest
from refunds.evidence import Grounded
from refunds.ids import ProposalId
from refunds.proposal import Proposal
from refunds.trace import TraceEvent
from tools.gateway import Gateway, Ticks, ToolRequest, ToolResult, context_of

UNFIT = frozenset({"blocked:over_refund", "foreign_order", "proposal_mismatch"})
"""Why the books may refuse a draft: the order or its money is not what the draft says, or not any more."""

log = logging.getLogger("countersign.graph")

PROPOSED_BY_PERSON = "proposed_by_person"
"""Why a proposal waits that a person wrote and somebody else decides."""

RETRIEVAL_ONLY = "retrieval_only"
"""Why a case is handed over while an operator lets nothing be drafted."""

PROPOSALS_A_CASE = 6
"""After so many the agent stops trying and hands over: a person and the agent are going in circles."""


@dataclass(frozen=True)
class CaseAgent:
    """The nodes, with what they work on."""

    books: Books
    planner: Planner
    manifest: Manifest
    ticks: Ticks = time.monotonic
    runs: Runs = field(default_factory=Runs)

    async def plan(
        self, state: AgentState, config: RunnableConfig
    ) -> Command[Literal["evidence", "order", "draft", "propose", "block", "__end__"]]:
        name = state.get("run")
        run = self.runs.get(name)
        if run is None:
            begun = await self._begin(config)
            if begun is None:
                return Command(goto="__end__", update=await self._shown(config))
            name, run = begun
        limits = self.manifest.limits()
        limits = replace(limits, steps=run.steering.steps(limits.steps))
        run.handoff = run.handoff or next_step_reason(run.trace, limits)
        if run.handoff:
            return Command(goto="propose", update={"run": name})
        started = self.ticks()
        view = PlannerView(
            run.asked,
            run.sight.case.intent,
            run.sight.case.order_id,
            [event.result for event in run.trace],
        )
        try:
            run.wish = await self.planner.next_wish(view)
        except Exception as error:  # noqa: BLE001  (whatever a planner does, the run goes on to a person)
            log.warning("the planner failed: %s", type(error).__name__)
            run.handoff = "model_unavailable"
            return Command(goto="propose", update={"run": name})
        run.planning_ms = self._since(started)
        target = self._grant(run)
        return Command(goto=target, update={"run": name, "trace": [event.to_json() for event in run.trace]})

    def _since(self, started: float) -> int:
        """Whole milliseconds."""
        return max(0, round((self.ticks() - started) * 1000))

    def _grant(self, run: AgentRun) -> Literal["evidence", "order", "draft", "propose", "block"]:
        """The node that a wish may run, after the allowlist and the validator of its edge."""
        request = read_wish(run.wish)
        step = len(run.trace) + 1
        if isinstance(request, Blocked):
            result = "blocked_action" if request.reason == "forbidden_action" else request.reason
            action = str(_plain(request.action))
            run.trace.append(TraceEvent(step, action, _plain(request.args), result, 0, run.planning_ms))
            run.blocked = request.reason
            return "block"
        raw = run.wish.get("arguments") if isinstance(run.wish, Mapping) else None
        run.args = _plain(raw)
        target = _node_of(request)
        broken = unmet(("plan", target), run.progress)
        if broken is None and isinstance(request, RequestHumanApproval):
            claims_draft = request.reason == "draft_ready_for_review"
            if claims_draft and not REVIEW_REQUIRES_DRAFT.holds(run.progress):
                broken = REVIEW_REQUIRES_DRAFT.name
        if broken is not None:
            run.trace.append(TraceEvent(step, action_name(request), run.args, broken, 0, run.planning_ms))
            run.blocked = "invalid_state_transition"
            return "block"
        if isinstance(request, DraftReply) and run.steering.retrieval_only:
            run.handoff = RETRIEVAL_ONLY
            return "propose"
        if isinstance(request, RequestHumanApproval):
            checked: dict[str, object] = {"reason": request.reason}
            run.trace.append(
                TraceEvent(
                    step, "request_human_approval", run.args, request.reason, 0, run.planning_ms, checked
                )
            )
            run.handoff = request.reason
        return target

    async def evidence(self, state: AgentState, config: RunnableConfig) -> Command[Literal["plan"]]:
        result = await self._call(state, config)
        if result and isinstance(result[1].evidence, Grounded):
            result[0].evidence = result[1].evidence
        return Command(goto="plan")

    async def order(self, state: AgentState, config: RunnableConfig) -> Command[Literal["plan"]]:
        result = await self._call(state, config)
        if result and result[1].order is not None:
            result[0].order = result[1].order
        return Command(goto="plan")

    async def _call(self, state: AgentState, config: RunnableConfig) -> tuple[AgentRun, ToolResult] | None:
        del config
        run = self.runs.get(state.get("run"))
        if run is None:
            return None
        request = read_wish(run.wish)
        if not isinstance(request, GetPolicyEvidence | LookupOrder):
            return None
        result = await self._gateway(run, request)
        latency_ms = result.event.latency_ms + run.planning_ms
        run.trace.append(replace(result.event, latency_ms=latency_ms))
        if result.ends_run:
            run.handoff = "loop_detected"
        return run, result

    async def _gateway(self, run: AgentRun, request: ToolRequest) -> ToolResult:
        return await Gateway(self.books, self.ticks).call(run.context, request, run.args, run.trace)

    async def draft(self, state: AgentState, config: RunnableConfig) -> Command[Literal["plan"]]:
        del config
        run = self.runs.get(state.get("run"))
        if run is None or run.order is None or run.evidence is None:
            return Command(goto="plan")
        started = self.ticks()
        case = run.sight.case
        page = self.books.reading(case.tenant, case.customer_id)
        stated = await rules_in_force(page, run.context.region, run.context.as_of)
        result = "cited_draft"
        try:
            run.draft = draft(case, run.asked, run.order, run.evidence, stated, run.sight.now, _revision(run))
            if run.draft is None:
                result = "no_approved_evidence"
            else:
                _proposal(replace(run, handoff="draft_ready_for_review"), self.manifest)
        except (ValueError, KeyError, TypeError) as error:
            # A name in an order or a number in a policy that cannot stand in a reply: a person reads it.
            log.warning("no draft for case %s: %s", case.case_id, error)
            run.draft, result = None, "draft_failed_checks"
        event = TraceEvent(
            step=len(run.trace) + 1,
            action="draft_reply",
            args=run.args,
            result=result,
            tokens=0,
            latency_ms=self._since(started) + run.planning_ms,
            checked_args={},
            result_sha256=digest(run.draft.text) if run.draft else "",
        )
        run.trace.append(event)
        if run.draft is None:
            run.handoff = result
        return Command(goto="plan")

    async def propose(self, state: AgentState, config: RunnableConfig) -> dict[str, Any]:
        """Write the trace and the proposal in one transaction."""
        run = self.runs.get(state.get("run"))
        if run is None:
            return await self._shown(config)
        wrote = False
        try:
            proposal = _proposal(run, self.manifest)
        except ValueError as error:
            log.warning("what was written for case %s cannot be proposed: %s", run.sight.case.case_id, error)
            run.draft, run.handoff = None, "draft_failed_checks"
            proposal = _proposal(run, self.manifest)
        try:
            wrote = await self._write(run, proposal)
        except Refused as refused:
            if proposal.kind == "handoff" or refused.reason not in UNFIT:
                raise
            # What the books will not have is a person's to sort out.
            run.draft, run.handoff = None, "draft_failed_checks"
            wrote = await self._write(run, _proposal(run, self.manifest))
        finally:
            self.runs.end(state.get("run"))
        return await self._shown(config, run.trace if wrote else None)

    async def _write(self, run: AgentRun, proposal: Proposal) -> bool:
        """False where another run of this thread proposed first; its proposal counts."""
        case = run.sight.case
        async with self.books.transaction(case.tenant, case.customer_id) as page:
            page.later("hold_case", tenant=case.tenant, case_id=case.case_id)
            now = await open_end(page, case.case_id)
            then = run.sight.end
            if (now.proposal.proposal_id if now else None) != (then.proposal.proposal_id if then else None):
                return False
            write_trace(page, case.case_id, case.customer_id, run.trace)
            return await propose(page, proposal, time_to_decide_hours=self.manifest.time_to_decide_hours)

    async def block(self, state: AgentState, config: RunnableConfig) -> dict[str, Any]:
        """Write the trace and the block in one transaction."""
        run = self.runs.get(state.get("run"))
        if run is not None and run.blocked is not None:
            case = run.sight.case
            async with self.books.transaction(case.tenant, case.customer_id) as page:
                write_trace(page, case.case_id, case.customer_id, run.trace)
                await write_event(page, case, "blocked", run.blocked, ended=False)
        self.runs.end(state.get("run"))
        return await self._shown(config)

    async def _begin(self, config: RunnableConfig) -> tuple[str, AgentRun] | None:
        """A new run of the thread's case; None where there is nothing to plan."""
        sight = await see(self.books, thread_of(config))
        if sight is None or sight.state.ended:
            return None
        now = sight.standing
        if now.bypassed or now.blocked:
            return None
        if now.open_proposal and not (now.word == "revise" or now.lapsed or sight.taken_over):
            return None
        start = await beginning_of(self.books.reading(sight.case.tenant, sight.case.customer_id), sight.case)
        run = AgentRun(
            sight, context_of(sight.case, start), answers=start.answers, steering=steering_of(start.flags)
        )
        if start.written is not None:
            run.draft, run.handoff = drafted_by(start.written, sight.end), PROPOSED_BY_PERSON
            return self.runs.start(run), run
        verdict = admit(
            Arrival(
                sight.case.bundle_version, sight.case.route, sight.case.verdict, kill_switch=sight.killed
            ),
            self.manifest,
        )
        if isinstance(verdict, BypassAgent):
            # A person took it up; neither a model nor a tool runs for what admission turns away.
            run.handoff = verdict.reason
        if sight.end is not None and sight.end.proposals >= PROPOSALS_A_CASE:
            run.handoff = "loop_detected"
        return self.runs.start(run), run

    async def _shown(self, config: RunnableConfig, trace: list[TraceEvent] | None = None) -> dict[str, Any]:
        """The state for the eye; the trace from the books where it is not the one that was just written."""
        sight = await look_again(self.books, thread_of(config))
        if sight is None:
            return {}
        leave(sight)
        if trace is None:
            trace = await read_trace(self.books.reading(sight.case.tenant), sight.case.case_id)
        return shown_as_seen(sight, trace, self.manifest)


def _node_of(request: ActionRequest) -> Literal["evidence", "order", "draft", "propose"]:
    match request:
        case GetPolicyEvidence():
            return "evidence"
        case LookupOrder():
            return "order"
        case DraftReply():
            return "draft"
        case RequestHumanApproval():
            return "propose"
        case _:
            assert_never(request)


def _revision(run: AgentRun) -> Revision | None:
    """What a person wants to be different: in the word that sent it back, or in a proposal before."""
    end = run.sight.end
    if end is None or end.decision is None:
        return None
    word, before = end.decision, end.proposal.amount
    if word.word == "revise" and word.revised_amount_minor is not None:
        return Revision(
            word.revised_amount_minor, word.decided_by, before, word.revised_items, word.revised_reply
        )
    lapsed = run.sight.standing.lapsed
    reply = end.proposal.draft if lapsed else word.revised_reply if word.word == "revise" else None
    if end.set_by is None and reply is None:
        return None
    items = end.proposal.items if end.proposal.edited_by else None
    return Revision(end.set_amount_minor, end.set_by, before, items or None, reply, insists=not lapsed)


def _proposal(run: AgentRun, manifest: Manifest) -> Proposal:
    """What this run asks a person to countersign; a run without a draft hands the case over."""
    case, end = run.sight.case, run.sight.end
    made = run.draft if run.draft and run.handoff in {"draft_ready_for_review", PROPOSED_BY_PERSON} else None
    found = run.evidence.citations if run.evidence and not run.evidence.by_rule else ()
    drafted = made or Draft("handoff", "", found)
    reason = run.handoff or "planner_requested_handoff"
    if made and run.sight.standing.lapsed:
        reason = "approval_lapsed"
    return Proposal(
        tenant=case.tenant,
        proposal_id=ProposalId(uuid4()),
        case_id=case.case_id,
        thread_id=case.thread_id,
        kind=drafted.kind,
        reason=reason,
        order_id=drafted.order_id,
        payment_id=drafted.payment_id,
        amount=drafted.amount,
        draft=drafted.text,
        citations=drafted.citations,
        items=drafted.items,
        rule=drafted.rule,
        release=manifest.agent_version,
        graph_version=manifest.graph_version,
        supersedes=end.proposal.proposal_id if end else None,
        edited_by=drafted.edited_by,
        edited_upward=drafted.edited_upward,
    )


def _plain(value: object, depth: int = 0) -> object:
    """Any Python value as the JSON that the trace keeps; what JSON cannot say is named by its type."""
    if depth > 4:
        return "…"
    match value:
        case None | bool():
            return value
        case int() if abs(value) < 2**53:
            return value
        case str():
            return _storable(value[:8_000])
        case Mapping():
            shown = list(value.items())[:32]
            return {_storable(str(key)[:128]): _plain(inner, depth + 1) for key, inner in shown}
        case list() | tuple():
            return [_plain(inner, depth + 1) for inner in value[:32]]
        case _:
            return f"<{type(value).__name__}>"


def _storable(text: str) -> str:
    """The text without what Postgres and UTF-8 cannot hold: NUL and halves of pairs."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def case_agent(agent: CaseAgent) -> StateGraph[AgentState, None, AgentInput, Output]:
    """The topology of the autonomous part."""
    builder = StateGraph(AgentState, input_schema=AgentInput, output_schema=Output)
    builder.add_node("plan", agent.plan)
    builder.add_node("evidence", agent.evidence)
    builder.add_node("order", agent.order)
    builder.add_node("draft", agent.draft)
    builder.add_node("propose", agent.propose)
    builder.add_node("block", agent.block)
    builder.add_edge(START, "plan")
    builder.add_edge("propose", END)
    builder.add_edge("block", END)
    return builder
