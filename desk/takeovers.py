"""Hand-overs: a person replies, proposes a refund of their own that somebody else decides, or closes the case."""

from dataclasses import dataclass, replace

from desk.catalogue import _
from desk.decisions import (
    Conflict,
    DecisionRequest,
    Desk,
    NothingToDecide,
    claimed_by,
    desk_refusal,
    open_or_conflict,
)
from desk.notes import BadDecision, check_note, clean_text
from desk.people import Person
from records.books import Refused, Transaction
from records.cases import Case, case_by_id, order_of_case
from records.orders import order_facts
from records.queue import enqueue, enqueue_desk
from records.snapshots import snapshot_at
from records.takeovers import Takeover, insert_takeover
from refunds.ids import CaseId, TenantId
from refunds.legs import largest
from refunds.money import Money
from refunds.proposal import DRAFT_LIMIT
from refunds.vocabulary import TakeoverAct


@dataclass(frozen=True, slots=True)
class TakeoverRequest:
    """What a person wants to do with a case."""

    act: TakeoverAct
    reply: str = ""
    amount_minor: int | None = None
    note: str = ""
    digest: str | None = None
    """Of what stood on the screen; needed where a refund is to stand in the place of an open proposal."""


async def take_case_over(
    desk: Desk, person: Person, tenant: TenantId, case_id: CaseId, requested: TakeoverRequest
) -> None:
    """Do it, in one transaction. Raises NoAuthority, Conflict, NothingToDecide and BadDecision."""
    person.may_decide(tenant)
    requested = replace(requested, reply=clean_text(requested.reply))
    check_note(requested.note)
    check_reply(requested)
    try:
        async with desk.books.transaction(tenant) as tx:
            case = await case_by_id(tx, case_id)
            if case is None:
                raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
            await tx.rows("hold_case", tenant=tenant, case_id=case_id)
            held = await tx.row("claim_of", case_id=case_id)
            if held is not None and held["person"] != person.person:
                raise Conflict(claimed_by(held))
            if held is not None:
                await tx.rows("insert_claim", case_id=case_id, person=person.person, minutes=0)
            snapshot = await snapshot_at(tx, case_id)
            current = snapshot.current
            open_now = current if snapshot.state.status == "needs_human" and current else None
            if requested.act == "propose" and open_now and open_now.decision is None:
                if open_now.proposal.kind != "handoff" and requested.digest is None:
                    raise BadDecision(
                        _("digest: a refund in the place of a proposal names the one on the screen")
                    )
                if requested.digest is not None:
                    open_or_conflict(case, open_now, requested.digest)
            takeover = Takeover(
                person.person,
                requested.act,
                requested.reply,
                note=requested.note,
                via=person.via,
                address=person.address,
            )
            if requested.act == "propose":
                takeover = await _refund(tx, case, person, requested)
            await insert_takeover(tx, case_id, takeover)
            if (
                snapshot.state.status == "needs_human"
                and snapshot.current is not None
                and snapshot.current.decision is None
            ):
                word = DecisionRequest(
                    "revise" if requested.act == "propose" else "approve", note=requested.note or None
                )
                await desk.record(tx, person, case, snapshot.current, word, snapshot.now)
            await enqueue(tx, tenant, case_id)
            await enqueue_desk(tx, tenant, case_id)
    except Refused as refused:
        raise desk_refusal(refused) from None


def check_reply(requested: TakeoverRequest) -> None:
    """BadDecision where the request lacks what it takes."""
    if requested.act in {"reply", "propose"} and not requested.reply.strip():
        raise BadDecision(_("reply: empty"))
    if len(requested.reply) > DRAFT_LIMIT:
        raise BadDecision(_("reply: at most %(most)s characters", most=DRAFT_LIMIT))
    if not all(letter == "\n" or letter.isprintable() for letter in requested.reply):
        raise BadDecision(_("reply: a control character in it"))
    if requested.act == "close" and requested.reply:
        raise BadDecision(_("reply: to close is to say nothing; act reply tells the customer"))
    if (requested.act == "propose") != (requested.amount_minor is not None):
        raise BadDecision(_("amount_minor: a proposal has one and nothing else does"))
    if requested.act == "close" and not requested.note.strip():
        raise BadDecision(_("note: say why the case is closed"))


async def _refund(tx: Transaction, case: Case, person: Person, requested: TakeoverRequest) -> Takeover:
    """The refund that a person wants proposed: to the payments of the case's own order, within what is left of them."""
    about = await order_of_case(tx, case)
    order = await order_facts(tx, about) if about else None
    if order is None or order.customer_id != case.customer_id or not order.payments:
        raise BadDecision(
            _("amount_minor: this case names no order of its customer, so nothing can be paid back")
        )
    payment = largest(order.payments)
    amount = Money(requested.amount_minor or 0, payment.paid.currency)
    if not 0 < amount.amount_minor <= order.left.amount_minor:
        raise BadDecision(
            _(
                "amount_minor: more than nothing and at most %(left)s, what is left of the %(paid)s that was paid",
                left=order.left,
                paid=order.paid,
            )
        )
    return Takeover(
        person=person.person,
        act="propose",
        reply=requested.reply,
        order_id=order.order_id,
        payment_id=payment.payment_id,
        amount=amount,
        note=requested.note,
        via=person.via,
        address=person.address,
    )
