"""Excluded category: what a shop does not take back, as final sale, unless it came damaged."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from policies.clauses.claim import Bar, Claim, RuleVerdict

RULE = "excluded-category"


class ExcludedCategoryParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    categories: list[str]
    unless_damaged: bool = True


PARAMETERS = ExcludedCategoryParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """One wanted item of such a category bars the refund; a person may split it."""
    rule = ExcludedCategoryParameters.model_validate(parameters)
    wanted = claim.items() or ()
    barred = [item.name for item in wanted if item.category in rule.categories]
    if claim.order.status != "delivered" or not barred:
        return None
    # A text says damage of something; only where nothing else is wanted is it said of these.
    if rule.unless_damaged and claim.says_damaged and len(barred) == len(wanted):
        return None
    return Bar(f"{barred[0]} cannot be returned")
