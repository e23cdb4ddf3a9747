"""Money in the books: proposals, decisions and disbursements, each read into its type."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from psycopg.types.json import Jsonb

from records.books import Books, Reads, Refused, Row, Transaction
from records.queue import enqueue_cashier, enqueue_desk
from refunds.canonical import sha256
from refunds.decision import Decision, Vote
from refunds.ids import CaseId, PaymentId, PersonId, ProposalId, ThreadId, id_of_leg
from refunds.legs import Leg
from refunds.order import Units
from refunds.proposal import Proposal
from refunds.refund import ApprovedRefund
from refunds.terms import Terms
from refunds.vocabulary import Asked, RefundResult, RejectCode, SettlementOutcome, Via

_BLOCKED: dict[str, RefundResult] = {
    "blocked:kill_switch": "blocked:kill_switch",
    "blocked:expired": "blocked:expired",
    "blocked:approval_mismatch": "blocked:approval_mismatch",
    "blocked:not_approved": "blocked:not_approved",
    "blocked:over_refund": "blocked:over_refund",
    "blocked:mode": "blocked:mode",
    "blocked:awaiting_return": "awaiting_return",
}


@dataclass(frozen=True, slots=True)
class Settled:
    """What was learnt last of a disbursement."""

    outcome: SettlementOutcome
    detail: str
    provider_refund_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class CurrentProposal:
    """The newest proposal of a case, the decision on it and what became of its money."""

    proposal: Proposal
    digest: str
    expires_at: datetime
    past_deciding: bool
    withdrawn: bool
    """The release that proposed it was rolled back: nobody can decide it, and it is proposed again."""

    proposals: int
    """How many the case has had."""

    set_amount_minor: int | None
    """The amount that a person set last in this case, if one did, and who."""

    set_by: PersonId | None
    decision: Decision | None
    waits_for_answer: bool
    """Somebody was asked for more and has not answered."""

    past_paying: bool
    ordered: bool
    settled: Settled | None
    awaits_return: bool
    """Approved, and the goods that are wanted back first are not all there as they were sold."""

    returned_otherwise: bool
    """Approved, and something of them came otherwise: what was approved does not fit it."""

    legs: Mapping[PaymentId, SettlementOutcome | None]
    """What was learnt last of each payment that it goes back to; empty before it was ordered."""


def decision_of_row(row: Row, legs: Sequence[Leg] = ()) -> Decision:
    """The decision in a row of `decisions`, of a proposal with these legs."""
    return Decision(
        terms=Terms.of_row(row, legs),
        word=row["word"],
        decided_at=row["decided_at"],
        execute_by=row["execute_by"],
        code=row["code"],
        revised_amount_minor=row["revised_amount_minor"],
        revised_units=_units_of(row["revised_items"]),
        revised_reply=row["revised_reply"],
        letter=row["letter"],
        instruction=row["instruction"],
        asks=row["asks"],
        decided_by=PersonId(row["decided_by"]),
    )


def _units_of(said: list[Any] | None) -> tuple[Units, ...] | None:
    """The units that a revision asks for; None where it names none, or items of before orders had lines."""
    if said is None or any(isinstance(one, str) for one in said):
        return None
    return tuple(Units.of_json(one) for one in said)


@lru_cache(maxsize=1_024)
def _proposal_of(body: str) -> Proposal:
    """The proposal that a body says: a body never changes, and is looked at many times."""
    return Proposal.of_json(json.loads(body))


def current_proposal_of_row(row: Row) -> CurrentProposal | None:
    """The current proposal in a row of `snapshot`; None where nothing was proposed."""
    if row["body"] is None:
        return None
    decision = None
    if row["decision_id"] is not None:
        decision = decision_of_row({**row, "digest": row["decided_digest"]}, _proposal_of(row["body"]).legs)
    return CurrentProposal(
        proposal=_proposal_of(row["body"]),
        digest=row["digest"],
        expires_at=row["expires_at"],
        past_deciding=row["past_deciding"],
        withdrawn=row["withdrawn"],
        proposals=row["proposals"],
        set_amount_minor=row["set_amount_minor"],
        set_by=PersonId(row["set_by"]) if row["set_by"] else None,
        decision=decision,
        waits_for_answer=bool(row["waits_for_answer"]),
        past_paying=row["past_paying"],
        ordered=row["ordered"],
        awaits_return=bool(row["awaits_return"]),
        returned_otherwise=bool(row["returned_otherwise"]),
        settled=Settled(row["outcome"], row["detail"], row["provider_refund_id"], row["settled_at"])
        if row["outcome"]
        else None,
        legs={PaymentId(leg["payment_id"]): leg["outcome"] for leg in row["legs"] or ()},
    )


async def proposals_of(reads: Reads, case_id: CaseId) -> list[Proposal]:
    """Every proposal of a case, the first one first."""
    return [_proposal_of(row["body"]) for row in await reads.rows("bodies_of", case_id=case_id)]


async def propose(tx: Transaction, proposal: Proposal, *, time_to_decide_hours: int) -> bool:
    """Insert a proposal; False where another one took its place in the chain."""
    body = proposal.body()
    row = await tx.row(
        "insert_proposal",
        **Terms.of_proposal(proposal, sha256(body)).columns(),
        body=body,
        reason=proposal.reason,
        release=proposal.release,
        graph_version=proposal.graph_version,
        supersedes=proposal.supersedes,
        edited_by=proposal.edited_by,
        edited_upward=proposal.edited_upward,
        time_to_decide_hours=time_to_decide_hours,
    )
    if row is not None and proposal.kind == "handoff":
        await enqueue_desk(tx, proposal.tenant, proposal.case_id)
    return row is not None


async def cast_vote(tx: Transaction, vote: Vote, note: str | None, via: Via, address: str | None) -> bool:
    """Insert a vote; False where the person has voted on this proposal before."""
    ballot = vote.ballot
    row = await tx.row(
        "insert_vote",
        **ballot.terms.columns(),
        person=ballot.person,
        word=ballot.word,
        authority=ballot.authority,
        kid=ballot.kid,
        payload=vote.payload,
        signature=vote.signature,
        note=note,
        via=via,
        address=address,
        decided_at=ballot.decided_at,
        execute_by=ballot.execute_by,
    )
    return row is not None


async def complete(
    tx: Transaction,
    proposal_id: ProposalId,
    person: PersonId,
    *,
    code: RejectCode | None = None,
    revised_amount_minor: int | None = None,
    revised_units: Sequence[Units] | None = None,
    revised_reply: str | None = None,
    letter: str | None = None,
    instruction: str | None = None,
    asks: Asked | None = None,
    legs: Sequence[Leg] = (),
) -> Decision | None:
    """The decision that this person's vote completes; None where more people must agree."""
    row = await tx.row(
        "insert_decision",
        proposal_id=proposal_id,
        person=person,
        code=code,
        revised_amount_minor=revised_amount_minor,
        revised_items=None if revised_units is None else Jsonb([units.to_json() for units in revised_units]),
        revised_reply=revised_reply,
        letter=letter,
        instruction=instruction,
        asks=asks,
    )
    return decision_of_row(row, legs) if row else None


async def order_refund(books: Books, refund: ApprovedRefund, thread_id: ThreadId) -> RefundResult:
    """Order an approved refund from the thread that asks for it: one insert, of all its payments, checked by Postgres.

    A mismatch is told before a duplicate.
    """
    try:
        terms = replace(refund.terms, thread_id=thread_id)
        async with books.transaction(terms.tenant) as tx:
            rows = await tx.rows("insert_disbursements", **terms.columns(), legs=Jsonb(terms.disbursements()))
            ordered = {row["decision_id"] for row in rows}
            for number, leg in enumerate(terms.parts, start=1):
                disbursement_id = id_of_leg(terms.decision_id, number)
                if disbursement_id in ordered:
                    await enqueue_cashier(tx, terms.tenant, disbursement_id, leg.payment_id)
    except Refused as refused:
        if refused.reason in _BLOCKED:
            return _BLOCKED[refused.reason]
        raise
    return "refund_created" if rows else "duplicate_ignored"
