"""Shares: what each unit of an order cost its buyer, so that units, shipping and fees sum to what was paid, to the last
minor unit.

A discount of the order is shared by its lines in proportion to their prices, what is over by largest remainder in the
order of the lines; shipping and fees share what the lines cannot bear. A line is split evenly over its units, the first
ones bearing what is over. Which refunds came before changes no share: the next unit of a line is the next in its row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from refunds.ids import LineId
from refunds.order import OrderFacts, Units, counted


class Unbalanced(ValueError):
    """An order whose sums do not add up has no shares."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of an order, in minor units of its currency."""

    lines: dict[LineId, tuple[int, ...]]
    """Of each line, what each of its units cost."""

    charges: tuple[int, ...]
    """What each shipping and fee cost, in the order in which the order has them."""

    @property
    def charged_minor(self) -> int:
        """Shipping and fees together."""
        return sum(self.charges)

    def of(self, units: Iterable[Units], after: Iterable[Units] = ()) -> int:
        """What these units cost, after others of the order were taken; IndexError where so many are not there."""
        gone, total = counted(after), 0
        for line_id, quantity in counted(units).items():
            first = gone[line_id]
            if first + quantity > len(self.lines[line_id]):
                raise IndexError(f"line {line_id} has no {first + quantity} units")
            total += sum(self.lines[line_id][first : first + quantity])
        return total


def shares_of(order: OrderFacts) -> Shares:
    """The shares of an order; Unbalanced where its sums do not add up to what was paid."""
    if order.difference_minor != 0:
        raise Unbalanced(f"what was paid differs by {order.difference_minor}")
    prices = [line.price.amount_minor for line in order.lines]
    charges = [charge.price.amount_minor for charge in order.charges]
    off = sum(one.amount.amount_minor for one in order.discounts)
    on_lines = min(off, sum(prices))
    lines = [price - part for price, part in zip(prices, in_proportion(on_lines, prices), strict=True)]
    rest = in_proportion(off - on_lines, charges)
    return Shares(
        {line.line_id: _evenly(share, line.quantity) for line, share in zip(order.lines, lines, strict=True)},
        tuple(price - part for price, part in zip(charges, rest, strict=True)),
    )


def in_proportion(amount: int, weights: Sequence[int]) -> list[int]:
    """An amount over weights, each its part and none above its weight where the amount is not above their sum.

    What is over after whole minor units goes to the largest remainders, in the order of the weights.
    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [amount * weight // whole for weight in weights]
    remainders = [amount * weight % whole for weight in weights]
    for place in sorted(range(len(weights)), key=lambda place: (-remainders[place], place))[
        : amount - sum(parts)
    ]:
        parts[place] += 1
    return parts


def _evenly(amount: int, count: int) -> tuple[int, ...]:
    each, over = divmod(amount, count)
    return tuple(each + 1 if place < over else each for place in range(count))
