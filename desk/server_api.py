"""The one HTTP call: what the graph's server asks the desk, with the caller's own credential.

Tokens of the server API have an audience of their own: they open these routes and no other.
"""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from desk.authentication import desk_services, signed_in
from desk.bodies import StrictRoute
from desk.decisions import Conflict, DecisionRequest, NothingToDecide
from desk.notes import storable
from desk.operations_api import me_of
from desk.people import Person
from desk.schemas import Acknowledged, Decided, Failure, Me, ServerAnswer, UnreadAnswer
from desk.services import DeskServices
from records.books import BooksAway, Transaction

DECIDE_SECONDS = 5.0
"""Less than the server waits for an answer, so that what it is told is what was written."""

UNREAD_MOST = 20
"""Answers of a case that nobody could read and that are written down; more say nothing new."""

router = APIRouter(
    route_class=StrictRoute,
    prefix="/api/server",
    tags=["server"],
    responses={status: {"model": Failure} for status in (401, 403, 409, 413, 422, 503)},
)
Opened = Annotated[DeskServices, Depends(desk_services)]


@router.get("/me")
async def server_me(person: Annotated[Person, Depends(signed_in("cases:read", "server"))]) -> Me:
    """Who a token of the server API speaks for."""
    return me_of(person)


@router.post("/cases/{case_id}/unread")
async def note_unread(
    case_id: UUID,
    body: UnreadAnswer,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("cases:decide", "server"))],
) -> Acknowledged:
    """Somebody answered and nobody could read it: the case stays in the queue and this is written down."""
    for tenant in person.tenants:
        async with services.books.transaction(tenant) as tx:
            row = await tx.row("case_by_id", case_id=case_id)
            if row is not None and str(row["thread_id"]) == body.thread_id:
                await tx.rows("hold_case", tenant=tenant, case_id=case_id)
                await tx.rows(
                    "insert_unread_answer",
                    case_id=case_id,
                    person=person.person,
                    why=storable(body.why, "why"),
                    most=UNREAD_MOST,
                )
                return Acknowledged()
    raise NothingToDecide(f"no case {case_id} on that thread that {person.person} may see")


@router.post("/cases/{case_id}/decisions")
async def answer(
    case_id: UUID,
    request: Request,
    body: ServerAnswer,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("cases:decide", "server"))],
) -> Decided:
    """An answer on the server API becomes its person's decision here, or is refused and nothing moves.

    Without a digest it counts only while the case has had exactly one proposal.
    """
    for tenant in person.tenants:
        async with services.books.transaction(tenant) as tx:
            row = await tx.row("case_by_id", case_id=case_id)
        if row is not None and str(row["thread_id"]) == body.thread_id:
            word = DecisionRequest(body.word, body.code, note=body.note)

            async def still_there(tx: Transaction) -> None:
                del tx
                if await request.is_disconnected():
                    raise Conflict("the caller has given up and was told that nothing was written")

            try:
                async with asyncio.timeout(DECIDE_SECONDS):
                    said = await services.desk.decide(
                        person, tenant, row["case_id"], body.digest, word, last_check=still_there
                    )
            except TimeoutError:
                raise BooksAway("the case is held by somebody else: try again") from None
            return Decided(
                case_id=row["case_id"],
                word=body.word,
                decision_id=said.decision.terms.decision_id if said.decision else None,
                more_people=said.more_people,
            )
    raise NothingToDecide(f"no case {case_id} on that thread that {person.person} may see")
