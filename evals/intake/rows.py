"""The rows that the bundle is trained on: sentences of this project, and outside utterances where they are there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.intake.training import JOINED, TrainingRow, TrainingTicket
from policies.reading.bundle import HEADS, Head
from policies.reading.heard import LEFTOVER, SPEAKS_OF_REFUND
from policies.reading.plain import plain_of
from policies.reading.statements import statements_of

READING = Path(__file__).parents[1] / "reading"

BANKING = {
    "request_refund": "refund",
    "Refund_not_showing_up": "refund_status",
    "passcode_forgotten": "account_access",
    "pin_blocked": "account_access",
    "edit_personal_details": "account_access",
    "card_arrival": "order_status",
    "card_delivery_estimate": "order_status",
}
"""What the utterances of a bank's customers ask, in a shop's words; any other is something else."""

ELSEWHERE = 0.5
"""What a row of another trade counts where it asks nothing of a shop."""

OUTSIDE_WISH = 3.0
"""What a real customer's utterance counts beside a written one where it is told whether a refund is spoken of."""


def own_rows() -> Iterator[TrainingRow]:
    """The sentences of this project."""
    for file in sorted(READING.glob("train_statements_*.jsonl")):
        whole: dict[str, list[str]] = {}
        for line in _lines(file):
            whole.setdefault(line["id"].partition(".")[0], []).append(line["text"])
            yield from (
                TrainingRow(line["text"], head, _label(line, head)) for head in HEADS if head != "whole"
            )
        for texts in whole.values():
            yield TrainingRow(JOINED.join(texts), "trade", "shop")
    for line in [*_lines(READING / "train_asks.jsonl"), *_lines(READING / "train_asks_2.jsonl")]:
        for text in told_by_others(line["text"], line["ask"]):
            yield TrainingRow(text, "ask", line["ask"])
            yield TrainingRow(text, "wish", _label(line, "wish"))
            yield TrainingRow(text, "trade", "shop")
            if line["ask"] not in {"dispute", "account_access"}:
                yield TrainingRow(text, "urgent", "false")
            yield TrainingRow(text, "money", line["money"])
    for line in _lines(READING / "train_causes.jsonl"):
        yield TrainingRow(line["text"], "cause", line["cause"])
    for line in _lines(READING / "train_conditions.jsonl"):
        yield TrainingRow(line["text"], "condition", str(line["condition"]).lower())
    urgent = ("train_urgent.jsonl", *(f"train_urgent_{n}.jsonl" for n in (2, 3, 4, 5)))
    for line in (line for name in urgent for line in _lines(READING / name)):
        yield TrainingRow(line["text"], "urgent", str(line["urgent"]).lower())


def own_tickets() -> Iterator[TrainingTicket]:
    """The conversations of this project. What is asked beside an anger or a leftover is what is asked."""
    for file in sorted(READING.glob("train_statements_*.jsonl")):
        told: dict[str, list[dict[str, str]]] = {}
        for line in _lines(file):
            told.setdefault(line["id"].rpartition(".")[0] or line["id"], []).append(line)
        for lines in told.values():
            asks = {line["ask"] for line in lines} - {"none"}
            yield TrainingTicket(tuple(line["text"] for line in lines), frozenset(asks - LEFTOVER or asks))


def corrected_tickets(file: Path) -> Iterator[TrainingTicket]:
    """The conversations that people corrected, as `intake corrections` tells them."""
    for line in _lines(file):
        told: Any = line
        plain = plain_of(told["text"]).text
        texts = tuple(one.text for one in statements_of(plain, 0, len(plain)))
        asks = frozenset(str(ask["ask"]) for ask in told["corrected"])
        if texts and asks:
            yield TrainingTicket(texts, asks)


def outside_rows(folder: Path) -> Iterator[TrainingRow]:
    """The outside utterances; none where they are not there."""
    for line in _lines(folder / "banking77.train.jsonl"):
        ask = BANKING.get(line["intent"], "other")
        yield TrainingRow(line["text"], "ask", ask, 1.0 if ask in SPEAKS_OF_REFUND else ELSEWHERE)
        yield TrainingRow(line["text"], "trade", "shop" if ask in SPEAKS_OF_REFUND else "other")
        yield TrainingRow(line["text"], "wish", _label({"ask": ask}, "wish"), OUTSIDE_WISH)
    for line in _lines(folder / "clinc_oos.train.jsonl"):
        yield TrainingRow(line["text"], "ask", "other", ELSEWHERE)
        yield TrainingRow(line["text"], "trade", "other")
        yield TrainingRow(line["text"], "wish", "false", OUTSIDE_WISH)


_AS_TOLD = (
    ("I'd like to ", "The customer would like to "),
    ("I want to ", "The customer wants to "),
    ("I want my ", "The customer wants their "),
    ("I want a ", "Customer wants a "),
    ("I would like to ", "You would like to "),
    ("I need to ", "You need to "),
)


def told_by_others(text: str, ask: str) -> Iterator[str]:
    """A sentence as its customer writes it, and as a colleague notes it."""
    yield text
    if ask in {"refund", "cancellation", "exchange", "replacement", "order_change"}:
        typed = text.replace("’", "'")
        for said, told in _AS_TOLD:
            if typed.startswith(said):
                rest = typed.removeprefix(said)
                yield told + rest
                yield f"You want {'to ' if told.endswith('to ') else ''}{rest}"
                return


def _label(line: dict[str, str], head: Head) -> str:
    if head == "trade":
        return "shop"
    if head == "wish":
        return str(line["ask"] in SPEAKS_OF_REFUND).lower()
    return str(line[head]).lower()


def _lines(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
