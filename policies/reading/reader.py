"""The trained reader: a customer's texts and orders in, the reading out. It proposes nothing and knows no policy.

Statements are told apart by the trained bundle; numbers, goods and quantities by their own words. Whatever the words
leave open stays open in the reading, and what speaks against itself is a doubt: a person reads it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policies.reading.asked import asked
from policies.reading.asks import asks_of
from policies.reading.bundle import Bundle, Head, features
from policies.reading.goods import NamedGoods
from policies.reading.heard import MEANT, SHORT, SUSPECTED, URGENT, URGENT_SAID, URGENT_STATED, Heard
from policies.reading.letter import PartKind, letter_parts
from policies.reading.order_numbers import order_numbers_in
from policies.reading.plain import PlainText, plain_of
from policies.reading.statements import STATEMENTS, statements_of
from refunds.ids import OrderId
from refunds.order import CustomerOrder
from refunds.reading import BETWEEN, TextSpan, TicketReading


@dataclass(frozen=True, slots=True)
class TrainedReader:
    """Reads by one bundle."""

    bundle: Bundle

    def read(
        self,
        texts: Sequence[str],
        orders: Sequence[CustomerOrder] = (),
        attached: OrderId | None = None,
        *,
        stated: bool = False,
    ) -> TicketReading:
        """The reading of the texts of one conversation, in the order in which they were written.

        `stated` is whether somebody who read them states what they ask.
        """
        heard = self.heard(texts, orders)
        whole = self.bundle.odds({feature: None for one in heard for feature in one.features})
        in_all = asked(self.bundle, [one.odds["ask"] for one in heard], whole["whole"])
        asks = asks_of(heard, in_all, orders, attached, whole if len(heard) <= SHORT else None)
        urgent = _urgent(heard, whole["urgent"]["true"] >= (URGENT_STATED if stated else URGENT))
        unread = tuple(one.span for one in heard if not one.understood)
        return TicketReading("trained", self.bundle.version, tuple(asks), urgent, unread)

    def heard(self, texts: Sequence[str], orders: Sequence[CustomerOrder] = ()) -> list[Heard]:
        """The statements of a conversation."""
        goods = NamedGoods(orders, self.bundle.weights)
        found: list[Heard] = []
        offset = 0
        for number, text in enumerate(texts):
            plain = plain_of(text)
            found += self._of_text(plain, number, offset, goods, orders)
            offset += len(text) + len(BETWEEN)
        return found[-STATEMENTS:]

    def _of_text(
        self, plain: PlainText, number: int, offset: int, goods: NamedGoods, orders: Sequence[CustomerOrder]
    ) -> Iterator[Heard]:
        sentence = 0
        for part in letter_parts(plain):
            if part.kind in _UNREAD:
                continue
            stated = list(statements_of(plain.text, part.start, part.end, sentence))
            sentence = stated[-1].sentence + 1 if stated else sentence
            told = [features([one.text]) for one in stated]
            sentences: dict[int, list[dict[str, None]]] = {}
            for one, found in zip(stated, told, strict=True):
                sentences.setdefault(one.sentence, []).append(found)
            for one, found in zip(stated, told, strict=True):
                odds = self.bundle.odds(found)
                if part.kind != "body" and not _asks_something(odds):
                    continue
                whole = sentences[one.sentence]
                start, end = plain.where(one.start, one.end)
                said = tuple(goods.said_in(plain.text, one.start, one.end))
                yield Heard(
                    one.text,
                    TextSpan(offset + start, offset + end),
                    (number, one.sentence),
                    odds,
                    odds["cause"]
                    if len(whole) == 1
                    else self.bundle.odds({name: None for some in whole for name in some})["cause"],
                    tuple(found),
                    tuple(order_numbers_in(plain.text, orders, one.start, one.end)),
                    said,
                    tuple(_moved(plain, offset, thing.start, thing.end) for thing in said),
                    tuple((thing.start - one.start, thing.end - one.start) for thing in said),
                )


_UNREAD: frozenset[PartKind] = frozenset({"quoted", "footer"})
"""A signature in which something is asked is none; what is quoted asks for nothing."""


def _urgent(heard: Sequence[Heard], in_all: bool) -> tuple[TextSpan, ...]:  # noqa: FBT001  (what the odds of all say)
    """The words for which a person must see it at once: the plainest ones, where only all of them together say so."""
    odds = [one.odds["urgent"]["true"] for one in heard]
    least = min(URGENT_SAID, max(odds, default=1.0)) if in_all else URGENT_SAID
    return tuple(one.span for one, chance in zip(heard, odds, strict=True) if chance >= least)


def _asks_something(odds: dict[Head, dict[str, float]]) -> bool:
    return odds["money"].get("open", 0.0) < MEANT or odds["ask"].get("none", 0.0) < SUSPECTED


def _moved(plain: PlainText, offset: int, start: int, end: int) -> TextSpan:
    first, last = plain.where(start, end)
    return TextSpan(offset + first, offset + last)
