"""The reading of a ticket: what its customer asks, each field with the words that prove it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from refunds.ids import LineId, OrderId
from refunds.order import Units
from refunds.vocabulary import AskKind, AskState, Cause, MoneyWish, ReaderKind, ReadingDoubt, one_of

Field = Literal["ask", "order_id", "lines", "cause", "money", "conditions", "urgent"]
"""What of an ask is proved by words."""


BETWEEN = "\n\n"
"""What joins the texts of a conversation, in their order, for the offsets of a reading."""


@dataclass(frozen=True, slots=True, order=True)
class TextSpan:
    """A part of the customer's texts as they are stored, joined in their order."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TicketAsk:
    """One thing that a customer asks."""

    ask: AskKind
    money: MoneyWish = "open"
    order_id: OrderId | None = None
    """The order that the words name or fit; None where they name none."""

    lines: tuple[Units, ...] | None = None
    """Of what, where the words name goods; None where they mean all of the order; empty where they leave it open."""

    suggested: tuple[LineId, ...] = ()
    """Lines that the words may mean, where they leave it open."""

    cause: Cause | None = None
    doubt: ReadingDoubt | None = None
    """Why a person reads what is wanted in money."""

    conditions: bool = False
    """Whether it is asked only if, unless or failing something else."""

    sure: int = 100
    """How sure the reader is of the ask, in percent."""

    spans: Mapping[Field, tuple[TextSpan, ...]] = field(default_factory=dict)
    by_second: tuple[Field, ...] = ()
    """What of it the second reader found and the first did not."""

    state: AskState = "open"

    def to_json(self) -> dict[str, object]:
        """As the contract states it; what no words prove is left out."""
        told: dict[str, object] = {"ask": self.ask, "money": self.money, "sure": self.sure}
        if self.order_id is not None:
            told["order_id"] = self.order_id
        if self.lines is not None:
            told["lines"] = [units.to_json() for units in self.lines]
        if self.suggested:
            told["suggested"] = list(self.suggested)
        if self.cause is not None:
            told["cause"] = self.cause
        if self.conditions:
            told["conditions"] = True
        if self.doubt is not None:
            told["doubt"] = self.doubt
        if self.by_second:
            told["by_second"] = list(self.by_second)
        told["spans"] = {
            name: [[span.start, span.end] for span in spans] for name, spans in sorted(self.spans.items())
        }
        return told | {"state": self.state}

    @classmethod
    def of_json(cls, value: Mapping[str, object]) -> "TicketAsk":
        """The ask in a parsed body. KeyError, TypeError or ValueError where it is none."""
        lines, spans = value.get("lines"), value["spans"]
        suggested, second = value.get("suggested", []), value.get("by_second", [])
        if not (lines is None or isinstance(lines, list)):
            raise TypeError("lines: not a list")
        if not isinstance(suggested, list) or not isinstance(second, list):
            raise TypeError("suggested, by_second: not a list")
        if not isinstance(spans, dict):
            raise TypeError("spans: not an object")
        cause = value.get("cause")
        return cls(
            ask=one_of(AskKind, value["ask"]),
            money=one_of(MoneyWish, value["money"]),
            order_id=OrderId(str(value["order_id"])) if value.get("order_id") else None,
            lines=None if lines is None else tuple(Units.of_json(one) for one in lines),
            suggested=tuple(LineId(str(line)) for line in suggested),
            cause=None if cause is None else one_of(Cause, cause),
            doubt=one_of(ReadingDoubt, value["doubt"]) if value.get("doubt") else None,
            conditions=value.get("conditions") is True,
            sure=int(str(value["sure"])),
            spans={one_of(Field, name): _spans(said) for name, said in spans.items()},
            by_second=tuple(one_of(Field, name) for name in second),
            state=one_of(AskState, value["state"]),
        )


def _spans(value: object) -> tuple[TextSpan, ...]:
    if not isinstance(value, list):
        raise TypeError("spans: not a list")
    return tuple(TextSpan(int(start), int(end)) for start, end in value)


@dataclass(frozen=True, slots=True)
class TicketReading:
    """All that a ticket and the answers since ask, as one reader has it."""

    reader: ReaderKind
    version: str
    asks: tuple[TicketAsk, ...]
    urgent: tuple[TextSpan, ...] = ()
    """The words for which a person must see it at once."""

    unread: tuple[TextSpan, ...] = ()
    """What was said that the reader has no label for; it may be anything."""

    @classmethod
    def of_json(cls, value: Mapping[str, object]) -> "TicketReading":
        """The reading in a parsed body. KeyError, TypeError or ValueError where it is none."""
        asks = value["asks"]
        if not isinstance(asks, list):
            raise TypeError("asks: not a list")
        return cls(
            reader=one_of(ReaderKind, value["reader"]),
            version=str(value["version"]),
            asks=tuple(TicketAsk.of_json(ask) for ask in asks),
            urgent=_spans(value.get("urgent", [])),
            unread=_spans(value.get("unread", [])),
        )

    def to_json(self) -> dict[str, object]:
        """As the contract states it."""
        told: dict[str, object] = {
            "reader": self.reader,
            "version": self.version,
            "asks": [ask.to_json() for ask in self.asks],
        }
        if self.urgent:
            told["urgent"] = [[span.start, span.end] for span in self.urgent]
        if self.unread:
            told["unread"] = [[span.start, span.end] for span in self.unread]
        return told
