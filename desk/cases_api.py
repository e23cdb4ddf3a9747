"""Routes about cases: tickets in, the queue, one case, decisions, hand-overs, messages, claims."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request, Response

from desk.claims import claim
from desk.decisions import Word
from desk.door import room_of, signed_in
from desk.messages import add_message
from desk.people import Person
from desk.queue import find_case, waiting
from desk.room import Room
from desk.shapes import (
    CaseView,
    Claimed,
    Decided,
    DecisionBody,
    Done,
    Event,
    Failure,
    Message,
    MessageBody,
    Queue,
    QueueRow,
    SentReply,
    Submitted,
    TakeoverBody,
    Written,
)
from desk.takeovers import Wish, take_case_over
from policies.budget import audit
from records.cases import Case
from records.messages import messages_of
from records.replies import replies_of
from records.states import state_of
from refunds.ids import TenantId
from refunds.ticket import BadTicket, Ticket
from refunds.words import CaseStatus

router = APIRouter(
    prefix="/api",
    tags=["cases"],
    responses={status: {"model": Failure} for status in (401, 403, 404, 409, 413, 422, 503)},
)
Opened = Annotated[Room, Depends(room_of)]
_TICKET = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Ticket.model_json_schema()}}}
}


@router.post("/tickets", status_code=201, response_model=Submitted, openapi_extra=_TICKET)
async def submit_ticket(
    request: Request,
    response: Response,
    room: Opened,
    person: Annotated[Person, Depends(signed_in("tickets:write"))],
) -> Submitted:
    """A ticket becomes a case; one that already is one returns it with status 200."""
    try:
        text = (await request.body()).decode("utf-8")
    except UnicodeDecodeError:
        raise BadTicket("ticket: not UTF-8") from None
    ticket = Ticket.parse(text)
    case, new = await room.intake.submit_once(ticket, person)
    response.status_code = 201 if new else 200
    return Submitted(case_id=case.case_id, ticket_id=case.ticket_id, tenant=case.tenant)


@router.get("/cases")
async def list_cases(
    room: Opened,
    person: Annotated[Person, Depends(signed_in("cases:read"))],
    every: Annotated[bool, Query(description="also cases that wait for nobody")] = False,  # noqa: FBT002
    status: CaseStatus | None = None,
    tenant: str | None = None,
    most: Annotated[int, Query(ge=1, le=500, description="of each tenant")] = 50,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Queue:
    """What waits for a person, the longest waiting first."""
    rows = await waiting(
        room.books,
        person,
        every=every or status is not None,
        most=most,
        skip=skip,
        status=status,
        tenant=TenantId(tenant) if tenant is not None else None,
    )
    return Queue(cases=[QueueRow.model_validate(dict(row)) for row in rows])


@router.get("/cases/{case_id}")
async def show_case(
    case_id: str, room: Opened, person: Annotated[Person, Depends(signed_in("cases:read"))]
) -> CaseView:
    """A case as the books hold it; `case_id` may be a ticket id."""
    return await case_view(room, await find_case(room.books, person, case_id))


@router.post("/cases/{case_id}/decisions")
async def decide(
    case_id: str,
    body: DecisionBody,
    room: Opened,
    person: Annotated[Person, Depends(signed_in("cases:decide"))],
) -> Decided:
    """A person's word on the proposal whose digest was on their screen; 409 where it is no longer the open one."""
    case = await find_case(room.books, person, case_id)
    word = Word(body.word, body.code, body.amount_minor, body.note, body.asks)
    said = await room.desk.decide(person, case.tenant, case.case_id, body.digest, word)
    decision = said.decision.decision_id if said.decision else None
    return Decided(case_id=case.case_id, word=body.word, decision_id=decision, more_people=said.more_people)


@router.post("/cases/{case_id}/takeovers")
async def take_over(
    case_id: str,
    body: TakeoverBody,
    room: Opened,
    person: Annotated[Person, Depends(signed_in("cases:decide"))],
) -> Done:
    """A hand-over is answered, closed, or gets a proposal of a person's own that somebody else decides."""
    case = await find_case(room.books, person, case_id)
    wish = Wish(body.act, body.reply, body.amount_minor, body.note)
    await take_case_over(room.desk, person, case.tenant, case.case_id, wish)
    return Done()


@router.post("/cases/{case_id}/messages", status_code=201)
async def write_message(
    case_id: str,
    body: MessageBody,
    response: Response,
    room: Opened,
    person: Annotated[Person, Depends(signed_in("messages:write"))],
) -> Written:
    """The customer's answer, or a colleague's; it returns to the same case."""
    case = await find_case(room.books, person, case_id)
    try:
        message_id = UUID(body.message_id) if body.message_id else uuid4()
    except ValueError:
        raise BadTicket("message_id: not a UUID") from None
    new = await add_message(room.books, person, case.tenant, case.case_id, message_id, body.author, body.text)
    response.status_code = 201 if new else 200
    return Written(case_id=case.case_id, message_id=message_id, new=new)


@router.post("/cases/{case_id}/claim")
async def claim_case(
    case_id: str, room: Opened, person: Annotated[Person, Depends(signed_in("cases:decide"))]
) -> Claimed:
    """A lease of a quarter of an hour that ends by itself; 409 names who has it."""
    case = await find_case(room.books, person, case_id)
    ends_at = await claim(room.books, person, case.tenant, case.case_id)
    return Claimed(case_id=case.case_id, person=person.person, ends_at=ends_at)


async def case_view(room: Room, case: Case) -> CaseView:
    """A case with what lies around it, read in one transaction."""
    async with room.books.transaction(case.tenant) as page:
        state, trace = await state_of(page, case)
        owner = await page.row("claim_of", case_id=case.case_id)
        events = await page.rows("events_of", case_id=case.case_id)
        messages = await messages_of(page, case.case_id)
        replies = await replies_of(page, case.case_id)
    shown: dict[str, Any] = {**state, "budget_audit": audit(trace, room.manifest.limits())}
    return CaseView(
        tenant=case.tenant,
        case_id=case.case_id,
        thread_id=case.thread_id,
        ticket_id=case.ticket_id,
        customer_id=case.customer_id,
        order_id=case.order_id,
        question=case.ticket.question,
        submitted_by=case.submitted_by,
        received_at=case.received_at,
        owner=owner["person"] if owner else None,
        state=shown,
        timeline=[Event.model_validate(dict(event)) for event in events],
        messages=[Message.model_validate(dict(message)) for message in messages],
        replies=[
            SentReply(
                outcome=reply.outcome,
                message_id=reply.message_id,
                body=reply.body,
                written_at=reply.written_at,
                attempts=reply.attempts,
                delivered_at=reply.delivered_at,
            )
            for reply in replies
        ],
    )
