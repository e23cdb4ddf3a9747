"""Revisions: what a person may ask to be different. The agent makes it a proposal of its own, with its own digest."""

from collections import Counter
from collections.abc import Sequence

from desk.notes import BadDecision, clean_text
from policies.amounts import amounts_in, foreign_amounts
from records.books import Transaction
from records.cases import Case
from records.money import CurrentProposal
from records.orders import order_facts
from refunds.ids import Sku
from refunds.order import Item, OrderFacts
from refunds.proposal import DRAFT_LIMIT


async def check_revision(
    tx: Transaction,
    case: Case,
    current: CurrentProposal,
    *,
    amount_minor: int | None,
    items: Sequence[Sku] | None,
    reply: str | None,
) -> None:
    """BadDecision where the amount passes what is left, names what is not in the order, or says another amount.

    Whoever changes the items names the amount too: what is typed is what is proposed.
    """
    if amount_minor is None and items is None and reply is None:
        return
    if current.proposal.kind == "handoff":
        raise BadDecision(
            "revise: there is no draft to change: write the reply, or propose, by taking it over"
        )
    if amount_minor is not None or items is not None:
        if current.proposal.kind != "refund":
            raise BadDecision("amount: this proposal has no refund to change")
        await _check_amount(tx, current, amount_minor)
    order = await order_facts(tx, case.order_id) if case.order_id else None
    if items is not None:
        check_items(order, items)
        if amount_minor is None:
            raise BadDecision("amount: say what is paid back for these items")
        # Of lines of one name that differ the dearest: it is a limit.
        prices = (
            {item.sku: item.price.amount_minor for item in sorted(order.items, key=_price)} if order else {}
        )
        worth = sum(prices[sku] for sku in items)
        if amount_minor > worth:
            raise BadDecision(f"amount: {amount_minor} is more than the {worth} that these items cost")
    if reply is not None:
        before = current.proposal.amount.amount_minor
        wanted = before if amount_minor is None else amount_minor
        check_reply_text(reply, _known_amounts(current, order) | {wanted})
        _check_stated(reply, before, wanted)


def _price(item: Item) -> int:
    return item.price.amount_minor


def _check_stated(reply: str, before: int, wanted: int) -> None:
    """A reply that speaks of money speaks of what is paid, and of no amount that was proposed before."""
    stated = set(amounts_in(reply))
    if wanted != before and before in stated:
        raise BadDecision(f"reply: still says {_written(before)}, and {_written(wanted)} is proposed")
    if wanted and stated and wanted not in stated:
        raise BadDecision(f"reply: does not say the {_written(wanted)} that is proposed")


def _written(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


async def _check_amount(tx: Transaction, current: CurrentProposal, wanted: int | None) -> None:
    if wanted is None:
        return
    if wanted < 0:
        raise BadDecision("amount: below zero")
    row = await tx.row("left_of_payment", payment_id=current.proposal.payment_id)
    left = row["amount_left"] if row else None
    if left is None or wanted > left:
        raise BadDecision(f"amount: {wanted} is more than the {left} that is left of the payment")


def check_items(order: OrderFacts | None, items: Sequence[Sku]) -> None:
    """BadDecision where an item is none of the order's, or stands more often than there, or none is there."""
    there = Counter(item.sku for item in order.items) if order else Counter[Sku]()
    if not items:
        raise BadDecision("items: at least one")
    strange = [sku for sku in items if sku not in there]
    if strange:
        raise BadDecision(f"items: {', '.join(strange)[:200]}: not in the order")
    if Counter(items) - there:
        raise BadDecision("items: each as often as the order has it, at most")


def check_reply_text(reply: str, known: set[int]) -> None:
    """BadDecision where a reply is empty, too long, has a control character or an amount of nowhere."""
    if reply != clean_text(reply):
        raise BadDecision("reply: a tab, a carriage return or a space at an end of it")
    if not 0 < len(reply) <= DRAFT_LIMIT:
        raise BadDecision(f"reply: from 1 to {DRAFT_LIMIT} characters")
    if not all(letter == "\n" or letter.isprintable() for letter in reply):
        raise BadDecision("reply: a control character in it")
    strange = foreign_amounts(reply, known)
    if strange:
        raise BadDecision(
            f"reply: says {_written(strange[0])}, which is no amount of the order, its policy or this refund"
        )


def _known_amounts(current: CurrentProposal, order: OrderFacts | None) -> set[int]:
    """The amounts that stand in the order and in what is quoted."""
    known = {amount for citation in current.proposal.citations for amount in amounts_in(citation.quote)}
    if order is not None:
        known |= {item.price.amount_minor for item in order.items}
        known |= {payment.paid.amount_minor for payment in order.payments}
    return known
