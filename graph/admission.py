"""Admission: the first node. No model and no tool runs before it says yes."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from graph.conversation import conversation_of
from graph.eye import inert
from graph.releases import Releases
from graph.snapshot import contract_state, snapshot_of, thread_of
from graph.state import STATE_VERSION, CaseState
from policies.admission import Arrival, BypassAgent, admit
from policies.intake import classify, verify_intake
from policies.manifest import Manifest
from policies.signature import PublicKeys
from policies.transitions import cross
from records.books import Books
from records.cases import Case, books_now, case_by_ticket, open_case, write_event
from records.orders import customer_orders
from records.queue import enqueue
from records.releases import release_stages
from refunds.ids import CaseId, CustomerId, PersonId, TenantId, ThreadId
from refunds.ticket import BadTicket, Ticket
from refunds.vocabulary import CaseMode

ON_THE_SERVER = PersonId("graph")
"""Who submitted a case that was opened by a run without a person."""


@dataclass(frozen=True)
class Admission:
    """The node, with what it works on."""

    books: Books
    manifest: Manifest
    intake_keys: PublicKeys
    releases: Releases
    mode: CaseMode = "production"

    async def node(
        self, state: CaseState, config: RunnableConfig
    ) -> Command[Literal["case_agent", "close", "__end__"]]:
        thread_id = thread_of(config)
        snapshot = await snapshot_of(self.books, thread_id)
        if snapshot is None:
            refusal = await self._open(state.get("ticket"), thread_id, submitter(config))
            if refusal is not None:
                return Command(goto="__end__", update=refusal)
            snapshot = await snapshot_of(self.books, thread_id)
            if snapshot is None:
                return Command(goto="__end__", update=_turned_away("duplicate_ticket"))
        case = snapshot.case
        if snapshot.state.ended:
            async with self.books.transaction(case.tenant) as tx:
                return Command(goto="__end__", update=inert(await contract_state(tx, case, self.manifest)))
        if snapshot.taken_over:
            # No model and no tool runs for what a person wrote.
            cross("admission", "case_agent", snapshot.facts)
            return Command(goto="case_agent", update=_begun(case))
        agent = await self.releases.agent_for(snapshot)
        verdict = admit(
            Arrival(
                case.bundle_version,
                case.route,
                case.verdict,
                kill_switch=snapshot.killed,
                release_held=agent.held,
            ),
            agent.manifest,
        )
        if isinstance(verdict, BypassAgent) and not snapshot.facts.open_proposal:
            async with self.books.transaction(case.tenant) as tx:
                if (snapshot.state.status, snapshot.state.reason) != ("bypassed", verdict.reason):
                    await write_event(tx, case, "bypassed", verdict.reason, ended=False)
                update = await contract_state(tx, case, self.manifest)
            snapshot = await snapshot_of(self.books, thread_id) or snapshot
            cross("admission", "close", snapshot.facts)
            shown = inert({**update, "messages": conversation_of(snapshot), "state_version": STATE_VERSION})
            return Command(goto="close", update=shown)
        if snapshot.facts.bypassed and snapshot.state.reason == "kill_switch":
            async with self.books.transaction(case.tenant) as tx:
                await write_event(tx, case, "received", "kill_switch_lifted", ended=False)
            snapshot = await snapshot_of(self.books, thread_id) or snapshot
        cross("admission", "case_agent", snapshot.facts)
        return Command(goto="case_agent", update=_begun(case))

    async def _open(
        self, value: object, thread_id: ThreadId, submitted_by: PersonId
    ) -> dict[str, Any] | None:
        """Open a case for a ticket that came with the run; what to answer where there can be none."""
        try:
            ticket = Ticket.read(value)
        except BadTicket:
            return _turned_away("unsigned_intake")
        tenant = TenantId(ticket.tenant)
        if not await self.books.knows(tenant):
            return _turned_away("wrong_tenant")
        async with self.books.transaction(tenant, CustomerId(ticket.customer_id)) as tx:
            orders = await customer_orders(tx, CustomerId(ticket.customer_id), ticket.order_id)
            filed = classify(ticket, self.manifest.intake_bundle, orders)
            check = verify_intake(ticket, self.intake_keys, await books_now(tx))
            replayed = check.jti is not None and await tx.row("jti_used", jti=check.jti) is not None
            case_id = CaseId(uuid4())
            taker = self.releases.taker(await release_stages(tx), tenant, CustomerId(ticket.customer_id))
            opened = await open_case(
                tx,
                ticket,
                case_id=case_id,
                thread_id=thread_id,
                verdict="replayed_intake" if check.verdict == "verified" and replayed else check.verdict,
                jti=check.jti,
                submitted_by=submitted_by,
                release=taker,
                graph_version=self.manifest.graph_version,
                intent=filed.intent,
                order_id=filed.order_id,
                mode=self.mode,
            )
            if opened is not None:
                # The server's own run goes on with it; the job that waits for its end makes its row true.
                await enqueue(tx, tenant, case_id)
                return None
            other = await case_by_ticket(tx, ticket.ticket_id)
        return {**_turned_away("duplicate_ticket"), "case_id": str(other.case_id) if other else None}


def _begun(case: Case) -> dict[str, Any]:
    """The state of a case that the agent takes up; its ticket as the eye may have it."""
    ticket = inert(case.ticket.to_json())
    return {"case_id": str(case.case_id), "ticket": ticket, "state_version": STATE_VERSION}


def submitter(config: RunnableConfig) -> PersonId:
    """Who brought the ticket: the person whom the server has authenticated, never one that a caller names."""
    user = config["configurable"].get("langgraph_auth_user")
    identity = user.get("identity") if user is not None and hasattr(user, "get") else None
    return PersonId(identity) if isinstance(identity, str) and identity else ON_THE_SERVER


def _turned_away(reason: str) -> dict[str, Any]:
    """The state of a run that has no case of its own."""
    return {
        "status": "bypassed",
        "reason": reason,
        "case_id": None,
        "draft": None,
        "citations": [],
        "proposal": None,
        "trace": [],
        "budget_audit": "pass",
        "refund": None,
        "state_version": STATE_VERSION,
    }
