"""The state of the contract, rebuilt from the books alone."""

from dataclasses import replace

from records.books import Transaction
from records.cases import Case
from records.money import CurrentProposal
from records.readings import reading_in
from records.snapshots import Snapshot, snapshot_at
from records.traces import read_trace
from refunds.ask_progress import about_of, left_asks, progress_of
from refunds.ids import OrderId
from refunds.reading import TicketAsk, TicketReading
from refunds.trace import TraceEvent
from refunds.vocabulary import CaseStatus, RefundResult

State = dict[str, object]

_ORDERED: RefundResult = "refund_created"


async def state_of(tx: Transaction, case: Case) -> tuple[State, list[TraceEvent]]:
    """What the books say of a case in the words of the contract, and its trace.

    `budget_audit` is not in it: the caller has the limits and adds it.
    """
    # Read the trace second: what is proposed by then was traced before it was proposed.
    snapshot = await snapshot_at(tx, case.case_id)
    trace = await read_trace(tx, case.case_id)
    return state_seen(case, snapshot, trace), trace


def state_seen(case: Case, snapshot: Snapshot, trace: list[TraceEvent]) -> State:
    """The state of the contract from a snapshot that was just read."""
    now, current, reading = snapshot.state, snapshot.current, reading_now(case, snapshot)
    state: State = {
        "status": now.status,
        "reason": now.reason,
        "case_id": str(case.case_id),
        "draft": None,
        "citations": [],
        "proposal": None,
        "trace": [event.to_json() for event in trace],
        "refund": None,
        "reading": reading.to_json() if reading else None,
    }
    if current is not None:
        proposal = current.proposal
        state["draft"] = proposal.draft or None
        state["citations"] = list(dict.fromkeys(citation.citation_id for citation in proposal.citations))
        state["proposal"] = proposal_shown(current)
        state["refund"] = refund_of(now.status, now.reason, current)
    return state


def reading_now(case: Case, snapshot: Snapshot) -> TicketReading | None:
    """What was read last, each ask with how far it is."""
    reading, now = reading_in(snapshot.reading), snapshot.state
    if reading is None:
        return None
    by_person = now.reason == "taken_over"
    progress = progress_of(reading, _about(case, snapshot), now.status, now.reason, by_person=by_person)
    return replace(reading, asks=tuple(replace(one.ask, state=one.state) for one in progress))


def left_now(case: Case, snapshot: Snapshot) -> tuple[TicketAsk, ...]:
    """The asks that a case does not decide."""
    return left_asks(reading_in(snapshot.reading), _about(case, snapshot))


def _about(case: Case, snapshot: Snapshot) -> OrderId | None:
    """The order that a case is about, by its proposal and by its ticket."""
    proposed = snapshot.current.proposal.order_id if snapshot.current else None
    return proposed or about_of(reading_in(snapshot.reading), case.order_id)


def proposal_shown(current: CurrentProposal) -> State:
    """The open proposal as JSON, for the state and for a reviewer."""
    proposal = current.proposal
    return {
        "id": str(proposal.proposal_id),
        "digest": current.digest,
        "kind": proposal.kind,
        "reason": proposal.reason,
        "amount_minor": proposal.amount.amount_minor,
        "currency": proposal.amount.currency,
        "order_id": proposal.order_id or None,
        "payment_id": proposal.payment_id or None,
        "citations": [citation.to_json() for citation in proposal.citations],
        "lines": [units.to_json() for units in proposal.units],
        "charges_minor": proposal.charges_minor,
        "legs": [leg.to_json() for leg in proposal.parts],
        "goods_first": proposal.goods_first,
        "question": proposal.question,
        "rule": proposal.rule or None,
        "expires_at": current.expires_at.isoformat(),
    }


def refund_of(status: CaseStatus, reason: str, current: CurrentProposal) -> State | None:
    """What became of the money: the result of the contract with what was signed, in all and for each payment."""
    blocked = reason if reason.startswith("blocked:") or reason == "awaiting_return" else None
    if not (current.ordered or blocked) or current.proposal.kind != "refund" or status == "needs_human":
        return None
    return {
        "result": _ORDERED if current.ordered else blocked,
        "amount_minor": current.proposal.amount.amount_minor,
        "currency": current.proposal.amount.currency,
        "legs": [
            {**leg.to_json(), "outcome": current.legs.get(leg.payment_id)} for leg in current.proposal.parts
        ],
    }
