"""What a pronoun or a number means: the nearest goods before it that agree with it in number."""

import re
from collections import Counter
from collections.abc import Sequence

from policies.reading.goods import NUMBERS
from policies.reading.heard import Heard
from refunds.ids import LineId
from refunds.order import CustomerOrder, counted
from refunds.reading import TextSpan

_ONE = re.compile(r"\b(?:it|this one|that one)\b", re.IGNORECASE)
_SOME = re.compile(r"\b(?:them|these|those)\b", re.IGNORECASE)
_SO_MANY = re.compile(
    r"\b(?:(?P<pair>both|pair)|(?:the|those|these|all|for)\s+(?P<count>two|three|four|five|six|seven|eight|[2-9]))\b"
    r"(?!\s+(?:days?|weeks?|months?|hours?|years?|times?|dollars?|euros?|pounds?|bucks?))",
    re.IGNORECASE,
)


def antecedent(
    wanted: Sequence[Heard], heard: Sequence[Heard], order: CustomerOrder
) -> tuple[Counter[LineId], tuple[TextSpan, ...]] | None:
    """The units that a want without goods of its own points back to, with their words; None where nothing agrees."""
    if len(wanted) != 1 or wanted[0].goods:
        return None
    want = wanted[0]
    numbers = {_number(match) for match in _SO_MANY.finditer(want.text)}
    if len(numbers) > 1:
        return None
    number = next(iter(numbers), 0)
    before = [one for one in heard[: heard.index(want)] if one.place[0] == want.place[0]]
    after = [one for one in heard[heard.index(want) + 1 :] if one.place[0] == want.place[0]]
    for one in reversed(before):
        things = [
            (thing, span)
            for thing, span in zip(one.goods, one.spans_of_goods, strict=True)
            if thing.of(order)
        ]
        if not things:
            continue
        if any(thing.out for thing, _ in things) or one.refuses:
            return None
        units: Counter[LineId] = Counter()
        for thing, _ in things:
            found = thing.units(order)
            if found is None:
                return None
            units |= counted(found)
        if _agrees(sum(units.values()), number, want.text) and not _named_again(units, after, order):
            return units, tuple(span for _, span in things)
        if not number:
            return None
    return None


def _number(match: re.Match[str]) -> int:
    if match["pair"]:
        return 2
    said = match["count"].lower()
    return int(said) if said.isdecimal() else NUMBERS[said]


def _agrees(units: int, number: int, text: str) -> bool:
    if number:
        return units == number
    if _SOME.search(text):
        return units > 1
    return units == 1 and _ONE.search(text) is not None


def _named_again(units: Counter[LineId], after: Sequence[Heard], order: CustomerOrder) -> bool:
    """Whether something is said of the same goods later: it may take back what the want points to."""
    return any(line.line_id in units for one in after for thing in one.goods for line in thing.of(order))
