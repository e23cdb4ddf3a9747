"""Unknown outcomes: money that was sent and whose end nobody knows, and what a named person asks about it."""

from typing import Annotated, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.inquiries import ask_provider, found_refunds, say_of_found_refund, unknown_outcomes
from desk.notes import clean_text
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import go, page
from desk.people import ASKERS
from desk.sessions import Visit
from refunds.vocabulary import FoundRefundAct, ProviderAct

router = APIRouter(include_in_schema=False)


@router.get("/unknown")
async def unknown(
    request: Request, services: Opened, visit: Annotated[Visit, Depends(visitor("cases:read"))]
) -> Response:
    """Every disbursement without a known end."""
    orders = await unknown_outcomes(services.books, visit.person)
    found = await found_refunds(services.books, visit.person)
    template = "_orders.html" if request.query_params.get("part") == "orders" else "unknown.html"
    return page(
        request, template, visit, orders=orders, found=found, may_ask=bool(visit.person.where(ASKERS))
    )


@router.post("/unknown/found")
async def say_found(
    request: Request, services: Opened, act: Annotated[SentForm, Depends(actor("money:ask"))]
) -> Response:
    """Say what a refund is that these books do not know."""
    said: FoundRefundAct = act.one_of("act", get_args(FoundRefundAct))
    note = clean_text(act.text("note"))
    await say_of_found_refund(services.books, act.visit.person, act.text("refund_id").strip(), said, note)
    return go(request, "/unknown")


@router.post("/unknown/{decision_id}")
async def ask(
    request: Request,
    decision_id: UUID,
    services: Opened,
    act: Annotated[SentForm, Depends(actor("money:ask"))],
) -> Response:
    """Check the provider, ask again, name the refund that settles it, or take it back."""
    wanted: ProviderAct = act.one_of("act", get_args(ProviderAct))
    refund_id = act.text("refund_id").strip() or None if wanted == "settle" else None
    await ask_provider(
        services.books, act.visit.person, decision_id, wanted, refund_id, clean_text(act.text("note"))
    )
    return go(request, "/unknown")
