"""Proposing: what a run asks a person to countersign, and what a person wanted to be different in it."""

from uuid import uuid4

from graph.drafter import Draft, Revision
from graph.run import AgentRun
from policies.manifest import Manifest
from refunds.canonical import canonical, sha256
from refunds.ids import ProposalId
from refunds.proposal import Proposal

DRAFTED = "draft_ready_for_review"
PROPOSED_BY_PERSON = "proposed_by_person"
"""Why a proposal waits that a person wrote and somebody else decides."""

PROVIDER_AHEAD = "provider_ahead"
"""Why a case is handed over whose payment has a refund at the provider that these books do not know."""

UNFIT = frozenset({"blocked:over_refund", "foreign_order", "proposal_mismatch"})
"""Why the books may refuse a draft: the order or its money is not what the draft says, or not any more."""

OFFERED_TO_PERSON = 3
"""Clauses that a hand-over shows to whoever writes the reply."""

RELEASE_HELD = "release_held"
"""Why a run is handed over whose release was rolled back under it, or that no release may take."""

HANDED_OVER = frozenset({RELEASE_HELD, PROVIDER_AHEAD})


def revision_of(run: AgentRun) -> Revision | None:
    """What a person wants to be different: in the word that sent it back, or in a proposal before."""
    current = run.snapshot.current
    if current is None or current.decision is None:
        return None
    word, before = current.decision, current.proposal.amount
    if word.word == "revise" and word.revised_amount_minor is not None:
        return Revision(
            word.revised_amount_minor, word.decided_by, before, word.revised_units, word.revised_reply
        )
    lapsed = run.snapshot.facts.lapsed
    # A letter that asks for the goods first is written anew: they may be here, or come otherwise, by now.
    kept = lapsed and not current.proposal.goods_first
    reply = current.proposal.draft if kept else word.revised_reply if word.word == "revise" else None
    if run.edits_void or (current.set_by is None and reply is None):
        return None
    units = current.proposal.units if current.proposal.edited_by else None
    return Revision(
        current.set_amount_minor, current.set_by, before, units or None, reply, insists=not lapsed
    )


def proposal_of(run: AgentRun, manifest: Manifest) -> Proposal:
    """What this run asks a person to countersign; a run without a draft hands the case over."""
    case, current = run.snapshot.case, run.snapshot.current
    made = run.draft if run.draft and run.handoff in {DRAFTED, PROPOSED_BY_PERSON} else None
    found = run.evidence.citations if run.evidence and not run.evidence.by_rule else ()
    drafted = made or Draft("handoff", "", found)
    offers = run.offers[:OFFERED_TO_PERSON] if drafted.kind == "handoff" and not found else ()
    reason = run.handoff or "planner_requested_handoff"
    if made and run.snapshot.facts.lapsed and not run.snapshot.taken_over:
        reason = "approval_lapsed"
    return Proposal(
        tenant=case.tenant,
        proposal_id=ProposalId(uuid4()),
        case_id=case.case_id,
        thread_id=case.thread_id,
        kind=drafted.kind,
        reason=reason,
        order_id=drafted.order_id,
        payment_id=drafted.payment_id,
        amount=drafted.amount,
        draft=drafted.text,
        citations=drafted.citations,
        units=drafted.units,
        rule=drafted.rule,
        release=manifest.agent_version,
        graph_version=manifest.graph_version,
        supersedes=current.proposal.proposal_id if current else None,
        edited_by=drafted.edited_by,
        edited_upward=drafted.edited_upward,
        charges_minor=drafted.charges_minor,
        legs=drafted.legs,
        goods_first=drafted.goods_first,
        kept=drafted.kept,
        question=drafted.question,
        reading=sha256(canonical(run.reading.to_json())) if run.reading else "",
        offers=offers,
    )
