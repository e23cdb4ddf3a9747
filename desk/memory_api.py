"""Routes about a customer's memory: seen and carried away, changed, erased."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from desk.authentication import desk_services, signed_in
from desk.bodies import StrictRoute
from desk.catalogue import _
from desk.memory import change_memory, forget_facts, memory_shown
from desk.notes import BadDecision
from desk.people import Person
from desk.schemas import Failure, Strict
from desk.services import DeskServices
from records.memory import NewFact
from refunds.ids import CaseId, CustomerId, TenantId
from refunds.memory import FACT_LIMIT
from refunds.vocabulary import MemoryAudience, MemoryKind, MemorySource

router = APIRouter(
    route_class=StrictRoute,
    prefix="/api/customers",
    tags=["customers"],
    responses={status: {"model": Failure} for status in (401, 403, 404, 409, 413, 422, 503)},
)
Opened = Annotated[DeskServices, Depends(desk_services)]
OfCustomer = Annotated[str, Path(pattern=r"^[!-~]{1,128}$")]
OfTenant = Annotated[
    str | None, Query(max_length=64, description="the shop; the caller's own where they have one alone")
]


class FactBody(Strict):
    """A fact to remember; with `fact_id` it takes that one's place."""

    kind: MemoryKind
    text: str = Field(min_length=1, max_length=FACT_LIMIT)
    source: MemorySource = "person"
    audience: MemoryAudience = "people_and_models"
    case_id: Annotated[UUID | None, Field(strict=False)] = None
    fact_id: Annotated[UUID | None, Field(strict=False)] = None


class MemoryBody(Strict):
    """What is to be changed; what is not named stays."""

    facts: list[FactBody] = Field(default_factory=list, max_length=20)
    opted_out: bool | None = None


@router.get("/{customer_id}/memory")
async def seen(
    customer_id: OfCustomer,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("cases:read"))],
    tenant: OfTenant = None,
) -> dict[str, object]:
    """All that is remembered of a customer, with its sources and its ends: what they may carry away."""
    of = _of(person, tenant)
    return (await memory_shown(services.books, person, of, CustomerId(customer_id))).to_json()


@router.patch("/{customer_id}/memory")
async def changed(
    customer_id: OfCustomer,
    body: MemoryBody,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("messages:write"))],
    tenant: OfTenant = None,
) -> dict[str, object]:
    """Remember facts, say some anew, end the memory of a customer or begin it again; what is remembered then."""
    of, customer = _of(person, tenant), CustomerId(customer_id)
    facts = [
        NewFact(
            fact.kind,
            fact.text,
            fact.source,
            fact.audience,
            CaseId(fact.case_id) if fact.case_id else None,
            fact.fact_id,
        )
        for fact in body.facts
    ]
    await change_memory(services.books, person, of, customer, facts=facts, out=body.opted_out)
    return (await memory_shown(services.books, person, of, customer)).to_json()


@router.delete("/{customer_id}/memory")
async def erased(
    customer_id: OfCustomer,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("messages:write"))],
    tenant: OfTenant = None,
    fact: UUID | None = None,
) -> dict[str, object]:
    """Erase a fact, or all facts and summaries. Receipts, decisions and the audit chain stay, as bookkeeping wants."""
    gone = await forget_facts(services.books, person, _of(person, tenant), CustomerId(customer_id), fact)
    return {"erased": gone}


def _of(person: Person, tenant: str | None) -> TenantId:
    """The shop that is meant. Raises BadDecision where the caller has several and names none."""
    if tenant is not None:
        return TenantId(tenant)
    if len(person.roles) != 1:
        raise BadDecision(_("tenant: name the shop of this customer"))
    return next(iter(person.roles))
