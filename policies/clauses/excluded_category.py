"""Excluded category: what a shop does not take back, as final sale, unless it came damaged."""

from collections.abc import Mapping

from pydantic import Field

from policies.clauses.claim import Bar, Claim, RuleVerdict
from policies.clauses.what_goes_back import RuleParameters
from policies.letter_templates import Because

RULE = "excluded-category"


class ExcludedCategoryParameters(RuleParameters):
    categories: list[str] = Field(default_factory=list)
    final_sale: bool = False
    """Whether it speaks of the lines that an order marks as final sale, too."""

    unless_damaged: bool = True


PARAMETERS = ExcludedCategoryParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """One wanted item of such a category bars the refund; a person may split it."""
    rule = ExcludedCategoryParameters.model_validate(parameters)
    wanted = claim.lines()
    barred = [
        line.name
        for line in wanted
        if line.category in rule.categories or (rule.final_sale and line.final_sale)
    ]
    if claim.order.status != "delivered" or not barred:
        return None
    # A text says damage of something; only where nothing else is wanted is it said of these.
    if rule.unless_damaged and claim.says_damaged and len(barred) == len(wanted):
        return None
    if not rule.unless_damaged:
        return Bar(Because.of("because.excluded", item=barred[0]))
    return Bar(
        Because.of("because.excluded_unless_damaged", item=barred[0]),
        unless_damaged=True,
    )
