"""Budgets: how far a run may go. Pure functions over recorded figures; exactly at a limit passes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from policies.spending import Sum
from refunds.vocabulary import Budget, HandoffReason


class StepFigures(Protocol):
    """The figures of one step."""

    @property
    def tokens(self) -> int: ...

    @property
    def latency_ms(self) -> int: ...

    @property
    def cost_micros(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """One profile of the manifest."""

    steps: int
    tokens: int
    latency_ms: int
    cost_micros: int

    def left(self, rows: Iterable[StepFigures]) -> "Limits":
        """What recorded steps leave of it; never below nothing."""
        spent = list(rows)
        return Limits(
            max(0, self.steps - len(spent)),
            max(0, self.tokens - sum(row.tokens for row in spent)),
            max(0, self.latency_ms - sum(row.latency_ms for row in spent)),
            max(0, self.cost_micros - sum(row.cost_micros for row in spent)),
        )

    def less(self, spent: Sum, took_ms: int = 0) -> "Limits":
        """What is left of these limits after what was spent."""
        return replace(
            self,
            latency_ms=max(0, self.latency_ms - took_ms),
            tokens=max(0, self.tokens - spent.tokens),
            cost_micros=max(0, self.cost_micros - spent.cost_micros),
        )


_EXHAUSTED: dict[Budget, HandoffReason] = {
    "steps": "step_budget_exhausted",
    "tokens": "token_budget_exhausted",
    "latency": "latency_budget_exhausted",
    "cost": "cost_budget_exhausted",
}


EXHAUSTED: frozenset[HandoffReason] = frozenset(_EXHAUSTED.values())
"""Every reason with which a run stops at a budget."""


def _over(steps: int, rows: list[StepFigures], limits: Limits) -> tuple[Budget, ...]:
    breached: list[Budget] = []
    if steps > limits.steps:
        breached.append("steps")
    if sum(row.tokens for row in rows) > limits.tokens:
        breached.append("tokens")
    if sum(row.latency_ms for row in rows) > limits.latency_ms:
        breached.append("latency")
    if sum(row.cost_micros for row in rows) > limits.cost_micros:
        breached.append("cost")
    return tuple(breached)


def breaches(rows: Iterable[StepFigures], limits: Limits) -> tuple[Budget, ...]:
    """The limits that recorded steps passed, in the contract's order."""
    spent = list(rows)
    return _over(len(spent), spent, limits)


def audit_budget(rows: Iterable[StepFigures], limits: Limits) -> str:
    """`pass`, or `needs_human:` with what was breached."""
    breached = breaches(rows, limits)
    return f"needs_human:{','.join(breached)}" if breached else "pass"


def next_step_reason(rows: Iterable[StepFigures], limits: Limits) -> HandoffReason | None:
    """Why one more step may not be asked for, or None."""
    spent = list(rows)
    breached = _over(len(spent) + 1, spent, limits)
    return _EXHAUSTED[breached[0]] if breached else None
