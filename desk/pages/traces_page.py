"""Traces: every run that went a certain way, with what it cost; and the library, with whose yes makes it count."""

from datetime import UTC, datetime
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.library import corpus_in_force, documents_waiting, listed_documents, review_document
from desk.notes import BadDecision, check_note, clean_text
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import go, page
from desk.sessions import Visit
from desk.traces import Sought, search
from refunds.ids import TenantId
from refunds.vocabulary import ReviewVerdict

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


@router.get("/library")
async def library(request: Request, services: Opened, visit: MayRead) -> Response:
    """The policy of each tenant: what waits for a person's word, and what counts."""
    person = visit.person
    shelves = [
        {
            "tenant": tenant,
            "corpus": await corpus_in_force(services.books, person, tenant, services.manifest),
            "waiting": await documents_waiting(services.books, person, tenant),
            "listed": await listed_documents(services.books, person, tenant),
        }
        for tenant in person.tenants
    ]
    reviews = [tenant for tenant in person.tenants if "specialist" in person.roles_in(tenant)]
    return page(request, "library.html", visit, shelves=shelves, reviews=reviews)


@router.post("/library")
async def say(
    request: Request,
    services: Opened,
    act: Annotated[SentForm, Depends(actor("cases:decide"))],
) -> Response:
    """A specialist's yes or no to the words that were on the screen."""
    person = act.visit.person
    verdict: ReviewVerdict = act.one_of("verdict", get_args(ReviewVerdict))
    version = act.text("version")[:9]
    await review_document(
        services.books,
        person,
        TenantId(act.text("tenant")),
        act.text("document"),
        int(version) if version.isascii() and version.isdigit() else 0,
        sha256=act.text("sha256"),
        verdict=verdict,
        note=clean_text(act.text("note")),
    )
    return go(request, "/library")
