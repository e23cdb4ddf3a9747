"""The order that a want for money is about, by number, goods or ticket; none where the words leave it open."""

from collections.abc import Sequence

from policies.reading.heard import Heard
from refunds.ids import OrderId
from refunds.order import CustomerOrder
from refunds.reading import TextSpan
from refunds.vocabulary import AskKind, OrderStatus, ReadingDoubt

STATUSES: dict[str, frozenset[OrderStatus]] = {
    "refund": frozenset({"delivered", "shipped", "cancelled"}),
    "cancellation": frozenset({"pending", "processed", "shipped", "cancelled"}),
}


def order_meant(
    kind: AskKind,
    wanted: Sequence[Heard],
    heard: Sequence[Heard],
    orders: Sequence[CustomerOrder],
    attached: OrderId | None,
    *,
    alone: bool,
) -> tuple[OrderId | None, tuple[TextSpan, ...], ReadingDoubt | None]:
    """The order, the words that name it, and the doubt that there is.

    `alone` is whether nothing else is wanted in money: then the ticket's own order is the one, whatever its status.
    """
    by_id = {order.order_id: order for order in orders}
    numbers = _nearest_numbers(wanted, heard)
    if any(order_id is None for order_id, _ in numbers):
        return None, tuple(span for _, span in numbers), "not_their_order"
    named = {order_id for order_id, _ in numbers if order_id}
    if len(named) == 1:
        found = named.pop()
        other = attached is not None and attached in by_id and attached != found
        doubt: ReadingDoubt | None = "another_order" if other else None
        return found, tuple(span for _, span in numbers), doubt
    if len(named) > 1:
        return None, tuple(span for _, span in numbers), "several_orders_fit"
    fitting = [order for order in orders if order.status in STATUSES[kind]]
    goods = [thing for one in _tellers(wanted, heard) for thing in one.goods if not thing.out]
    if goods:
        fits = [order for order in orders if any(thing.of(order) for thing in goods)]
        best = [order for order in fits if order in fitting] or fits
        if attached in {order.order_id for order in best}:
            # The ticket's own order is one witness; another one that all of its goods fit, and more, is a better one.
            here = {thing for thing in goods if thing.of(by_id[attached])}
            more = any({thing for thing in goods if thing.of(other)} > here for other in best)
            return (None, (), "several_orders_fit") if more else (attached, (), None)
        if len(best) == 1:
            return best[0].order_id, (), "another_order" if attached in by_id else None
        if best:
            return None, (), "several_orders_fit"
    if attached is not None and (alone or not fitting or attached in {order.order_id for order in fitting}):
        return attached, (), None
    if len(fitting) == 1:
        return fitting[0].order_id, (), None
    return None, (), "several_orders_fit" if len(fitting) > 1 else None


def orders_of_goods(kind: AskKind, wanted: Sequence[Heard], orders: Sequence[CustomerOrder]) -> list[OrderId]:
    """The orders that the goods of a want are of, where each thing is of one that fits and they are several."""
    fitting = [order for order in orders if order.status in STATUSES[kind]]
    found: dict[OrderId, None] = {}
    for thing in (thing for one in wanted for thing in one.goods if not thing.out):
        fits = [order.order_id for order in fitting if thing.of(order)]
        if len(fits) != 1:
            return []
        found[fits[0]] = None
    return list(found) if len(found) > 1 else []


def _nearest_numbers(
    wanted: Sequence[Heard], heard: Sequence[Heard]
) -> list[tuple[OrderId | None, TextSpan]]:
    """The order numbers of the statements that ask, or of their sentences, or of the whole text."""
    places = {one.place for one in wanted}
    for some in (wanted, [one for one in heard if one.place in places], heard):
        found = [(number.order_id, one.span) for one in some for number in one.numbers]
        if found:
            return found
    return []


def _tellers(wanted: Sequence[Heard], heard: Sequence[Heard]) -> list[Heard]:
    """The statements that say of what: those that ask; else those that give the cause; else the nearest before."""
    if any(one.names_goods for one in wanted):
        return [one for one in wanted if one.names_goods]
    last = max(heard.index(one) for one in wanted)
    causes = [one for one in heard if one.cause_here and one.names_goods]
    single = any(one.says_it for one in wanted)
    if causes:
        return (
            [max((one for one in causes if heard.index(one) <= last), key=heard.index, default=causes[0])]
            if single
            else causes
        )
    before = [one for one in heard[:last] if one.names_goods]
    return before[-1:] or [one for one in heard if one.names_goods]
