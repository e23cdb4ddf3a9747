"""Releases in the books: manifests under their names, and the steps that each has come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from psycopg.types.json import Jsonb

from records.books import Reads, Row, Transaction
from records.cases import Case
from refunds.canonical import sha256
from refunds.ids import CaseId, PersonId, TenantId
from refunds.release import ReleaseStage
from refunds.vocabulary import Differs, ReleaseState, Thumb

EVERYBODY = TenantId("*")
"""A release is everybody's, and is written in this tenant as a flag of everybody is."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release as it was entered; it never changes."""

    release: str
    manifest: str
    """Canonical JSON."""

    code: str
    receipt: str
    gate: str
    entered_by: PersonId
    entered_at: datetime


async def release_stages(reads: Reads) -> list[ReleaseStage]:
    """Where each release stands, in the order of their last steps."""
    return [ReleaseStage.of(row) for row in await reads.rows("release_stages")]


async def release_stage_rows(reads: Reads) -> list[Row]:
    """Where each release stands, with who made its last step, when and why."""
    return await reads.rows("release_stages")


async def steps(reads: Reads) -> list[Row]:
    """Every step of every release, the newest first."""
    return await reads.rows("release_steps")


async def release_of(reads: Reads, name: str) -> Release | None:
    """A release by its name."""
    row = await reads.row("release", release=name)
    if row is None:
        return None
    return Release(
        row["release"],
        row["manifest"],
        row["code"],
        row["receipt"],
        row["gate"],
        PersonId(row["entered_by"]),
        row["entered_at"],
    )


async def all_releases(reads: Reads) -> list[Row]:
    """Every release without its texts."""
    return await reads.rows("releases")


async def enter(
    tx: Transaction, *, release: str, manifest: str, code: str, receipt: str, gate: str, person: PersonId
) -> bool:
    """Write a release; False where the name is taken."""
    row = await tx.row(
        "insert_release",
        release=release,
        manifest=manifest,
        manifest_sha256=sha256(manifest),
        code=code,
        receipt=receipt,
        receipt_sha256=sha256(receipt),
        gate=gate,
        person=person,
    )
    return row is not None


async def write_step(
    tx: Transaction,
    release: str,
    state: ReleaseState,
    person: PersonId | None,
    reason: str,
    *,
    percent: int = 0,
    tenants: Sequence[str] = (),
) -> None:
    """Write a step. Refused where it does not follow, and where the person may not."""
    await tx.rows(
        "insert_release_step",
        release=release,
        state=state,
        person=person,
        reason=reason[:500],
        percent=percent,
        tenants=list(tenants),
    )


async def paused_under(reads: Reads, release: str) -> list[CaseId]:
    """The cases of a tenant that wait for a word on what a release proposed."""
    return [CaseId(row["case_id"]) for row in await reads.rows("paused_under", release=release)]


async def numbers_of(reads: Reads, release: str, minutes: int) -> list[Row]:
    """What became of each case of a release that came in within a window; within a tenant."""
    return await reads.rows("release_numbers", release=release, minutes=minutes)


async def shadow_numbers_of(reads: Reads, release: str, minutes: int) -> list[Row]:
    """What became of each case that a release worked on in shadow within a window; within a tenant."""
    return await reads.rows("shadow_numbers", release=release, minutes=minutes)


# Shadows ------------------------------------------------------------------------------------------------------


async def shadow_due(reads: Reads, release: str, but: Iterable[CaseId], most: int) -> list[Case]:
    """Cases that the live release has worked on since the shadow began and that the shadow has not."""
    rows = await reads.rows("shadow_due", release=release, but=[str(case_id) for case_id in but], most=most)
    return [Case.of(row) for row in rows]


async def release_now(reads: Reads, release: str) -> Row | None:
    """Whether nothing new runs in a tenant, where a release stands, and the time."""
    return await reads.row("killed", release=release)


async def has_shadow(reads: Reads, release: str, case_id: CaseId) -> bool:
    """Whether a release has worked on a case in shadow."""
    return await reads.row("shadow_there", release=release, case_id=case_id) is not None


async def first_done(reads: Reads, case_id: CaseId) -> Row | None:
    """What the release of a case did with it first: its stop, its proposal, its path and what that cost."""
    return await reads.row("first_done", case_id=case_id)


async def write_shadow_run(tx: Transaction, **told: object) -> bool:
    """Write what a shadow would have done; False where it is there."""
    lists = {name: Jsonb(list(_texts(told.pop(name)))) for name in ("citations", "path")}
    return await tx.row("insert_shadow_run", **told, **lists) is not None


def _texts(value: object) -> Iterable[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


async def shadow_sums(reads: Reads, release: str) -> Row | None:
    """What the shadow runs of a release come to in a tenant."""
    return await reads.row("shadow_sums", release=release)


async def shadow_runs(reads: Reads, release: str, most: int) -> list[Row]:
    """The newest shadow runs of a release in a tenant, those that differ first."""
    return await reads.rows("shadow_runs", release=release, most=most)


async def hours_of(reads: Reads, hours: int) -> tuple[list[Row], list[Row]]:
    """The cases of each release by the hour, and the shadow runs; within a tenant."""
    return await reads.rows("release_hours", hours=hours), await reads.rows("shadow_hours", hours=hours)


async def insert_grade(
    tx: Transaction, release: str, case_id: CaseId, person: PersonId, thumb: Thumb, note: str
) -> bool:
    """Write what a person says of a shadow; False where they have said it before."""
    row = await tx.row(
        "insert_shadow_grade", release=release, case_id=case_id, person=person, thumb=thumb, note=note
    )
    return row is not None


DIFFERENCES: tuple[Differs, ...] = get_args(Differs)
