"""Change of mind: delivered items back within a window, whatever the reason."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from policies.clauses.claim import Claim, Deny, RuleVerdict
from policies.clauses.what_goes_back import RefundParameters, refund_units
from policies.letter_templates import Because

RULE = "change-of-mind"


class ChangeOfMindParameters(RefundParameters):
    window_days: Annotated[int, Field(ge=0, le=3650)]


PARAMETERS = ChangeOfMindParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """Clause 2 of the return policy: delivered, within the window."""
    rule = ChangeOfMindParameters.model_validate(parameters)
    wanted = claim.units()
    days = claim.days_since_delivery()
    if claim.order.status != "delivered" or wanted is None or days is None:
        return None
    if days > rule.window_days:
        return Deny(Because.of("because.return_window", days=rule.window_days))
    return refund_units(claim, wanted, rule)
