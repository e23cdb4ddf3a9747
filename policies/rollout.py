"""Rollout: which release takes a case, what each step of a release has to be earned with, and when it is taken back."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.manifest import ManifestMismatch
from refunds.canonical import digest
from refunds.release import ReleaseStage
from refunds.vocabulary import Differs, ReleaseState

ROLLOUT = Path(__file__).parent / "rollout.json"

STEPS: Mapping[ReleaseState, ReleaseState] = {
    "hold": "hold",
    "eligible_for_shadow": "shadow",
    "shadow": "canary",
    "canary": "live",
    "live": "live",
    "rolled_back": "rolled_back",
}
"""What comes after each state; one that stands for itself is an end."""

PARTS = 10_000
Percent = Annotated[int, Field(ge=0, le=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ShadowLimits(_Strict):
    """What a release has to show beside the live one before a customer's case is given to it."""

    cases: Annotated[int, Field(ge=1, le=100_000)]
    decision_differs_percent: Percent
    path_differs_percent: Percent
    citations_differ_percent: Percent
    amount_differs_percent: Percent
    cost_percent: Annotated[int, Field(ge=1, le=10_000)]
    """Of the live one's cost; where that costs nothing, the candidate may not cost anything either."""

    latency_percent: Annotated[int, Field(ge=1, le=100_000)]


class CanaryLimits(_Strict):
    """What a canary has to show before every case is given to it."""

    cases: Annotated[int, Field(ge=1, le=100_000)]


class Bands(_Strict):
    """Between what a release that takes cases has to stay, over a window that moves on."""

    window_minutes: Annotated[int, Field(ge=1, le=10_080)]
    cases: Annotated[int, Field(ge=1, le=100_000)]
    """Below so many nothing is concluded."""

    success_percent_least: Percent
    """Of the cases that a person decided, those approved as they were proposed."""

    blocked_percent_most: Percent
    handoff_percent_most: Percent
    cost_micros_most: Annotated[int, Field(ge=0)]
    """The mean of a case."""

    latency_ms_most: Annotated[int, Field(ge=1)]
    """What 95 of 100 cases do not pass."""


class Rollout(_Strict):
    """The limits of a house."""

    shadow: ShadowLimits
    canary: CanaryLimits
    bands: Bands

    @classmethod
    def read(cls, text: str, where: str) -> Self:
        """The limits in a JSON text; ManifestMismatch names the first field that is wrong."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ManifestMismatch(f"{where}: {field}: {first['msg'].lower()}") from None


@cache
def rollout(file: Path | None = None) -> Rollout:
    """The limits of this program, or a shop's own. Raises ManifestMismatch."""
    chosen = file or ROLLOUT
    try:
        return Rollout.read(chosen.read_text(encoding="utf-8"), chosen.name)
    except OSError as error:
        raise ManifestMismatch(f"{chosen}: {error.strerror}") from None


def the_rollout() -> Rollout:
    """The limits that COUNTERSIGN_ROLLOUT names, or this program's. Raises ManifestMismatch."""
    named = os.environ.get("COUNTERSIGN_ROLLOUT")
    return rollout(Path(named) if named else None)


# Who takes a case ---------------------------------------------------------------------------------------------


def live_of(release_stages: Iterable[ReleaseStage]) -> str | None:
    """The release that is live: of those that stand there the one that came last."""
    live = [stage for stage in release_stages if stage.state == "live"]
    return max(live, key=lambda stage: stage.place).release if live else None


def assigned(release_stages: Sequence[ReleaseStage], tenant: str, customer_id: str, own: str) -> str:
    """The release that a new case is bound to for life.

    A canary takes the tenants it names, or its share of customers by the hash of their name: a customer's cases all go
    the same way. `own` is what the process was started with: it counts while no release is kept, and it is written into
    a case that nothing takes, which admission then turns away.
    """
    for stage in release_stages:
        if stage.state == "canary" and (
            tenant in stage.tenants
            or _share_of(stage.release, tenant, customer_id) < stage.percent * PARTS // 100
        ):
            return stage.release
    return live_of(release_stages) or own


def _share_of(release: str, tenant: str, customer_id: str) -> int:
    """A number below ten thousand that a customer has with a release, always the same."""
    return int(digest([release, tenant, customer_id])[:12], 16) % PARTS


# What a step is earned with ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What a release did with a case, or would have done."""

    status: str
    kind: str
    reason: str
    amount_minor: int
    currency: str
    citations: tuple[str, ...]
    path: tuple[str, ...]


def differences(candidate: CaseOutcome, live: CaseOutcome) -> tuple[Differs, ...]:
    """In what two releases differ over one case."""
    found: list[Differs] = []
    if (candidate.status, candidate.kind, candidate.reason) != (live.status, live.kind, live.reason):
        found.append("decision")
    if candidate.path != live.path:
        found.append("path")
    if candidate.citations != live.citations:
        found.append("citations")
    if (candidate.amount_minor, candidate.currency) != (live.amount_minor, live.currency):
        found.append("amount")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ShadowNumbers:
    """What the shadow runs of a release come to."""

    cases: int = 0
    differs: Mapping[Differs, int] | None = None
    cost_micros: int = 0
    live_cost_micros: int = 0
    latency_ms: int = 0
    live_latency_ms: int = 0

    def percent(self, of: Differs) -> float:
        return 100 * (self.differs or {}).get(of, 0) / self.cases if self.cases else 0.0


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the cases of a release come to in a window."""

    cases: int = 0
    blocked: int = 0
    handed_over: int = 0
    decided: int = 0
    approved: int = 0
    cost_micros: int = 0
    """The sum."""

    latency_ms: int = 0
    """What 95 of 100 do not pass."""

    paths: tuple[tuple[str, int], ...] = ()
    """The ways that were gone most, and how often."""

    def success_percent(self) -> float:
        return 100 * self.approved / self.decided if self.decided else 100.0


def lacks_for_canary(found: ShadowNumbers, limits: ShadowLimits) -> list[str]:
    """What a release in shadow still lacks, in words; nothing where it may go on."""
    lacking = []
    if found.cases < limits.cases:
        lacking.append(f"{limits.cases - found.cases} more shadow cases (of {limits.cases})")
    allowed: dict[Differs, int] = {
        "decision": limits.decision_differs_percent,
        "path": limits.path_differs_percent,
        "citations": limits.citations_differ_percent,
        "amount": limits.amount_differs_percent,
    }
    for kind, most in allowed.items():
        if found.percent(kind) > most:
            lacking.append(f"{kind} differs in {found.percent(kind):.0f} % of cases (at most {most} %)")
    for name, mine, other, most in (
        ("cost", found.cost_micros, found.live_cost_micros, limits.cost_percent),
        ("latency", found.latency_ms, found.live_latency_ms, limits.latency_percent),
    ):
        if 100 * mine > most * max(other, 1) and mine > 0:
            lacking.append(
                f"{name} is {100 * mine // max(other, 1)} % of the live release's (at most {most} %)"
            )
    return lacking


def lacks_for_live(found: Numbers, limits: Rollout) -> list[str]:
    """What a canary still lacks, in words."""
    lacking = []
    if found.cases < limits.canary.cases:
        lacking.append(f"{limits.canary.cases - found.cases} more canary cases (of {limits.canary.cases})")
    outside = out_of_band(found, limits.bands)
    return [*lacking, outside] if outside else lacking


def out_of_band(found: Numbers, bands: Bands) -> str | None:
    """The first band that a release has left, in words; None inside, and with too few cases to say."""
    if found.cases < bands.cases:
        return None
    if found.decided >= bands.cases and found.success_percent() < bands.success_percent_least:
        return f"success {found.success_percent():.0f} % (at least {bands.success_percent_least} %)"
    for name, share, most in (
        ("block rate", 100 * found.blocked / found.cases, bands.blocked_percent_most),
        ("hand-off rate", 100 * found.handed_over / found.cases, bands.handoff_percent_most),
    ):
        if share > most:
            return f"{name} {share:.0f} % of {found.cases} cases (at most {most} %)"
    if found.cost_micros > bands.cost_micros_most * found.cases:
        return f"cost {found.cost_micros // found.cases} micros a case (at most {bands.cost_micros_most})"
    if found.latency_ms > bands.latency_ms_most:
        return f"latency {found.latency_ms} ms (at most {bands.latency_ms_most} ms)"
    return None
