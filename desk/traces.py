"""Traces at the desk: which runs went which way, what they cost, and how long they took."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from desk.people import AUDITORS, OPERATORS, NoAuthority, Person
from records.books import Books, Row
from refunds.ids import TenantId

MOST = 200
LOOKED = 20_000
"""The newest runs that a search looks through."""

DAYS = 7
"""What is looked through where no time is named."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for; None is every one."""

    tenant: TenantId | None = None
    route: str | None = None
    release: str | None = None
    prompt: str | None = None
    """As `plan-1`."""

    model: str | None = None
    tool: str | None = None
    reason: str | None = None
    """A reason, a status, a result of a step or a finding."""

    since: datetime | None = None
    """A week ago where nothing is said."""

    until: datetime | None = None

    @property
    def narrows(self) -> bool:
        """Whether more than a time is asked for."""
        asked = (self.route, self.release, self.prompt, self.model, self.tool, self.reason)
        return any(one is not None for one in asked)


@dataclass(frozen=True, slots=True)
class RunsFound:
    """The runs, the newest first, and what these come to together."""

    runs: list[Row]
    paths: list[tuple[str, int]]
    """Each way that was gone, the most common first."""

    tokens: int
    cost_micros: int
    p50_ms: int
    p95_ms: int
    p99_ms: int

    def sums(self) -> dict[str, object]:
        """The sums as JSON."""
        return {
            "runs": len(self.runs),
            "tokens": self.tokens,
            "cost_micros": self.cost_micros,
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "p99_ms": self.p99_ms,
            "paths": [{"path": path, "runs": runs} for path, runs in self.paths],
        }


async def search(books: Books, person: Person, sought: Sought, *, most: int = MOST) -> RunsFound:
    """The runs of the person's tenants that fit. Raises NoAuthority."""
    tenants = [sought.tenant] if sought.tenant else person.where(AUDITORS | OPERATORS)
    runs: list[Row] = []
    for tenant in tenants:
        if not person.roles_in(tenant) & (AUDITORS | OPERATORS):
            raise NoAuthority(
                f"{person.person} may not see the traces of {tenant}: needs operator or auditor"
            )
        rows = await books.reading(tenant).rows(
            "traces_found",
            route=sought.route,
            release=sought.release,
            prompt=sought.prompt,
            model=sought.model,
            tool=sought.tool,
            reason=sought.reason,
            since=sought.since or datetime.now(UTC) - timedelta(days=DAYS),
            until=sought.until,
            most=most,
            looked=LOOKED if sought.narrows else most,
        )
        runs += [dict(row) | {"tenant": tenant} for row in rows]
    runs.sort(key=lambda row: row["at"], reverse=True)
    runs = runs[:most]
    took = sorted(int(row["latency_ms"]) for row in runs)
    return RunsFound(
        runs=runs,
        paths=Counter(str(row["path"]) for row in runs).most_common(),
        tokens=sum(int(row["tokens"]) for row in runs),
        cost_micros=sum(int(row["cost_micros"]) for row in runs),
        p50_ms=percentile(took, 0.5),
        p95_ms=percentile(took, 0.95),
        p99_ms=percentile(took, 0.99),
    )


def percentile(ordered: Sequence[int], share: float) -> int:
    """The value that so large a share of ordered values does not pass; 0 where there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0
