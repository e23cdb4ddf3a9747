"""Many alike: proposals of one rule in one table, and those that are read alone before all are countersigned."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.catalogue import counted_text
from desk.notes import BadDecision
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import page
from desk.services import DeskServices
from desk.sessions import Visit
from desk.together import AlikeGroup
from refunds.ids import CaseId, TenantId

router = APIRouter(include_in_schema=False)
Deciding = Annotated[SentForm, Depends(actor("cases:decide"))]


@router.get("/alike")
async def alike(
    request: Request, services: Opened, visit: Annotated[Visit, Depends(visitor("cases:decide"))]
) -> Response:
    """The groups that may be approved together, or one of them."""
    rule, tenant = request.query_params.get("rule"), request.query_params.get("tenant", "")
    if rule is not None:
        group = await services.together.group(visit.person, TenantId(tenant), rule)
        return _table(request, services, visit, group)
    chosen = _cases(request.query_params.getlist("case"))
    some = await services.together.groups(visit.person, chosen or None)
    left_out = len(chosen) - sum(len(group.proposals) for group in some) if chosen else 0
    message = (
        counted_text(
            "%(count)s of the chosen cannot be approved together with others",
            "%(count)s of the chosen cannot be approved together with others",
            left_out,
        )
        if left_out
        else ""
    )
    if len(some) == 1 and chosen:
        return _table(request, services, visit, some[0], message=message)
    most = services.together.rules.most
    groups = some or await services.together.groups(visit.person)
    return page(request, "alike.html", visit, groups=groups, most=most, message=message)


@router.post("/alike")
async def approve(request: Request, services: Opened, act: Deciding) -> Response:
    """Approve what was chosen; first those that are asked alone are shown in full."""
    person, visit = act.visit.person, act.visit
    chosen = dict(one.partition(":")[::2] for one in act.texts("pick"))
    tenant, picked = TenantId(act.text("tenant")), _cases(chosen)
    group = await services.together.group(person, tenant, act.text("rule"), picked or None)
    read = frozenset(act.texts("read"))
    unread = services.together.to_read(group, chosen, read)
    if unread and chosen:
        return page(request, "alike_read.html", visit, group=group, chosen=chosen, unread=unread, message="")
    try:
        batch, results = await services.together.approve(person, group, chosen, read)
    except BadDecision as error:
        return _table(request, services, visit, group, message=str(error), status=422)
    return page(
        request, "alike_done.html", visit, batch=batch, results=results, seconds=services.held.seconds
    )


@router.post("/alike/take-back")
async def take_back(request: Request, services: Opened, act: Deciding) -> Response:
    """Take every approval of a go back that has not been given yet."""
    said = []
    for one in act.texts("case"):
        tenant, _colon, case_id = one.partition(":")
        [case] = _cases([case_id])
        said.append((case, await services.together.take_back(act.visit.person, TenantId(tenant), case)))
    return page(request, "alike_back.html", act.visit, said=said)


def _cases(texts: Iterable[str]) -> frozenset[CaseId]:
    try:
        return frozenset(CaseId(UUID(text)) for text in texts)
    except ValueError:
        raise BadDecision("case: not the id of one") from None


def _table(
    request: Request,
    services: DeskServices,
    visit: Visit,
    group: AlikeGroup,
    *,
    message: str = "",
    status: int = 200,
) -> Response:
    return page(
        request,
        "alike_table.html",
        visit,
        status,
        group=group,
        message=message,
        most=services.together.rules.most,
    )
