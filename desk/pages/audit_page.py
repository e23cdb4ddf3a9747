"""The audit: who did what, when, on which digest, from where; to filter, to print and to take away."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response, StreamingResponse

from desk.audit_trail import TrailQuery, export, trail
from desk.catalogue import _
from desk.dossier import dossier_of
from desk.notes import BadDecision, storable
from desk.pages.forms import Opened, visitor
from desk.pages.render import page
from desk.people import AUDITORS, NoAuthority, Person
from desk.queue import find_case
from desk.sessions import Visit
from refunds.ids import TenantId

router = APIRouter(include_in_schema=False)
Auditing = Annotated[Visit, Depends(visitor("audit:read"))]
PAGE = 100
Text = Annotated[str, Query(max_length=128)]


def trail_query(
    person: Text = "", case: Text = "", act: Text = "", since: Text = "", before: Text = ""
) -> TrailQuery:
    """The filters of the address. BadDecision names the one that is none."""
    return TrailQuery(
        person=storable(person.strip(), "person") or None,
        case_id=_uuid(case.strip()) if case.strip() else None,
        act=storable(act.strip(), "act") or None,
        since=_day(since, "since"),
        before=_day(before, "before"),
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise BadDecision("case: a case id") from None


def _day(text: str, field: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadDecision(_("%(field)s: a day such as 2026-11-20", field=field)) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


@router.get("/audit")
async def audit(
    request: Request,
    services: Opened,
    visit: Auditing,
    wanted: Annotated[TrailQuery, Depends(trail_query)],
    number: Annotated[int, Query(alias="page", ge=1, le=1_000)] = 1,
) -> Response:
    """Acts of named people, the newest first, of every tenant that the visitor audits."""
    acts = await trail(services.books, visit.person, wanted, audited(visit.person), most=PAGE * number + 1)
    shown = acts[PAGE * (number - 1) : PAGE * number]
    fields = {
        name: request.query_params.get(name, "") for name in ("person", "case", "act", "since", "before")
    }
    return page(
        request,
        "audit.html",
        visit,
        acts=shown,
        fields=fields,
        number=number,
        more=len(acts) > PAGE * number,
        tenants=audited(visit.person),
    )


@router.get("/audit/export")
async def take_away(
    request: Request, services: Opened, visit: Auditing, tenant: Text = "", case: Text = ""
) -> Response:
    """The chain with its rows and the signed anchors, as lines of JSON."""
    del request
    if case:
        found = await find_case(services.books, visit.person, case)
        of_tenant, case_id, name = found.tenant, found.case_id, str(found.case_id)
    else:
        of_tenant, case_id, name = TenantId(tenant or audited(visit.person)[0]), None, "audit"
    visit.person.may_audit(of_tenant)
    lines = export(services.books, visit.person, of_tenant, case_id)
    first = await anext(lines)  # what cannot be read is an error, and not half an export

    async def whole() -> AsyncIterator[str]:
        yield first
        async for line in lines:
            yield line

    headers = {"content-disposition": f'attachment; filename="{name}.jsonl"'}
    return StreamingResponse(whole(), media_type="application/x-ndjson", headers=headers)


@router.get("/audit/cases/{case_id}")
async def printed(request: Request, case_id: str, services: Opened, visit: Auditing) -> Response:
    """One case on paper: what was asked, found, proposed, decided by whom, paid and said."""
    case = await find_case(services.books, visit.person, case_id)
    visit.person.may_audit(case.tenant)
    shown = await dossier_of(services.books, services.manifest, case)
    acts = await trail(
        services.books, visit.person, TrailQuery(case_id=case.case_id), [case.tenant], most=500
    )
    return page(request, "printed.html", visit, shown=shown, acts=acts, at=datetime.now(UTC))


def audited(person: Person) -> list[TenantId]:
    """The tenants whose audit a person may read. NoAuthority where there is none."""
    found = person.where(AUDITORS)
    if not found:
        raise NoAuthority(
            _("%(person)s may not read the audit: needs auditor or operator", person=person.person)
        )
    return found
