"""Actionable status: an order that has left the statuses that a shop acts on is left as it is."""

from collections.abc import Mapping

from policies.clauses.claim import Bar, Claim, RuleVerdict
from policies.clauses.what_goes_back import RuleParameters
from policies.letter_templates import Because
from refunds.vocabulary import OrderStatus

RULE = "actionable-status"


class ActionableStatusParameters(RuleParameters):
    statuses: list[OrderStatus]


PARAMETERS = ActionableStatusParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Any other status bars a refund."""
    rule = ActionableStatusParameters.model_validate(parameters)
    if claim.order.status in rule.statuses:
        return None
    return Bar(Because.of("because.status", status=claim.order.status))
