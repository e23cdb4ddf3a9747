"""Cancellation to confirm: an open order is cancelled when its customer says so, not when they wish a change."""

from collections.abc import Mapping

from policies.clauses.claim import Ask, Claim, RuleVerdict
from policies.clauses.what_goes_back import RuleParameters

RULE = "cancellation-to-confirm"


class CancellationToConfirmParameters(RuleParameters):
    """The clause has no number in it."""


PARAMETERS = CancellationToConfirmParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Pending, and the words do not ask for a cancellation."""
    CancellationToConfirmParameters.model_validate(parameters)
    if claim.order.status != "pending" or claim.says_cancel:
        return None
    return Ask("what.whole_order")
