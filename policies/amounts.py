"""Amounts in a text: what a reply may say of money. Pure."""

import re
from collections.abc import Iterable

_AMOUNT = re.compile(r"(?<![\w.,])(\d{1,3}(?:[,'\N{NO-BREAK SPACE} ]\d{3})+|\d+)[.,](\d{2})(?![\w%]|[.,]\d)")


def amounts_in(text: str) -> list[int]:
    """Every amount with two decimals that a text states, in minor units and in order."""
    return [
        int(re.sub(r"\D", "", match.group(1))) * 100 + int(match.group(2)) for match in _AMOUNT.finditer(text)
    ]


def foreign_amounts(text: str, known: Iterable[int]) -> list[int]:
    """The amounts of a text that are none of those that it may speak of."""
    allowed = set(known)
    return [amount for amount in amounts_in(text) if amount not in allowed]
