"""What the trained reader is measured by: tickets of this project, and outside utterances."""

import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from evals.intake.rows import READING
from evals.intake.tickets import LabelledTicket, labelled, orders_by_customer
from policies.reading import TrainedReader
from policies.reading.heard import MONEY_ASKS, SPEAKS_OF_REFUND
from refunds.order import CustomerOrder
from refunds.reading import TicketAsk, TicketReading

SoFar = Callable[[int, int], None]


@dataclass(slots=True)
class ReadingScore:
    """Counts over tickets; `wrong` names the tickets by what is wrong with them, towards money first."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def note(self, name: str, ticket: str, *, good: bool) -> None:
        self.counts[name] += good
        if not good:
            self.wrong.setdefault(name, []).append(ticket)

    def to_json(self) -> dict[str, object]:
        counts, money = self.counts, max(1, self.counts["money asks"])
        return {
            "tickets": counts["tickets"],
            "asks_exact": round(counts["asks"] / max(1, counts["tickets"]), 3),
            "lines_exact": round(counts["lines"] / money, 3),
            "money_wanted_wrongly": len(self.wrong.get("no money is wanted", ())),
            "lines_wrong_in_a_proposal": len(self.wrong.get("lines of a proposal", ())),
            "conditions_missed": len(self.wrong.get("conditions", ())),
            "proposals": counts["proposals"],
            "p95_ms": round(1000 * sorted(self.seconds)[int(len(self.seconds) * 0.95)], 1),
        }


def score_reading(reader: TrainedReader, half: str, said: SoFar) -> ReadingScore:
    """The tickets of a half, read and compared."""
    score, tickets = ReadingScore(), labelled(half)
    for number, ticket in enumerate(tickets):
        orders = orders_by_customer()[ticket.customer_id]
        started = time.perf_counter()
        reading = reader.read([ticket.text], orders, ticket.order_id)
        score.seconds.append(time.perf_counter() - started)
        _compare(score, ticket, reading, orders)
        said(number + 1, len(tickets))
    return score


def _compare(
    score: ReadingScore, ticket: LabelledTicket, reading: TicketReading, orders: Sequence[CustomerOrder]
) -> None:
    score.counts["tickets"] += 1
    score.note("asks", ticket.name, good={ask.ask for ask in reading.asks} == ticket.asks)
    want = next((ask for ask in reading.asks if ask.ask in MONEY_ASKS and ask.money == "wanted"), None)
    proposes = want is not None and want.doubt is None and not want.conditions
    score.note("no money is wanted", ticket.name, good=ticket.money == "wanted" or not proposes)
    if bool(reading.urgent) != ticket.urgent:
        score.note("urgent", ticket.name, good=False)
    if ticket.money != "wanted":
        return
    score.counts["money asks"] += 1
    score.counts["proposals"] += proposes
    right = want is not None and _lines_right(want, ticket, orders)
    score.note("lines", ticket.name, good=right)
    settled = want is not None and want.lines != () and want.order_id is not None
    score.note("lines of a proposal", ticket.name, good=right or not (proposes and settled))
    score.note("conditions", ticket.name, good=not ticket.conditions or not proposes)


def _lines_right(want: TicketAsk, ticket: LabelledTicket, orders: Sequence[CustomerOrder]) -> bool:
    order = next((one for one in orders if one.order_id == ticket.about), None)
    if want.order_id != ticket.about or order is None:
        return want.order_id is None and order is None
    everything = {line.line_id: line.quantity for line in order.lines}
    if ticket.lines in {"unclear", None} if not isinstance(ticket.lines, dict) else False:
        return want.lines == ()
    wanted = everything if ticket.lines == "whole" else ticket.lines
    found = everything if want.lines is None else {one.line_id: one.quantity for one in want.lines}
    return found == wanted


def urgent_score(reader: TrainedReader) -> dict[str, object]:
    """Of texts that a person must see at once, how many are found; and of their harmless neighbours."""
    found: Counter[tuple[bool, bool]] = Counter()
    for line in (READING / "urgent.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        found[told["urgent"], bool(reader.read([told["text"]]).urgent)] += 1
    return {
        "set": "urgent",
        "texts": found.total(),
        "recall": round(found[True, True] / max(1, found[True, True] + found[True, False]), 3),
        "false": round(found[False, True] / max(1, found[False, True] + found[False, False]), 3),
    }


FOLDS = 3


def outside_score(
    make: Callable[[Callable[[str], bool]], TrainedReader], folder: Path
) -> Iterator[dict[str, object]]:
    """Utterances of a bank's customers and out of scope, each read by a bundle that was trained without it.

    `make` trains a reader on the outside rows for which its argument says yes.
    """
    bank: Counter[tuple[bool, bool]] = Counter()
    told_apart: Counter[tuple[str, str]] = Counter()
    scope: Counter[bool] = Counter()
    banking, clinc = _texts(folder / "banking77.train.jsonl"), _texts(folder / "clinc_oos.train.jsonl")
    for number in range(FOLDS):
        reader = make(partial(_outside_fold, number))
        for told in banking:
            if _fold(str(told["text"])) == number:
                asks = {ask.ask for ask in reader.read([str(told["text"])]).asks}
                bank[bool(told["refund"]), bool(asks & SPEAKS_OF_REFUND)] += 1
                kind = "status" if "refund_status" in asks else "want" if asks & MONEY_ASKS else "neither"
                told_apart[str(told["intent"]), kind] += bool(told["refund"])
        for told in clinc:
            if _fold(str(told["text"])) == number:
                asks = {ask.ask for ask in reader.read([str(told["text"])]).asks}
                scope[bool(asks & SPEAKS_OF_REFUND)] += 1
    yield {
        "set": "banking77",
        "texts": bank.total(),
        "recall": round(bank[True, True] / max(1, bank[True, True] + bank[True, False]), 3),
        "false": round(bank[False, True] / max(1, bank[False, True] + bank[False, False]), 4),
    }
    for intent, kind in (("request_refund", "want"), ("Refund_not_showing_up", "status")):
        both = told_apart[intent, "want"] + told_apart[intent, "status"]
        yield {
            "set": f"{intent} told apart",
            "texts": both,
            "right": round(told_apart[intent, kind] / max(1, both), 3),
        }
    yield {
        "set": "clinc out of scope",
        "texts": scope.total(),
        "false": round(scope[True] / max(1, scope.total()), 4),
    }


def _outside_fold(number: int, text: str) -> bool:
    return _fold(text) != number


def _fold(text: str) -> int:
    return zlib.crc32(text.encode()) % FOLDS


def _texts(file: Path) -> list[dict[str, object]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
