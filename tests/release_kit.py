"""What the laws of releases share: manifests under other names, receipts that pass, and limits of a small shop."""

import json
from pathlib import Path
from typing import Any

from stage import Stage

from desk.people import Person
from desk.releases import ReleaseStages
from evals.exam.exam_run import code_sha256
from policies.manifest import Manifest, manifest
from policies.rollout import Bands, CanaryLimits, Rollout, ShadowLimits
from records.releases import EVERYBODY, release_stages, write_step
from refunds.canonical import digest
from refunds.release import ReleaseStage
from refunds.vocabulary import ReleaseState

V2, V3 = "refund_agent_v2", "refund_agent_v3"

REPORT = Path(__file__).parents[1] / "evals" / "reports" / "refund-agent-episodes-v1.json"

SMALL = Rollout(
    shadow=ShadowLimits(
        cases=3,
        decision_differs_percent=0,
        path_differs_percent=0,
        citations_differ_percent=0,
        amount_differs_percent=0,
        cost_percent=150,
        latency_percent=300,
    ),
    canary=CanaryLimits(cases=3),
    bands=Bands(
        window_minutes=60,
        cases=3,
        success_percent_least=50,
        blocked_percent_most=20,
        handoff_percent_most=40,
        cost_micros_most=1_000,
        latency_ms_most=60_000,
    ),
)


def named(name: str, **changes: object) -> Manifest:
    """This program's manifest under another name, changed."""
    return manifest().model_copy(update={"agent_version": name, **changes})


def receipt_for(pinned: Manifest) -> dict[str, Any]:
    """The committed receipt as if it were of another manifest."""
    receipt: dict[str, Any] = json.loads(REPORT.read_text())
    pinned_json = pinned.model_dump(mode="json")
    beside = {"manifest_sha256": digest(pinned_json), "code_sha256": code_sha256()}
    return receipt | {"agent_version": pinned.agent_version, **beside}


async def operator(stage: Stage) -> Person:
    return await stage.person("demo-operator")


def release_stages_of(stage: Stage, limits: Rollout = SMALL) -> ReleaseStages:
    return ReleaseStages(stage.house.desk_books, limits)


async def founded(stage: Stage, limits: Rollout = SMALL) -> ReleaseStages:
    """A house that keeps releases, with this program's own live."""
    release_stages = release_stages_of(stage, limits)
    await release_stages.enter(
        await operator(stage), manifest(), receipt_for(manifest()), "the first", code="x", founding=True
    )
    return release_stages


async def entered(
    stage: Stage, release_stages: ReleaseStages, name: str = "refund_agent_v3", **changes: object
) -> ReleaseStage:
    """A candidate that passed the gate."""
    pinned = named(name, **changes)
    return await release_stages.enter(
        await operator(stage), pinned, receipt_for(pinned), "a candidate", code="x"
    )


async def climbed(stage: Stage, name: str, state: ReleaseState, *, percent: int = 50) -> None:
    """A candidate at a step, whatever it had to be earned with: the rows as Postgres lets them be written."""
    who = await operator(stage)
    steps: tuple[ReleaseState, ...] = ("shadow", "canary", "live")
    for step in steps:
        share = percent if step == "canary" else 0
        async with stage.house.desk_books.transaction(EVERYBODY) as tx:
            await write_step(tx, name, step, who.person, "a rehearsal", percent=share)
        if step == state:
            return


async def release_stage(stage: Stage, name: str) -> ReleaseStage:
    return next(
        one for one in await release_stages(stage.house.desk_books.reading(EVERYBODY)) if one.release == name
    )


async def release_of_case(stage: Stage, case_id: object) -> str:
    rows = await stage.sql("select release from books.cases where case_id = %s", case_id)
    return str(rows[0]["release"])
