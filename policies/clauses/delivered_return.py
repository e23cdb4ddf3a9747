"""Delivered return: the items that the customer chose of a delivered order, whenever it came."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from policies.clauses.claim import Claim, Verdict, give_back

RULE = "delivered-return"


class Parameters(BaseModel):
    """The clause has no number in it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


def judge(claim: Claim, parameters: Mapping[str, object]) -> Verdict:
    """Delivered, and every item named: nobody guesses which ones come back."""
    Parameters.model_validate(parameters)
    items = claim.items()
    if claim.order.status != "delivered" or claim.wanted is None or items is None:
        return None
    return give_back(claim, items)
