"""Inquiries: what a named person asks about money whose end is not known, held against what the provider lists. Pure.

Nothing here pays. A retry goes the way of every send: its key, its age, its time to pay and the kill switch count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from cashier.processor import ProviderRefund, ProviderStatus
from refunds.money import Money
from refunds.words import ProviderAct


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked of one order of money."""

    act: ProviderAct
    refund_id: str | None
    """The provider's own id, where a person says that this is the one."""

    amount: Money
    tenant: str
    decision_id: str


@dataclass(frozen=True, slots=True)
class Known:
    """The provider has it: this is how the order ended, or stands."""

    status: ProviderStatus
    refund_id: str


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Nothing of it is at the provider: the same may be asked under the same key."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the person is told; nothing else comes of it."""

    said: str


Finding = Known | AskAgain | Told


def look_into(inquiry: Inquiry, there: Sequence[ProviderRefund]) -> Finding:
    """What the provider's list of refunds of the payment says to an inquiry."""
    ours = [
        refund
        for refund in there
        if (refund.tenant, refund.decision_id) == (inquiry.tenant, inquiry.decision_id)
    ]
    match inquiry.act:
        case "settle":
            return _named(inquiry, there, ours)
        case "check" | "retry" if len(ours) > 1:
            return Told(f"the provider lists {len(ours)} refunds of this order: {_ids(ours)}")
        case "check" | "retry" if ours:
            return _same_amount(inquiry, ours[0])
        case "check":
            others = f"; of this payment it lists {_ids(there)}" if there else ""
            return Told(f"the provider lists no refund of this order{others}")
        case "retry":
            same = [
                one
                for one in there
                if not one.decision_id and one.amount == inquiry.amount and one.status != "failed"
            ]
            if same:
                return Told(
                    f"not asked again: {_ids(same)} may be it; mark it settled with its id, or turn it down"
                )
            return AskAgain()
        case _:
            assert_never(inquiry.act)


def _named(inquiry: Inquiry, there: Sequence[ProviderRefund], ours: Sequence[ProviderRefund]) -> Finding:
    """The refund of the id that a person gave: of this payment, of this amount, and of no other order of money."""
    found = next((refund for refund in there if refund.refund_id == inquiry.refund_id), None)
    if found is None:
        return Told(f"the provider lists no refund {inquiry.refund_id} of this payment")
    if found.decision_id and (found.tenant, found.decision_id) != (inquiry.tenant, inquiry.decision_id):
        return Told(f"{found.refund_id} is the refund of another order of money")
    if ours and found not in ours:
        return Told(f"the provider lists another refund of this very order: {_ids(ours)}")
    if not ours and found.status != "succeeded":
        return Told(f"{found.refund_id} was made elsewhere and is {found.status}: it settles nothing")
    return _same_amount(inquiry, found)


def _same_amount(inquiry: Inquiry, found: ProviderRefund) -> Finding:
    if found.amount != inquiry.amount:
        return Told(f"{found.refund_id} is of {found.amount}, and {inquiry.amount} was ordered")
    return Known(found.status, found.refund_id)


def _ids(refunds: Sequence[ProviderRefund]) -> str:
    return ", ".join(f"{refund.refund_id} ({refund.status})" for refund in refunds[:5])
