"""Legs: a refund of an order that was paid more than once goes back to several payments, each with its amount."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from refunds.ids import PaymentId
from refunds.money import Currency, Money
from refunds.order import Payment
from refunds.shares import in_proportion
from refunds.vocabulary import PaymentOrder


@dataclass(frozen=True, slots=True)
class Leg:
    """What goes back to one payment."""

    payment_id: PaymentId
    amount: Money

    def to_json(self) -> dict[str, object]:
        """As bodies, signatures and rows hold it; the currency stands beside the whole amount."""
        return {"payment_id": self.payment_id, "amount_minor": self.amount.amount_minor}

    @classmethod
    def of_json(cls, value: dict[str, object], currency: Currency) -> "Leg":
        """KeyError or ValueError where it is none."""
        return cls(PaymentId(str(value["payment_id"])), Money(int(str(value["amount_minor"])), currency))


def check_legs(legs: Sequence[Leg], payment_id: PaymentId, amount: Money) -> None:
    """ValueError where legs are not the several payments of this amount; none at all is one payment."""
    if legs and (
        len(legs) < 2
        or len({leg.payment_id for leg in legs}) != len(legs)
        or legs[0].payment_id != payment_id
        or any(leg.amount.amount_minor <= 0 or leg.amount.currency != amount.currency for leg in legs)
        or sum(leg.amount.amount_minor for leg in legs) != amount.amount_minor
    ):
        raise ValueError("legs are several payments, the first one first, and sum to the amount")


def split(amount: Money, payments: Sequence[Payment], by: PaymentOrder) -> tuple[Leg, ...]:
    """An amount over payments, none above what is left of it; ValueError where together they do not have so much.

    In proportion means: to what was paid with each, and what one cannot bear goes to the next.
    """
    left = [payment.left.amount_minor for payment in payments]
    if amount.amount_minor > sum(left):
        raise ValueError("more than is left of the payments")
    parts = [0] * len(payments)
    if by == "in_proportion":
        paid = [payment.paid.amount_minor for payment in payments]
        parts = [
            min(part, most) for part, most in zip(in_proportion(amount.amount_minor, paid), left, strict=True)
        ]
    rest = amount.amount_minor - sum(parts)
    for place in _in_turn(payments, by):
        more = min(rest, left[place] - parts[place])
        parts[place] += more
        rest -= more
    return tuple(
        Leg(payments[place].payment_id, Money(parts[place], amount.currency))
        for place in _in_turn(payments, by)
        if parts[place]
    )


def largest(payments: Sequence[Payment]) -> Payment:
    """The payment of which most is left; ValueError where there is none."""
    return max(payments, key=lambda payment: payment.left.amount_minor)


def spread(amount: Money, payments: Sequence[Payment], first: PaymentId) -> tuple[Leg, ...]:
    """An amount that a person set: to one payment as far as it goes, and on to the others in their order.

    ValueError where together they do not have so much; one leg where one payment bears it.
    """
    if amount.amount_minor > sum(payment.left.amount_minor for payment in payments):
        raise ValueError("more than is left of the payments")
    legs, rest = list[Leg](), amount.amount_minor
    for payment in sorted(payments, key=lambda payment: payment.payment_id != first):
        part = min(rest, payment.left.amount_minor)
        rest -= part
        if part:
            legs.append(Leg(payment.payment_id, Money(part, amount.currency)))
    return tuple(legs)


def _in_turn(payments: Sequence[Payment], by: PaymentOrder) -> list[int]:
    """The places of payments, the one that money goes back to first at the front."""
    places = list(range(len(payments)))
    match by:
        case "in_proportion":
            return places
        case "gift_card_first":
            return sorted(places, key=lambda place: not _is_credit(payments[place]))
        case "card_first":
            return sorted(places, key=lambda place: _is_credit(payments[place]))
        case _:
            assert_never(by)


def _is_credit(payment: Payment) -> bool:
    return payment.kind in {"gift_card", "store_credit"}
