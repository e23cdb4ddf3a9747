"""One run of the autonomous part: what it has in hand, held in this process and never in a checkpoint."""

from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import uuid4

from graph.drafter import Draft
from graph.sight import Sight
from policies.steering import Steering
from policies.transitions import Progress
from refunds.evidence import Grounded
from refunds.order import OrderFacts
from refunds.ticket import QUESTION_LIMIT
from refunds.trace import TraceEvent
from tools.gateway import ToolContext

RUNS_HELD = 512
"""Runs under way in one process at most; one that is pushed out starts again from its case row."""


@dataclass(slots=True)
class AgentRun:
    """The facts of a run so far. A crash loses it, and the next start reads everything anew."""

    sight: Sight
    context: ToolContext
    answers: tuple[str, ...] = ()
    """What the customer wrote after the ticket."""

    steering: Steering = field(default_factory=Steering)
    """What operators have narrowed, as it was when the run began."""

    trace: list[TraceEvent] = field(default_factory=list)
    evidence: Grounded | None = None
    order: OrderFacts | None = None
    draft: Draft | None = None
    wish: object = None
    planning_ms: int = 0
    """What the wish took to be wished; counted with the step that it becomes."""

    args: object = None
    handoff: str | None = None
    """Why the run goes to a person."""

    blocked: str | None = None

    @property
    def asked(self) -> str:
        """The customer's words: the question and the answers since; the newest stay where it is too long."""
        words = "\n\n".join((self.sight.case.ticket.question, *self.answers))
        return words if len(words) <= QUESTION_LIMIT else words[-QUESTION_LIMIT:]

    @property
    def progress(self) -> Progress:
        """The same as the facts of the validators."""
        return Progress(
            admitted=not self.sight.standing.bypassed,
            grounded=self.evidence is not None,
            order_found=self.order is not None,
            drafted=self.draft is not None,
        )


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
