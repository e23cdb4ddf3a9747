"""Differences: what a proposal says otherwise than the one before it, which a person sent back."""

import difflib
import json
from collections.abc import Sequence
from typing import Any

from desk.catalogue import _, locale_now
from desk.plain_words import plain_word
from records.books import Row
from refunds.money import Money


def _bodies(proposals: Sequence[Row]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The last two proposals, where the first of them was sent back."""
    if len(proposals) < 2:
        return None
    return json.loads(proposals[-2]["body"]), json.loads(proposals[-1]["body"])


def letter_changed(proposals: Sequence[Row]) -> list[tuple[str, str]]:
    both = _bodies(proposals)
    if both is None or both[0]["draft"] == both[1]["draft"]:
        return []
    lines = difflib.ndiff(both[0]["draft"].split("\n"), both[1]["draft"].split("\n"))
    return [(line[0], line[2:]) for line in lines if line[0] != "?"]


def fields_changed(proposals: Sequence[Row]) -> list[tuple[str, str, str]]:
    """What else is different from the proposal before: its name, then and now."""
    both = _bodies(proposals)
    if both is None:
        return []
    before, now = both

    def money(body: dict[str, Any]) -> str:
        if not body["amount_minor"]:
            return _("no refund")
        return Money(body["amount_minor"], body["currency"]).shown(locale_now())

    def units(body: dict[str, Any]) -> str:
        return ", ".join(f"{one['quantity']} × {one['line_id']}" for one in body.get("lines", []))

    pairs = [
        (_("amount"), money(before), money(now)),
        (_("lines"), units(before), units(now)),
        (_("kind"), plain_word(before["kind"]), plain_word(now["kind"])),
        (_("rule"), before["rule"], now["rule"]),
        (_("digest"), proposals[-2]["digest"][:12], proposals[-1]["digest"][:12]),
    ]
    return [pair for pair in pairs if pair[1] != pair[2]]
