"""Cases in the books: a ticket that came in, its bound thread, where it stands."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import cast
from uuid import UUID

from records.books import Row, Transaction
from records.orders import customer_orders_of
from records.queue import enqueue_desk
from refunds.canonical import canonical
from refunds.ids import CaseId, CustomerId, OrderId, PersonId, TenantId, ThreadId, TicketId
from refunds.order import CustomerOrder
from refunds.release import ReleaseStage
from refunds.ticket import Ticket
from refunds.vocabulary import CaseMode, CaseStatus, IntakeVerdict, Intent, Route

STILL_PAGE = 500


@dataclass(frozen=True, slots=True)
class Case:
    """The row of a case; what the rest of the house works from, instead of state or arguments."""

    tenant: TenantId
    case_id: CaseId
    thread_id: ThreadId
    ticket_id: TicketId
    ticket: Ticket
    customer_id: CustomerId
    order_id: OrderId | None
    intent: Intent
    bundle_version: str
    route: Route
    verdict: IntakeVerdict
    question_sha256: str
    submitted_by: PersonId
    received_at: datetime
    release: str
    graph_version: str
    mode: CaseMode = "production"
    """What is not production has no effect outside: nothing is paid and nobody is written to."""

    @classmethod
    def of(cls, row: Row) -> "Case":
        return cls(
            tenant=TenantId(row["tenant"]),
            case_id=CaseId(row["case_id"]),
            thread_id=ThreadId(row["thread_id"]),
            ticket_id=TicketId(row["ticket_id"]),
            ticket=_ticket_of(row["ticket"]),
            customer_id=CustomerId(row["customer_id"]),
            order_id=OrderId(row["order_id"]) if row["order_id"] else None,
            intent=row["intent"],
            bundle_version=row["bundle_version"],
            route=row["route"],
            verdict=row["verdict"],
            question_sha256=row["question_sha256"],
            submitted_by=PersonId(row["submitted_by"]),
            received_at=row["received_at"],
            release=row["release"],
            graph_version=row["graph_version"],
            mode=row["mode"] or "production",
        )


@lru_cache(maxsize=1_024)
def _ticket_of(text: str) -> Ticket:
    """The ticket that a case came from: its text never changes, and is looked at many times."""
    return Ticket.parse(text)


@dataclass(frozen=True, slots=True)
class LastEvent:
    """The last event of a case."""

    status: CaseStatus
    reason: str
    ended: bool


async def open_case(
    tx: Transaction,
    ticket: Ticket,
    *,
    case_id: CaseId,
    thread_id: ThreadId,
    verdict: str,
    jti: str | None,
    submitted_by: PersonId,
    release: str,
    graph_version: str,
    intent: Intent = "other",
    order_id: OrderId | None = None,
    mode: CaseMode = "production",
) -> Case | None:
    """Insert a case; None where the ticket, the thread or the signature has one already."""
    row = await tx.row(
        "insert_case",
        tenant=ticket.tenant,
        case_id=case_id,
        thread_id=thread_id,
        ticket_id=ticket.ticket_id,
        ticket=canonical(ticket.to_json()),
        ticket_sha256=ticket.body_sha256(),
        question_sha256=ticket.question_sha256(),
        customer_id=ticket.customer_id,
        order_id=order_id,
        intent=intent,
        bundle_version=ticket.bundle_version or "none",
        route=ticket.route or "human_review_now",
        verdict=verdict,
        jti=jti,
        submitted_by=submitted_by,
        release=release,
        graph_version=graph_version,
        mode=mode,
    )
    return Case.of(row) if row else None


async def arrival(
    tx: Transaction, ticket: Ticket
) -> tuple[datetime, list[ReleaseStage], tuple[CustomerOrder, ...], Case | None]:
    """The time of the books, where each release stands, the customer's orders, and the case that a ticket is."""
    row = await tx.row(
        "arrival", ticket_id=ticket.ticket_id, customer_id=ticket.customer_id, order_id=ticket.order_id
    )
    if row is None:
        raise LookupError("no clock")
    return (
        row["now"],
        [ReleaseStage.of(stage) for stage in row["release_stages"] or ()],
        customer_orders_of(row["customer_orders"]),
        Case.of(row) if row["case_id"] else None,
    )


async def case_by_id(tx: Transaction, case_id: UUID) -> Case | None:
    row = await tx.row("case_by_id", case_id=case_id)
    return Case.of(row) if row else None


async def order_of_case(tx: Transaction, case: Case) -> OrderId | None:
    """The order that a case is about: the one that it last proposed a refund of, or the one that it came with."""
    row = await tx.row("order_of_case", case_id=case.case_id)
    return OrderId(row["order_id"]) if row and row["order_id"] else None


async def case_by_ticket(tx: Transaction, ticket_id: str) -> Case | None:
    row = await tx.row("case_by_ticket", ticket_id=ticket_id)
    return Case.of(row) if row else None


async def thread_case(tx: Transaction, thread_id: UUID) -> tuple[TenantId, CaseId] | None:
    """Which case a thread is bound to; needs no tenant."""
    row = await tx.row("thread_case", thread_id=thread_id)
    return (TenantId(row["tenant"]), CaseId(row["case_id"])) if row else None


async def write_event(tx: Transaction, case: Case, status: CaseStatus, reason: str, *, ended: bool) -> bool:
    """Write an end or a stop; False where the case had ended. Refused where the facts say otherwise."""
    row = await tx.row("insert_case_event", case_id=case.case_id, status=status, reason=reason, ended=ended)
    if row is not None and (ended or status in {"bypassed", "blocked"} or reason == "awaiting_return"):
        await enqueue_desk(tx, case.tenant, case.case_id)
    return row is not None


async def idle_cases(tx: Transaction) -> AsyncIterator[CaseId]:
    """Every case of the tenant for which the graph has something to do, the oldest first, page by page."""
    after, after_id = datetime.min.replace(tzinfo=UTC), UUID(int=0)
    while True:
        rows = await tx.rows("idle_cases", after=after, after_id=after_id, most=STILL_PAGE)
        for row in rows:
            yield CaseId(row["case_id"])
        if len(rows) < STILL_PAGE:
            return
        after, after_id = rows[-1]["place"], rows[-1]["case_id"]


async def books_now(tx: Transaction) -> datetime:
    """The time of the books."""
    row = await tx.row("clock")
    if row is None:
        raise LookupError("no clock")
    return cast("datetime", row["now"])
