"""Decisions: a named person says a word on what was on their screen, and the desk signs it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from desk.catalogue import _, clock
from desk.corrections import Correction, corrected
from desk.notes import BadDecision, check_note
from desk.people import NoAuthority, Person
from desk.plain_words import plain_word
from desk.revisions import check_reply_text, check_revision
from policies.amounts import amounts_in
from policies.authority import AuthorityRule, highest_authority, may_approve
from policies.signature import SigningKey
from records.books import Books, BooksAway, Refused, Row, Transaction
from records.cases import Case, case_by_id
from records.money import CurrentProposal, cast_vote, complete
from records.orders import customer_orders
from records.queue import enqueue, enqueue_desk
from records.readings import reading_in, write_reading
from records.snapshots import snapshot_at
from refunds.decision import Ballot, Decision, Vote
from refunds.ids import CaseId, TenantId
from refunds.order import Units
from refunds.terms import Terms
from refunds.vocabulary import Asked, RejectCode, VoteWord

TIME_TO_PAY = timedelta(hours=24)
"""After the last moment to decide; the same for every vote on a proposal, so that all of them agree."""

TIME_FOR_RETURN = timedelta(days=45)
"""How long an approval stays in force that waits for the goods; after that a person decides anew."""

_CODE: TypeAdapter[RejectCode] = TypeAdapter(RejectCode)


class Conflict(Exception):
    """The screen is stale: somebody decided, or another proposal is open. The message names who and when."""


class NothingToDecide(Exception):
    """The case has no open proposal; the message says where it stands."""


def reject_code(text: str) -> RejectCode:
    """The reject code of a text; BadDecision lists the codes where it is none."""
    try:
        return _CODE.validate_python(text)
    except ValidationError:
        raise BadDecision(
            _(
                "code: %(text)s is none of %(rejectcode)s",
                text=text,
                rejectcode=", ".join(get_args(RejectCode)),
            )
        ) from None


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """What a person says."""

    word: VoteWord
    code: RejectCode | None = None
    revised_amount_minor: int | None = None
    note: str | None = None
    asks: Asked | None = None
    """With a revision: who is asked for more; the note is the question."""

    revised_units: tuple[Units, ...] | None = None
    revised_reply: str | None = None
    letter: str | None = None
    """With a reject: what the customer is told, where the person wrote it."""

    correction: Correction | None = None
    """With a revision: what the customer asks, as the person reads it."""


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """What came of it; no decision yet means that more people must agree."""

    decision: Decision | None
    more_people: int


class _Undone(Exception):
    """What was decided to see whether it can be."""


REHEARSAL_SECONDS = 0.5
"""A look gives up where somebody has the case in hand: it must not wait for what it only tries."""

UNSIGNED = "unsigned"
"""In the place of a signature, where nothing is kept; no verifier takes it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The desk at work."""

    books: Books
    key: SigningKey

    async def decide(
        self,
        person: Person,
        tenant: TenantId,
        case_id: CaseId,
        digest: str | None,
        word: DecisionRequest,
        last_check: Callable[[Transaction], Awaitable[None]] | None = None,
        *,
        kept: bool = True,
    ) -> DecisionResult:
        """Record a person's word on the proposal with this digest; the decision, once enough people agree.

        Without a digest the word counts only while the case has had one proposal: what was on the screen
        is not known. `last_check` may raise right before anything is written; what is not `kept` is undone.
        Raises NoAuthority, Conflict, NothingToDecide and BadDecision; nothing is half written.
        """
        person.may_decide(tenant)
        try:
            async with self.books.transaction(tenant) as tx:
                case = await case_by_id(tx, case_id)
                if case is None:
                    raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
                tx.later("hold_case", tenant=tenant, case_id=case_id)
                snapshot = await snapshot_at(tx, case.case_id)
                current = open_or_conflict(case, snapshot.current, digest)
                held = await tx.row("claim_of", case_id=case_id)
                if held is not None and held["person"] != person.person:
                    raise Conflict(claimed_by(held))
                await self._check(tx, person, case, current, word)
                if last_check is not None:
                    await last_check(tx)
                if held is not None:
                    # Their claim ends with their vote: somebody else may have to agree.
                    tx.later("insert_claim", case_id=case_id, person=person.person, minutes=0)
                if word.correction is not None:
                    if await tx.row(
                        "written_since", case_id=case_id, proposal_id=current.proposal.proposal_id
                    ):
                        raise Conflict(_("the customer has written since this was proposed: look again"))
                    orders = await customer_orders(tx, case.customer_id, case.order_id)
                    reading = corrected(reading_in(snapshot.reading), word.correction, orders)
                    write_reading(
                        tx, case_id, reading, person=person.person, via=person.via, address=person.address
                    )
                result = await self.record(tx, person, case, current, word, snapshot.now, signed=kept)
                if not kept:
                    raise _Undone
                return result
        except Refused as refused:
            raise desk_refusal(refused) from None

    async def check_approval(self, person: Person, tenant: TenantId, case_id: CaseId, digest: str) -> None:
        """Raise what an approval of what has this digest would be refused with now.

        It is given and taken back in one transaction, so that a screen promises what its button does.
        """
        with suppress(_Undone):
            await self.decide(person, tenant, case_id, digest, DecisionRequest("approve"), kept=False)

    async def refusal_of(self, person: Person, tenant: TenantId, case_id: CaseId, digest: str) -> str:
        """The same as a sentence; empty where an approval would count."""
        try:
            async with asyncio.timeout(REHEARSAL_SECONDS):
                await self.check_approval(person, tenant, case_id, digest)
        except (TimeoutError, BooksAway):
            return _("nobody can say at this moment whether it would count: look again")
        except (NoAuthority, Conflict, NothingToDecide, BadDecision, Refused) as refusal:
            return str(refusal)
        return ""

    async def _check(
        self, tx: Transaction, person: Person, case: Case, current: CurrentProposal, word: DecisionRequest
    ) -> None:
        """What Postgres would refuse, said kindly."""
        if (word.word == "reject") != (word.code is not None):
            raise BadDecision(_("code: a reject has one and nothing else does"))
        if word.revised_amount_minor is not None and word.word != "revise":
            raise BadDecision(_("amount: only a revision has one"))
        if word.asks is not None and (word.word != "revise" or not (word.note or "").strip()):
            raise BadDecision(_("asks: a revision asks, and its note is the question"))
        check_note(word.note or "")
        edits = (word.revised_amount_minor, word.revised_units, word.revised_reply)
        if word.word != "revise" and any(edit is not None for edit in edits):
            raise BadDecision(_("reply: only a revision changes what is proposed"))
        if word.asks is not None and any(edit is not None for edit in edits):
            raise BadDecision(_("asks: first the answer, then the change"))
        if word.correction is not None and (
            word.word != "revise" or word.asks is not None or any(edit is not None for edit in edits)
        ):
            raise BadDecision(_("reading: a revision corrects it, and asks for nothing else"))
        if word.letter is not None:
            if word.word != "reject":
                raise BadDecision(_("letter: only a reject has one"))
            check_reply_text(word.letter, set(amounts_in(word.letter)))
        if word.word == "revise":
            await check_revision(
                tx,
                case,
                current,
                amount_minor=word.revised_amount_minor,
                units=word.revised_units,
                reply=word.revised_reply,
            )
        authority = highest_authority(person.roles_in(case.tenant))
        if word.word == "approve":
            await self._check_screen(tx, person, case, current)
            raised = await tx.rows("raised_by_reading", proposal_id=current.proposal.proposal_id)
            if person.person in {row["person"] for row in raised}:
                raise NoAuthority(_("nobody approves money that their own reading of the case has raised"))
            await self._check_ceiling(tx, person, current)
            rule = await authority_of(tx, case.tenant, current)
            if authority is None or rule is None:
                raise NoAuthority(_("no rule of authority for %(amount)s", amount=current.proposal.amount))
            if not may_approve(authority, rule):
                raise NoAuthority(
                    _(
                        "%(amount)s needs a specialist: %(person)s is none",
                        amount=current.proposal.amount,
                        person=person.person,
                    )
                )
        if word.word != "revise" and case.submitted_by == person.person:
            raise NoAuthority(_("nobody decides a case they submitted"))

    async def _check_screen(
        self, tx: Transaction, person: Person, case: Case, current: CurrentProposal
    ) -> None:
        """What other interfaces show is as it was at the pause: what came in since is on the desk's page alone."""
        if person.via == "server" and await tx.row(
            "written_since", case_id=case.case_id, proposal_id=current.proposal.proposal_id
        ):
            raise Conflict(_("the customer has written since this was proposed: decide it at the desk"))

    async def _check_ceiling(self, tx: Transaction, person: Person, current: CurrentProposal) -> None:
        """What a token approves is counted with what was ordered of the same payment: an amount cannot be split."""
        if person.ceiling_minor is None or current.proposal.kind != "refund":
            return
        payment = await tx.row("payment", payment_id=current.proposal.payment_id)
        left = await tx.row("left_of_payment", payment_id=current.proposal.payment_id)
        if payment is None or left is None or left["amount_left"] is None:
            raise NoAuthority(_("the payment is not in the books"))
        ordered = payment["amount_minor"] - payment["refunded_before_minor"] - left["amount_left"]
        if current.proposal.amount.amount_minor + ordered > person.ceiling_minor:
            raise NoAuthority(
                _(
                    "%(amount)s is above the ceiling of this token: decide it at the desk",
                    amount=str(current.proposal.amount),
                )
            )

    async def record(
        self,
        tx: Transaction,
        person: Person,
        case: Case,
        current: CurrentProposal,
        word: DecisionRequest,
        now: datetime,
        *,
        signed: bool = True,
    ) -> DecisionResult:
        """Write the vote down, and the decision where it completes one. What is undone is not signed: a signature
        that was made once counts for whoever finds it.
        """
        authority = highest_authority(person.roles_in(case.tenant))
        if authority is None:
            raise NoAuthority(
                _("%(person)s has no vote for %(tenant)s", person=person.person, tenant=case.tenant)
            )
        proposal = current.proposal
        ballot = Ballot(
            kid=self.key.kid,
            terms=Terms.of_proposal(proposal, current.digest),
            word=word.word,
            person=person.person,
            authority=authority,
            decided_at=now,
            execute_by=current.expires_at + (TIME_FOR_RETURN if proposal.goods_first else TIME_TO_PAY),
        )
        payload = ballot.payload()
        vote = Vote(ballot, payload, self.key.sign(payload) if signed else UNSIGNED)
        if not await cast_vote(tx, vote, word.note, person.via, person.address):
            raise Conflict(_("%(person)s has voted on this proposal before", person=person.person))
        asks: Asked | None = "customer" if word.word == "approve" and proposal.question else word.asks
        decision = await complete(
            tx,
            proposal.proposal_id,
            person.person,
            code=word.code,
            revised_amount_minor=word.revised_amount_minor,
            revised_units=word.revised_units,
            revised_reply=word.revised_reply,
            letter=word.letter,
            instruction=word.note if word.word == "revise" else None,
            asks=asks,
            legs=proposal.legs,
        )
        if decision is not None:
            await enqueue(tx, case.tenant, case.case_id)
            if asks == "customer":
                await enqueue_desk(tx, case.tenant, case.case_id)
            return DecisionResult(decision, 0)
        rule = await authority_of(tx, case.tenant, current)
        votes = await tx.rows("votes_of", proposal_id=proposal.proposal_id)
        cast = sum(vote["word"] == "approve" for vote in votes)
        return DecisionResult(None, max(1, (rule.approvals if rule else 1) - cast))


def claimed_by(held: Row) -> str:
    """Who has a case in hand, since when and until when."""
    return _(
        "%(person)s has claimed it since %(since)s UTC, until %(until)s",
        person=held["person"],
        since=clock(held["claimed_at"]),
        until=clock(held["ends_at"]),
    )


def open_or_conflict(case: Case, current: CurrentProposal | None, digest: str | None) -> CurrentProposal:
    """The open proposal, where it is the one with the digest on the screen."""
    if current is None:
        raise NothingToDecide(_("case %(case)s has no proposal", case=case.case_id))
    if current.decision is not None:
        decided = current.decision
        raise Conflict(
            _(
                "%(person)s said %(word)s at %(at)s UTC",
                person=decided.decided_by,
                word=plain_word(decided.word),
                at=decided.decided_at,
            )
        )
    if digest is None and current.proposals > 1:
        raise Conflict(
            _(
                "case %(case)s has had %(count)s proposals: decide it at the desk",
                case=case.case_id,
                count=current.proposals,
            )
        )
    if digest is not None and current.digest != digest:
        raise Conflict(_("the proposal on the screen is no longer the open one: look again"))
    if current.past_deciding:
        raise Conflict(_("the time to decide ended at %(at)s UTC", at=current.expires_at))
    return current


async def authority_of(tx: Transaction, tenant: TenantId, current: CurrentProposal) -> AuthorityRule | None:
    """What the books ask for before this proposal is approved; None where no rule speaks of it."""
    row = await tx.row("authority_of_proposal", proposal_id=current.proposal.proposal_id)
    if row is None or row["approvals"] is None:
        return None
    return AuthorityRule(tenant, current.proposal.amount, row["approvals"], row["specialists"])


def desk_refusal(refused: Refused) -> Exception:
    """What Postgres refused, as the desk's own errors."""
    match refused.reason:
        case "no_authority":
            return NoAuthority(refused.detail)
        case (
            "already_decided"
            | "stale_proposal"
            | "expired"
            | "not_a_handover"
            | "proposal_open"
            | "withdrawn_release"
            | "policy_changed"
            | "provider_ahead"
            | "already_settled"
            | "not_ours"
        ):
            return Conflict(str(refused))
        case "too_many_proposals":
            return BadDecision(str(refused))
        case "unknown_proposal" | "unknown_case":
            return NothingToDecide(str(refused))
        case _:
            return refused
