"""Damaged electronics: a full refund of the damaged items within a window of delivery."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from policies.clauses.claim import Claim, Deny, RuleVerdict, refund_items

RULE = "damaged-electronics"


class DamagedElectronicsParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    window_days: Annotated[int, Field(ge=0, le=3650)]
    categories: list[str]


PARAMETERS = DamagedElectronicsParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Clause 1 of the return policy: damage that is claimed, of electronics, within the window."""
    rule = DamagedElectronicsParameters.model_validate(parameters)
    if not claim.says_damaged or claim.order.status != "delivered":
        return None
    wanted = claim.items()
    days = claim.days_since_delivery()
    if wanted is None or days is None:
        return None
    damaged = tuple(item for item in wanted if item.category in rule.categories)
    if not damaged or (claim.wanted is not None and damaged != wanted):
        return None
    if days > rule.window_days:
        return Deny(f"damaged electronics can be returned within {rule.window_days} days of delivery")
    return refund_items(claim, damaged)
