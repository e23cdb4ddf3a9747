"""Intake: a ticket comes in, is classified and signed if it is raw, verified once, and becomes a case."""

from dataclasses import dataclass
from uuid import uuid4

from desk.people import Person
from policies.intake import classify, is_raw, sign, verify_intake
from policies.manifest import Manifest
from policies.rollout import assigned
from policies.signature import PublicKeys, SigningKey
from records.books import Books
from records.cases import Case, arrival, case_by_ticket, open_case
from records.queue import enqueue
from refunds.ids import CaseId, PersonId, TenantId, ThreadId
from refunds.ticket import Ticket
from refunds.vocabulary import CaseMode


class TicketRefused(Exception):
    """A ticket cannot become a case; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Intake:
    """The intake bundle at work."""

    books: Books
    manifest: Manifest
    keys: PublicKeys
    key: SigningKey | None = None
    """The bundle's own key; without it only signed tickets come in verified."""

    mode: CaseMode = "production"
    """What the cases that come in may do outside."""

    async def submit(self, ticket: Ticket, person: Person) -> Case:
        """The case of a ticket: a new one, or the one it already is. TicketRefused for an altered repeat."""
        case, _ = await self.submit_once(ticket, person)
        return case

    async def submit_once(self, ticket: Ticket, person: Person) -> tuple[Case, bool]:
        """The case of a ticket, and whether it is a new one. TicketRefused for an altered repeat."""
        tenant = TenantId(ticket.tenant)
        if not await self.books.knows(tenant):
            raise TicketRefused(
                f"tenant: {ticket.tenant} is not in the books: import its orders and policies first"
            )
        person.may_submit(tenant)
        return await self.open_for(ticket, person.person)

    async def open_for(self, ticket: Ticket, person: PersonId) -> tuple[Case, bool]:
        """The case of a ticket that somebody may submit, and whether it is a new one."""
        tenant = TenantId(ticket.tenant)
        async with self.books.transaction(tenant) as tx:
            now, release_stages, orders, known = await arrival(tx, ticket)
            if known is not None:
                return same_or_refused(known, ticket), False
            ours = is_raw(ticket) and self.key is not None
            filed = classify(ticket, self.manifest.intake_bundle, orders)
            if ours and self.key is not None:
                ticket = sign(filed.ticket, self.key, now)
            check = verify_intake(ticket, self.keys, now)
            # A signature made a moment ago cannot have been used before; any other is looked up.
            used = not ours and check.jti is not None and await tx.row("jti_used", jti=check.jti) is not None
            case_id = uuid4()
            opened = await open_case(
                tx,
                ticket,
                case_id=CaseId(case_id),
                thread_id=ThreadId(case_id),
                verdict="replayed_intake" if used and check.verdict == "verified" else check.verdict,
                jti=check.jti,
                submitted_by=person,
                release=assigned(release_stages, tenant, ticket.customer_id, self.manifest.agent_version),
                graph_version=self.manifest.graph_version,
                intent=filed.intent,
                order_id=filed.order_id,
                mode=self.mode,
            )
            if opened is not None:
                await enqueue(tx, tenant, CaseId(case_id))
                return opened, True
        # A concurrent insert came first, with this ticket or with this signature. The books say now which of the two.
        async with self.books.transaction(tenant) as tx:
            known = await case_by_ticket(tx, ticket.ticket_id)
        if known is None:
            return await self.open_for(ticket, person)
        return same_or_refused(known, ticket), False


def same_or_refused(case: Case, ticket: Ticket) -> Case:
    """The case, if the ticket asks the same as the one it came from."""
    stated = (
        (ticket.intent, case.ticket.intent),
        (ticket.route, case.route),
        (ticket.bundle_version, case.bundle_version),
    )
    altered = any(now is not None and now != then for now, then in stated)
    if altered or case.question_sha256 != ticket.question_sha256():
        raise TicketRefused(
            f"ticket_id: {ticket.ticket_id} is case {case.case_id} with other words: a new ticket has an id of its own"
        )
    return case
