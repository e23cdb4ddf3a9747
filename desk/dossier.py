"""The dossier: one case on one screen, from the books alone. What stands in it is data, whoever wrote it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from desk.catalogue import N_, _
from desk.checks import Check, DossierCitation, checks_of, citation_now, payment_of
from desk.customer_history import CustomerHistory, history_of
from desk.decisions import authority_of
from desk.differences import fields_changed, letter_changed
from desk.effects import effect_of, may_say_yes
from desk.letters import as_sent, own_letters, rejection
from desk.marked import ReadWords
from desk.near_clauses import offered
from desk.people import Person
from desk.seen_checks import SeenChecks, seen_of
from desk.timeline import TimelineEntry, timeline_of
from policies.authority import AuthorityRule
from policies.budget import EXHAUSTED, audit_budget
from policies.deadlines import Urgency, urgency
from policies.documents import DEFAULT_REGION
from policies.languages import DEFAULT
from policies.letter_templates import LetterTemplates, templates
from policies.manifest import Manifest
from records.books import Books, Row
from records.cases import Case
from records.memory import memory_of
from records.messages import messages_of
from records.money import CurrentProposal
from records.orders import order_facts
from records.replies import CustomerReply, replies_of
from records.snapshots import Snapshot, snapshot_at
from records.states import left_now, reading_now
from records.takeovers import takeovers_of
from records.traces import read_trace
from refunds.evidence import Offer
from refunds.ids import PaymentId
from refunds.memory import CustomerMemory
from refunds.money import Money
from refunds.order import Line, OrderFacts, Payment, counted
from refunds.reading import TicketAsk
from refunds.shares import Unbalanced, shares_of
from refunds.vocabulary import RejectCode

EARLIER = 8

DEGRADED: dict[str, str] = {
    "without_model": N_("The model could not be used: this was planned or written by rule."),
    "fallback_model": N_("Another model than the first one answered."),
    "fallback_source": N_("The shop's order service was away: the order is as our books have it."),
    "lexical_only": N_("The policy was found by its words alone: nobody could say what the question means."),
    "retrieval_only": N_("An operator lets policy and order be read and nothing be drafted."),
    "budget": N_("A budget for models was spent."),
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
    same_order: list[Row]
    """Other cases about the same order."""

    history: CustomerHistory
    near: tuple[Offer, ...]
    memory: CustomerMemory
    """What is remembered of the customer beside their orders and cases."""

    """What of the policy stands nearest to the words, where a person has to write."""

    notes: list[Row]
    all_votes: list[Row]
    together: list[Row]
    seen: list[SeenChecks]
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
    def timeline(self) -> list[TimelineEntry]:
        """Everything that happened, the oldest first."""
        return timeline_of(
            self.case,
            self.words,
            customer=self.history.name or self.case.customer_id,
            proposals=self.proposals,
            votes=self.all_votes,
            takeovers=self.takeovers,
            assignments=self.assignments,
            notes=self.notes,
            together=self.together,
            replies=self.replies,
            reviews=self.reviews,
            rating=self.rating,
            events=self.events,
        )

    def refusal_for(self, person: Person) -> str:
        """Why this person's approval does not count, as far as the rows on the screen say; empty where it does."""
        return may_say_yes(
            person,
            self.case.tenant,
            current=self.current,
            deciding=self.deciding,
            submitted_by=self.case.submitted_by,
            claim=self.claim,
            rule=self.rule,
            proposals=self.proposals,
            takeovers=self.takeovers,
            votes=self.votes,
            raised_by=self.raised_by,
        )

    @property
    def says(self) -> LetterTemplates:
        """The letters of the case's shop in the language of its customer."""
        return templates(self.case.tenant, self.history.language or DEFAULT)

    @property
    def reply(self) -> str:
        """The reply that is proposed, as the customer would get it."""
        return as_sent(self.current.proposal) if self.current else ""

    @property
    def letters(self) -> dict[RejectCode, str]:
        """What a customer is told by default, by reject code."""
        name = self.history.name
        return {code: rejection(code, self.says, name=name, left=self.left) for code in get_args(RejectCode)}

    @property
    def cited_letters(self) -> list[str]:
        """The letter that answers with each of the nearest clauses, word for word, for whoever takes one."""
        return [self.says.letter(self.says.quote(one.citation), name=self.history.name) for one in self.near]

    @property
    def own_letters(self) -> dict[str, str]:
        """What a person begins from who writes to this customer."""
        return own_letters(self.says, self.history.name)

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
        found = [_(said) for kind, said in DEGRADED.items() if kind in kinds]
        if self.snapshot.state.reason in EXHAUSTED:
            found.append(_("The run stopped at a budget: what it had found by then stands here."))
        return found

    @property
    def noticed(self) -> list[tuple[str, str]]:
        """What code noticed, each once."""
        return list(dict.fromkeys((row["kind"], row["detail"]) for row in self.findings))

    @property
    def burns(self) -> bool:
        """Whether a person must see it before everything else."""
        now = self.snapshot.state
        return not now.ended and (
            now.reason in {"urgent_matter", "classifier_human_review", "payment_disputed"}
            or self.case.ticket.priority == "urgent"
        )

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


async def dossier_of(books: Books, manifest: Manifest, case: Case) -> Dossier:
    """Read everything around a case in one transaction; sentences are in the language of whoever reads."""
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
            diff=letter_changed(proposals),
            changed=fields_changed(proposals),
            cited=cited,
            order=order,
            earlier=await tx.rows(
                "cases_of_customer", customer_id=case.customer_id, case_id=case.case_id, most=EARLIER
            ),
            same_order=await tx.rows(
                "cases_of_order",
                customer_id=case.customer_id,
                order_id=about,
                case_id=case.case_id,
                most=EARLIER,
            )
            if about
            else [],
            history=await history_of(tx, case.customer_id, _skus(current, order)),
            memory=await memory_of(tx, case.customer_id, but=case.case_id),
            near=await offered(tx, case, snapshot, order.region if order else DEFAULT_REGION),
            notes=await tx.rows("case_notes_of", case_id=case.case_id),
            all_votes=await tx.rows("votes_of_case", case_id=case.case_id),
            together=await tx.rows("countersigned_of", case_id=case.case_id),
            seen=await seen_of(tx, case.case_id),
            messages=await messages_of(tx, case.case_id),
            replies=await replies_of(tx, case.case_id),
            takeovers=await takeovers_of(tx, case.case_id),
            assignments=await tx.rows("assignments_of", case_id=case.case_id),
            votes=votes,
            reviews=await tx.rows("second_reviews_of", case_id=case.case_id),
            rating=await tx.row("rating_of", case_id=case.case_id),
            claim=owner,
            rule=rule,
            checks=checks_of(case, snapshot, order, cited, gone_before=bool(gone and gone["gone"])),
            effect=effect_of(current, order, rule, votes, killed=snapshot.killed)
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


def _skus(current: CurrentProposal | None, order: OrderFacts | None) -> list[str]:
    """The goods that a proposal is for."""
    if current is None or order is None:
        return []
    return [str(line.sku) for line in order.lines if counted(current.proposal.units)[line.line_id]]


def _urgency(proposals: Sequence[Row], snapshot: Snapshot) -> Urgency:
    if not proposals or snapshot.current is None or snapshot.current.decision is not None:
        return "calm"
    return urgency(proposals[-1]["proposed_at"], proposals[-1]["expires_at"], snapshot.now)
