"""Pending cancellation: an order that is still open is cancelled in full."""

from collections.abc import Mapping

from policies.clauses.claim import Claim, Deny, RuleVerdict
from policies.clauses.what_goes_back import RuleParameters, refund_rest
from policies.letter_templates import Because
from refunds.vocabulary import OrderStatus

RULE = "pending-cancellation"


class PendingCancellationParameters(RuleParameters):
    statuses: tuple[OrderStatus, ...] | list[OrderStatus] = ("pending", "processed")
    """What the shop calls open."""

    asked_for: bool = False
    """The customer's words have to ask for it; a wish to change the order is none."""


PARAMETERS = PendingCancellationParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """The whole order or nothing of it, to the payment it came from."""
    rule = PendingCancellationParameters.model_validate(parameters)
    if claim.order.status not in rule.statuses or (rule.asked_for and not claim.says_cancel):
        return None
    if claim.units() is None:
        return None
    if not claim.whole:
        return Deny(Because.of("because.whole_order"))
    return refund_rest(claim)
