"""Releases on a page: the stages with what each step lacks, each release over time, shadows to grade, receipts."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.catalogue import N_
from desk.notes import BadDecision, clean_text
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import go, page
from desk.people import Person
from desk.services import DeskServices
from desk.sessions import Visit
from refunds.canonical import first_difference
from refunds.ids import CaseId, TenantId
from refunds.vocabulary import Thumb

router = APIRouter(include_in_schema=False)
Seeing = Annotated[Visit, Depends(visitor("cases:read"))]
Moving = Annotated[SentForm, Depends(actor("flags:write"))]

HOURS = 48
SAMPLE = 10
"""Shadow cases that are shown to be graded."""

WIDTH, HEIGHT = 640, 120
CHARTS = {
    "drafted": N_("drafts that a person could countersign"),
    "handed_over": N_("hand-off rate"),
    "blocked": N_("block rate"),
    "cost_micros": N_("cost a case, micros"),
    "latency_ms": N_("slowest run, ms"),
}
SHARES = frozenset({"drafted", "handed_over", "blocked"})
TIMINGS = frozenset({"took_ms", "latency_ms", "commit", "seed"})


@router.get("/releases")
async def releases(request: Request, services: Opened, visit: Seeing) -> Response:
    """The stages."""
    person = visit.person
    taken = await services.release_stages.history(person)
    # A step that was taken is on the page at once: what was counted before it is another figure.
    (reports, hours), counted_at = await services.figures.of(
        ("releases", person.person, taken[0]["at"] if taken else None), lambda: _counted(services, person)
    )
    shadows = [
        row
        for one in reports
        if one.state in {"shadow", "canary"}
        for row in await services.release_stages.shadows(person, one.release, SAMPLE)
    ]
    return page(
        request,
        "releases.html",
        visit,
        reports=reports,
        steps=taken,
        shadows=shadows,
        charts=[(says, lines(hours, name)) for name, says in CHARTS.items()],
        own=services.manifest.agent_version,
        counted_at=counted_at,
        width=WIDTH,
        height=HEIGHT,
    )


async def _counted(services: DeskServices, person: Person) -> tuple[Any, Any]:
    """What takes long to count with many cases."""
    return (
        await services.release_stages.reports(person),
        await services.release_stages.hours(person, HOURS),
    )


@router.get("/receipts")
async def receipts(request: Request, services: Opened, visit: Seeing) -> Response:
    """Two receipts side by side."""
    found = {row["release"]: row for row in await services.release_stages.receipts(visit.person)}
    names = list(found)
    chosen = [
        request.query_params.get(side, default)[:128]
        for side, default in (("a", names[-2] if len(names) > 1 else ""), ("b", names[-1] if names else ""))
    ]
    sides = [found.get(name) for name in chosen]
    return page(
        request,
        "receipts.html",
        visit,
        names=names,
        chosen=chosen,
        sides=sides,
        rows=side_by_side(sides[0], sides[1]),
    )


@router.post("/releases/promote")
async def promote(request: Request, services: Opened, act: Moving) -> Response:
    """One step up, where it is earned."""
    percent = act.text("percent")[:3] or "0"
    if not (percent.isascii() and percent.isdigit()):
        raise BadDecision("percent: a whole number from 1 to 50")
    await services.release_stages.promote(
        act.visit.person,
        act.text("release"),
        clean_text(act.text("reason")),
        percent=int(percent),
        tenants=[tenant for tenant in act.texts("tenant") if tenant],
    )
    return go(request, "/releases")


@router.post("/releases/rollback")
async def roll_back(request: Request, services: Opened, act: Moving) -> Response:
    """The way back."""
    # An empty name is refused: it must not mean the newest release.
    await services.release_stages.roll_back(
        act.visit.person, act.text("release"), clean_text(act.text("reason"))
    )
    return go(request, "/releases")


@router.post("/releases/grade")
async def grade(
    request: Request, services: Opened, act: Annotated[SentForm, Depends(actor("cases:decide"))]
) -> Response:
    """What a person says of a shadow's draft."""
    thumb: Thumb = act.one_of("thumb", get_args(Thumb))
    try:
        case_id = CaseId(UUID(act.text("case")))
    except ValueError:
        raise BadDecision("case: not the id of one") from None
    await services.release_stages.grade(
        act.visit.person,
        TenantId(act.text("tenant")),
        act.text("release"),
        case_id,
        thumb,
        clean_text(act.text("note")),
    )
    return go(request, "/releases")


def lines(hours: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, object]]:
    """One line of a chart a release: each point a share of the hour's cases, their mean cost, or their slowest run."""
    if not hours:
        return []
    moments = sorted({row["hour"] for row in hours})
    shares = {(row["release"], row["as"], row["hour"]): _point(row, name) for row in hours if row["cases"]}
    top = max([1.0 if name in SHARES else 0.0, *shares.values()]) or 1.0
    step = WIDTH / max(1, len(moments) - 1)
    drawn = []
    for release, kind in sorted({(release, kind) for release, kind, _ in shares}):
        points = [
            (round(place * step, 1), round(HEIGHT - HEIGHT * shares[release, kind, moment] / top, 1))
            for place, moment in enumerate(moments)
            if (release, kind, moment) in shares
        ]
        last = [share for (of, what, _), share in shares.items() if (of, what) == (release, kind)][-1]
        drawn.append(
            {
                "release": release,
                "kind": kind,
                "points": " ".join(f"{x},{y}" for x, y in points),
                "dots": points,
                "last": f"{100 * last:.0f} %" if name in SHARES else f"{last:.0f}",
            }
        )
    return drawn


def _point(row: Mapping[str, Any], name: str) -> float:
    """What an hour of a release comes to."""
    if name == "latency_ms":
        return float(row[name])
    if name == "drafted":
        return 1.0 - float(row["handed_over"] + row["blocked"]) / int(row["cases"])
    return float(row[name]) / int(row["cases"])


def side_by_side(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> list[dict[str, object]]:
    """A row for each episode of two receipts, with where the two differ first."""
    left, right = (
        {row["episode"]: _plain(row) for row in (side["receipt"]["rows"] if side else [])} for side in (a, b)
    )
    found: list[dict[str, object]] = []
    for episode in sorted({*left, *right}):
        one, other = left.get(episode), right.get(episode)
        found.append(
            {
                "episode": episode,
                "left": one,
                "right": other,
                "differs": first_difference(one, other) if a and b else None,
            }
        )
    return found


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its timings."""
    plain: dict[str, Any] = json.loads(
        json.dumps(row), object_hook=lambda value: {k: v for k, v in value.items() if k not in TIMINGS}
    )
    return plain
