"""The library: what counts, whose yes makes it count, and each version to read; and the letters that customers get."""

from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from desk.catalogue import language_now
from desk.letters import samples
from desk.library import (
    clauses_found,
    corpus_in_force,
    document_shown,
    documents_waiting,
    listed_documents,
    review_document,
)
from desk.notes import clean_text, storable
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import go, page
from desk.people import Person
from desk.sessions import Visit
from policies.letter_templates import languages_of_letters, templates
from refunds.ids import TenantId
from refunds.vocabulary import ReviewVerdict

router = APIRouter(include_in_schema=False)
MayRead = Annotated[Visit, Depends(visitor("cases:read"))]


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
    asked = storable(clean_text(request.query_params.get("search", ""))[:200], "search") or ""
    found = [
        dict(row) | {"tenant": tenant}
        for tenant in person.tenants
        for row in (await clauses_found(services.books, person, tenant, asked) if asked else ())
    ]
    return page(
        request, "library.html", visit, shelves=shelves, reviews=reviews_of(person), asked=asked, found=found
    )


def reviews_of(person: Person) -> list[TenantId]:
    """Whose documents this person may approve."""
    return [tenant for tenant in person.tenants if "specialist" in person.roles_in(tenant)]


@router.get("/library/{tenant}/{document_id}/{version}")
async def document(
    request: Request,
    tenant: str,
    document_id: str,
    version: Annotated[int, Path(ge=1, lt=2**31)],
    services: Opened,
    visit: MayRead,
) -> Response:
    """One version of a document, to be read."""
    shown = await document_shown(services.books, visit.person, TenantId(tenant), document_id, version)
    return page(request, "document.html", visit, tenant=tenant, one=shown, reviews=reviews_of(visit.person))


@router.get("/letters")
async def letters(request: Request, services: Opened, visit: MayRead) -> Response:
    """Every letter as a customer would get it, by shop and language."""
    del services
    tenant = TenantId(request.query_params.get("tenant", visit.person.tenants[0]))
    visit.person.may_see(tenant)
    language = request.query_params.get("language", language_now())
    return page(
        request,
        "letters.html",
        visit,
        tenant=tenant,
        tenants=visit.person.tenants,
        chosen=language,
        languages=languages_of_letters(),
        samples=samples(templates(tenant, language)),
    )


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
