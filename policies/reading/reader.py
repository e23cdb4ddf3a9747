"""The trained reader: a customer's texts and orders in, the reading out. It proposes nothing and knows no policy.

Statements are told apart by the trained bundle; numbers, goods and quantities by their own words. Whatever the words
leave open stays open in the reading, and what speaks against itself is a doubt: a person reads it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policies.reading.asks import asks_of
from policies.reading.bundle import Bundle, Head
from policies.reading.goods import NamedGoods
from policies.reading.heard import MEANT, SHORT, SUSPECTED, URGENT, URGENT_STATED, Heard
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
        urgent_from = URGENT_STATED if stated else URGENT
        heard = self.heard(texts, orders)
        urgent = tuple(one.span for one in heard if one.odds["urgent"].get("true", 0.0) >= urgent_from)
        whole = self.bundle.odds(" ".join(one.text for one in heard)) if len(heard) <= SHORT else None
        asks = asks_of(heard, orders, attached, whole)
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
            sentences: dict[int, list[str]] = {}
            for one in stated:
                sentences.setdefault(one.sentence, []).append(one.text)
            for one in stated:
                odds = self.bundle.odds(one.text)
                if part.kind != "body" and not _asks_something(odds):
                    continue
                whole = " ".join(sentences[one.sentence])
                start, end = plain.where(one.start, one.end)
                said = tuple(goods.said_in(plain.text, one.start, one.end))
                yield Heard(
                    one.text,
                    TextSpan(offset + start, offset + end),
                    (number, one.sentence),
                    odds,
                    odds["cause"] if whole == one.text else self.bundle.odds(whole)["cause"],
                    tuple(order_numbers_in(plain.text, orders, one.start, one.end)),
                    said,
                    tuple(_moved(plain, offset, thing.start, thing.end) for thing in said),
                    tuple((thing.start - one.start, thing.end - one.start) for thing in said),
                )


_UNREAD: frozenset[PartKind] = frozenset({"quoted", "footer"})
"""A signature in which something is asked is none; what is quoted asks for nothing."""


def _asks_something(odds: dict[Head, dict[str, float]]) -> bool:
    return odds["money"].get("open", 0.0) < MEANT or odds["ask"].get("none", 0.0) < SUSPECTED


def _moved(plain: PlainText, offset: int, start: int, end: int) -> TextSpan:
    first, last = plain.where(start, end)
    return TextSpan(offset + first, offset + last)
