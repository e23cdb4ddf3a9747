"""Revisions: what a person may ask to be different. The agent makes it a proposal of its own, with its own digest."""

from collections.abc import Sequence

from desk.catalogue import _
from desk.notes import BadDecision, clean_text
from policies.amounts import amounts_in, stated_in
from policies.letter_templates import says_goods_first, templates
from records.books import Transaction
from records.cases import Case
from records.money import CurrentProposal
from records.orders import order_facts
from refunds.money import Currency, Money
from refunds.order import OrderFacts, Units, counted
from refunds.proposal import DRAFT_LIMIT
from refunds.shares import Unbalanced, shares_of


async def check_revision(
    tx: Transaction,
    case: Case,
    current: CurrentProposal,
    *,
    amount_minor: int | None,
    units: Sequence[Units] | None,
    reply: str | None,
) -> None:
    """BadDecision where the amount passes what is left, names what is not in the order, or says another amount.

    Whoever changes the units names the amount too: what is typed is what is proposed.
    """
    if amount_minor is None and units is None and reply is None:
        return
    if current.proposal.kind == "handoff":
        raise BadDecision(
            _("revise: there is no draft to change: write the reply, or propose, by taking it over")
        )
    if amount_minor is not None or units is not None:
        if current.proposal.kind != "refund":
            raise BadDecision(_("amount: this proposal has no refund to change"))
        await _check_amount(tx, current, amount_minor)
    about = current.proposal.order_id or case.order_id
    order = await order_facts(tx, about) if about else None
    if units is not None:
        worth = check_units(order, units)
        if amount_minor is None:
            raise BadDecision(_("amount: say what is paid back for these units"))
        if amount_minor > worth:
            raise BadDecision(
                _(
                    "amount: %(amount)s is more than the %(worth)s that these units cost",
                    amount=Money(amount_minor, current.proposal.amount.currency),
                    worth=Money(worth, current.proposal.amount.currency),
                )
            )
    if reply is not None:
        before = current.proposal.amount
        wanted = before if amount_minor is None else Money(amount_minor, before.currency)
        if current.proposal.goods_first and not says_goods_first(reply, case.tenant):
            first = templates(case.tenant).says("first")
            raise BadDecision(_("reply: has to say that the money goes back “%(words)s”", words=first))
        of = order.currency if order is not None else None
        check_reply_text(reply, _known_amounts(current, order) | {wanted.amount_minor}, of)
        _check_stated(reply, before, wanted)


def _check_stated(reply: str, before: Money, wanted: Money) -> None:
    """A reply that speaks of money speaks of what is paid, and of no amount that was proposed before."""
    stated = set(amounts_in(reply, before.currency))
    if wanted != before and before.amount_minor in stated:
        raise BadDecision(
            _("reply: still says %(before)s, and %(wanted)s is proposed", before=before, wanted=wanted)
        )
    if wanted.amount_minor and stated and wanted.amount_minor not in stated:
        raise BadDecision(_("reply: does not say the %(wanted)s that is proposed", wanted=wanted))


async def _check_amount(tx: Transaction, current: CurrentProposal, wanted: int | None) -> None:
    if wanted is None:
        return
    if wanted < 0:
        raise BadDecision(_("amount: below zero"))
    if current.proposal.legs:
        order = await order_facts(tx, current.proposal.order_id)
        left = order.left.amount_minor if order else None
    else:
        row = await tx.row("left_of_payment", payment_id=current.proposal.payment_id)
        left = row["amount_left"] if row else None
    if left is None or wanted > left:
        raise BadDecision(
            _(
                "amount: %(wanted)s is more than the %(left)s that is left of what was paid",
                wanted=wanted,
                left=left,
            )
        )


def check_units(order: OrderFacts | None, units: Sequence[Units]) -> int:
    """What units cost, with shipping and fees; BadDecision where one is none of the order's or more often than there.

    In minor units. Of an order whose sums do not add up it is what its lines say.
    """
    if not units or order is None:
        raise BadDecision(_("lines: at least one"))
    there = counted(order.units())
    strange = [one.line_id for one in units if one.line_id not in there]
    if strange:
        raise BadDecision(_("lines: %(lines)s: not in the order", lines=", ".join(strange)[:200]))
    if counted(units) - there:
        raise BadDecision(_("lines: each as often as the order has it, at most"))
    try:
        # Of units that were refunded before as much as of the first ones: it is a limit.
        gone = [Units(line, count) for line, count in order.gone.items() if count]
        after = gone if not counted(units) - (there - counted(gone)) else []
        return shares_of(order).of(units, after) + order.charged.amount_minor
    except Unbalanced:
        named = {one.line_id for one in units}
        return sum(line.price.amount_minor for line in order.lines if line.line_id in named)


def check_reply_text(reply: str, known: set[int], of: Currency | None = None) -> None:
    """BadDecision where a reply is empty, too long, has a control character or an amount of nowhere."""
    if reply != clean_text(reply):
        raise BadDecision(_("reply: a tab, a carriage return or a space at an end of it"))
    if not 0 < len(reply) <= DRAFT_LIMIT:
        raise BadDecision(_("reply: from 1 to %(most)s characters", most=DRAFT_LIMIT))
    if not all(letter == "\n" or letter.isprintable() for letter in reply):
        raise BadDecision(_("reply: a control character in it"))
    strange = [
        one for one in stated_in(reply, of) if one.minor not in known or not (of is None or one.can_be(of))
    ]
    if strange:
        raise BadDecision(
            _(
                "reply: says %(strange)s, which is no amount of the order, its policy or this refund",
                strange=strange[0],
            )
        )


def _known_amounts(current: CurrentProposal, order: OrderFacts | None) -> set[int]:
    """The amounts that stand in the order and in what is quoted."""
    known = {amount for citation in current.proposal.citations for amount in amounts_in(citation.quote)}
    if order is not None:
        known |= {line.price.amount_minor for line in order.lines}
        known |= {line.unit_price.amount_minor for line in order.lines}
        known |= {charge.price.amount_minor for charge in order.charges}
        known |= {payment.paid.amount_minor for payment in order.payments}
    return known
