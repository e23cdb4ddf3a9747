"""The dossier: one case on one screen, from the books alone. What stands in it is data, whoever wrote it."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from desk.checks import Check, DossierCitation, checks_of, citation_now, payment_of
from desk.decisions import authority_of, claimed_by
from desk.marked import ReadWords
from desk.people import Person
from policies.authority import AuthorityRule, highest_authority, may_approve
from policies.budget import EXHAUSTED, audit_budget
from policies.deadlines import Urgency, urgency
from policies.languages import DEFAULT
from policies.manifest import Manifest
from records.books import Books, Row
from records.cases import Case
from records.messages import messages_of
from records.money import CurrentProposal
from records.orders import order_facts
from records.replies import CustomerReply, replies_of
from records.snapshots import Snapshot, snapshot_at
from records.states import left_now, reading_now
from records.takeovers import takeovers_of
from records.traces import read_trace
from refunds.ids import PaymentId
from refunds.money import Money
from refunds.order import Line, OrderFacts, Payment, counted, method_as_said
from refunds.proposal import Proposal
from refunds.reading import TicketAsk
from refunds.shares import Unbalanced, shares_of

EARLIER = 8

DEGRADED: dict[str, str] = {
    "without_model": "The model could not be used: this was planned or written by rule.",
    "fallback_model": "Another model than the first one answered.",
    "fallback_source": "The shop's order service was away: the order is as our books have it.",
    "lexical_only": "The policy was found by its words alone: nobody could say what the question means.",
    "retrieval_only": "An operator lets policy and order be read and nothing be drafted.",
    "budget": "A budget for models was spent.",
}
"""What a reviewer is told where the agent had to do with less."""


@dataclass(frozen=True, slots=True)
class LineShown:
    """A line of an order, how many of it came back, and how many go back now."""

    line: Line
    refunded: int
    proposed: int
    share: Money | None
    """What those that go back now cost; None where nobody can say it."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that a person sees of a case before they decide."""

    case: Case
    snapshot: Snapshot
    events: list[Row]
    trace: list[Row]
    budget_audit: str
    proposals: list[Row]
    diff: list[tuple[str, str]]
    """Against the proposal before, where a person asked for another: lines with ` `, `-` or `+`."""

    changed: list[tuple[str, str, str]]
    cited: list[DossierCitation]
    order: OrderFacts | None
    earlier: list[Row]
    messages: list[Row]
    replies: list[CustomerReply]
    takeovers: list[Row]
    assignments: list[Row]
    votes: list[Row]
    reviews: list[Row]
    rating: Row | None
    claim: Row | None
    rule: AuthorityRule | None
    checks: list[Check]
    effect: str
    urgency: Urgency
    findings: list[Row]
    """What code noticed."""

    raised_by: frozenset[str]
    """Who has read the case so that it asks for more than before."""

    calls: list[Row]
    """What models were asked, and what it cost."""

    progress: Row | None
    """What a run does at this moment."""

    @property
    def words(self) -> ReadWords:
        """What the customer wrote, and what was read in it last."""
        return ReadWords(self.case.ticket.texts, tuple(self.messages), reading_now(self.case, self.snapshot))

    @property
    def left(self) -> tuple[TicketAsk, ...]:
        """The asks that this case does not decide."""
        return left_now(self.case, self.snapshot)

    @property
    def degraded(self) -> list[str]:
        """How the last run did less than it does on a good day, in sentences."""
        last = max((row["run"] for row in (*self.findings, *self.trace)), default=0)
        kinds = {row["kind"]: row["detail"] for row in self.findings if row["run"] == last}
        found = [said for kind, said in DEGRADED.items() if kind in kinds]
        if self.snapshot.state.reason in EXHAUSTED:
            found.append("The run stopped at a budget: what it had found by then stands here.")
        return found

    @property
    def current(self) -> CurrentProposal | None:
        return self.snapshot.current

    @property
    def deciding(self) -> bool:
        """Whether a word on the open proposal is waited for."""
        current = self.snapshot.current
        return (
            current is not None
            and current.decision is None
            and not current.past_deciding
            and not self.snapshot.state.ended
        )

    @property
    def to_take_over(self) -> bool:
        """Whether a person may end the case by themselves, or propose."""
        now = self.snapshot.state
        if now.status in {"bypassed", "blocked", "refund_failed"} or now.reason in {
            *ASKED,
            "awaiting_return",
        }:
            return True
        return self.deciding and self.current is not None and self.current.proposal.kind == "handoff"

    @property
    def to_propose(self) -> bool:
        """Whether a refund of a person's own may stand in the place of what is proposed."""
        return (
            self.deciding and not self.to_take_over and self.order is not None and bool(self.order.payments)
        )

    @property
    def wants_goods(self) -> bool:
        """Whether the refund that is proposed or approved waits for goods of the order."""
        current = self.current
        return current is not None and current.proposal.goods_first and not current.ordered

    @property
    def worded_by(self) -> str | None:
        """Who wrote the words of the proposal, where a person sent the one before back with them."""
        if len(self.proposals) < 2 or not self.proposals[-2]["revised_reply"]:
            return None
        return str(self.proposals[-2]["decided_by"])

    @property
    def lines(self) -> list[LineShown]:
        """Each line of the order with what came back of it and what goes back now."""
        if self.order is None:
            return []
        proposed = counted(self.current.proposal.units if self.current and not self.current.ordered else ())
        gone = self.order.gone
        return [
            LineShown(
                line,
                gone[line.line_id],
                proposed[line.line_id],
                _share(self.order, line, proposed[line.line_id]),
            )
            for line in self.order.lines
        ]

    @property
    def going_back(self) -> dict[PaymentId, Money]:
        """What goes back now to each payment."""
        return {leg.payment_id: leg.amount for leg in self.current.proposal.parts} if self.current else {}

    @property
    def payment(self) -> Payment | None:
        """The payment that the proposal goes back to."""
        return payment_of(self.order, self.current.proposal) if self.current else None


def _share(order: OrderFacts, line: Line, quantity: int) -> Money | None:
    """What so many of a line cost, after those of it that went back."""
    if not quantity:
        return None
    gone = order.gone[line.line_id]
    try:
        parts = shares_of(order).lines[line.line_id][gone : gone + quantity]
    except Unbalanced:
        return None
    return Money(sum(parts), order.currency) if len(parts) == quantity else None


ASKED = frozenset({"asked_customer", "asked_colleague"})


async def dossier_of(books: Books, manifest: Manifest, case: Case, language: str = DEFAULT) -> Dossier:
    """Read everything around a case in one transaction; sentences say amounts in the language of whoever reads."""
    async with books.transaction(case.tenant) as tx:
        snapshot = await snapshot_at(tx, case.case_id)
        current = snapshot.current
        trace = await read_trace(tx, case.case_id)
        about = (current.proposal.order_id if current else None) or case.order_id
        order = await order_facts(tx, about) if about else None
        if order is not None and order.customer_id != case.customer_id:
            order = None
        proposals = await tx.rows("proposals_of", case_id=case.case_id)
        cited = (
            [await citation_now(tx, citation, snapshot.now) for citation in current.proposal.citations]
            if current
            else []
        )
        rule = await authority_of(tx, case.tenant, current) if current else None
        votes = await tx.rows("votes_of", proposal_id=current.proposal.proposal_id) if current else []
        gone = await tx.row("units_gone", proposal_id=current.proposal.proposal_id) if current else None
        owner = await tx.row("claim_of", case_id=case.case_id)
        return Dossier(
            case=case,
            snapshot=snapshot,
            events=await tx.rows("events_of", case_id=case.case_id),
            trace=await tx.rows("trace_timed", case_id=case.case_id),
            budget_audit=audit_budget(trace, manifest.limits()),
            proposals=proposals,
            diff=_diff(proposals),
            changed=_changed(proposals, language),
            cited=cited,
            order=order,
            earlier=await tx.rows(
                "cases_of_customer", customer_id=case.customer_id, case_id=case.case_id, most=EARLIER
            ),
            messages=await messages_of(tx, case.case_id),
            replies=await replies_of(tx, case.case_id),
            takeovers=await takeovers_of(tx, case.case_id),
            assignments=await tx.rows("assignments_of", case_id=case.case_id),
            votes=votes,
            reviews=await tx.rows("second_reviews_of", case_id=case.case_id),
            rating=await tx.row("rating_of", case_id=case.case_id),
            claim=owner,
            rule=rule,
            checks=checks_of(
                case, snapshot, order, cited, gone_before=bool(gone and gone["gone"]), language=language
            ),
            effect=effect_of(current, order, rule, votes, language, killed=snapshot.killed)
            if case.mode == "production"
            else "",
            findings=await tx.rows("findings_of", case_id=case.case_id),
            raised_by=frozenset(
                row["person"]
                for row in (
                    await tx.rows("raised_by_reading", proposal_id=current.proposal.proposal_id)
                    if current
                    else ()
                )
            ),
            calls=await tx.rows("calls_of", case_id=case.case_id),
            progress=await tx.row("progress_of", case_id=case.case_id),
            urgency=_urgency(proposals, snapshot),
        )


def effect_of(
    current: CurrentProposal | None,
    order: OrderFacts | None,
    rule: AuthorityRule | None,
    votes: Sequence[Row] = (),
    language: str = DEFAULT,
    *,
    killed: bool = False,
) -> str:
    """One sentence that says what Approve will do; empty where there is nothing to approve."""
    if current is None or current.decision is not None:
        return ""
    proposal = current.proposal
    match proposal.kind:
        case "handoff":
            return "Nothing is proposed: take it over to reply, to propose a refund, or to close it without a word."
        case "reply" if proposal.question:
            does = "sends this question and keeps the case open for the answer"
        case "reply":
            does = "sends this reply and returns no money"
        case "refund":
            does = f"sends this reply and returns {_where(proposal, order, language)}, once"
            if proposal.goods_first:
                does += ", when the goods have come back as they were sold"
            if killed:
                does += "; the kill switch is on, so nothing is paid until it is lifted"
    yes = sum(vote["word"] == "approve" for vote in votes)
    missing = rule.approvals - yes if rule else 0
    if missing > 1:
        of = f", {rule.specialists} of them a specialist" if rule and rule.specialists else ""
        return f"Approve is one of {missing} that are needed{of}; together they {_plural(does)}."
    return f"Approve {does}."


def _where(proposal: Proposal, order: OrderFacts | None, language: str) -> str:
    """What goes back, and to what was paid with: `$79.00 to card …4242`; each where it is several."""
    methods = {paid.payment_id: method_as_said(paid.method) for paid in order.payments} if order else {}
    parts = [
        f"{leg.amount.shown(language)} to {methods.get(leg.payment_id, f'payment {leg.payment_id}')}"
        for leg in proposal.parts
    ]
    return parts[0] if len(parts) == 1 else f"{proposal.amount.shown(language)}: {' and '.join(parts)}"


def _plural(does: str) -> str:
    return does.replace("sends", "send").replace("returns", "return").replace("keeps", "keep")


def may_say_yes(person: Person, shown: Dossier, language: str = DEFAULT) -> str:
    """Why this person's approval does not count; empty where it does."""
    if not shown.deciding or shown.current is None:
        return "there is nothing to approve"
    authority = highest_authority(person.roles_in(shown.case.tenant))
    if authority is None:
        return "you may look and not decide"
    if shown.claim is not None and shown.claim["person"] != person.person:
        return claimed_by(shown.claim)
    if shown.case.submitted_by == person.person:
        return "nobody decides a case they submitted"
    if any(row["edited_upward"] and row["edited_by"] == person.person for row in shown.proposals):
        return "nobody approves an amount they raised"
    if any(row["act"] == "propose" and row["person"] == person.person for row in shown.takeovers):
        return "nobody approves what they wrote"
    if person.person in shown.raised_by:
        return "nobody approves money that their own reading has raised"
    if any(vote["person"] == person.person for vote in shown.votes):
        return "you have voted: somebody else must agree"
    if not may_approve(authority, shown.rule):
        return f"{shown.current.proposal.amount.shown(language)} needs a specialist"
    return ""


def _urgency(proposals: Sequence[Row], snapshot: Snapshot) -> Urgency:
    if not proposals or snapshot.current is None or snapshot.current.decision is not None:
        return "calm"
    return urgency(proposals[-1]["proposed_at"], proposals[-1]["expires_at"], snapshot.now)


def _bodies(proposals: Sequence[Row]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The last two proposals, where the first of them was sent back."""
    if len(proposals) < 2:
        return None
    return json.loads(proposals[-2]["body"]), json.loads(proposals[-1]["body"])


def _diff(proposals: Sequence[Row]) -> list[tuple[str, str]]:
    both = _bodies(proposals)
    if both is None or both[0]["draft"] == both[1]["draft"]:
        return []
    lines = difflib.ndiff(both[0]["draft"].split("\n"), both[1]["draft"].split("\n"))
    return [(line[0], line[2:]) for line in lines if line[0] != "?"]


def _changed(proposals: Sequence[Row], language: str) -> list[tuple[str, str, str]]:
    """What else is different from the proposal before: its name, then and now."""
    both = _bodies(proposals)
    if both is None:
        return []
    before, now = both

    def money(body: dict[str, Any]) -> str:
        if not body["amount_minor"]:
            return "no refund"
        return Money(body["amount_minor"], body["currency"]).shown(language)

    def units(body: dict[str, Any]) -> str:
        return ", ".join(f"{one['quantity']} × {one['line_id']}" for one in body.get("lines", []))

    pairs = [
        ("amount", money(before), money(now)),
        ("lines", units(before), units(now)),
        ("kind", before["kind"], now["kind"]),
        ("rule", before["rule"], now["rule"]),
        ("digest", proposals[-2]["digest"][:12], proposals[-1]["digest"][:12]),
    ]
    return [pair for pair in pairs if pair[1] != pair[2]]
