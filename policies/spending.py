"""Spending: what models may cost a customer, a tenant and a month. Pure; exactly at a limit passes."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from refunds.words import HandoffReason

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


class Purse(BaseModel):
    """The most that may be spent in a period."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tokens: Annotated[int, Field(ge=0)]
    cost_micros: Annotated[int, Field(ge=0)]


class Purses(BaseModel):
    """The purses of a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    customer_day: Purse
    tenant_day: Purse
    tenant_month: Purse
    warn_percent: Annotated[int, Field(ge=1, le=100)]
    """From this share of a day on, each call leaves a warning."""


@dataclass(frozen=True, slots=True)
class Spent:
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


def weigh(purses: Purses, spent: Spent, wanted: Sum) -> Weighed:
    """Whether what is wanted fits into every purse."""
    month = spent.tenant_month + wanted
    budget = purses.tenant_month.cost_micros
    share = 100 * month.cost_micros / budget if budget else 0.0
    alerts = tuple(percent for percent in ALERTS if share >= percent)
    throttled = share >= ALERTS[-1]
    for name, purse, before in (
        ("the customer's day", purses.customer_day, spent.customer_day),
        ("the tenant's day", purses.tenant_day, spent.tenant_day),
        ("the tenant's month", purses.tenant_month, spent.tenant_month),
    ):
        after = before + wanted
        if after.tokens > purse.tokens:
            return Weighed("token_budget_exhausted", name, alerts, throttled)
        if after.cost_micros > purse.cost_micros:
            return Weighed("cost_budget_exhausted", name, alerts, throttled)
    day = spent.tenant_day + wanted
    near = 100 * day.cost_micros > purses.warn_percent * purses.tenant_day.cost_micros or (
        100 * day.tokens > purses.warn_percent * purses.tenant_day.tokens
    )
    return Weighed(None, "the tenant's day is nearly spent" if near else "", alerts, throttled)
