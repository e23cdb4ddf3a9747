"""The case snapshot: what the books say of a thread's case. Every node reads it before it acts."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig

from policies.budget import audit_budget
from policies.manifest import Manifest
from policies.transitions import CaseFacts
from records.books import COMMITTED, Books, Transaction
from records.cases import Case, LastEvent, thread_case
from records.money import CurrentProposal
from records.snapshots import Snapshot, snapshot_now
from records.states import State, reading_now, refund_of, state_of, state_seen
from refunds.ids import CaseId, TenantId, ThreadId
from refunds.trace import TraceEvent

CASES_KNOWN = 512
"""Cases that a process remembers at most."""

_KNOWN: WeakKeyDictionary[Books, OrderedDict[ThreadId, Case]] = WeakKeyDictionary()

FINAL = frozenset({"succeeded", "failed", "refused"})


@dataclass(frozen=True, slots=True)
class CaseSnapshot:
    """A case, its last event and its current proposal."""

    case: Case
    state: LastEvent
    current: CurrentProposal | None
    killed: bool
    now: datetime
    """The time of the books when they were read."""

    keeps_releases: bool = False
    release: str | None = None
    """The release under which the case goes on, where releases are kept; None where none may take it."""

    reading: str | None = None
    """The newest reading of its words, as the books keep it."""

    @property
    def facts(self) -> CaseFacts:
        """What the validators of the graph's edges are asked about."""
        bypassed, blocked = self.state.status == "bypassed", self.state.status == "blocked"
        if self.current is None:
            return CaseFacts(has_case=True, bypassed=bypassed, blocked=blocked)
        decision, settled = self.current.decision, self.current.settled
        unsent_and_late = (
            settled is not None and settled.outcome == "refused" and settled.detail == "blocked:expired"
        )
        approved = decision is not None and decision.word == "approve" and decision.terms.kind == "refund"
        return CaseFacts(
            has_case=True,
            bypassed=bypassed,
            blocked=blocked,
            open_proposal=True,
            kind=self.current.proposal.kind,
            # An approved question is answered by another run, as a revision is.
            word="revise" if decision and decision.asks else decision.word if decision else None,
            waiting=self.current.waits_for_answer and not self.taken_over,
            ended=self.state.ended,
            killed=self.killed,
            expired=decision is None and self.current.past_deciding,
            withdrawn=self.withdrawn,
            lapsed=approved
            and (
                (self.current.past_paying and (unsent_and_late or not self.current.ordered))
                or self.current.returned_otherwise
                or (self.taken_over and not self.current.ordered)
            ),
            awaits_return=self.current.awaits_return,
            ordered=self.current.ordered,
            outcome=settled.outcome if settled else None,
        )

    @property
    def withdrawn(self) -> bool:
        """What is open was proposed by a release that was rolled back; while nothing new runs it waits as it is."""
        current = self.current
        return (
            current is not None
            and current.decision is None
            and current.withdrawn
            and not (current.past_deciding or self.killed)
        )

    @property
    def taken_over(self) -> bool:
        """A person wants something proposed that the agent did not."""
        return (self.state.status, self.state.reason) == ("received", "taken_over")

    @property
    def due(self) -> bool:
        """Whether the graph has something to do; a person or the provider is waited for otherwise."""
        now = self.facts
        if self.state.ended or now.blocked or now.waiting:
            return False
        if self.taken_over:
            return True
        if now.bypassed:
            return self.state.reason == "kill_switch" and not self.killed
        if not now.open_proposal:
            return True
        if now.word is None:
            return now.expired or now.withdrawn
        if now.ordered:
            return now.outcome in FINAL
        return now.lapsed or not self.parked

    @property
    def parked(self) -> bool:
        """Approved, and waiting for what the books say it waits for; what holds no more is written anew."""
        waits = self.facts.awaits_return and self.state.reason == "awaiting_return"
        return waits or (self.killed and self.state.reason == "blocked:kill_switch")


def thread_of(config: RunnableConfig) -> ThreadId:
    """The thread that runs."""
    return ThreadId(UUID(str(config["configurable"]["thread_id"])))


@dataclass(slots=True)
class Drive:
    """What the nodes of one drive share: the snapshot that one of them read, until something is committed."""

    snapshot: CaseSnapshot | None

    def forget(self) -> None:
        self.snapshot = None


_DRIVE: ContextVar[Drive | None] = ContextVar("drive", default=None)


@contextmanager
def driving(snapshot: CaseSnapshot) -> Iterator[None]:
    """A drive that starts from this snapshot. Whatever commits in it makes the next node read the books again."""
    drive = Drive(snapshot)
    driven, told = _DRIVE.set(drive), COMMITTED.set(drive.forget)
    try:
        yield
    finally:
        COMMITTED.reset(told)
        _DRIVE.reset(driven)


def forget() -> None:
    """After a pause: others have acted, though nothing was committed here."""
    drive = _DRIVE.get()
    if drive is not None:
        drive.forget()


async def snapshot_of(books: Books, thread_id: ThreadId) -> CaseSnapshot | None:
    """What the books say of the case that a thread is bound to; None where it is bound to none."""
    drive = _DRIVE.get()
    if drive is not None and drive.snapshot is not None and drive.snapshot.case.thread_id == thread_id:
        return drive.snapshot
    case = await case_of(books, thread_id)
    if case is None:
        return None
    snapshot = await read_snapshot(books, case)
    if drive is not None:
        drive.snapshot = snapshot
    return snapshot


async def read_snapshot(books: Books, case: Case) -> CaseSnapshot:
    """A case as it is now."""
    now = await snapshot_now(books, case.tenant, case.case_id)
    return CaseSnapshot(
        case, now.state, now.current, now.killed, now.now, now.keeps_releases, now.release, now.reading
    )


async def case_of(books: Books, thread_id: ThreadId) -> Case | None:
    """The case that a thread is bound to. A case never changes, so each is read once and remembered."""
    known = _KNOWN.setdefault(books, OrderedDict())
    if thread_id in known:
        known.move_to_end(thread_id)
        return known[thread_id]
    async with books.transaction() as tx:
        bound = await thread_case(tx, thread_id)
    return await case_of_id(books, *bound) if bound else None


async def case_of_id(books: Books, tenant: TenantId, case_id: CaseId) -> Case | None:
    """A case by its id, remembered under its thread."""
    known = _KNOWN.setdefault(books, OrderedDict())
    by_own_name = known.get(ThreadId(case_id))
    if by_own_name is not None and (by_own_name.tenant, by_own_name.case_id) == (tenant, case_id):
        return by_own_name  # a case that came in at the desk has the name of its thread
    rows = await books.read_once(tenant, "case_by_id", case_id=case_id)
    if not rows:
        return None
    case = Case.of(rows[0])
    known[case.thread_id] = case
    while len(known) > CASES_KNOWN:
        known.popitem(last=False)
    return case


async def contract_state(tx: Transaction, case: Case, manifest: Manifest) -> State:
    """The state of the contract for a case."""
    state, trace = await state_of(tx, case)
    return {**state, "budget_audit": audit_budget(trace, manifest.limits())}


def shown_as_seen(snapshot: CaseSnapshot, trace: list[TraceEvent], manifest: Manifest) -> State:
    """The state of the contract from a snapshot that was just read and the trace of the run that has just ended."""
    return {
        **state_seen(snapshot.case, _seen(snapshot), trace),
        "budget_audit": audit_budget(trace, manifest.limits()),
    }


def _seen(snapshot: CaseSnapshot) -> Snapshot:
    return Snapshot(snapshot.state, snapshot.current, snapshot.killed, snapshot.now, reading=snapshot.reading)


def state_after_agent(snapshot: CaseSnapshot) -> dict[str, Any]:
    """The part of the state that can change after the agent is done."""
    now, reading = snapshot.state, reading_now(snapshot.case, _seen(snapshot))
    return {
        "status": now.status,
        "reason": now.reason,
        "reading": reading.to_json() if reading else None,
        "refund": refund_of(now.status, now.reason, snapshot.current) if snapshot.current else None,
    }
