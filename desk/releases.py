"""Releases at the desk: who enters one, what each step still lacks, and the way back, which asks nobody for long.

A step is one row, and every process reads the rows before it acts: a promotion and a rollback are in force with their
commit. What waits for a word on what a withdrawn release proposed is rung, and proposed again.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from desk.decisions import Conflict
from desk.notes import BadDecision, check_note
from desk.people import NoAuthority, Person
from desk.traces import percentile
from policies.gate import decide
from policies.manifest import Manifest, check
from policies.rollout import (
    STEPS,
    Numbers,
    Rollout,
    ShadowNumbers,
    lacks_for_canary,
    lacks_for_live,
    live_of,
    out_of_band,
)
from records.books import Books, Page, Refused, Row
from records.cases import books_now
from records.queue import ring
from records.releases import (
    DIFFERENCES,
    EVERYBODY,
    enter,
    has_shadow,
    hours_of,
    insert_grade,
    ladder,
    ladder_rows,
    numbers_of,
    paused_under,
    release_of,
    releases,
    shadow_numbers_of,
    shadow_runs,
    shadow_sums,
    steps,
    write_step,
)
from refunds.canonical import canonical, digest
from refunds.ids import CaseId, PersonId, TenantId
from refunds.release import Rung
from refunds.words import Differs, ReleaseState, Thumb

log = logging.getLogger("countersign.desk")

REASON_LIMIT = 500
PERCENTS = range(1, 51)
NOTE_LIMIT = 500
RECEIPTS = 20
CANARY_MINUTES = 30 * 1_440
"""How far back a canary's cases count for its next step."""

_COUNTED = ("cases", "blocked", "handed_over", "cost_micros")


class NotEarned(Conflict):
    """A step that is still to be earned; the message says with what."""


@dataclass(frozen=True, slots=True)
class Standing:
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
        """The same as the command and the API say it."""
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
        }


@dataclass(frozen=True, slots=True)
class Ladder:
    """The releases of a house, with the limits that their steps are earned by."""

    books: Books
    limits: Rollout

    # Looking ----------------------------------------------------------------------------------------------------

    async def standings(self, person: Person) -> list[Standing]:
        """Every release, the live one first, in the figures of the person's own tenants. Raises NoAuthority."""
        may_look(person)
        rows = await ladder_rows(self.books.reading(EVERYBODY))
        live = live_of([Rung.of(row) for row in rows])
        found = [await self._standing(row, live, person.tenants) for row in rows]
        return sorted(found, key=lambda one: (not one.is_live, one.state == "rolled_back"))

    async def _standing(self, row: Row, live: str | None, tenants: Sequence[TenantId]) -> Standing:
        rung = Rung.of(row)
        gone = rung.state == "rolled_back"
        shadow = await self._shadow_numbers(rung.release, tenants)
        numbers = Numbers() if gone else await self._numbers(rung, tenants)
        following = STEPS[rung.state]
        return Standing(
            release=rung.release,
            state=rung.state,
            percent=rung.percent,
            tenants=tuple(tenant for tenant in rung.tenants if tenant in tenants),
            at=row["at"],
            person=row["person"],
            reason=row["reason"],
            is_live=rung.release == live,
            next_state=following if following != rung.state else None,
            lacks=tuple(self._lacks(rung, shadow, numbers)),
            shadow=shadow,
            numbers=numbers,
        )

    def _lacks(self, rung: Rung, shadow: ShadowNumbers, numbers: Numbers) -> list[str]:
        match rung.state:
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
        page = self.books.reading(EVERYBODY)
        found = []
        for row in (await releases(page))[-RECEIPTS:]:
            release = await release_of(page, row["release"])
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

    async def _shadow_numbers(self, release: str, tenants: Sequence[TenantId]) -> ShadowNumbers:
        names = ("cases", "cost_micros", "live_cost_micros", "latency_ms", "live_latency_ms")
        sums = dict.fromkeys(names, 0)
        differs: dict[Differs, int] = dict.fromkeys(DIFFERENCES, 0)
        for tenant in tenants:
            row = await shadow_sums(self.books.reading(tenant), release)
            if row is not None:
                sums = {name: value + int(row[name]) for name, value in sums.items()}
                differs = {name: value + int(row[name]) for name, value in differs.items()}
        return ShadowNumbers(differs=differs, **sums)

    async def _numbers(self, rung: Rung, tenants: Sequence[TenantId], *, window: bool = False) -> Numbers:
        """What the cases of a release come to: of a canary since it is one, otherwise in the window of the bands."""
        minutes = (
            CANARY_MINUTES if rung.state == "canary" and not window else self.limits.bands.window_minutes
        )
        rows: list[Row] = []
        for tenant in tenants:
            rows += await numbers_of(self.books.reading(tenant), rung.release, minutes)
        return numbers_in(rows)

    # Moving -------------------------------------------------------------------------------------------------------

    async def enter(
        self,
        person: Person,
        manifest: Manifest,
        receipt: object,
        reason: str,
        *,
        code: str,
        founding: bool = False,
    ) -> Rung:
        """Enter a release with its receipt: held, or eligible for shadow, as the gate says of it.

        `founding` makes it live at once: the first of a house, or where nothing is live any more, and the gate lets it.
        Raises NoAuthority, BadDecision where the receipt is of another manifest, NotEarned, Conflict.
        """
        check(manifest)
        await self._may_move(person, reason)
        pinned, name = manifest.model_dump(mode="json"), manifest.agent_version
        if not isinstance(receipt, dict) or receipt.get("manifest_sha256") != digest(pinned):
            raise BadDecision("receipt: it is not of this manifest: run countersign eval run with it")
        gate = decide(receipt)
        if founding and gate.decision == "hold":
            raise NotEarned(f"held: {gate.reason}")
        eligible: ReleaseState = "eligible_for_shadow" if gate.decision == "eligible_for_shadow" else "hold"
        async with self.books.transaction(EVERYBODY) as page:
            if founding and live_of(await ladder(page)) is not None:
                raise Conflict("a release is live here: countersign release list shows it")
            there = await enter(
                page,
                release=name,
                manifest=canonical(pinned),
                code=code,
                receipt=json.dumps(receipt, sort_keys=True),
                gate=f"{gate.decision} {gate.reason}"[:500],
                person=person.person,
            )
            if not there:
                raise Conflict(f"{name} was entered before: a version that changes has a name of its own")
            await _write(page, name, "live" if founding else eligible, person.person, reason)
        return await self._rung(name)

    async def promote(
        self,
        person: Person,
        name: str,
        reason: str,
        *,
        to: ReleaseState | None = None,
        percent: int = 0,
        tenants: Sequence[str] = (),
    ) -> Rung:
        """One step up, where it is earned. Raises NoAuthority, BadDecision, NotEarned, Conflict."""
        await self._may_move(person, reason)
        rung = await self._rung(name)
        following = to or STEPS[rung.state]
        if following not in {STEPS[rung.state], "canary" if rung.state == "canary" else None}:
            raise Conflict(f"{name} is at {rung.state}: the next step is {STEPS[rung.state]}")
        if following == rung.state and following != "canary":
            raise Conflict(f"{name} is at {rung.state}: there is no step after it")
        self._check_share(following, percent, tenants, await self.books.tenants())
        again = following == rung.state == "canary"
        everywhere = await self.books.tenants()
        lacking: list[str] = []
        if not again:
            numbers = await self._numbers(rung, everywhere)
            lacking = self._lacks(rung, await self._shadow_numbers(name, everywhere), numbers)
        if lacking:
            raise NotEarned(f"{name} may not go to {following} yet: {'; '.join(lacking)}")
        async with self.books.transaction(EVERYBODY) as page:
            await _write(page, name, following, person.person, reason, percent=percent, tenants=tenants)
        return await self._rung(name)

    def _check_share(
        self, state: ReleaseState, percent: int, tenants: Sequence[str], known: Iterable[TenantId]
    ) -> None:
        if state != "canary":
            if percent or tenants:
                raise BadDecision("percent: only a canary takes a share")
            return
        if percent and percent not in PERCENTS:
            raise BadDecision(f"percent: from {PERCENTS.start} to {PERCENTS.stop - 1}")
        if not percent and not tenants:
            raise BadDecision("percent: a canary takes a share of customers, or tenants by name")
        strange = sorted(set(tenants) - {str(tenant) for tenant in known})
        if strange:
            raise BadDecision(f"tenant: {strange[0][:80]} is not in the books")

    async def roll_back(self, person: Person, name: str | None, reason: str) -> tuple[str, int]:
        """Take a release back: the one named, or what came up last. Which it was, and how many cases were rung."""
        await self._may_move(person, reason)
        chosen = (await self._rung(name)).release if name is not None else await self._newest_up()
        async with self.books.transaction(EVERYBODY) as page:
            await _write(page, chosen, "rolled_back", person.person, reason)
        return chosen, await self._ring(chosen)

    async def _newest_up(self) -> str:
        """The canary where there is one, else what is live, where another one stands behind it."""
        rows = await ladder_rows(self.books.reading(EVERYBODY))
        rungs = [Rung.of(row) for row in rows]
        canary = next((rung.release for rung in rungs if rung.state == "canary"), None)
        if canary is not None:
            return canary
        if rows and rows[-1]["state"] == "rolled_back" and rows[-1]["person"] is None:
            raise Conflict(
                f"{rows[-1]['release']} was the last that moved, and took itself back: name what else shall go"
            )
        live = live_of(rungs)
        if live is None or live_of([rung for rung in rungs if rung.release != live]) is None:
            raise Conflict("nothing stands behind what is live: name it to stop it all the same")
        return live

    async def watch(self) -> list[str]:
        """Take back the canary and the live release where they left their bands; which. Nobody is asked.

        One live release in a window at most, and never the last: what strikes every release is no release's fault.
        """
        taken = []
        rows = await ladder_rows(self.books.reading(EVERYBODY))
        rungs = [Rung.of(row) for row in rows]
        live, tenants = live_of(rungs), await self.books.tenants()
        settled = live is not None and live_of([rung for rung in rungs if rung.release != live]) is not None
        for rung in rungs:
            if not (rung.state == "canary" or (rung.release == live and settled)):
                continue
            if rung.release == live and await self._took_one_back(rows):
                continue
            left = out_of_band(await self._numbers(rung, tenants, window=True), self.limits.bands)
            if left is None:
                continue
            try:
                async with self.books.transaction(EVERYBODY) as page:
                    await _write(page, rung.release, "rolled_back", None, left)
            except Conflict:
                continue  # another desk was faster
            log.error("release %s was rolled back: %s", rung.release, left)
            await self._ring(rung.release)
            taken.append(rung.release)
        return taken

    async def _took_one_back(self, rows: Sequence[Row]) -> bool:
        """Whether the watch took a release back within its own window."""
        async with self.books.transaction() as page:
            now = await books_now(page)
        within = timedelta(minutes=self.limits.bands.window_minutes)
        return any(
            row["state"] == "rolled_back" and row["person"] is None and now - row["at"] < within
            for row in rows
        )

    async def _ring(self, release: str) -> int:
        """Ring what waits for a word on what a release proposed; how many cases."""
        rung = 0
        for tenant in await self.books.tenants():
            async with self.books.transaction(tenant) as page:
                paused = await paused_under(page, release)
                for case_id in paused:
                    await ring(page, tenant, case_id)
                rung += len(paused)
        return rung

    async def grade(
        self, person: Person, tenant: TenantId, release: str, case_id: CaseId, thumb: Thumb, note: str
    ) -> None:
        """What a person says of a shadow's draft, once. Raises NoAuthority, BadDecision, Conflict."""
        person.may_decide(tenant)
        check_note(note)
        if len(note) > NOTE_LIMIT:
            raise BadDecision(f"note: at most {NOTE_LIMIT} characters")
        async with self.books.transaction(tenant) as page:
            if not await has_shadow(page, release, case_id):
                raise Conflict(f"case {case_id} has no shadow of {release}")
            new = await insert_grade(page, release, case_id, person.person, thumb, note.strip())
        if not new:
            raise Conflict(f"{person.person} has graded this shadow before")

    async def _may_move(self, person: Person, reason: str) -> None:
        check_note(reason)
        if not 0 < len(reason.strip()) <= REASON_LIMIT:
            raise BadDecision(f"reason: from 1 to {REASON_LIMIT} characters")
        for tenant in await self.books.tenants():
            person.may_operate(tenant)

    async def _rung(self, name: str) -> Rung:
        for rung in await ladder(self.books.reading(EVERYBODY)):
            if rung.release == name:
                return rung
        raise Conflict(f"no release is called {name[:80]}: countersign release list shows them")


async def _write(
    page: Page,
    name: str,
    state: ReleaseState,
    person: PersonId | None,
    reason: str,
    *,
    percent: int = 0,
    tenants: Sequence[str] = (),
) -> None:
    """A step, with what Postgres says against it in the desk's words."""
    try:
        await write_step(page, name, state, person, reason, percent=percent, tenants=tenants)
    except Refused as refused:
        if refused.reason == "no_authority":
            raise NoAuthority(refused.detail) from None
        if refused.reason == "release_step":
            raise Conflict(f"{name}: {refused.detail}") from None
        raise


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
    )
