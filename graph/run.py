"""One run of the autonomous part: what it has in hand, held in this process and never in a checkpoint."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from graph.drafter import Draft
from graph.planner import PlanContext
from graph.snapshot import CaseSnapshot
from policies.actions import ActionRequest
from policies.budget import Limits
from policies.hygiene import Looked
from policies.reading import own_words
from policies.request import NOTHING_ASKED, MoneyRequest, intent_of
from policies.steering import Steering
from policies.transitions import Progress
from records.cases import Case
from refunds.evidence import Grounded, Offer
from refunds.finding import Finding
from refunds.masking import NOBODY, KnownNames
from refunds.memory import CustomerMemory
from refunds.order import OrderFacts
from refunds.reading import TicketReading
from refunds.ticket import QUESTION_LIMIT
from refunds.trace import TraceEvent
from refunds.vocabulary import Intent
from tools.gateway import ToolContext

MESSAGES_SHOWN = 20
"""Messages of a conversation that a model is shown in full at most: the first and the newest."""

RUNS_HELD = 512
"""Runs under way in one process at most; one that is pushed out starts again from its case row."""


NOTHING_REMEMBERED = CustomerMemory()


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a step has cost so far."""

    ms: int = 0
    tokens: int = 0
    cost_micros: int = 0

    def __add__(self, other: "StepCost") -> "StepCost":
        return StepCost(self.ms + other.ms, self.tokens + other.tokens, self.cost_micros + other.cost_micros)


@dataclass(frozen=True, slots=True)
class Granted:
    """A request that passed the allowlist and the validator of its edge, and its place in the trace."""

    request: ActionRequest
    args: object
    """The planner's own arguments, as JSON."""

    step: int
    planning: StepCost
    """What planning it cost."""


@dataclass(slots=True)
class AgentRun:
    """The facts of a run so far. A crash loses it, and the next start reads everything anew."""

    snapshot: CaseSnapshot
    context: ToolContext
    answers: tuple[str, ...] = ()
    """What the customer wrote after the ticket."""

    steering: Steering = field(default_factory=Steering)
    """What operators have narrowed, as it was when the run began."""

    number: int = 1
    """The number of this run among those of its case."""

    known: KnownNames = NOBODY
    """What the books know of the customer; masked wherever a text of this case leaves the process."""

    language: str = "en"
    """The language in which the customer is written to."""

    amounts_in: str = "en"
    """The language in which amounts are written; the customer's own also where nobody writes to them in it."""

    reading: TicketReading | None = None
    """What the customer asks, by their words."""

    edits_void: bool = False
    """Whether a person has read the case anew since an amount or units were set in it."""

    readings: tuple[TicketReading, ...] = ()
    """What the programs of this run read; none where a person did."""

    reading_cost: StepCost = StepCost()
    """What a second reader cost, until the first step takes it on."""

    request: MoneyRequest = NOTHING_ASKED
    """What of it is wanted in money, with what the ticket states beside the words."""

    looked: Looked | None = None
    findings: list[Finding] = field(default_factory=list)
    """What was noticed, for the reviewer."""

    trace: list[TraceEvent] = field(default_factory=list)
    evidence: Grounded | None = None
    memory: CustomerMemory = NOTHING_REMEMBERED
    """What is remembered of the customer, where a model works on the case."""

    conversation: str = ""
    """A long conversation as models are shown it; empty where all of it is."""

    offers: tuple[Offer, ...] = ()
    """The nearest clauses, where it is not known that one answers."""

    order: OrderFacts | None = None
    draft: Draft | None = None
    granted: dict[str, Granted] = field(default_factory=dict)
    """What was requested and may run, by the node that runs it."""

    admitted: bool = False
    """Whether admission lets the agent work on the case as it is now."""

    handoff: str | None = None
    """Why the run goes to a person."""

    blocked: str | None = None

    @property
    def asked(self) -> str:
        """The customer's own words; the newest stay where they are too many."""
        return asked_in(self.snapshot.case, self.answers)

    def take_reading_cost(self) -> StepCost:
        """What reading cost, for the step that pays for it: once."""
        cost, self.reading_cost = self.reading_cost, StepCost()
        return cost

    def plan_context(self, limits: Limits, release: str) -> PlanContext:
        """What a model works on, with what is left of these limits."""
        return PlanContext(
            case=self.snapshot.case,
            run=self.number,
            step=len(self.trace) + 1,
            left=limits.left(self.trace),
            known=self.known,
            language=self.language,
            actions=[event.action for event in self.trace],
            evidence=self.evidence,
            order=self.order,
            release=release,
            asks=[ask.ask for ask in self.reading.asks] if self.reading else [],
            memory=self.memory.for_models(),
            conversation=self.conversation,
        )

    @property
    def intent(self) -> Intent:
        """Under what the case is planned: as it was filed, or as a person reads it."""
        if self.reading is not None and self.reading.reader == "person":
            return intent_of(self.reading)
        return self.snapshot.case.intent

    @property
    def progress(self) -> Progress:
        """What the validators of the agent's edges are asked about."""
        return Progress(
            admitted=self.admitted,
            grounded=self.evidence is not None,
            order_found=self.order is not None,
            drafted=self.draft is not None,
        )


def texts_of(case: Case, answers: Sequence[str]) -> tuple[str, ...]:
    """What a customer wrote: with the ticket, and the answers since. Spans of a reading count in these, joined."""
    return (*case.ticket.texts, *answers)


def asked_in(case: Case, answers: Sequence[str]) -> str:
    """A customer's own words, of the ticket and of the answers since."""
    words = "\n\n".join(own_words(text) for text in texts_of(case, answers))
    return words if len(words) <= QUESTION_LIMIT else words[-QUESTION_LIMIT:]


def conversation_shown(texts: Sequence[str], summary: str | None) -> str:
    """A long conversation: its first message, what the older ones say or how many were left out, and the newest."""
    left = len(texts) - MESSAGES_SHOWN
    between = f"[… {left} messages, summed up: {summary} …]" if summary else f"[… {left} messages left out …]"
    return "\n\n".join((texts[0], between, *texts[-(MESSAGES_SHOWN - 1) :]))


class Runs:
    """The runs of this process, by name."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, AgentRun] = OrderedDict()

    def start(self, run: AgentRun) -> str:
        name = uuid4().hex
        self._runs[name] = run
        while len(self._runs) > RUNS_HELD:
            self._runs.popitem(last=False)
        return name

    def get(self, name: str | None) -> AgentRun | None:
        return self._runs.get(name) if name else None

    def end(self, name: str | None) -> None:
        self._runs.pop(name or "", None)
