"""What the reader is measured by and never trained on, sentence by sentence."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from evals.intake.rows import READING
from policies.reading.plain import plain_of
from policies.reading.statements import statements_of

WORDS_FROM = 5
"""A shorter sentence is anybody's."""

_OWN = ("test.jsonl", "urgent.jsonl")
_OUTSIDE = (
    "intake/banking77.train.jsonl",
    "intake/clinc_oos.train.jsonl",
    "public_reports/sentences.jsonl",
    "public_reports/tickets.jsonl",
    "tau2_retail/expected_refunds.train.jsonl",
    "tau2_retail/no_refund_tasks.train.jsonl",
)
_TEXTS = ("text", "question", "customer_text")


def bare_words(text: str) -> str:
    """A sentence by its words alone."""
    return " ".join(re.findall(r"[a-z0-9]+", re.sub(r"['’]", "", text.lower())))


def kept_aside(outside: Path) -> frozenset[str]:
    """The sentences of every set that a published figure is of; the outside sets where they are there."""
    files = [*(READING / name for name in _OWN), *(outside / name for name in _OUTSIDE)]
    return frozenset(
        words
        for file in files
        if file.exists()
        for line in file.read_text(encoding="utf-8").splitlines()
        for words in _sentences(json.loads(line))
        if len(words.split()) >= WORDS_FROM
    )


def _sentences(told: dict[str, object]) -> Iterator[str]:
    ticket = told.get("ticket")
    for text in [told.get(name) for name in _TEXTS] + (
        [ticket.get("question")] if isinstance(ticket, dict) else []
    ):
        if isinstance(text, str):
            yield bare_words(text)
            plain = plain_of(text).text
            yield from (bare_words(one.text) for one in statements_of(plain, 0, len(plain)))
