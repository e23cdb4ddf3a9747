"""The autonomous part: plan ⇄ evidence | order | draft, until it proposes or is blocked.

It has no node that pays and no tool that writes: the boundary is its shape. Nothing of it is
checkpointed; after a crash it reads everything again, and an open proposal of its case ends it at once.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from graph.drafter import Draft, Worded, Writer, draft
from graph.evidence_reader import EvidenceReader
from graph.granting import grant
from graph.planner import ContextPlanner, Planner, PlannerView, PlanResult
from graph.proposing import HANDED_OVER, UNFIT, proposal_of, revision_of
from graph.run import AgentRun, Granted, Runs, StepCost
from graph.run_end import InItsCase, RunEnd
from graph.run_start import RunStart
from graph.second_reader import SecondReader
from graph.state import AgentInput, AgentState, Output
from graph.summarizer import Summarizer
from graph.tracing import Spans
from policies.actions import GetPolicyEvidence, LookupOrder, action_name
from policies.budget import Limits, next_step_reason
from policies.clauses import LeaveToPerson
from policies.letter_templates import templates
from policies.loops import goes_in_circles
from policies.manifest import Manifest
from policies.spending import Sum
from records.books import Books, BooksAway, Refused
from records.library import rules_in_force
from refunds.ask_progress import left_asks
from refunds.canonical import digest
from refunds.evidence import Abstain, Grounded
from refunds.trace import TraceEvent
from refunds.vocabulary import Stage
from tools.gateway import Gateway, Ticks, ToolResult

Node = Callable[[AgentState, RunnableConfig], Awaitable[Command[Any] | dict[str, Any]]]

log = logging.getLogger("countersign.graph")


@dataclass(frozen=True)
class CaseAgent:
    """The nodes of the autonomous part, with the services that they call."""

    books: Books
    planner: Planner
    manifest: Manifest
    gateway: Gateway
    ticks: Ticks = time.monotonic
    model_planner: ContextPlanner | None = None
    """A planner that is a model; the planner is what it falls back to."""

    writer: Writer | None = None
    second_reader: SecondReader | None = None
    evidence_reader: EvidenceReader | None = None
    summarizer: Summarizer | None = None
    held: bool = False
    """No release may take a case: whatever comes is handed over."""

    spans: Spans = field(default_factory=Spans)
    runs: Runs = field(default_factory=Runs)
    elsewhere: RunEnd | None = None
    """Where its runs end, if not in their cases."""

    @property
    def end(self) -> RunEnd:
        """Where its runs end."""
        return self.elsewhere or InItsCase(self.books, self.manifest, kept=self.model_planner is not None)

    @property
    def start(self) -> RunStart:
        """Where its runs begin."""
        return RunStart(
            self.books,
            self.manifest,
            self.runs,
            self.end.runs_from,
            held=self.held,
            has_model=self.model_planner is not None,
            second_reader=self.second_reader,
            summarizer=self.summarizer,
        )

    def nodes(self) -> dict[str, Node]:
        """The nodes by name, each in its span."""
        around = self.spans.around
        return {
            "plan": around("plan", self.plan),
            "evidence": around("evidence", self.evidence),
            "order": around("order", self.order),
            "draft": around("draft", self.draft),
            "propose": around("propose", self.propose),
            "block": around("block", self.block),
        }

    async def plan(
        self, state: AgentState, config: RunnableConfig
    ) -> Command[Literal["evidence", "order", "draft", "propose", "block", "__end__"]]:
        name = state.get("run")
        run = self.runs.get(name)
        if run is None:
            begun = await self.start.begun(config)
            if begun is None:
                return Command(goto="__end__", update=await self.end.shown(config))
            name, run = begun
        limits = self.manifest.limits()
        limits = replace(limits, steps=run.steering.steps(limits.steps))
        limits = limits.less(Sum(run.reading_cost.tokens, run.reading_cost.cost_micros), run.reading_cost.ms)
        run.handoff = run.handoff or next_step_reason(run.trace, limits)
        if run.handoff is None and goes_in_circles(run.trace):
            run.handoff = "loop_detected"
        if run.handoff:
            return Command(goto="propose", update={"run": name})
        started = self.ticks()
        try:
            planned = await self._plan(run, limits)
        except BooksAway:
            raise
        except Exception as error:  # noqa: BLE001  (whatever a planner does, the run goes on to a person)
            log.warning("the planner failed: %s", type(error).__name__)
            run.handoff = "model_unavailable"
            return Command(goto="propose", update={"run": name})
        run.findings += planned.findings
        planning = (
            StepCost(self._since(started), planned.tokens, planned.cost_micros) + run.take_reading_cost()
        )
        if planned.handoff is not None:
            run.handoff = planned.handoff
            run.trace.append(
                TraceEvent(
                    len(run.trace) + 1,
                    "request_human_approval",
                    {"reason": planned.handoff},
                    planned.handoff,
                    planning.tokens,
                    planning.ms,
                    cost_micros=planning.cost_micros,
                )
            )
            return Command(goto="propose", update={"run": name})
        nodes = grant(run, planned.requested, planning, limits.steps - len(run.trace))
        goto: Any = list(nodes) if len(nodes) > 1 else nodes[0]
        return Command(goto=goto, update={"run": name, "trace": [event.to_json() for event in run.trace]})

    async def _plan(self, run: AgentRun, limits: Limits) -> PlanResult:
        """The action that the planner requests, with what that cost."""
        question = run.looked.text if run.looked else run.asked
        view = PlannerView(question, run.intent, run.context.order_id, [event.result for event in run.trace])
        if self.model_planner is None or run.steering.retrieval_only:
            return PlanResult(await self.planner.next_action(view))
        await self.end.watch(run).at("planning")
        return await self.model_planner.plan(view, run.plan_context(limits, self.manifest.agent_version))

    def _since(self, started: float) -> int:
        """Whole milliseconds."""
        return max(0, round((self.ticks() - started) * 1000))

    async def evidence(self, state: AgentState, config: RunnableConfig) -> Command[Literal["plan"]]:
        del config
        result = await self._call(state, "evidence", "reading_policy")
        match result:
            case (run, ToolResult(evidence=Grounded() as found)):
                run.evidence, run.offers = found, ()
            case (run, ToolResult(evidence=Abstain(offers))):
                run.offers = offers
                await self._read_policy(run)
            case _:
                pass
        return Command(goto="plan")

    async def _read_policy(self, run: AgentRun) -> None:
        """Let a model read the nearest clauses for the one that answers; what it finds counts like what was found."""
        if self.evidence_reader is None or run.steering.retrieval_only or not run.offers:
            return
        at = max(n for n, event in enumerate(run.trace) if event.action == "get_policy_evidence")
        event = run.trace[at]
        limits = self.manifest.limits()
        question = str((event.checked_args or {}).get("question", run.asked))
        read = await self.evidence_reader.read(
            question, run.offers, run.plan_context(limits, self.manifest.agent_version)
        )
        run.findings += read.findings
        run.trace[at] = replace(
            event,
            result="abstain" if read.answer is None else "grounded",
            result_sha256=event.result_sha256 if read.answer is None else digest(read.answer.to_json()),
            latency_ms=event.latency_ms + read.took_ms,
            tokens=event.tokens + read.spent.tokens,
            cost_micros=event.cost_micros + read.spent.cost_micros,
        )
        if read.answer is not None:
            run.evidence, run.offers = Grounded((read.answer,)), ()

    async def order(self, state: AgentState, config: RunnableConfig) -> Command[Literal["plan"]]:
        del config
        result = await self._call(state, "order", "reading_order")
        if result and result[1].order is not None:
            result[0].order = result[1].order
        return Command(goto="plan")

    async def _call(self, state: AgentState, node: str, stage: Stage) -> tuple[AgentRun, ToolResult] | None:
        run = self.runs.get(state.get("run"))
        granted = run.granted.pop(node, None) if run else None
        if run is None or granted is None or not isinstance(granted.request, GetPolicyEvidence | LookupOrder):
            return None
        await self.end.watch(run).at(stage)
        with self.spans.span(action_name(granted.request), "tool", run.known, input=granted.args) as span:
            result = await self.gateway.call(
                run.context, granted.request, granted.args, run.trace, granted.step
            )
            span.set(output=result.event.result, checked=result.event.checked_args, source=result.source)
        event, planning = result.event, granted.planning
        run.findings += result.findings
        run.trace.append(
            replace(
                event,
                latency_ms=event.latency_ms + planning.ms,
                tokens=event.tokens + planning.tokens,
                cost_micros=event.cost_micros + planning.cost_micros,
            )
        )
        run.trace.sort(key=lambda one: one.step)
        if result.ends_run:
            run.handoff = "loop_detected"
        return run, result

    async def draft(self, state: AgentState, config: RunnableConfig) -> Command[Literal["plan"]]:
        del config
        run = self.runs.get(state.get("run"))
        granted = run.granted.pop("draft", None) if run else None
        if run is None or granted is None or run.order is None or run.evidence is None:
            return Command(goto="plan")
        case = run.snapshot.case
        await self.end.watch(run).at("drafting")
        reads = self.books.reading(case.tenant, case.customer_id)
        stated = await rules_in_force(reads, run.context.region, run.context.as_of)
        started = self.ticks()  # what the books take, and their absence, is no latency of the drafting
        result, cost = "cited_draft", granted.planning
        try:
            made = draft(
                case,
                run.request,
                run.order,
                run.evidence,
                stated,
                run.snapshot.now,
                revision_of(run),
                run.amounts_in,
            )
            if isinstance(made, LeaveToPerson):
                run.draft, result = None, made.reason
                if made.citations:
                    others = () if run.evidence.by_rule else run.evidence.citations
                    run.evidence = Grounded(tuple(dict.fromkeys((*made.citations, *others))))
            else:
                run.draft = made = replace(made, text=_finished(run, made, made.text))
                proposal_of(replace(run, handoff="draft_ready_for_review"), self.manifest)
                worded = await self._word(run, run.draft, granted)
                cost = replace(
                    cost,
                    tokens=cost.tokens + worded.tokens,
                    cost_micros=cost.cost_micros + worded.cost_micros,
                )
                if worded.handoff is not None:
                    run.draft, result = None, worded.handoff
                elif worded.text is not None:
                    run.draft = replace(made, text=_finished(run, made, worded.text))
                    proposal_of(replace(run, handoff="draft_ready_for_review"), self.manifest)
        except (ValueError, KeyError, TypeError) as error:
            # A name in an order or a number in a policy that cannot stand in a reply: a person reads it.
            log.warning("no draft for case %s: %s", case.case_id, type(error).__name__)
            run.draft, result = None, "draft_failed_checks"
        run.trace.append(
            TraceEvent(
                step=granted.step,
                action="draft_reply",
                args=granted.args,
                result=result,
                tokens=cost.tokens,
                latency_ms=self._since(started) + cost.ms,
                checked_args={},
                result_sha256=digest(run.draft.text) if run.draft else "",
                cost_micros=cost.cost_micros,
            )
        )
        if run.draft is None:
            run.handoff = result
        return Command(goto="plan")

    async def _word(self, run: AgentRun, made: Draft, granted: Granted) -> Worded:
        """The draft in a model's words, where there is a model and no person gave words of their own."""
        revision = revision_of(run)
        if self.writer is None or made.goods_first or (revision is not None and revision.reply is not None):
            return Worded(None)  # what comes first and what follows is said in the rule's own words
        planned = Sum(granted.planning.tokens, granted.planning.cost_micros)
        limits = self.manifest.limits().less(planned, granted.planning.ms)
        watch = self.end.watch(run)
        asked = run.looked.text if run.looked else run.asked
        plan_context = replace(run.plan_context(limits, self.manifest.agent_version), step=granted.step)
        with self.spans.span("check the draft", "guardrail", run.known) as span:
            worded = await self.writer.word(
                made, asked, plan_context, lambda words: watch.at("drafting", words)
            )
            span.set(output=worded.handoff or "passed", findings=[one.to_json() for one in worded.findings])
        run.findings += worded.findings
        return worded

    async def propose(self, state: AgentState, config: RunnableConfig) -> dict[str, Any]:
        """Write the trace and the proposal in one transaction."""
        run = self.runs.get(state.get("run"))
        if run is None:
            return await self.end.shown(config)
        wrote = False
        try:
            proposal = proposal_of(run, self.manifest)
        except ValueError as error:
            log.warning(
                "what was written for case %s cannot be proposed: %s", run.snapshot.case.case_id, error
            )
            run.draft, run.handoff = None, "draft_failed_checks"
            proposal = proposal_of(run, self.manifest)
        try:
            wrote = await self.end.propose(run, proposal)
        except Refused as refused:
            if proposal.kind == "handoff" or refused.reason not in HANDED_OVER | UNFIT:
                raise
            # What the books will not have is a person's to sort out; so is what a release found that was taken back.
            run.draft = None
            run.handoff = refused.reason if refused.reason in HANDED_OVER else "draft_failed_checks"
            wrote = await self.end.propose(run, proposal_of(run, self.manifest))
        finally:
            self.runs.end(state.get("run"))
            await self.end.watch(run).over()
        return await self.end.shown(config, run.trace if wrote else None)

    async def block(self, state: AgentState, config: RunnableConfig) -> dict[str, Any]:
        """Write the trace and the block in one transaction."""
        run = self.runs.get(state.get("run"))
        if run is not None and run.blocked is not None:
            await self.end.block(run, run.blocked)
        self.runs.end(state.get("run"))
        return await self.end.shown(config)


def _finished(run: AgentRun, made: Draft, text: str) -> str:
    """A letter as it goes out: to its customer by name, with what it leaves open; a person's own words as they are."""
    if _reworded(run):
        return text
    says = templates(run.snapshot.case.tenant, run.amounts_in)
    left = () if made.question else left_asks(run.reading, run.context.order_id)
    return says.addressed(says.with_left(text, left), run.known.name)


def _reworded(run: AgentRun) -> bool:
    """Whether a person gave the words of the reply: they stay as they are."""
    revision = revision_of(run)
    return revision is not None and revision.reply is not None


def case_agent(agent: CaseAgent) -> StateGraph[AgentState, None, AgentInput, Output]:
    """The topology of the autonomous part."""
    builder = StateGraph(AgentState, input_schema=AgentInput, output_schema=Output)
    for name, node in agent.nodes().items():
        builder.add_node(name, cast("Any", node))
    builder.add_edge(START, "plan")
    builder.add_edge("propose", END)
    builder.add_edge("block", END)
    return builder
