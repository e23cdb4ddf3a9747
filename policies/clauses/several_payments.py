"""Several payments: in which order money goes back where an order was paid more than once."""

from collections.abc import Mapping

from policies.clauses.claim import Claim, RuleVerdict
from policies.clauses.what_goes_back import RuleParameters
from refunds.vocabulary import PaymentOrder

RULE = "several-payments"


class SeveralPaymentsParameters(RuleParameters):
    payment_order: PaymentOrder


PARAMETERS = SeveralPaymentsParameters


def judge(claim: Claim, parameters: Mapping[str, object]) -> RuleVerdict:
    """It decides no claim: where another clause gives money back, this one says to which payment first."""
    del claim
    SeveralPaymentsParameters.model_validate(parameters)
    return None


def payment_order_of(parameters: Mapping[str, object]) -> PaymentOrder:
    """The order that the clause states."""
    return SeveralPaymentsParameters.model_validate(parameters).payment_order
