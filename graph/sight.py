"""Sight: what the books say of a thread's case now. Every node looks before it acts."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig

from policies.budget import audit
from policies.manifest import Manifest
from policies.transitions import Standing
from records.books import Books, Page
from records.cases import Case, CaseState, case_by_id, thread_case
from records.looks import Look, look_at
from records.money import OpenEnd
from records.states import State, state_of, state_seen
from refunds.ids import ThreadId

CASES_KNOWN = 512
"""Cases that a process remembers at most."""

_KNOWN: WeakKeyDictionary[Books, OrderedDict[ThreadId, Case]] = WeakKeyDictionary()

FINAL = frozenset({"succeeded", "failed", "refused"})


@dataclass(frozen=True, slots=True)
class Sight:
    """A case, its last event and the open end of its proposals."""

    case: Case
    state: CaseState
    end: OpenEnd | None
    killed: bool
    now: datetime
    """The time of the books when they were read."""

    @property
    def standing(self) -> Standing:
        """The same as the facts of the validators."""
        bypassed, blocked = self.state.status == "bypassed", self.state.status == "blocked"
        if self.end is None:
            return Standing(has_case=True, bypassed=bypassed, blocked=blocked)
        decision, settled = self.end.decision, self.end.settled
        unsent_and_late = (
            settled is not None and settled.outcome == "refused" and settled.detail == "blocked:expired"
        )
        approved = decision is not None and decision.word == "approve" and decision.kind == "refund"
        return Standing(
            has_case=True,
            bypassed=bypassed,
            blocked=blocked,
            open_proposal=True,
            kind=self.end.proposal.kind,
            word=decision.word if decision else None,
            waiting=self.end.waits_for_answer and not self.taken_over,
            ended=self.state.ended,
            expired=decision is None and self.end.past_deciding,
            lapsed=approved and self.end.past_paying and (unsent_and_late or not self.end.ordered),
            ordered=self.end.ordered,
            outcome=settled.outcome if settled else None,
        )

    @property
    def taken_over(self) -> bool:
        """A person wants something proposed that the agent did not."""
        return (self.state.status, self.state.reason) == ("received", "taken_over")

    @property
    def due(self) -> bool:
        """Whether the graph has something to do; a person or the provider is waited for otherwise."""
        now = self.standing
        if self.state.ended or now.blocked or now.waiting:
            return False
        if self.taken_over:
            return True
        if now.bypassed:
            return self.state.reason == "kill_switch" and not self.killed
        if not now.open_proposal:
            return True
        if now.word is None:
            return now.expired
        if now.ordered:
            return now.outcome in FINAL
        return not (self.killed and self.state.reason == "blocked:kill_switch" and not now.lapsed)


def thread_of(config: RunnableConfig) -> ThreadId:
    """The thread that runs."""
    return ThreadId(UUID(str(config["configurable"]["thread_id"])))


async def see(books: Books, thread_id: ThreadId) -> Sight | None:
    """What the books say of the case that a thread is bound to; None where it is bound to none."""
    case = await case_of(books, thread_id)
    if case is None:
        return None
    async with books.transaction(case.tenant) as page:
        return await sight_of(page, case)


async def sight_of(page: Page, case: Case) -> Sight:
    """The same for a case, in a transaction of its tenant."""
    look = await look_at(page, case.case_id)
    return Sight(case, look.state, look.end, look.killed, look.now)


async def case_of(books: Books, thread_id: ThreadId) -> Case | None:
    """The case that a thread is bound to. A case never changes, so each is read once and remembered."""
    known = _KNOWN.setdefault(books, OrderedDict())
    if thread_id in known:
        known.move_to_end(thread_id)
        return known[thread_id]
    async with books.transaction() as page:
        bound = await thread_case(page, thread_id)
    if bound is None:
        return None
    tenant, case_id = bound
    async with books.transaction(tenant) as page:
        case = await case_by_id(page, case_id)
    if case is not None:
        known[thread_id] = case
        while len(known) > CASES_KNOWN:
            known.popitem(last=False)
    return case


async def shown(page: Page, case: Case, manifest: Manifest) -> State:
    """The state of the contract for a case."""
    state, trace = await state_of(page, case)
    return {**state, "budget_audit": audit(trace, manifest.limits())}


async def shown_as_seen(books: Books, sight: Sight, manifest: Manifest) -> State:
    """The same for what was just seen."""
    look = Look(sight.state, sight.end, sight.killed, sight.now)
    async with books.transaction(sight.case.tenant) as page:
        state, trace = await state_seen(page, sight.case, look)
    return {**state, "budget_audit": audit(trace, manifest.limits())}
