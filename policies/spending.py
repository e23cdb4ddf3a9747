"""Spending: what models may cost a customer, a tenant and a month. Pure; exactly at a limit passes."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from refunds.vocabulary import HandoffReason

ALERTS = (50, 80)
"""Shares of a month's budget, in percent, that people are told of; from the second on calls are throttled."""

THROTTLE = 4
"""How many times fewer calls a minute a throttled tenant's endpoint takes."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What was spent or is asked for: tokens, and millionths of a US dollar."""

    tokens: int = 0
    cost_micros: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.tokens + other.tokens, self.cost_micros + other.cost_micros)


class SpendLimit(BaseModel):
    """The most that may be spent in a period."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tokens: Annotated[int, Field(ge=0)]
    cost_micros: Annotated[int, Field(ge=0)]


class SpendLimits(BaseModel):
    """The spend limits of a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    customer_day: SpendLimit
    tenant_day: SpendLimit
    tenant_month: SpendLimit
    warn_percent: Annotated[int, Field(ge=1, le=100)]
    """From this share of a day on, each call leaves a warning."""


@dataclass(frozen=True, slots=True)
class SpentSums:
    """What stands in the books before a call, reservations counted in full."""

    customer_day: Sum = Sum()
    tenant_day: Sum = Sum()
    tenant_month: Sum = Sum()


@dataclass(frozen=True, slots=True)
class Weighed:
    """Whether a call may be made, and what people are told."""

    reason: HandoffReason | None
    """Why it may not; None where it may."""

    detail: str = ""
    alerts: tuple[int, ...] = ()
    """Shares of the month that this call reaches."""

    throttled: bool = False


def weigh(spend_limits: SpendLimits, spent: SpentSums, wanted: Sum) -> Weighed:
    """Whether what is wanted fits into every spend limit."""
    month = spent.tenant_month + wanted
    budget = spend_limits.tenant_month.cost_micros
    share = 100 * month.cost_micros / budget if budget else 0.0
    alerts = tuple(percent for percent in ALERTS if share >= percent)
    throttled = share >= ALERTS[-1]
    for name, spend_limit, before in (
        ("the customer's day", spend_limits.customer_day, spent.customer_day),
        ("the tenant's day", spend_limits.tenant_day, spent.tenant_day),
        ("the tenant's month", spend_limits.tenant_month, spent.tenant_month),
    ):
        after = before + wanted
        if after.tokens > spend_limit.tokens:
            return Weighed("token_budget_exhausted", name, alerts, throttled)
        if after.cost_micros > spend_limit.cost_micros:
            return Weighed("cost_budget_exhausted", name, alerts, throttled)
    day = spent.tenant_day + wanted
    near = 100 * day.cost_micros > spend_limits.warn_percent * spend_limits.tenant_day.cost_micros or (
        100 * day.tokens > spend_limits.warn_percent * spend_limits.tenant_day.tokens
    )
    return Weighed(None, "the tenant's day is nearly spent" if near else "", alerts, throttled)
