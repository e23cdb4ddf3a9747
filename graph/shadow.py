"""The shadow: a candidate works on the same admitted tickets as the live release, and nothing comes of it but a row.

It is the same agent with the same tools, which only read. What differs is its end: no proposal, no trace, no event, no
thread and no job. Postgres says the same: a release in shadow proposes nothing. Its model calls are journalled and
paid for under run numbers of their own.
"""

import json
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from langchain_core.runnables import RunnableConfig

from graph.case_agent import CaseAgent
from graph.releases import Releases
from graph.run import AgentRun, Runs
from graph.snapshot import CaseSnapshot, driving
from graph.tracing import Spans
from graph.walk import walk
from graph.watching import Watch
from policies.rollout import CaseOutcome, differences
from records.books import Books, Row
from records.cases import Case, LastEvent
from records.releases import EVERYBODY, first_done, release_now, release_stages, shadow_due, write_shadow_run
from refunds.ids import CaseId, TenantId
from refunds.proposal import Proposal
from refunds.trace import TraceEvent

log = logging.getLogger("countersign.graph")

EVERY_SECONDS = 5
AT_ONCE = 20
"""Cases of a tenant that one pass works on."""

RUNS_FROM = 10_000
"""The run numbers of shadows begin here, so that no journalled answer of theirs is taken for one of a case's own."""


class SilentWatch(Watch):
    """A watch that tells nobody."""

    async def at(self, stage: object, words: str = "") -> None:
        del stage, words

    async def over(self) -> None:
        """Nothing was told."""


@dataclass(frozen=True)
class InShadow:
    """The end of a run in a row of `shadow_runs`: no proposal, no trace, no event."""

    books: Books
    release: str
    runs_from: int = RUNS_FROM

    def watch(self, run: AgentRun) -> Watch:
        return SilentWatch(self.books, run.snapshot.case, kept=False)

    async def propose(self, run: AgentRun, proposal: Proposal) -> bool:
        """Keep it in a row of its own. False, because it does not count for the case."""
        done = CaseOutcome(
            "needs_human",
            proposal.kind,
            proposal.reason,
            proposal.amount.amount_minor,
            str(proposal.amount.currency),
            _cited(proposal),
            _path(run),
        )
        await self._note(run, done, proposal.draft)
        return False

    async def block(self, run: AgentRun, reason: str) -> None:
        await self._note(run, CaseOutcome("blocked", "none", reason, 0, "XXX", (), _path(run)), "")

    async def shown(self, config: RunnableConfig, trace: list[TraceEvent] | None = None) -> dict[str, Any]:
        del config, trace
        return {}

    async def _note(self, run: AgentRun, done: CaseOutcome, draft: str) -> None:
        case = run.snapshot.case
        async with self.books.transaction(case.tenant) as tx:
            live = await first_done(tx, case.case_id)
            if live is None:
                return
            await write_shadow_run(
                tx,
                release=self.release,
                case_id=case.case_id,
                beside=case.release,
                status=done.status,
                kind=done.kind,
                reason=done.reason,
                amount_minor=done.amount_minor,
                currency=done.currency,
                citations=done.citations,
                path=done.path,
                draft=draft,
                differs=list(differences(done, live_done(live))),
                tokens=sum(event.tokens for event in run.trace),
                cost_micros=sum(event.cost_micros for event in run.trace),
                latency_ms=sum(event.latency_ms for event in run.trace),
                live_cost_micros=live["cost_micros"],
                live_latency_ms=live["latency_ms"],
            )


def live_done(row: Row) -> CaseOutcome:
    """What was done, of a row of the books."""
    proposal = Proposal.of_json(json.loads(row["body"])) if row["body"] else None
    return CaseOutcome(
        row["status"],
        row["kind"],
        row["reason"],
        row["amount_minor"],
        row["currency"],
        _cited(proposal) if proposal else (),
        tuple(row["path"]),
    )


def _cited(proposal: Proposal) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{one.citation_id}:{one.clause}" for one in proposal.citations))


def _path(run: AgentRun) -> tuple[str, ...]:
    return tuple(event.action for event in run.trace)


@dataclass(frozen=True)
class Shadow:
    """The shadow of one process: looks for what the live release has done and does it again for itself."""

    books: Books
    releases: Releases
    failed: set[CaseId] = field(default_factory=set)
    """Cases that this process could not work on: one of them holds up no other."""

    async def sweep(self) -> int:
        """Work on what is due; how many cases. Without a release in shadow it is one look at the books."""
        shadows = [
            stage.release
            for stage in await release_stages(self.books.reading(EVERYBODY))
            if stage.state == "shadow"
        ]
        done = 0
        for release in shadows:
            agent = await self.releases.agent_named(release)
            if agent is None:
                continue
            shadow = _shadow_of(agent, release)
            for tenant in await self.books.tenants():
                done += await self._work(shadow, release, tenant)
        return done

    async def _work(self, agent: CaseAgent, release: str, tenant: TenantId) -> int:
        reads = self.books.reading(tenant)
        done = 0
        for case in await shadow_due(reads, release, self.failed, AT_ONCE):
            # Before each: a kill switch or a rollback in mid-pass stops it there.
            now = await release_now(reads, release)
            if now is None or now["killed"] or now["state"] != "shadow":
                return done
            try:
                await self._run(agent, case, now["now"])
            except Exception:
                log.exception("the shadow of case %s failed; it is left out", case.case_id)
                self.failed.add(case.case_id)
                continue
            done += 1
        return done

    async def _run(self, agent: CaseAgent, case: Case, now: datetime) -> None:
        """The case through the agent alone, as one of which nothing is known but its ticket."""
        snapshot = CaseSnapshot(
            case, LastEvent("received", case.verdict, ended=False), None, killed=False, now=now
        )
        config: RunnableConfig = {"configurable": {"thread_id": str(case.thread_id)}}
        with driving(snapshot):
            await walk(agent, str(case.case_id), config)


def _shadow_of(agent: CaseAgent, release: str) -> CaseAgent:
    return replace(agent, elsewhere=InShadow(agent.books, release), runs=Runs(), spans=Spans(), held=False)
