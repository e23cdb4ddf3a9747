"""Marked words: a customer's texts with the words that the reading rests on, for the eye of a reviewer."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from desk.catalogue import _
from desk.plain_words import plain_word
from records.books import Row
from refunds.ids import LineId
from refunds.order import counted
from refunds.reading import BETWEEN, TicketAsk, TicketReading


@dataclass(frozen=True, slots=True)
class MarkedWords:
    """A run of letters, and what the reading takes from it; nothing where it takes nothing."""

    text: str
    says: str = ""


def marked(texts: Sequence[str], reading: TicketReading | None) -> list[list[MarkedWords]]:
    """Each text cut at the words that prove a field."""
    proofs = sorted(_proofs(reading)) if reading else []
    found: list[list[MarkedWords]] = []
    offset = 0
    for text in texts:
        within = [(max(0, a - offset), min(len(text), b - offset), says) for a, b, says in proofs]
        found.append(list(_cut(text, [one for one in within if one[0] < one[1]])))
        offset += len(text) + len(BETWEEN)
    return found


def _proofs(reading: TicketReading) -> Iterator[tuple[int, int, str]]:
    for ask in reading.asks:
        for name, spans in ask.spans.items():
            for span in spans:
                yield span.start, span.end, f"{plain_word(ask.ask)}: {plain_word(name)}"
    for span in reading.urgent:
        yield span.start, span.end, plain_word("urgent")


def _cut(text: str, proofs: Sequence[tuple[int, int, str]]) -> Iterator[MarkedWords]:
    edges = sorted({0, len(text), *(edge for start, end, _ in proofs for edge in (start, end))})
    for start, end in itertools.pairwise(edges):
        says = dict.fromkeys(said for first, last, said in proofs if first <= start and end <= last)
        yield MarkedWords(text[start:end], "; ".join(says))


def said_of(ask: TicketAsk) -> str:
    """An ask in a line, for a person."""
    parts = [plain_word(ask.ask)]
    if ask.order_id is not None:
        parts.append(_("of %(order)s", order=ask.order_id))
    if ask.lines == ():
        parts.append(_("which goods is open"))
    elif ask.lines is not None:
        lines = [_("%(count)s of line %(line)s", count=one.quantity, line=one.line_id) for one in ask.lines]
        parts.append(", ".join(lines))
    if ask.cause is not None:
        parts.append(plain_word(ask.cause))
    if ask.money != "open":
        parts.append(_("money wanted") if ask.money == "wanted" else _("money refused"))
    if ask.conditions:
        parts.append(_("under a condition"))
    if ask.by_second:
        parts.append(_("the model's: %(fields)s", fields=", ".join(map(plain_word, ask.by_second))))
    if ask.state != "open":
        parts.append(plain_word(ask.state))
    if ask.doubt is not None:
        parts.append(_("in doubt: %(doubt)s", doubt=plain_word(ask.doubt)))
    return " · ".join(parts)


@dataclass(frozen=True, slots=True)
class ReadWords:
    """What a customer wrote, and what was read in it, as a reviewer sees it."""

    texts: tuple[str, ...]
    """With the ticket."""

    messages: tuple[Row, ...]
    """Since then, a colleague's too."""

    reading: TicketReading | None

    @property
    def wrote(self) -> list[list[MarkedWords]]:
        """The texts of the ticket, marked."""
        return self._marked()[: len(self.texts)]

    @property
    def said_since(self) -> list[tuple[Row, list[MarkedWords]]]:
        """The messages since, those of the customer marked."""
        answers = iter(self._marked()[len(self.texts) :])
        return [
            (row, next(answers) if row["author"] == "customer" else [MarkedWords(row["body"])])
            for row in self.messages
        ]

    def _marked(self) -> list[list[MarkedWords]]:
        answers = [row["body"] for row in self.messages if row["author"] == "customer"]
        return marked((*self.texts, *answers), self.reading)

    @property
    def asks(self) -> list[str]:
        """What the customer asks, a line each."""
        return [said_of(ask) for ask in self.reading.asks] if self.reading else []

    @property
    def main(self) -> TicketAsk | None:
        """The ask that a person corrects first: the one for money, where there is one."""
        asks = self.reading.asks if self.reading else ()
        return next((ask for ask in asks if ask.money != "open"), next(iter(asks), None))

    @property
    def units(self) -> Counter[LineId]:
        """How many of each line the words name; one of each that they may mean, where they leave it open."""
        if self.main is None:
            return Counter()
        return counted(self.main.lines or ()) or Counter(dict.fromkeys(self.main.suggested, 1))

    @property
    def others(self) -> list[TicketAsk]:
        """The asks beside the main one."""
        asks, main = self.reading.asks if self.reading else (), self.main
        return [ask for ask in asks if ask is not main]
