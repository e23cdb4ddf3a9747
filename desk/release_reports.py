"""Where releases stand: how far each has come, what its next step lacks, and what its cases come to.

A person sees the figures of their own tenants; what a step is earned with and what takes it back is counted over all.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from desk.people import NoAuthority, Person
from desk.traces import percentile
from policies.rollout import STEPS, Numbers, Rollout, ShadowNumbers, lacks_for_canary, lacks_for_live, live_of
from records.books import Books, Row
from records.releases import (
    DIFFERENCES,
    EVERYBODY,
    all_releases,
    hours_of,
    numbers_of,
    release_of,
    release_stage_rows,
    shadow_numbers_of,
    shadow_runs,
    shadow_sums,
    steps,
)
from refunds.ids import TenantId
from refunds.release import ReleaseStage
from refunds.vocabulary import Differs, ReleaseState

RECEIPTS = 20
PATHS = 5
CANARY_MINUTES = 30 * 1_440
"""How far back a canary's cases count for its next step."""

_COUNTED = ("cases", "blocked", "handed_over", "cost_micros")


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """A release as an operator sees it."""

    release: str
    state: ReleaseState
    percent: int
    tenants: tuple[str, ...]
    at: object
    person: str | None
    reason: str
    is_live: bool
    next_state: ReleaseState | None
    lacks: tuple[str, ...]
    """What the next step still lacks; nothing where it may be taken."""

    shadow: ShadowNumbers
    numbers: Numbers

    def to_json(self) -> dict[str, object]:
        """The report as the command and the API give it."""
        return {
            "release": self.release,
            "state": self.state,
            "live": self.is_live,
            "percent": self.percent,
            "tenants": list(self.tenants),
            "since": str(self.at),
            "by": self.person,
            "reason": self.reason,
            "next": self.next_state,
            "lacks": list(self.lacks),
            "shadow_cases": self.shadow.cases,
            "shadow_differs": {name: (self.shadow.differs or {}).get(name, 0) for name in DIFFERENCES},
            "cases": self.numbers.cases,
            "blocked": self.numbers.blocked,
            "handed_over": self.numbers.handed_over,
            "decided": self.numbers.decided,
            "approved": self.numbers.approved,
            "cost_micros": self.numbers.cost_micros,
            "p95_ms": self.numbers.latency_ms,
            "paths": [{"path": path, "cases": cases} for path, cases in self.numbers.paths],
        }


@dataclass(frozen=True, slots=True)
class ReleaseReports:
    """The releases of a house as people see them, with the limits that their steps are earned by."""

    books: Books
    limits: Rollout

    async def reports(self, person: Person) -> list[ReleaseReport]:
        """Every release, the live one first, in the figures of the person's own tenants. Raises NoAuthority."""
        may_look(person)
        rows = await release_stage_rows(self.books.reading(EVERYBODY))
        live = live_of([ReleaseStage.of(row) for row in rows])
        found = [await self._report(row, live, person.tenants) for row in rows]
        return sorted(found, key=lambda one: (not one.is_live, one.state == "rolled_back"))

    async def _report(self, row: Row, live: str | None, tenants: Sequence[TenantId]) -> ReleaseReport:
        stage = ReleaseStage.of(row)
        gone = stage.state == "rolled_back"
        shadow = await self.shadow_numbers(stage.release, tenants)
        numbers = Numbers() if gone else await self.numbers(stage, tenants)
        following = STEPS[stage.state]
        return ReleaseReport(
            release=stage.release,
            state=stage.state,
            percent=stage.percent,
            tenants=tuple(tenant for tenant in stage.tenants if tenant in tenants),
            at=row["at"],
            person=row["person"],
            reason=row["reason"],
            is_live=stage.release == live,
            next_state=following if following != stage.state else None,
            lacks=tuple(self.lacks(stage, shadow, numbers)),
            shadow=shadow,
            numbers=numbers,
        )

    def lacks(self, stage: ReleaseStage, shadow: ShadowNumbers, numbers: Numbers) -> list[str]:
        match stage.state:
            case "hold":
                return ["a receipt that passes the gate, under a name of its own"]
            case "shadow":
                return lacks_for_canary(shadow, self.limits.shadow)
            case "canary":
                return lacks_for_live(numbers, self.limits)
            case "eligible_for_shadow" | "live" | "rolled_back":
                return []

    async def history(self, person: Person) -> list[Row]:
        """The newest steps; of tenants only the person's own are named. Raises NoAuthority."""
        may_look(person)
        rows = await steps(self.books.reading(EVERYBODY))
        return [
            dict(row) | {"tenants": [one for one in row["tenants"] if one in person.tenants]} for row in rows
        ]

    async def receipts(self, person: Person) -> list[dict[str, Any]]:
        """The newest receipts that releases were entered with. Raises NoAuthority."""
        may_look(person)
        reads = self.books.reading(EVERYBODY)
        found = []
        for row in (await all_releases(reads))[-RECEIPTS:]:
            release = await release_of(reads, row["release"])
            if release is not None:
                found.append({**dict(row), "receipt": json.loads(release.receipt)})
        return found

    async def hours(self, person: Person, hours: int = 48) -> list[dict[str, Any]]:
        """Each release, live, canary and shadow, by the hour, over the person's tenants. Raises NoAuthority."""
        may_look(person)
        sums: dict[tuple[str, str, object], dict[str, Any]] = {}
        for tenant in person.tenants:
            taken, shadowed = await hours_of(self.books.reading(tenant), hours)
            for kind, rows in (("cases", taken), ("shadow", shadowed)):
                for row in rows:
                    sum_ = sums.setdefault(
                        (row["release"], kind, row["hour"]),
                        {
                            "release": row["release"],
                            "as": kind,
                            "hour": row["hour"],
                            **dict.fromkeys(_COUNTED, 0),
                        },
                    )
                    for name in _COUNTED:
                        sum_[name] += int(row[name])
                    sum_["latency_ms"] = max(sum_.get("latency_ms", 0), int(row["latency_ms"]))
        return sorted(sums.values(), key=lambda one: (one["hour"], one["release"], one["as"]))

    async def shadows(self, person: Person, release: str, most: int = 50) -> list[Row]:
        """The newest shadow runs of a release, those that differ first. Raises NoAuthority."""
        may_look(person)
        found: list[Row] = []
        for tenant in person.tenants:
            rows = await shadow_runs(self.books.reading(tenant), release, most)
            found += [dict(row) | {"tenant": tenant, "of": release} for row in rows]
        found.sort(key=lambda row: row["at"], reverse=True)
        return sorted(found, key=lambda row: not row["differs"])[:most]

    async def measured(self, person: Person, release: str, days: int, *, shadow: bool = False) -> list[Row]:
        """What a release did with each case it took, or worked on in shadow. Raises NoAuthority."""
        may_look(person)
        read = shadow_numbers_of if shadow else numbers_of
        found: list[Row] = []
        for tenant in person.tenants:
            found += await read(self.books.reading(tenant), release, 1_440 * days)
        return found

    async def shadow_numbers(self, release: str, tenants: Sequence[TenantId]) -> ShadowNumbers:
        names = ("cases", "cost_micros", "live_cost_micros", "latency_ms", "live_latency_ms")
        sums = dict.fromkeys(names, 0)
        differs: dict[Differs, int] = dict.fromkeys(DIFFERENCES, 0)
        for tenant in tenants:
            row = await shadow_sums(self.books.reading(tenant), release)
            if row is not None:
                sums = {name: value + int(row[name]) for name, value in sums.items()}
                differs = {name: value + int(row[name]) for name, value in differs.items()}
        return ShadowNumbers(differs=differs, **sums)

    async def numbers(
        self, stage: ReleaseStage, tenants: Sequence[TenantId], *, window: bool = False
    ) -> Numbers:
        """What the cases of a release come to: of a canary since it is one, otherwise in the window of the bands."""
        minutes = (
            CANARY_MINUTES if stage.state == "canary" and not window else self.limits.bands.window_minutes
        )
        rows: list[Row] = []
        for tenant in tenants:
            rows += await numbers_of(self.books.reading(tenant), stage.release, minutes)
        return numbers_in(rows)


def may_look(person: Person) -> None:
    """NoAuthority for who is neither an operator nor an auditor nor decides anywhere."""
    if not any(
        person.roles_in(tenant) & {"operator", "auditor", "reviewer", "specialist"}
        for tenant in person.tenants
    ):
        raise NoAuthority(f"{person.person} may not see the releases")


def numbers_in(rows: Sequence[Row]) -> Numbers:
    """What rows of cases come to."""
    return Numbers(
        cases=len(rows),
        blocked=sum(bool(row["blocked"]) for row in rows),
        handed_over=sum(bool(row["handed_over"]) for row in rows),
        decided=sum(bool(row["decided"]) for row in rows),
        approved=sum(bool(row["approved"]) for row in rows),
        cost_micros=sum(int(row["cost_micros"]) for row in rows),
        latency_ms=percentile(sorted(int(row["latency_ms"]) for row in rows), 0.95),
        paths=tuple(Counter(str(row["path"]) for row in rows).most_common(PATHS)),
    )
