"""Follow-ups: what a ticket asked beside what its case decided becomes a case of its own, once that one has its end."""

import re
from dataclasses import dataclass

from desk.intake import Intake
from policies.intake import sign
from records.books import Books
from records.cases import Case, case_by_ticket
from records.messages import messages_of
from records.snapshots import snapshot_at
from records.states import left_now
from records.takeovers import takeovers_of
from refunds.ask_progress import ENDS_BY_PROPOSAL
from refunds.ids import OrderId
from refunds.reading import BETWEEN, TicketAsk
from refunds.ticket import QUESTION_LIMIT, Ticket

_FOLLOW_UP = re.compile(r"\+[0-9]{1,2}\.[0-9a-f]{8}$")
"""How the id of a ticket ends that this house opened; a follow-up has none of its own."""

LONGEST_ID = 128


@dataclass(frozen=True, slots=True)
class FollowUps:
    """Opens cases for what is left."""

    books: Books
    intake: Intake

    async def open(self, case: Case) -> int:
        """Open a case for each ask that this one did not decide; how many are new. The same ones, however often."""
        if is_follow_up(case):
            return 0
        async with self.books.transaction(case.tenant) as tx:
            snapshot = await snapshot_at(tx, case.case_id)
            if not snapshot.state.ended or snapshot.state.status not in ENDS_BY_PROPOSAL:
                return 0
            if await takeovers_of(tx, case.case_id):
                return 0  # a person had all of it before them
            answers = [
                row["body"] for row in await messages_of(tx, case.case_id) if row["author"] == "customer"
            ]
            left = left_now(case, snapshot)
            texts = BETWEEN.join((*case.ticket.texts, *answers))
            tickets = [
                follow_up(case, ask, texts, number, self.intake.manifest.intake_bundle)
                for number, ask in enumerate(left, start=2)
            ]
            tickets = [one for one in tickets if await case_by_ticket(tx, one.ticket_id) is None]
        for ticket in tickets:
            signed = ticket if self.intake.key is None else sign(ticket, self.intake.key, snapshot.now)
            await self.intake.open_for(signed, case.submitted_by)
        return len(tickets)


def is_follow_up(case: Case) -> bool:
    """Whether this house opened the ticket of a case."""
    return _FOLLOW_UP.search(case.ticket_id) is not None


def follow_up(case: Case, ask: TicketAsk, texts: str, number: int, bundle_version: str) -> Ticket:
    """The ticket of an ask: its own words, for a person where it is no plain want of money; all words without them."""
    told = ask.spans.values() if ask.money == "wanted" else (ask.spans.get("ask", ()),)
    spans = sorted({span for some in told for span in some})
    words = "\n".join(dict.fromkeys(texts[span.start : span.end].strip() for span in spans)).strip()
    end = f"+{number}.{case.case_id.hex[:8]}"
    about: OrderId | None = ask.order_id or case.order_id
    plain = words and ask.money == "wanted" and not ask.conditions and ask.doubt in {None, "another_order"}
    return Ticket.read(
        {
            "ticket_id": f"{case.ticket_id[: LONGEST_ID - len(end)]}{end}",
            "tenant": case.tenant,
            "customer_id": case.customer_id,
            **({"order_id": about} if about else {}),
            "question": (words or texts)[:QUESTION_LIMIT],
            "bundle_version": bundle_version,
            "route": "guarded_agent" if plain else "human_review_now",
        }
    )
