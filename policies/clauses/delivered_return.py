"""Delivered return: the items that the customer chose of a delivered order, whenever it came."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from policies.clauses.claim import Claim, RuleVerdict, refund_items

RULE = "delivered-return"


class DeliveredReturnParameters(BaseModel):
    """The clause has no number in it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


PARAMETERS = DeliveredReturnParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Delivered, and every item named: nobody guesses which ones come back."""
    DeliveredReturnParameters.model_validate(parameters)
    items = claim.items()
    if claim.order.status != "delivered" or claim.wanted is None or items is None:
        return None
    return refund_items(claim, items)
