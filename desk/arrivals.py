"""Arrivals: goods that a customer sent back, noted beside the case that waits for them, with how they came."""

from collections.abc import Sequence
from uuid import UUID

from psycopg.types.json import Jsonb

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide
from desk.notes import BadDecision
from desk.people import Person
from records.books import Books, Refused
from records.cases import case_by_id, order_of_case
from records.orders import order_facts
from records.queue import enqueue
from refunds.ids import CaseId, TenantId
from refunds.order import Units, counted
from refunds.vocabulary import ReturnCondition


async def note_arrival(
    books: Books,
    person: Person,
    tenant: TenantId,
    case_id: CaseId,
    arrival_id: UUID,
    units: Sequence[Units],
    condition: ReturnCondition,
) -> bool:
    """Note that these units of the case's order have come back; False where this arrival is noted already.

    The case goes on where it waits for them. Raises NoAuthority, NothingToDecide, BadDecision and Conflict.
    """
    person.may_submit(tenant)
    try:
        async with books.transaction(tenant) as tx:
            case = await case_by_id(tx, case_id)
            if case is None:
                raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
            about = await order_of_case(tx, case)
            order = await order_facts(tx, about) if about else None
            if order is None or order.customer_id != case.customer_id:
                raise BadDecision(_("lines: this case names no order of its customer"))
            wanted = counted(units)
            if not wanted or wanted - counted(order.units()):
                raise BadDecision(_("lines: lines of the order, each as often as it has them, at most"))
            rows = await tx.rows(
                "insert_arrival",
                arrival_id=arrival_id,
                case_id=case_id,
                order_id=order.order_id,
                lines=Jsonb([Units(line, quantity).to_json() for line, quantity in wanted.items()]),
                condition=condition,
                person=person.person,
                via=person.via,
                address=person.address,
            )
            if rows:
                await enqueue(tx, tenant, case_id)
            return bool(rows)
    except Refused as refused:
        if refused.reason == "more_than_bought":
            raise Conflict(
                _("lines: %(bought)s", bought=refused.detail or "more of a line came back than was bought")
            ) from None
        raise
