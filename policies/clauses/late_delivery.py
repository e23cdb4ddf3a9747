"""Late delivery: an order that was sent and has not come is given back in full."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from policies.clauses.claim import Claim, Deny, RuleVerdict
from policies.clauses.what_goes_back import RuleParameters, refund_rest
from policies.letter_templates import Because

RULE = "late-delivery"


class LateDeliveryParameters(RuleParameters):
    late_after_days: Annotated[int, Field(ge=1, le=365)]


PARAMETERS = LateDeliveryParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Shipped, not delivered, and the days since the order are over."""
    rule = LateDeliveryParameters.model_validate(parameters)
    if claim.order.status != "shipped" or not claim.whole:
        return None
    if (claim.now - claim.order.ordered_at).days <= rule.late_after_days:
        return Deny(Because.of("because.not_late_yet", days=rule.late_after_days))
    return refund_rest(claim)
