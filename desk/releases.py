"""Releases at the desk: who enters one, who moves it, and the way back, which asks nobody for long.

A step is one row, and every process reads the rows before it acts: a promotion and a rollback are in force with their
commit. What waits for a word on what a withdrawn release proposed is enqueued, and proposed again.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from desk.catalogue import _
from desk.decisions import Conflict
from desk.notes import BadDecision, check_note
from desk.people import NoAuthority, Person
from desk.release_reports import ReleaseReports
from policies.gate import decide_gate
from policies.manifest import Manifest, check_manifest
from policies.rollout import STEPS, live_of, out_of_band
from records.books import Refused, Row, Transaction
from records.cases import books_now
from records.queue import enqueue
from records.releases import (
    EVERYBODY,
    enter,
    has_shadow,
    insert_grade,
    paused_under,
    release_stage_rows,
    release_stages,
    write_step,
)
from refunds.canonical import canonical, digest
from refunds.ids import CaseId, PersonId, TenantId
from refunds.release import ReleaseStage
from refunds.vocabulary import ReleaseState, Thumb

log = logging.getLogger("countersign.desk")

REASON_LIMIT = 500
PERCENTS = range(1, 51)
NOTE_LIMIT = 500


class NotEarned(Conflict):
    """A step that is still to be earned; the message says with what."""


@dataclass(frozen=True, slots=True)
class ReleaseStages(ReleaseReports):
    """The releases of a house, and who moves them."""

    async def enter(
        self,
        person: Person,
        manifest: Manifest,
        receipt: object,
        reason: str,
        *,
        code: str,
        founding: bool = False,
    ) -> ReleaseStage:
        """Enter a release with its receipt: held, or eligible for shadow, as the gate says of it.

        `founding` makes it live at once: the first of a house, or where nothing is live any more, and the gate lets it.
        Raises NoAuthority, BadDecision where the receipt is of another manifest, NotEarned, Conflict.
        """
        check_manifest(manifest)
        await self._may_move(person, reason)
        pinned, name = manifest.model_dump(mode="json"), manifest.agent_version
        if not isinstance(receipt, dict) or receipt.get("manifest_sha256") != digest(pinned):
            raise BadDecision("receipt: it is not of this manifest: run countersign eval run with it")
        gate = decide_gate(receipt)
        if founding and gate.decision == "hold":
            raise NotEarned(f"held: {gate.reason}")
        eligible: ReleaseState = "eligible_for_shadow" if gate.decision == "eligible_for_shadow" else "hold"
        async with self.books.transaction(EVERYBODY) as tx:
            if founding and live_of(await release_stages(tx)) is not None:
                raise Conflict("a release is live here: countersign release list shows it")
            there = await enter(
                tx,
                release=name,
                manifest=canonical(pinned),
                code=code,
                receipt=json.dumps(receipt, sort_keys=True),
                gate=f"{gate.decision} {gate.reason}"[:500],
                person=person.person,
            )
            if not there:
                raise Conflict(
                    _("%(name)s was entered before: a version that changes has a name of its own", name=name)
                )
            await _write(tx, name, "live" if founding else eligible, person.person, reason)
        return await self._stage(name)

    async def promote(
        self,
        person: Person,
        name: str,
        reason: str,
        *,
        to: ReleaseState | None = None,
        percent: int = 0,
        tenants: Sequence[str] = (),
    ) -> ReleaseStage:
        """One step up, where it is earned. Raises NoAuthority, BadDecision, NotEarned, Conflict."""
        await self._may_move(person, reason)
        stage = await self._stage(name)
        following = to or STEPS[stage.state]
        if following not in {STEPS[stage.state], "canary" if stage.state == "canary" else None}:
            raise Conflict(
                _(
                    "%(name)s is at %(state)s: the next step is %(state_2)s",
                    name=name,
                    state=stage.state,
                    state_2=STEPS[stage.state],
                )
            )
        if following == stage.state and following != "canary":
            raise Conflict(
                _("%(name)s is at %(state)s: there is no step after it", name=name, state=stage.state)
            )
        everywhere = await self.books.tenants()
        self._check_share(following, percent, tenants, everywhere)
        lacking: list[str] = []
        if following != stage.state:
            numbers = await self.numbers(stage, everywhere)
            lacking = self.lacks(stage, await self.shadow_numbers(name, everywhere), numbers)
        if lacking:
            raise NotEarned(f"{name} may not go to {following} yet: {'; '.join(lacking)}")
        async with self.books.transaction(EVERYBODY) as tx:
            await _write(tx, name, following, person.person, reason, percent=percent, tenants=tenants)
        return await self._stage(name)

    def _check_share(
        self, state: ReleaseState, percent: int, tenants: Sequence[str], known: Iterable[TenantId]
    ) -> None:
        if state != "canary":
            if percent or tenants:
                raise BadDecision("percent: only a canary takes a share")
            return
        if percent and percent not in PERCENTS:
            raise BadDecision(
                _("percent: from %(start)s to %(stop)s", start=PERCENTS.start, stop=PERCENTS.stop - 1)
            )
        if not percent and not tenants:
            raise BadDecision("percent: a canary takes a share of customers, or tenants by name")
        strange = sorted(set(tenants) - {str(tenant) for tenant in known})
        if strange:
            raise BadDecision(_("tenant: %(strange)s is not in the books", strange=strange[0][:80]))

    async def roll_back(self, person: Person, name: str | None, reason: str) -> tuple[str, int]:
        """Take a release back: the one named, or what came up last. Which it was, and how many cases were enqueued."""
        await self._may_move(person, reason)
        chosen = (await self._stage(name)).release if name is not None else await self._newest_up()
        async with self.books.transaction(EVERYBODY) as tx:
            await _write(tx, chosen, "rolled_back", person.person, reason)
        return chosen, await self._enqueue(chosen)

    async def _newest_up(self) -> str:
        """The canary where there is one, else what is live, where another one stands behind it."""
        rows = await release_stage_rows(self.books.reading(EVERYBODY))
        stages = [ReleaseStage.of(row) for row in rows]
        canary = next((stage.release for stage in stages if stage.state == "canary"), None)
        if canary is not None:
            return canary
        if rows and rows[-1]["state"] == "rolled_back" and rows[-1]["person"] is None:
            raise Conflict(
                _(
                    "%(release)s was the last that moved, and took itself back: name what else shall go",
                    release=rows[-1]["release"],
                )
            )
        live = live_of(stages)
        if live is None or live_of([stage for stage in stages if stage.release != live]) is None:
            raise Conflict("nothing stands behind what is live: name it to stop it all the same")
        return live

    async def watch(self) -> list[str]:
        """Take back the canary and the live release that left their bands; which. Nobody is asked.

        At most one live release in a window, and never the last: a fault that strikes them all is not the release's.
        """
        taken = []
        rows = await release_stage_rows(self.books.reading(EVERYBODY))
        stages = [ReleaseStage.of(row) for row in rows]
        live, tenants = live_of(stages), await self.books.tenants()
        settled = (
            live is not None and live_of([stage for stage in stages if stage.release != live]) is not None
        )
        for stage in stages:
            if not (stage.state == "canary" or (stage.release == live and settled)):
                continue
            if stage.release == live and await self._took_one_back(rows):
                continue
            left = out_of_band(await self.numbers(stage, tenants, window=True), self.limits.bands)
            if left is None:
                continue
            try:
                async with self.books.transaction(EVERYBODY) as tx:
                    await _write(tx, stage.release, "rolled_back", None, left)
            except Conflict:
                continue  # another desk was faster
            log.error("release %s was rolled back: %s", stage.release, left)
            await self._enqueue(stage.release)
            taken.append(stage.release)
        return taken

    async def _took_one_back(self, rows: Sequence[Row]) -> bool:
        """Whether the watch took a release back within its own window."""
        async with self.books.transaction() as tx:
            now = await books_now(tx)
        within = timedelta(minutes=self.limits.bands.window_minutes)
        return any(
            row["state"] == "rolled_back" and row["person"] is None and now - row["at"] < within
            for row in rows
        )

    async def _enqueue(self, release: str) -> int:
        """Enqueue what waits for a decision on what a release proposed; how many cases."""
        enqueued = 0
        for tenant in await self.books.tenants():
            async with self.books.transaction(tenant) as tx:
                paused = await paused_under(tx, release)
                for case_id in paused:
                    await enqueue(tx, tenant, case_id)
                enqueued += len(paused)
        return enqueued

    async def grade(
        self, person: Person, tenant: TenantId, release: str, case_id: CaseId, thumb: Thumb, note: str
    ) -> None:
        """What a person says of a shadow's draft, once. Raises NoAuthority, BadDecision, Conflict."""
        person.may_decide(tenant)
        check_note(note)
        if len(note) > NOTE_LIMIT:
            raise BadDecision(_("note: at most %(most)s characters", most=NOTE_LIMIT))
        async with self.books.transaction(tenant) as tx:
            if not await has_shadow(tx, release, case_id):
                raise Conflict(_("case %(case)s has no shadow of %(release)s", case=case_id, release=release))
            new = await insert_grade(tx, release, case_id, person.person, thumb, note.strip())
        if not new:
            raise Conflict(_("%(person)s has graded this shadow before", person=person.person))

    async def _may_move(self, person: Person, reason: str) -> None:
        check_note(reason)
        if not 0 < len(reason.strip()) <= REASON_LIMIT:
            raise BadDecision(_("reason: from 1 to %(most)s characters", most=REASON_LIMIT))
        for tenant in await self.books.tenants():
            person.may_operate(tenant)

    async def _stage(self, name: str) -> ReleaseStage:
        for stage in await release_stages(self.books.reading(EVERYBODY)):
            if stage.release == name:
                return stage
        raise Conflict(
            _("no release is called %(name)s: countersign release list shows them", name=name[:80])
        )


async def _write(
    tx: Transaction,
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
        await write_step(tx, name, state, person, reason, percent=percent, tenants=tenants)
    except Refused as refused:
        if refused.reason == "no_authority":
            raise NoAuthority(refused.detail) from None
        if refused.reason == "release_step":
            raise Conflict(_("%(name)s: %(refused)s", name=name, refused=refused.detail)) from None
        raise
