"""Faulty goods: whatever is damaged or defective, within a window of delivery."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from policies.clauses.claim import Claim, Deny, RuleVerdict
from policies.clauses.what_goes_back import RefundParameters, refund_units
from policies.letter_templates import Because

RULE = "faulty-goods"


class FaultyGoodsParameters(RefundParameters):
    window_days: Annotated[int, Field(ge=0, le=3650)]


PARAMETERS = FaultyGoodsParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Damage that is claimed, of any item, within the window."""
    rule = FaultyGoodsParameters.model_validate(parameters)
    wanted = claim.units()
    days = claim.days_since_delivery()
    if not claim.says_damaged or claim.order.status != "delivered" or wanted is None or days is None:
        return None
    if days > rule.window_days:
        return Deny(Because.of("because.faulty_window", days=rule.window_days))
    return refund_units(claim, wanted, rule)
