"""Where a run of the agent ends: in its case, or, for a shadow, beside it. Until then the agent is the same."""

from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.runnables import RunnableConfig

from graph.conversation import conversation_of
from graph.eye import inert
from graph.run import AgentRun
from graph.snapshot import shown_as_seen, snapshot_of, thread_of
from graph.watching import Watch
from policies.manifest import Manifest
from records.books import Books, Transaction
from records.cases import write_event
from records.money import propose
from records.readings import write_reading
from records.run_inputs import run_input_of
from records.snapshots import current_proposal
from records.traces import read_trace, write_findings, write_trace
from refunds.proposal import Proposal
from refunds.trace import TraceEvent


class RunEnd(Protocol):
    """What becomes of a run."""

    @property
    def runs_from(self) -> int:
        """The number before the first of its runs."""

    def watch(self, run: AgentRun) -> Watch:
        """Who is told where it is."""

    async def propose(self, run: AgentRun, proposal: Proposal) -> bool:
        """Keep what it proposes, with its trace; False where that does not count. Raises Refused."""

    async def block(self, run: AgentRun, reason: str) -> None:
        """Keep that it was blocked, with its trace."""

    async def shown(self, config: RunnableConfig, trace: list[TraceEvent] | None = None) -> dict[str, Any]:
        """The state for the eye; the trace from the books where it is not the one that was just written."""


@dataclass(frozen=True)
class InItsCase:
    """A run that counts: proposal, trace, findings and events of its case."""

    books: Books
    manifest: Manifest
    kept: bool
    """Whether the books are told where it is: a person has to wait for a model."""

    runs_from: int = 0

    def watch(self, run: AgentRun) -> Watch:
        return Watch(self.books, run.snapshot.case, kept=self.kept)

    async def propose(self, run: AgentRun, proposal: Proposal) -> bool:
        """False where another run of this thread proposed first; its proposal counts."""
        case = run.snapshot.case
        async with self.books.transaction(case.tenant, case.customer_id) as tx:
            tx.later("hold_case", tenant=case.tenant, case_id=case.case_id)
            now = await current_proposal(tx, case.case_id)
            then = run.snapshot.current
            if (now.proposal.proposal_id if now else None) != (then.proposal.proposal_id if then else None):
                return False
            _write_down(tx, run)
            return await propose(tx, proposal, time_to_decide_hours=self.manifest.time_to_decide_hours)

    async def block(self, run: AgentRun, reason: str) -> None:
        case = run.snapshot.case
        async with self.books.transaction(case.tenant, case.customer_id) as tx:
            _write_down(tx, run)
            await write_event(tx, case, "blocked", reason, ended=False)

    async def shown(self, config: RunnableConfig, trace: list[TraceEvent] | None = None) -> dict[str, Any]:
        snapshot = await snapshot_of(self.books, thread_of(config))
        if snapshot is None:
            return {}
        if trace is None:
            trace = await read_trace(self.books.reading(snapshot.case.tenant), snapshot.case.case_id)
        shown = shown_as_seen(snapshot, trace, self.manifest)
        answers: tuple[str, ...] = ()
        if snapshot.current is not None and snapshot.current.proposals > 1:
            case = snapshot.case
            answers = (await run_input_of(self.books.reading(case.tenant, case.customer_id), case)).answers
        return inert({**shown, "messages": conversation_of(snapshot, answers)})


def _write_down(tx: Transaction, run: AgentRun) -> None:
    """What a run did, noticed and read; it goes out with the next statement."""
    case = run.snapshot.case
    write_trace(tx, case.case_id, case.customer_id, run.trace)
    write_findings(tx, case.case_id, run.findings)
    for reading in run.readings:
        write_reading(tx, case.case_id, reading, run=run.number)
