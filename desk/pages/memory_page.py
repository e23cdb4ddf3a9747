"""A customer's memory, as a page: what is known, from whom and until when, and what may be done with it."""

import json
from typing import Annotated, get_args
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from desk.catalogue import _
from desk.memory import change_memory, forget_facts, memory_shown
from desk.notes import BadDecision
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import page
from desk.sessions import Visit
from policies.retention import retention
from records.memory import NewFact
from refunds.ids import CustomerId, TenantId
from refunds.vocabulary import MemoryAudience, MemoryKind, MemorySource

router = APIRouter(include_in_schema=False)
MayRead = Annotated[Visit, Depends(visitor("cases:read"))]


@router.get("/customers/{tenant}/{customer_id}")
async def memory(
    request: Request, tenant: str, customer_id: str, services: Opened, visit: MayRead
) -> Response:
    """What is remembered of a customer."""
    shown = await memory_shown(services.books, visit.person, TenantId(tenant), CustomerId(customer_id))
    return page(
        request,
        "memory.html",
        visit,
        shown=shown,
        kinds=get_args(MemoryKind),
        sources=get_args(MemorySource),
        audiences=get_args(MemoryAudience),
        days=retention().model_dump(),
    )


@router.get("/customers/{tenant}/{customer_id}/memory.json")
async def carried_away(tenant: str, customer_id: str, services: Opened, visit: MayRead) -> Response:
    """The same as a file."""
    shown = await memory_shown(services.books, visit.person, TenantId(tenant), CustomerId(customer_id))
    return Response(
        json.dumps(shown.to_json(), ensure_ascii=False, indent=2) + "\n",
        media_type="application/json",
        headers={"content-disposition": 'attachment; filename="memory.json"'},
    )


@router.post("/customers/{tenant}/{customer_id}")
async def changed(
    tenant: str,
    customer_id: str,
    services: Opened,
    act: Annotated[SentForm, Depends(actor("messages:write"))],
) -> Response:
    """Remember, say anew, erase, end or begin; then the page again."""
    of, customer, person = TenantId(tenant), CustomerId(customer_id), act.visit.person
    match act.one_of("act", ("note", "change", "erase", "erase_all", "opt_out", "opt_in")):
        case "note" | "change":
            fact = NewFact(
                kind=act.one_of("kind", get_args(MemoryKind)),
                text=act.text("text"),
                source=act.one_of("source", get_args(MemorySource)),
                audience=act.one_of("audience", get_args(MemoryAudience)),
                fact_id=_fact_id(act) if act.text("act") == "change" else None,
            )
            await change_memory(services.books, person, of, customer, facts=[fact])
        case "erase":
            await forget_facts(services.books, person, of, customer, _fact_id(act))
        case "erase_all":
            await forget_facts(services.books, person, of, customer)
        case wanted:
            await change_memory(services.books, person, of, customer, out=wanted == "opt_out")
    return RedirectResponse(f"/customers/{quote(tenant)}/{quote(customer_id, safe='')}", status_code=303)


def _fact_id(act: SentForm) -> UUID:
    try:
        return UUID(act.text("fact"))
    except ValueError:
        raise BadDecision(_("fact: an id of this page")) from None
