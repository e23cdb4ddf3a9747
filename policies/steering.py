"""Steering: the run-time flags that narrow what the agent may do. Pure; no flag can widen anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from policies.actions import TIERS
from refunds.vocabulary import Action, FlagName

STEP_CAPS = range(1, 65)
TOOLS: frozenset[Action] = frozenset(action for action in get_args(Action) if TIERS.get(action) == "read")


class BadFlag(ValueError):
    """A flag or its value is none; the message says which values there are."""


@dataclass(frozen=True, slots=True)
class Steering:
    """What the flags of a tenant and of everybody say together."""

    step_cap: int | None = None
    disabled_tools: frozenset[Action] = frozenset()
    retrieval_only: bool = False
    """Policy and order are read by rule, no model is asked, nothing is drafted: a person writes."""

    no_drafts: bool = False
    """A model may plan and read; nothing is drafted."""

    def steps(self, limit: int) -> int:
        """The step budget under the cap."""
        return limit if self.step_cap is None else min(limit, self.step_cap)


def steering_of(flags: Iterable[tuple[str, str]]) -> Steering:
    """The flags that are set, combined: the smallest cap, every disabled tool, a switch that is on in any row."""
    caps: list[int] = []
    disabled: set[Action] = set()
    retrieval_only = no_drafts = False
    for name, value in flags:
        match name:
            case "step_cap" if value.isascii() and value.isdigit():
                caps.append(int(value))
            case "disabled_tools":
                disabled |= {tool for tool in TOOLS if tool in value.split(",")}
            case "retrieval_only":
                retrieval_only = retrieval_only or value == "on"
            case "no_drafts":
                no_drafts = no_drafts or value == "on"
            case _:
                pass
    return Steering(min(caps, default=None), frozenset(disabled), retrieval_only, no_drafts)


def flag_value(name: str, value: str) -> tuple[FlagName, str]:
    """A flag and its value as the books keep them. Raises BadFlag."""
    value = value.strip().lower()
    match name:
        case "kill_switch" | "retrieval_only" | "no_drafts":
            if value not in {"on", "off"}:
                raise BadFlag(f"{name}: on or off")
        case "step_cap":
            if value != "off" and not (value.isascii() and value.isdigit() and int(value) in STEP_CAPS):
                raise BadFlag(f"step_cap: from {STEP_CAPS.start} to {STEP_CAPS.stop - 1}, or off")
        case "disabled_tools":
            named = [part.strip() for part in value.split(",") if part.strip() and part.strip() != "off"]
            strange = [part for part in named if part not in TOOLS]
            if strange:
                raise BadFlag(f"disabled_tools: {strange[0][:40]} is none of {', '.join(sorted(TOOLS))}")
            value = ",".join(sorted(set(named))) or "off"
        case _:
            raise BadFlag(f"flag: one of {', '.join(get_args(FlagName))}")
    return name, value
