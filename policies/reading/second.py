"""The second reader's word beside the first's: it doubts, warns and suggests, and opens no way to money."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policies.reading.heard import MONEY_ASKS
from refunds.reading import Field, TicketAsk, TicketReading


@dataclass(frozen=True, slots=True)
class SecondWord:
    """Two readings as one, and in what the readers contradict each other about money."""

    reading: TicketReading
    contradictions: tuple[str, ...] = ()


def together(first: TicketReading, second: TicketReading) -> SecondWord:
    """The first reading with what a second one adds, each added field marked as the second's.

    Where the two contradict each other on money the ask is in doubt, and a person reads it. The second may withhold
    whatever it likes; it opens no way to money that the first has not found, and gives no cause for any.
    """
    against: list[str] = []
    asks: list[TicketAsk] = []
    paired: list[TicketAsk] = []
    for ask in first.asks:
        other = _same(ask, [one for one in second.asks if one not in paired])
        paired += [other] if other else []
        asks.append(_beside(ask, other, against))
    for ask in second.asks:
        if ask in paired or (ask.money == "open" and ask.ask in {one.ask for one in asks}):
            continue
        alone = replace(ask, cause=None, by_second=("ask", *sorted(set(ask.spans) - {"ask", "cause"})))
        if ask.money != "open":
            against.append(f"{ask.ask}: {ask.money} by the second reader alone")
            alone = replace(alone, doubt="readers_disagree")
        asks.append(alone)
    reading = TicketReading(
        second.reader,
        f"{first.version}+{second.version}",
        tuple(asks),
        tuple(dict.fromkeys((*first.urgent, *second.urgent))),
        first.unread,
    )
    return SecondWord(reading, tuple(against))


def _same(ask: TicketAsk, others: Sequence[TicketAsk]) -> TicketAsk | None:
    """The other reader's ask of the same kind; of several the one for the same order."""
    alike = [other for other in others if other.ask == ask.ask]
    return next((other for other in alike if other.order_id == ask.order_id), alike[0] if alike else None)


def _beside(ask: TicketAsk, other: TicketAsk | None, against: list[str]) -> TicketAsk:
    """An ask of the first reader with what the second says of it."""
    if other is None:
        if ask.money == "open":
            return ask
        against.append(f"{ask.ask}: {ask.money} by the first reader alone")
        return replace(ask, doubt=ask.doubt or "readers_disagree")
    if ask.ask in MONEY_ASKS:
        wrong = [
            f"{ask.ask}: {name}: {_told(mine)} and {_told(theirs)}"
            for name, mine, theirs in (
                ("money", ask.money, other.money),
                ("order", ask.order_id, other.order_id or ask.order_id),
                ("lines", ask.lines, ask.lines if ask.lines == () or other.lines == () else other.lines),
            )
            if mine != theirs
        ]
        if wrong:
            against += wrong
            return replace(ask, doubt=ask.doubt or "readers_disagree")
    return _filled(ask, other)


def _filled(ask: TicketAsk, other: TicketAsk) -> TicketAsk:
    """A condition of either counts; goods that the first left open are suggested, as the second has them."""
    added: list[Field] = []
    lines = other.lines or () if ask.lines == () and other.order_id == ask.order_id else ()
    if lines:
        added.append("lines")
    if other.conditions and not ask.conditions:
        added.append("conditions")
    spans = {**ask.spans, **{name: other.spans[name] for name in added if name in other.spans}}
    return replace(
        ask,
        suggested=tuple(one.line_id for one in lines) or ask.suggested,
        conditions=ask.conditions or other.conditions,
        spans=spans,
        by_second=tuple(added),
    )


def _told(value: object) -> str:
    match value:
        case None:
            return "all or none named"
        case tuple():
            return ", ".join(f"{one.quantity} of line {one.line_id}" for one in value) or "left open"
        case _:
            return str(value)
