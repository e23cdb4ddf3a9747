"""Answers: what a customer writes to a case goes into it; where it has ended, it opens a case of its own.

Letters invite answers, and nobody who follows one is told that it is too late.
"""

from dataclasses import dataclass
from uuid import UUID

from desk.follow_ups import LONGEST_ID
from desk.intake import Intake
from desk.messages import CaseHasEnded, add_message
from desk.people import Person
from records.books import Books
from records.cases import Case, case_by_id
from refunds.ids import CaseId, TenantId
from refunds.ticket import Ticket
from refunds.vocabulary import Asked


@dataclass(frozen=True, slots=True)
class AnswerTaken:
    """Into which case an answer went, and whether it was new."""

    case_id: CaseId
    new: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """Takes answers in."""

    books: Books
    intake: Intake

    async def take(
        self,
        person: Person,
        tenant: TenantId,
        case_id: CaseId,
        message_id: UUID,
        author: Asked,
        text: str,
    ) -> AnswerTaken:
        """Write an answer down. Raises NoAuthority, Conflict, BadDecision, NothingToDecide, TicketRefused."""
        try:
            new = await add_message(self.books, person, tenant, case_id, message_id, author, text)
        except CaseHasEnded:
            if author != "customer":
                raise
            return await self._follow(tenant, case_id, message_id, text)
        return AnswerTaken(case_id, new)

    async def _follow(self, tenant: TenantId, case_id: CaseId, message_id: UUID, text: str) -> AnswerTaken:
        async with self.books.transaction(tenant) as tx:
            case = await case_by_id(tx, case_id)
        if case is None:
            raise LookupError(case_id)
        opened, new = await self.intake.open_for(answer_ticket(case, message_id, text), case.submitted_by)
        return AnswerTaken(opened.case_id, new)


def answer_ticket(case: Case, message_id: UUID, text: str) -> Ticket:
    """The ticket of an answer to a case that has ended: the same one however often the answer is sent."""
    end = f"+a.{message_id.hex[:12]}"
    said = case.ticket
    fields: dict[str, object] = {
        "ticket_id": f"{case.ticket_id[: LONGEST_ID - len(end)]}{end}",
        "tenant": case.tenant,
        "customer_id": case.customer_id,
        "question": text,
        "order_id": case.order_id,
        "priority": said.priority,
        "tier": said.tier,
    }
    return Ticket.read({name: value for name, value in fields.items() if value is not None})
