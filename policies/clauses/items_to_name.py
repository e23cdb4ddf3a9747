"""Items to name: a return needs the list of what comes back."""

from collections.abc import Mapping

from policies.clauses.claim import Ask, Claim, RuleVerdict
from policies.clauses.what_goes_back import RuleParameters

RULE = "items-to-name"


class ItemsToNameParameters(RuleParameters):
    """The clause has no number in it."""


PARAMETERS = ItemsToNameParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Delivered, and no item named."""
    ItemsToNameParameters.model_validate(parameters)
    if claim.order.status != "delivered" or claim.wanted:
        return None
    return Ask("what.items")
