"""Inquiries: what a named person asks about money whose end is not known, held against what the provider lists. Pure.

Nothing here pays: a retry and a new key go through the guard, as every send does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from cashier.guard import KEY_TRUST, Facts, is_labelled, listed, why_not_what_was_asked
from cashier.processor import ProviderRefund


@dataclass(frozen=True, slots=True)
class Known:
    """The provider has it: this is how the order ended, or stands."""

    refund: ProviderRefund


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A person takes the order of money back, and nothing of it is at the provider."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the person is told; nothing else comes of it."""

    said: str


Finding = Known | Withdrawn | Told


def look_into(
    act: Literal["check", "settle", "withdraw"],
    refund_id: str | None,
    facts: Facts,
    there: Sequence[ProviderRefund],
) -> Finding:
    """What the provider's list of refunds of the payment says to an inquiry."""
    ours = [refund for refund in there if is_labelled(refund, facts.tenant, facts.decision_id)]
    match act:
        case "settle":
            return _named(refund_id, facts, there, ours)
        case "check" | "withdraw" if len(ours) > 1:
            return Told(f"the provider lists {len(ours)} refunds of this order: {listed(ours)}")
        case "check" | "withdraw" if ours:
            wrong = why_not_what_was_asked(ours[0], facts)
            return Told(wrong) if wrong else Known(ours[0])
        case "check":
            others = f"; of this payment it lists {listed(there)}" if there else ""
            return Told(f"the provider lists no refund of this order{others}")
        case "withdraw":
            return _withdrawn(facts)
        case _:
            assert_never(act)


def _withdrawn(facts: Facts) -> Finding:
    """What may still arrive is not taken back."""
    if facts.sends and facts.sends[-1].age <= KEY_TRUST:
        return Told("not taken back: it was sent in the last 20 hours and may still arrive")
    return Withdrawn()


def _named(
    refund_id: str | None, facts: Facts, there: Sequence[ProviderRefund], ours: Sequence[ProviderRefund]
) -> Finding:
    """The refund of the id that a person gave: of this payment, of this amount, and of no other order of money."""
    found = next((refund for refund in there if refund.refund_id == refund_id), None)
    if found is None:
        return Told(f"the provider lists no refund {refund_id} of this payment")
    if found.decision_id and found not in ours:
        return Told(f"{found.refund_id} is the refund of another order of money")
    if ours and found not in ours:
        return Told(f"the provider lists another refund of this very order: {listed(ours)}")
    if not ours and found.status != "succeeded":
        return Told(f"{found.refund_id} was made elsewhere and is {found.status}: it settles nothing")
    if found.amount != facts.amount:
        return Told(f"{found.refund_id} is of {found.amount}, and {facts.amount} was ordered")
    return Known(found)
