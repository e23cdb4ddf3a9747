"""Damaged electronics: a full refund of the damaged items within a window of delivery."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from policies.clauses.claim import Claim, Deny, RuleVerdict
from policies.clauses.what_goes_back import RefundParameters, refund_units
from policies.letter_templates import Because

RULE = "damaged-electronics"


class DamagedElectronicsParameters(RefundParameters):
    window_days: Annotated[int, Field(ge=0, le=3650)]
    categories: list[str]


PARAMETERS = DamagedElectronicsParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Clause 1 of the return policy: damage that is claimed, of electronics, within the window."""
    rule = DamagedElectronicsParameters.model_validate(parameters)
    if not claim.says_damaged or claim.order.status != "delivered":
        return None
    wanted = claim.units()
    days = claim.days_since_delivery()
    if wanted is None or days is None:
        return None
    damaged = tuple(one for one in wanted if claim.order.line(one.line_id).category in rule.categories)
    chosen = claim.wanted is not None or claim.named is not None
    if not damaged or (chosen and damaged != wanted):
        return None
    if days > rule.window_days:
        return Deny(Because.of("because.damaged_window", days=rule.window_days))
    return refund_units(claim, damaged, rule)
