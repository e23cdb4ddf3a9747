"""Routes about cases: tickets in, the queue, one case, decisions, hand-overs, messages, claims."""

import asyncio
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request, Response

from desk.arrivals import note_arrival
from desk.assignments import assign
from desk.authentication import desk_services, signed_in
from desk.bodies import StrictRoute
from desk.claims import claim, release_claim
from desk.corrections import CorrectedAsk, Correction
from desk.decisions import DecisionRequest
from desk.mails import tickets_of_mails
from desk.notes import clean_text, storable
from desk.people import Person
from desk.queue import Filters, cases_waiting, find_case
from desk.schemas import (
    Acknowledged,
    ArrivalBody,
    ArrivalNoted,
    AssignmentBody,
    CasesQuery,
    CaseView,
    Claimed,
    Decided,
    DecisionBody,
    Event,
    Failure,
    LineUnits,
    Message,
    MessageBody,
    MessageWritten,
    Queue,
    QueueRow,
    ReadingBody,
    SecondReviewBody,
    SentReply,
    Submitted,
    TakeoverBody,
)
from desk.second_reviews import review_again
from desk.services import DeskServices
from desk.takeovers import TakeoverRequest, take_case_over
from desk.tickets import ticket_schema
from policies.budget import audit_budget
from records.cases import Case
from records.messages import messages_of
from records.replies import replies_of
from records.states import state_of
from refunds.ids import LineId, OrderId, PersonId, TenantId
from refunds.mail import BadMail, mail_of
from refunds.order import Units
from refunds.ticket import BadTicket, Ticket

router = APIRouter(
    route_class=StrictRoute,
    prefix="/api",
    tags=["cases"],
    responses={status: {"model": Failure} for status in (401, 403, 404, 409, 413, 422, 503)},
)
Opened = Annotated[DeskServices, Depends(desk_services)]
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_MAIL = {"requestBody": {"required": True, "content": _BYTES}}
_TICKET = {"requestBody": {"required": True, "content": {"application/json": {"schema": ticket_schema()}}}}


@router.post("/tickets", status_code=201, response_model=Submitted, openapi_extra=_TICKET)
async def submit_ticket(
    request: Request,
    response: Response,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("tickets:write"))],
) -> Submitted:
    """A ticket becomes a case; one that already is one returns it with status 200."""
    try:
        text = (await request.body()).decode("utf-8")
    except UnicodeDecodeError:
        raise BadTicket("ticket: not UTF-8") from None
    ticket = Ticket.parse(text)
    case, new = await services.intake.submit_once(ticket, person)
    response.status_code = 201 if new else 200
    return Submitted(case_id=case.case_id, ticket_id=case.ticket_id, tenant=case.tenant)


@router.post("/mails", status_code=201, response_model=Submitted, openapi_extra=_MAIL)
async def submit_mail(
    request: Request,
    response: Response,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("tickets:write"))],
    tenant: Annotated[str, Query(min_length=1, max_length=128)],
) -> Submitted:
    """A mail of a customer of the tenant, as it came (RFC 5322, the bytes of an .eml), becomes a case, once."""
    named = TenantId(tenant)
    person.may_submit(named)
    try:
        mail = await asyncio.to_thread(mail_of, await request.body())
    except BadMail as error:
        raise BadTicket(f"mail: {error}") from None
    async with services.books.transaction(named) as tx:
        tickets, unread = await tickets_of_mails(tx, named, {"mail": mail})
    if unread:
        raise BadTicket(f"mail: {unread[0].why}")
    case, new = await services.intake.submit_once(tickets[0].ticket, person)
    response.status_code = 201 if new else 200
    return Submitted(case_id=case.case_id, ticket_id=case.ticket_id, tenant=case.tenant)


@router.get("/cases")
async def list_cases(
    services: Opened,
    person: Annotated[Person, Depends(signed_in("cases:read"))],
    asked: Annotated[CasesQuery, Query()],
) -> Queue:
    """What waits for a person, by risk × amount × age."""
    rows = await cases_waiting(
        services.books,
        person,
        every=asked.every or asked.status is not None,
        most=asked.most,
        skip=asked.skip,
        status=asked.status,
        filters=Filters(
            tenant=TenantId(asked.tenant) if asked.tenant is not None else None,
            search=storable(asked.search, "search"),
            least_minor=asked.least_minor,
            most_minor=asked.most_minor,
            older_hours=asked.older_hours,
            reason=storable(asked.reason, "reason"),
            intent=asked.intent,
            mine=asked.mine,
        ),
    )
    return Queue(cases=[QueueRow.model_validate(dict(row)) for row in rows])


@router.get("/cases/{case_id}")
async def show_case(
    case_id: str, services: Opened, person: Annotated[Person, Depends(signed_in("cases:read"))]
) -> CaseView:
    """A case as the books hold it; `case_id` may be a ticket id."""
    return await case_view(services, await find_case(services.books, person, case_id))


@router.post("/cases/{case_id}/decisions")
async def decide(
    case_id: str,
    body: DecisionBody,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("cases:decide"))],
) -> Decided:
    """A person's word on the proposal whose digest was on their screen; 409 where it is no longer the open one."""
    case = await find_case(services.books, person, case_id)
    word = DecisionRequest(
        body.word,
        body.code,
        body.amount_minor,
        body.note,
        body.asks,
        revised_units=units_of(body.lines),
        revised_reply=None if body.reply is None else clean_text(body.reply),
        letter=None if body.letter is None else clean_text(body.letter),
        correction=None if body.reading is None else correction_of(body.reading),
    )
    said = await services.desk.decide(person, case.tenant, case.case_id, body.digest, word)
    decision = said.decision.terms.decision_id if said.decision else None
    return Decided(case_id=case.case_id, word=body.word, decision_id=decision, more_people=said.more_people)


def units_of(lines: list[LineUnits] | None) -> tuple[Units, ...] | None:
    """The units in a body; None where it has none."""
    return None if lines is None else tuple(Units(LineId(one.line_id), one.quantity) for one in lines)


def correction_of(body: ReadingBody) -> Correction:
    """The correction in a body."""
    return Correction(
        tuple(
            CorrectedAsk(
                one.ask,
                one.money,
                OrderId(one.order_id) if one.order_id else None,
                units_of(one.lines),
                one.cause,
                one.conditions,
            )
            for one in body.asks
        ),
        body.urgent,
    )


@router.post("/cases/{case_id}/takeovers")
async def take_over(
    case_id: str,
    body: TakeoverBody,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("cases:decide"))],
) -> Acknowledged:
    """A hand-over is answered, closed, or gets a proposal of a person's own that somebody else decides."""
    case = await find_case(services.books, person, case_id)
    requested = TakeoverRequest(body.act, body.reply, body.amount_minor, body.note, body.digest)
    await take_case_over(services.desk, person, case.tenant, case.case_id, requested)
    return Acknowledged()


@router.post("/cases/{case_id}/messages", status_code=201)
async def write_message(
    case_id: str,
    body: MessageBody,
    response: Response,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("messages:write"))],
) -> MessageWritten:
    """The customer's answer, or a colleague's; it returns to the same case, or opens one where that has ended."""
    case = await find_case(services.books, person, case_id)
    try:
        message_id = UUID(body.message_id) if body.message_id else uuid4()
    except ValueError:
        raise BadTicket("message_id: not a UUID") from None
    taken = await services.answers.take(person, case.tenant, case.case_id, message_id, body.author, body.text)
    response.status_code = 201 if taken.new else 200
    return MessageWritten(case_id=taken.case_id, message_id=message_id, new=taken.new)


@router.post("/cases/{case_id}/returns", status_code=201)
async def note_return(
    case_id: str,
    body: ArrivalBody,
    response: Response,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("messages:write"))],
) -> ArrivalNoted:
    """Goods that the customer sent back have arrived; a refund that waits for them goes on."""
    case = await find_case(services.books, person, case_id)
    units = [Units(LineId(one.line_id), one.quantity) for one in body.lines]
    new = await note_arrival(
        services.books, person, case.tenant, case.case_id, body.arrival_id, units, body.condition
    )
    response.status_code = 201 if new else 200
    return ArrivalNoted(case_id=case.case_id, arrival_id=body.arrival_id, new=new)


@router.post("/cases/{case_id}/assignments", status_code=201)
async def hand_over(
    case_id: str,
    body: AssignmentBody,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("cases:decide"))],
) -> Acknowledged:
    """Hand a case to a colleague or to a team; who has it in hand gives it back with that."""
    case = await find_case(services.books, person, case_id)
    to = PersonId(body.to_person) if body.to_person is not None else None
    await assign(services.books, person, case.tenant, case.case_id, to, body.to_role, body.note)
    return Acknowledged()


@router.post("/cases/{case_id}/second-reviews", status_code=201)
async def review_case_again(
    case_id: str,
    body: SecondReviewBody,
    services: Opened,
    person: Annotated[Person, Depends(signed_in("cases:decide"))],
) -> Acknowledged:
    """What a colleague says of a case that was decided."""
    case = await find_case(services.books, person, case_id)
    await review_again(services.books, person, case.tenant, case.case_id, body.verdict, body.note)
    return Acknowledged()


@router.post("/cases/{case_id}/release")
async def release_case(
    case_id: str, services: Opened, person: Annotated[Person, Depends(signed_in("cases:decide"))]
) -> Acknowledged:
    """Give a case back before the lease ends; what somebody else has stays theirs."""
    case = await find_case(services.books, person, case_id)
    await release_claim(services.books, person, case.tenant, case.case_id)
    return Acknowledged()


@router.post("/cases/{case_id}/claim")
async def claim_case(
    case_id: str, services: Opened, person: Annotated[Person, Depends(signed_in("cases:decide"))]
) -> Claimed:
    """A lease of a quarter of an hour that ends by itself; 409 names who has it."""
    case = await find_case(services.books, person, case_id)
    ends_at = await claim(services.books, person, case.tenant, case.case_id)
    return Claimed(case_id=case.case_id, person=person.person, ends_at=ends_at)


async def case_view(services: DeskServices, case: Case) -> CaseView:
    """A case with what lies around it, read in one transaction."""
    async with services.books.transaction(case.tenant) as tx:
        state, trace = await state_of(tx, case)
        owner = await tx.row("claim_of", case_id=case.case_id)
        events = await tx.rows("events_of", case_id=case.case_id)
        messages = await messages_of(tx, case.case_id)
        replies = await replies_of(tx, case.case_id)
    shown: dict[str, Any] = {**state, "budget_audit": audit_budget(trace, services.manifest.limits())}
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
