"""Inquiries: what a named person asks about money whose end is not known, held against what the provider lists. Pure.

Nothing here pays: a retry and a new key go through the guard, as every send does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from cashier.guard import KEY_TRUST, SendFacts, is_labelled, refunds_listed, why_not_what_was_asked
from cashier.processor import ProviderRefund


@dataclass(frozen=True, slots=True)
class ProviderHas:
    """The provider has it: this is how the disbursement ended, or stands."""

    refund: ProviderRefund


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A person takes the disbursement back, and nothing of it is at the provider."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What the person is told; nothing else comes of it."""

    said: str


InquiryResult = ProviderHas | Withdrawn | Reported


def look_into(
    act: Literal["check", "settle", "withdraw"],
    refund_id: str | None,
    facts: SendFacts,
    there: Sequence[ProviderRefund],
) -> InquiryResult:
    """What the provider's list of refunds of the payment says to an inquiry."""
    ours = [refund for refund in there if is_labelled(refund, facts.tenant, facts.decision_id)]
    match act:
        case "settle":
            return _named(refund_id, facts, there, ours)
        case "check" | "withdraw" if len(ours) > 1:
            return Reported(f"the provider lists {len(ours)} refunds of this order: {refunds_listed(ours)}")
        case "check" | "withdraw" if ours:
            wrong = why_not_what_was_asked(ours[0], facts)
            return Reported(wrong) if wrong else ProviderHas(ours[0])
        case "check":
            others = f"; of this payment it lists {refunds_listed(there)}" if there else ""
            return Reported(f"the provider lists no refund of this order{others}")
        case "withdraw":
            return _withdrawn(facts)
        case _:
            assert_never(act)


def _withdrawn(facts: SendFacts) -> InquiryResult:
    """What may still arrive is not taken back."""
    if facts.sends and facts.sends[-1].age <= KEY_TRUST:
        return Reported("not taken back: it was sent in the last 20 hours and may still arrive")
    return Withdrawn()


def _named(
    refund_id: str | None, facts: SendFacts, there: Sequence[ProviderRefund], ours: Sequence[ProviderRefund]
) -> InquiryResult:
    """The refund of the id that a person gave: of this payment, of this amount, and of no other disbursement."""
    found = next((refund for refund in there if refund.refund_id == refund_id), None)
    if found is None:
        return Reported(f"the provider lists no refund {refund_id} of this payment")
    if found.decision_id and found not in ours:
        return Reported(f"{found.refund_id} is the refund of another disbursement")
    if ours and found not in ours:
        return Reported(f"the provider lists another refund of this very order: {refunds_listed(ours)}")
    if not ours and found.status != "succeeded":
        return Reported(f"{found.refund_id} was made elsewhere and is {found.status}: it settles nothing")
    if found.amount != facts.amount:
        return Reported(f"{found.refund_id} is of {found.amount}, and {facts.amount} was ordered")
    return ProviderHas(found)
