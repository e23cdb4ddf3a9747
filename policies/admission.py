"""Admission: whether a ticket may reach the agent at all. No model and no tool runs before it says yes."""

from dataclasses import dataclass

from policies.manifest import Manifest
from refunds.vocabulary import BypassReason, IntakeVerdict, Route


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of a case when its thread starts, read from the books."""

    bundle_version: str
    route: Route
    verdict: IntakeVerdict
    kill_switch: bool = False
    release_held: bool = False


@dataclass(frozen=True, slots=True)
class RunAgent:
    """Admitted."""

    reason: str = "admitted_intake"


@dataclass(frozen=True, slots=True)
class BypassAgent:
    """A person takes it, for this reason."""

    reason: BypassReason


def admit(arrival: Arrival, manifest: Manifest) -> RunAgent | BypassAgent:
    """The verdict; the first reason that applies, a stale bundle before everything else."""
    reason: BypassReason | None = None
    if arrival.bundle_version != manifest.intake_bundle:
        reason = "stale_intake_bundle"
    elif arrival.route != manifest.required_intake_route:
        reason = "classifier_human_review"
    elif arrival.verdict != "verified":
        reason = arrival.verdict
    elif arrival.kill_switch:
        reason = "kill_switch"
    elif arrival.release_held:
        reason = "release_held"
    return BypassAgent(reason) if reason else RunAgent()
