"""Corrections: what a customer asks as a person reads it. The case runs again by it; what is signed then names it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from desk.catalogue import _
from desk.notes import BadDecision
from policies.reading.heard import MONEY_ASKS
from refunds.ids import OrderId
from refunds.order import CustomerOrder, Units, counted
from refunds.reading import Field, TextSpan, TicketAsk, TicketReading
from refunds.vocabulary import AskKind, Cause, MoneyWish

ASKS = 8
"""Of one case at most."""


@dataclass(frozen=True, slots=True)
class CorrectedAsk:
    """One thing that a customer asks, as a person says it; of money alone it matters of what."""

    ask: AskKind
    money: MoneyWish = "open"
    order_id: OrderId | None = None
    lines: tuple[Units, ...] | None = None
    """None is all of the order; empty is left open, and the customer is asked."""

    cause: Cause | None = None
    conditions: bool = False


def as_read(ask: TicketAsk) -> CorrectedAsk:
    """An ask that stays as it was read."""
    return CorrectedAsk(ask.ask, ask.money, ask.order_id, ask.lines, ask.cause, ask.conditions)


@dataclass(frozen=True, slots=True)
class Correction:
    """All that a customer asks, as a person says it."""

    asks: tuple[CorrectedAsk, ...]
    urgent: bool = False


def corrected(
    before: TicketReading | None, correction: Correction, orders: Sequence[CustomerOrder]
) -> TicketReading:
    """The reading of a person: what they leave as it was read keeps the words that prove it.

    Raises BadDecision where it says nothing new, or names what this customer did not buy.
    """
    asks = correction.asks
    if not 0 < len(asks) <= ASKS:
        raise BadDecision(_("reading: from 1 to %(most)s asks", most=ASKS))
    earlier = list(before.asks) if before else []
    found = []
    for one in asks:
        if (one.ask in MONEY_ASKS) != (one.money != "open"):
            raise BadDecision(
                _("reading: money is wanted or refused with a refund or a cancellation, and only there")
            )
        alike = [ask for ask in earlier if ask.ask == one.ask]
        like = next(
            (ask for ask in alike if ask.order_id == one.order_id), alike[0] if len(alike) == 1 else None
        )
        if like is not None:
            earlier.remove(like)
        found.append(_ask(one, like))
    words = before.urgent if before is not None and correction.urgent else ()
    if correction.urgent and not words:
        raise BadDecision(_("reading: nothing urgent was read; hand the case over, with a note"))
    reading = TicketReading("person", before.version if before else "1", tuple(found), words)
    if before is not None and _said(reading) == _said(before):
        raise BadDecision(_("reading: it says what was read already"))
    _check_orders(reading, orders)
    return reading


def _ask(one: CorrectedAsk, like: TicketAsk | None) -> TicketAsk:
    kept: dict[Field, tuple[TextSpan, ...]] = {}
    if like is not None:
        same: Mapping[Field, bool] = {
            "ask": True,
            "money": one.money == like.money,
            "order_id": one.order_id == like.order_id,
            "lines": one.lines == like.lines,
            "cause": one.cause == like.cause,
            "conditions": one.conditions == like.conditions,
        }
        kept = {name: spans for name, spans in like.spans.items() if same.get(name)}
    return TicketAsk(
        one.ask,
        one.money,
        order_id=one.order_id,
        lines=one.lines,
        cause=one.cause,
        conditions=one.conditions,
        spans=kept,
    )


def _said(reading: TicketReading) -> list[tuple[object, ...]]:
    """What a reading says, without how sure it is and by which words; a doubt is something to settle."""
    return [
        *(
            (ask.ask, ask.money, ask.order_id, ask.lines, ask.cause, ask.conditions, ask.doubt)
            for ask in reading.asks
        ),
        (bool(reading.urgent),),
    ]


def _check_orders(reading: TicketReading, orders: Sequence[CustomerOrder]) -> None:
    own = {order.order_id: order for order in orders}
    for ask in reading.asks:
        if ask.order_id is None:
            if ask.lines:
                raise BadDecision(_("reading: lines are of an order; name it"))
            continue
        order = own.get(ask.order_id)
        if order is None:
            raise BadDecision(_("reading: %(order_id)s is no order of this customer", order_id=ask.order_id))
        bought = {line.line_id: line.quantity for line in order.lines}
        for line_id, quantity in counted(ask.lines or ()).items():
            if not 0 < quantity <= bought.get(line_id, 0):
                raise BadDecision(
                    _(
                        "reading: %(quantity)s of line %(line_id)s: %(line_id_2)s were bought",
                        quantity=quantity,
                        line_id=line_id,
                        line_id_2=bought.get(line_id, 0),
                    )
                )
