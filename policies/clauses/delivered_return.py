"""Delivered return: the items that the customer chose of a delivered order, whenever it came."""

from collections.abc import Mapping

from policies.clauses.claim import Claim, RuleVerdict
from policies.clauses.what_goes_back import RefundParameters, refund_units

RULE = "delivered-return"


class DeliveredReturnParameters(RefundParameters):
    """The clause has no number in it."""


PARAMETERS = DeliveredReturnParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Delivered, and every item named: nobody guesses which ones come back."""
    rule = DeliveredReturnParameters.model_validate(parameters)
    units = claim.units()
    if claim.order.status != "delivered" or (claim.wanted is None and claim.named is None) or units is None:
        return None
    return refund_units(claim, units, rule)
