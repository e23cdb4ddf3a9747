"""Pending cancellation: an order that has not been shipped is cancelled in full."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from policies.clauses.claim import Claim, Verdict, give_back

RULE = "pending-cancellation"


class Parameters(BaseModel):
    """The clause has no number in it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


def judge(claim: Claim, parameters: Mapping[str, object]) -> Verdict:
    """Clause 3 of the return policy: not shipped yet, and the whole order."""
    Parameters.model_validate(parameters)
    if claim.order.status not in {"pending", "processed"}:
        return None
    items = claim.items()
    if items is None or set(items) != set(claim.order.items):
        return None
    return give_back(claim, items)
