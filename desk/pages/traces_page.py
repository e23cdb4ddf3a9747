"""Traces: every run that went a certain way, with what it cost."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.notes import BadDecision, check_note, clean_text
from desk.pages.forms import Opened, visitor
from desk.pages.render import page
from desk.sessions import Visit
from desk.traces import Sought, search
from refunds.ids import TenantId

router = APIRouter(include_in_schema=False)
Seeing = Annotated[Visit, Depends(visitor("audit:read"))]
MayRead = Annotated[Visit, Depends(visitor("cases:read"))]

FIELDS = ("tenant", "route", "release", "prompt", "model", "tool", "reason", "since", "until")


@router.get("/traces")
async def traces(request: Request, services: Opened, visit: Seeing) -> Response:
    """The runs that fit what is asked for."""
    asked = {name: clean_text(request.query_params.get(name, "")).strip()[:200] for name in FIELDS}
    for name, said in asked.items():
        check_note(said, name)
    found = await search(services.books, visit.person, sought_of(asked))
    return page(request, "traces.html", visit, found=found, asked=asked)


def sought_of(asked: dict[str, str]) -> Sought:
    """What a form asks for. BadDecision names the field that is no time."""
    words = {name: asked[name] or None for name in FIELDS if name not in {"tenant", "since", "until"}}
    return Sought(
        tenant=TenantId(asked["tenant"]) if asked["tenant"] else None,
        since=_time("since", asked["since"]),
        until=_time("until", asked["until"]),
        **words,
    )


def _time(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadDecision(f"{name}: a date or a time, as 2026-11-01T09:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
