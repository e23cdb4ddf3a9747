"""The asks of a conversation: its statements put together, each field with the words that prove it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from policies.reading.bundle import Head
from policies.reading.heard import (
    ASKED_IN_ALL,
    CERTAIN,
    ELSEWHERE,
    FAULTS,
    GUESSED,
    HALF_ASKED,
    LEFTOVER,
    MEANT,
    MONEY_ASKS,
    PLAIN,
    SPEAKS_OF_REFUND,
    SPOKEN,
    SURE,
    SURE_IN_ALL,
    SUSPECTED,
    Heard,
)
from policies.reading.order_meant import order_meant, orders_of_goods
from policies.reading.units_meant import units_meant
from refunds.ids import OrderId
from refunds.order import CustomerOrder
from refunds.reading import Field, TextSpan, TicketAsk
from refunds.vocabulary import AskKind, Cause, MoneyWish

_CAUSED: frozenset[AskKind] = MONEY_ASKS | {"replacement", "exchange", "complaint", "dispute"}
"""Asks that a cause said elsewhere in the text belongs to."""


def asks_of(
    heard: Sequence[Heard],
    in_all: Mapping[AskKind, float],
    orders: Sequence[CustomerOrder],
    attached: OrderId | None,
    whole: dict[Head, dict[str, float]] | None,
) -> list[TicketAsk]:
    """The asks; `in_all` is how likely each is one of them, `whole` the odds of a short text as a whole."""
    by_kind = _by_kind(heard, in_all, whole)
    wishes = {
        kind: [one for one in said if one.wants and in_all.get(kind, 0.0) >= HALF_ASKED]
        for kind, said in by_kind.items()
        if kind in MONEY_ASKS
    }
    every = [one for some in wishes.values() for one in some]
    asks: list[TicketAsk | None] = []
    for kind, said in by_kind.items():
        if kind not in MONEY_ASKS:
            asks.append(_other_ask(kind, said, heard))
        for wanted in _by_order(wishes.get(kind, []), heard) if kind in MONEY_ASKS else ():
            numbered = any(one.numbers for one in wanted)
            split: list[OrderId | None] = [*([] if numbered else orders_of_goods(kind, wanted, orders))]
            for about in split or [None]:
                alone = about is None and len(wanted) == len(every)
                ask = _money_ask(kind, said, wanted, every, heard, orders, attached, about, alone=alone)
                asks.append(_unsure(in_all[kind], wanted, ask))
    return _one_of_two([ask for ask in asks if ask is not None], orders)


def _by_order(wanted: Sequence[Heard], heard: Sequence[Heard]) -> list[list[Heard]]:
    """The wants of a kind by the order that the sentence of each names; together where one of them names none."""
    named: dict[OrderId | None, list[Heard]] = {}
    for one in wanted:
        numbers = {number.order_id for other in heard if other.place == one.place for number in other.numbers}
        if len(numbers) != 1:
            return [list(wanted)]
        named.setdefault(numbers.pop(), []).append(one)
    return list(named.values()) or [[]]


def _unsure(chance: float, wanted: Sequence[Heard], ask: TicketAsk | None) -> TicketAsk | None:
    """An ask for money that neither all of the words together nor one statement bears out is a person's to read."""
    if ask is None or ask.money != "wanted" or chance >= SURE_IN_ALL:
        return ask
    if any(one.money("wanted") >= PLAIN and one.odds["ask"].get(ask.ask, 0.0) >= CERTAIN for one in wanted):
        return ask
    return replace(ask, doubt=ask.doubt or "not_sure")


def _by_kind(
    heard: Sequence[Heard], in_all: Mapping[AskKind, float], whole: dict[Head, dict[str, float]] | None
) -> dict[AskKind, list[Heard]]:
    """The asks with the statements that tell them; a short text of another trade asks for no money of a shop."""
    plain = {kind for one in heard if one.wants for kind in one.asks() if kind in MONEY_ASKS}
    found = {
        kind: _telling(kind, heard)
        for kind, chance in in_all.items()
        if chance >= ASKED_IN_ALL or (kind in plain and chance >= HALF_ASKED)
    }
    if whole is not None and whole["trade"]["other"] >= ELSEWHERE:
        found = {
            kind: said
            for kind, said in found.items()
            if kind not in SPEAKS_OF_REFUND or any(one.money("wanted") >= CERTAIN for one in said)
        }
    elif whole is not None and heard and whole["wish"]["true"] >= SPOKEN and set(found) <= LEFTOVER:
        # It speaks of a refund, and of nothing else: which way is guessed, and a guess wants no money.
        best = max(heard, key=lambda one: max(one.odds["ask"].get(kind, 0.0) for kind in SPEAKS_OF_REFUND))
        found[best.likeliest_of(SPEAKS_OF_REFUND)] = [best]
    if any(kind not in LEFTOVER for kind in found):
        found = {kind: said for kind, said in found.items() if kind not in LEFTOVER}
    if not found and heard:
        best = max(heard, key=lambda one: 1 - one.odds["ask"].get("none", 0.0))
        found = {_guessed(in_all): [best]}
    return found


def _guessed(in_all: Mapping[AskKind, float]) -> AskKind:
    """The likeliest ask, however small its odds; what speaks of money is not guessed."""
    best = max((kind for kind in in_all if kind not in SPEAKS_OF_REFUND), key=lambda kind: in_all[kind])
    return best if in_all[best] >= GUESSED else "other"


def _telling(kind: AskKind, heard: Sequence[Heard]) -> list[Heard]:
    """The statements that ask it; where none does plainly, the one that does most."""
    said = [one for one in heard if kind in one.asks()]
    return said or [max(heard, key=lambda one: one.odds["ask"].get(kind, 0.0))]


def _one_of_two(asks: list[TicketAsk], orders: Sequence[CustomerOrder]) -> list[TicketAsk]:
    """Who cancels an order and wants its money asks one thing: a cancellation before it is sent, a refund after."""
    money = [ask for ask in asks if ask.ask in MONEY_ASKS and ask.money == "wanted"]
    if len(money) != 2 or len({(ask.order_id, ask.lines) for ask in money}) != 1:
        return asks
    status = next((order.status for order in orders if order.order_id == money[0].order_id), None)
    if status is None:
        return asks
    kept: AskKind = "cancellation" if status in {"pending", "processed", "shipped"} else "refund"
    cause = next((ask.cause for ask in money if ask.cause), None)
    conditions = any(ask.conditions for ask in money)
    return [
        replace(ask, cause=ask.cause or cause, conditions=conditions) if ask.ask == kept else ask
        for ask in asks
        if ask.ask == kept or ask not in money
    ]


def _other_ask(kind: AskKind, said: Sequence[Heard], heard: Sequence[Heard]) -> TicketAsk:
    cause, proof = _cause(said, heard if kind in _CAUSED else ())
    spans: dict[Field, tuple[TextSpan, ...]] = {"ask": _spans(said)}
    if cause:
        spans["cause"] = proof
    refused = [one for one in heard if one.refuses]
    if refused:
        spans["money"] = _spans(refused)
    sure = _sure(kind, said)
    return TicketAsk(kind, "refused" if refused else "open", cause=cause, sure=sure, spans=spans)


def _money_ask(
    kind: AskKind,
    said: Sequence[Heard],
    wanted: Sequence[Heard],
    wishing: Sequence[Heard],
    heard: Sequence[Heard],
    orders: Sequence[CustomerOrder],
    attached: OrderId | None,
    about: OrderId | None,
    *,
    alone: bool,
) -> TicketAsk | None:
    """The want for money of a kind, of one order; None where what sounds like one refuses it.

    `wishing` are all wants for money; `alone` is whether there is no other one; `about` is the order, where the goods
    of one want are of several.
    """
    if not wanted:
        if any(one.refuses for one in said):
            return None
        return TicketAsk(kind, sure=_sure(kind, said), spans={"ask": _spans(said)})
    newest = max(one.place[0] for one in heard if max(one.money("wanted"), one.money("refused")) >= MEANT)
    mine = [one for one in heard if _nearest(one, wishing) in wanted and one not in wishing]
    refused = [
        one
        for one in mine
        if (one.refuses or one.money("refused") >= SUSPECTED) and one.place[0] == newest and not one.keeps
    ]
    conditions = [
        one
        for one in (*wanted, *mine)
        if one.condition >= MEANT and any(_beside(one, other) for other in wanted)
    ]
    order_id, number_spans, doubt = order_meant(kind, wanted, heard, orders, attached, alone=alone)
    if about is not None:
        order_id, doubt = about, None if attached in {about, None} else "another_order"
    money: MoneyWish = "wanted"
    if refused:
        since = any(one.place[0] == newest for one in wanted)
        money, doubt = ("wanted", doubt or "wanted_and_refused") if since else ("refused", doubt)
    if max(one.money("wanted") for one in wanted) < SURE:
        doubt = doubt or "not_sure"
    order = next((one for one in orders if one.order_id == order_id), None)
    cause, proof = _cause(wanted, heard)
    elsewhere = [one for one in wishing if one not in wanted]
    lines, suggested, goods_spans = units_meant(wanted, elsewhere, heard, order, cause)
    proofs: dict[Field, tuple[TextSpan, ...]] = {
        "ask": _spans(said),
        "money": _spans(refused if money == "refused" else wanted),
        "conditions": _spans(conditions),
        "order_id": number_spans,
        "lines": goods_spans,
        "cause": proof,
    }
    return TicketAsk(
        kind,
        money,
        order_id=order_id,
        lines=lines,
        suggested=suggested,
        cause=cause,
        doubt=doubt,
        conditions=bool(conditions),
        sure=_sure(kind, wanted),
        spans={name: spans for name, spans in proofs.items() if spans},
    )


def _spans(some: Iterable[Heard]) -> tuple[TextSpan, ...]:
    return tuple(one.span for one in some)


def _nearest(one: Heard, wishing: Sequence[Heard]) -> Heard:
    """The want that a statement belongs to: the nearest in its text, the one before it first."""
    return min(
        wishing,
        key=lambda other: (
            other.place[0] != one.place[0],
            abs(other.place[1] - one.place[1]),
            other.span.start > one.span.start,
            abs(other.span.start - one.span.start),
        ),
    )


def _sure(kind: AskKind, said: Iterable[Heard]) -> int:
    """In percent."""
    return round(100 * max(one.odds["ask"].get(kind, 0.0) for one in said))


def _beside(one: Heard, other: Heard) -> bool:
    """Whether two statements stand in one sentence or in two that follow each other."""
    return one.place[0] == other.place[0] and abs(one.place[1] - other.place[1]) <= 1


def _cause(said: Iterable[Heard], heard: Sequence[Heard]) -> tuple[Cause | None, tuple[TextSpan, ...]]:
    """The cause with the best odds: of what is asked first, and of everything else after it."""
    for some in (list(said), heard):
        best = max(
            (
                (chance, label, one)
                for one in some
                for odds in (one.causes, one.odds["cause"])
                for label, chance in odds.items()
                if label != "none" and chance >= MEANT and not (label in FAULTS and one.denies_fault)
            ),
            key=lambda found: found[0],
            default=None,
        )
        if best is not None:
            return best[1], (best[2].span,)  # type: ignore[return-value]
    return None, ()
