"""Order numbers as people write them: #B124, b124, with a space or a dash; only the customer's own are found."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from refunds.ids import OrderId
from refunds.order import CustomerOrder

_CANDIDATE = re.compile(
    r"(?<![a-z0-9])#?\s?(?P<letters>[a-z]{0,6})[-\s/.:]{0,2}(?P<rest>\d[\da-z]*(?:[-/]\d+[\da-z]*)*)",
    re.IGNORECASE,
)
_CALLED = re.compile(r"(?:#|\border\s*(?:number|no\.?|nr\.?|num|id|ref\w*)?\s*[:.#]?\s*)$", re.IGNORECASE)

_WORDS = frozenset({"order", "no", "nr", "num", "number", "nummer", "ref", "id"})

DIGITS_ALONE = 3
"""Figures without their letters name an order where there are so many, and one order ends with them."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A place that names an order; None for one that this customer does not have."""

    start: int
    end: int
    order_id: OrderId | None


def key_of(name: str) -> str:
    """A number without what people leave out or add."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def order_numbers_in(text: str, orders: Iterable[CustomerOrder], start: int, end: int) -> list[Numbered]:
    """The orders that a part of a text names by number."""
    own = {key_of(order.order_id): order.order_id for order in orders}
    starts = {_letters(key) for key in own}
    found: list[Numbered] = []
    for match in _CANDIDATE.finditer(text, start, end):
        begin = match.start() + len(match[0]) - len(match[0].lstrip())
        letters = match["letters"].lower()
        called = "#" in match[0] or bool(_CALLED.search(text, max(start, begin - 24), begin))
        if letters in _WORDS:
            letters, called, begin = "", True, match.start("rest")
        rest = key_of(match["rest"])
        digits = "".join(letter for letter in rest if letter.isdecimal())
        long = len(digits) >= DIGITS_ALONE
        ends = [order_id for one, order_id in own.items() if one.endswith(rest) and long]
        if letters + rest in own:
            found.append(Numbered(begin, match.end(), own[letters + rest]))
        elif (
            len(ends) == 1
            and (called or len(digits) > DIGITS_ALONE + 1)
            and (not letters or letters not in starts)
        ):
            found.append(Numbered(match.start("rest"), match.end(), ends[0]))
        elif long and ((called and letters in {"", *starts}) or (letters and letters in starts)):
            found.append(Numbered(begin, match.end(), None))
    return found


def _letters(key: str) -> str:
    return key[: next((n for n, letter in enumerate(key) if letter.isdecimal()), len(key))]
