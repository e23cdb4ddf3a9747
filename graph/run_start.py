"""Where a run of the agent begins: what the books and the customer's words say before anything is planned."""

import asyncio
import logging
from dataclasses import dataclass, replace

from langchain_core.runnables import RunnableConfig

from graph.drafter import Draft, drafted_by, which_order_question
from graph.proposing import DRAFTED, PROPOSED_BY_PERSON
from graph.run import MESSAGES_SHOWN, AgentRun, Runs, StepCost, asked_in, conversation_shown, texts_of
from graph.second_reader import SecondReader
from graph.snapshot import CaseSnapshot, snapshot_of, thread_of
from graph.summarizer import Summarizer
from policies.admission import Arrival, BypassAgent, admit
from policies.hygiene import look_at_text
from policies.languages import DEFAULT, LANGUAGES
from policies.letter_templates import templates
from policies.manifest import Manifest
from policies.reading import own_words, trained_reader
from policies.reading.second import together
from policies.request import MoneyRequest, order_of, request_of
from policies.retention import retention
from policies.steering import steering_of
from records.books import Books, BooksAway, Reads
from records.cases import Case
from records.memory import KeptSummary, keep_summary, memory_of, summary_made_of
from records.orders import order_facts
from records.run_inputs import RunInput, run_input_of
from refunds.canonical import digest
from refunds.finding import Finding
from refunds.money import load
from refunds.reading import TicketReading
from tools.gateway import ToolContext, context_of

log = logging.getLogger("countersign.graph")

PROPOSALS_A_CASE = 6
"""After so many the agent stops trying and hands over: a person and the agent are going in circles."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """Begins runs of one release."""

    books: Books
    manifest: Manifest
    runs: Runs
    runs_from: int
    """The number before the first of its runs."""

    held: bool
    has_model: bool
    second_reader: SecondReader | None = None
    summarizer: Summarizer | None = None

    async def begun(self, config: RunnableConfig) -> tuple[str, AgentRun] | None:
        """A new run of the thread's case; None where there is nothing to plan."""
        snapshot = await snapshot_of(self.books, thread_of(config))
        if snapshot is None or not _is_due(snapshot):
            return None
        case = snapshot.case
        reads = self.books.reading(case.tenant, case.customer_id)
        start = await run_input_of(reads, case)
        await asyncio.to_thread(load, start.language or DEFAULT)
        run = self._read(snapshot, start)
        if self.has_model:
            run.memory = await memory_of(reads, case.customer_id, but=case.case_id)
        if start.written is not None:
            await _write_for_a_person(reads, run, start)
        else:
            self._admit(run)
            if self.has_model and run.handoff is None and not (run.reading and run.reading.urgent):
                run.conversation = await self._conversation(run, reads)
            if run.handoff is None and start.corrected is None:
                await self._read_again(run, start)
            if run.handoff is None:
                _look(run, start)
        return self.runs.start(run), run

    async def _conversation(self, run: AgentRun, reads: Reads) -> str:
        """A long conversation as models are shown it; empty where it is short enough to be read whole."""
        case = run.snapshot.case
        texts = tuple(own_words(text) for text in texts_of(case, run.answers))
        if len(texts) <= MESSAGES_SHOWN:
            return ""
        older = texts[1 : len(texts) - MESSAGES_SHOWN + 1]
        made_of, summary = digest(list(older)), None
        if self.summarizer is not None and not (run.memory.opted_out or run.steering.retrieval_only):
            summary = await summary_made_of(reads, case.case_id, made_of)
            if summary is None:
                limits = self.manifest.limits()
                said = await self.summarizer.summarized(
                    older, run.plan_context(limits, self.manifest.agent_version)
                )
                run.findings += said.findings
                run.reading_cost += StepCost(0, said.spent.tokens, said.spent.cost_micros)
                summary = said.text
                if summary is not None:
                    kept = KeptSummary(
                        case.case_id, case.customer_id, made_of, len(older), summary, self.summarizer.model
                    )
                    days = retention().conversation_summary
                    async with self.books.transaction(case.tenant, case.customer_id) as tx:
                        await keep_summary(tx, kept, days=days)
        return conversation_shown(texts, summary)

    def _read(self, snapshot: CaseSnapshot, start: RunInput) -> AgentRun:
        """The run with the reading of its case."""
        case = snapshot.case
        looked = look_at_text(asked_in(case, start.answers))
        number = self.runs_from + start.run
        stated = case.ticket.intent is not None
        reading = start.corrected or trained_reader().read(
            texts_of(case, start.answers), start.orders, case.order_id, stated=stated
        )
        request, context = self._wanted(reading, case, start, number)
        return AgentRun(
            snapshot,
            context,
            answers=start.answers,
            steering=steering_of(start.flags),
            number=number,
            known=context.known,
            language=start.language if start.language in LANGUAGES else DEFAULT,
            amounts_in=start.language or DEFAULT,
            reading=reading,
            readings=() if start.corrected else (reading,),
            edits_void=start.edits_void,
            request=request,
            looked=looked,
            findings=list(looked.findings),
        )

    def _wanted(
        self, reading: TicketReading, case: Case, start: RunInput, number: int
    ) -> tuple[MoneyRequest, ToolContext]:
        """What a reading asks for in money, and the context of the tools that follows from it."""
        about = order_of(reading, start.orders, case.order_id)
        request = request_of(reading, case.ticket, about, start.orders)
        return request, replace(
            context_of(case, start, self.manifest.agent_version, request, about), run=number
        )

    def _admit(self, run: AgentRun) -> None:
        """Say why a person takes the run, where one does before anything more is read."""
        case = run.snapshot.case
        verdict = admit(
            Arrival(
                case.bundle_version,
                case.route,
                case.verdict,
                kill_switch=run.snapshot.killed,
                release_held=self.held,
            ),
            self.manifest,
        )
        run.admitted = not isinstance(verdict, BypassAgent)
        current = run.snapshot.current
        if current is not None and current.proposals >= PROPOSALS_A_CASE:
            run.handoff = "loop_detected"
        elif isinstance(verdict, BypassAgent):
            # A person took it up; neither a model nor a tool runs for what admission turns away.
            run.handoff = verdict.reason
        elif run.looked is not None and run.looked.goes_to is not None and not self._reads(run):
            run.handoff = run.looked.goes_to

    async def _read_again(self, run: AgentRun, start: RunInput) -> None:
        """Let the second reader read beside the first, where there is one."""
        if (
            self.second_reader is None
            or run.reading is None
            or run.reading.urgent
            or run.steering.retrieval_only
        ):
            return
        case = run.snapshot.case
        left = replace(run.plan_context(self.manifest.limits(), self.manifest.agent_version), step=0)
        try:
            second = await self.second_reader.read(texts_of(case, start.answers), start.orders, left)
        except BooksAway:
            raise
        except Exception as error:  # noqa: BLE001  (whatever a second reader does, the first has read)
            log.warning("the second reader failed: %s", type(error).__name__)
            run.findings.append(Finding("without_model", "read by the trained reader alone"))
            return
        run.reading_cost += StepCost(second.took_ms, second.spent.tokens, second.spent.cost_micros)
        run.findings += second.findings
        if second.reading is None:
            return
        word = together(run.reading, second.reading)
        run.findings += [Finding("contradiction", one) for one in word.contradictions]
        run.reading, run.readings = word.reading, (*run.readings, word.reading)
        run.request, run.context = self._wanted(word.reading, case, start, run.number)

    def _reads(self, run: AgentRun) -> bool:
        """Whether the agent may work on a text in another language: a model, for a customer who is written to in it."""
        looked = run.looked
        return (
            self.has_model
            and looked is not None
            and looked.goes_to == "other_language"
            and looked.language == run.language
        )


def _is_due(snapshot: CaseSnapshot) -> bool:
    """Whether a run has something to do."""
    now = snapshot.facts
    if snapshot.state.ended or now.bypassed or now.blocked:
        return False
    again = now.word == "revise" or now.lapsed or now.withdrawn or snapshot.taken_over
    return again or not now.open_proposal


def _look(run: AgentRun, start: RunInput) -> None:
    """Say why a person takes the run for what was read, or ask the customer which order they mean."""
    if run.reading is not None and run.reading.urgent:
        run.handoff = "urgent_matter"
    elif run.context.order_id is None and run.request.doubt == "several_orders" and len(start.orders) > 1:
        run.draft, run.handoff = _which_order(run, start), DRAFTED


async def _write_for_a_person(reads: Reads, run: AgentRun, start: RunInput) -> None:
    """What a person wants proposed, as the draft of the run."""
    if start.written is not None:
        order = await order_facts(reads, start.written.order_id)
        run.draft = drafted_by(start.written, run.snapshot.current, order)
        run.handoff = PROPOSED_BY_PERSON


def _which_order(run: AgentRun, start: RunInput) -> Draft:
    """The question to the customer which of their orders they mean."""
    says = templates(run.snapshot.case.tenant, run.amounts_in)
    made = which_order_question(says, start.orders)
    return replace(made, text=says.addressed(made.text, run.known.name))
