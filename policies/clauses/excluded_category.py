"""Excluded category: what a shop does not take back, as final sale, unless it came damaged."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from policies.clauses.claim import Bar, Claim, Verdict

RULE = "excluded-category"


class Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    categories: list[str]
    unless_damaged: bool = True


def judge(claim: Claim, parameters: Mapping[str, object]) -> Verdict:
    """One wanted item of such a category bars the refund; a person may split it."""
    rule = Parameters.model_validate(parameters)
    if claim.order.status != "delivered" or (rule.unless_damaged and claim.says_damaged):
        return None
    barred = [item.name for item in claim.items() or () if item.category in rule.categories]
    return Bar(f"{barred[0]} cannot be returned") if barred else None
