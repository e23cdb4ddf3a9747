"""The trace: what the agent asked for, step by step, and what it was given."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One step. `args` are the planner's own, before validation, as JSON."""

    step: int
    action: str
    args: object
    result: str
    tokens: int
    latency_ms: int
    checked_args: dict[str, object] | None = None
    """What was left after validation and ran; None where nothing ran."""

    result_sha256: str = ""
    cost_micros: int = 0
    """Millionths of the budget's currency."""

    def to_json(self) -> dict[str, object]:
        """The row as the contract's state shows it."""
        return {
            "step": self.step,
            "action": self.action,
            "args": self.args,
            "result": self.result,
            "tokens": self.tokens,
            "latency_ms": self.latency_ms,
        }
