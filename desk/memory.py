"""A customer's memory at the desk: seen, noted, said anew, erased, carried away, and ended for those who want none.

Nothing of it is read by a rule: it informs people, and models where it may stand before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide
from desk.notes import BadDecision, check_note, clean_text
from desk.people import Person
from policies.retention import retention
from records.books import Books, Row, Transaction
from records.cases import case_by_id
from records.memory import NewFact, erase_memory, memory_of, opt_in, opt_out, remember, summaries_of
from refunds.ids import CustomerId, TenantId
from refunds.memory import FACT_LIMIT, CustomerMemory

EPISODES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ShownMemory:
    """All that is remembered of a customer, as a person sees it and carries it away."""

    tenant: TenantId
    customer_id: CustomerId
    memory: CustomerMemory
    summaries: tuple[Row, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "tenant": self.tenant,
            "customer_id": self.customer_id,
            "opted_out": self.memory.opted_out,
            "facts": [fact.to_json() for fact in self.memory.facts],
            "cases": [episode.to_json() for episode in self.memory.episodes],
            "summaries": [
                {
                    "case_id": str(row["case_id"]),
                    "made_of": row["made_of"],
                    "messages": row["messages"],
                    "text": row["body"],
                    "model": row["model"],
                    "at": row["at"].isoformat(),
                    "expires_at": row["expires_at"].isoformat(),
                }
                for row in self.summaries
            ],
        }


async def memory_shown(
    books: Books, person: Person, tenant: TenantId, customer_id: CustomerId
) -> ShownMemory:
    """What is remembered of a customer. Raises NoAuthority."""
    person.may_see(tenant)
    reads = books.reading(tenant)
    memory = await memory_of(reads, customer_id, episodes=EPISODES_SHOWN)
    return ShownMemory(tenant, customer_id, memory, tuple(await summaries_of(reads, customer_id)))


async def change_memory(
    books: Books,
    person: Person,
    tenant: TenantId,
    customer_id: CustomerId,
    *,
    facts: Sequence[NewFact] = (),
    out: bool | None = None,
) -> None:
    """End the memory of a customer or begin it again, then remember facts or say some anew; all of it or nothing.

    Raises NoAuthority, BadDecision, NothingToDecide, Conflict.
    """
    person.may_submit(tenant)
    async with books.transaction(tenant) as tx:
        if out is not None:
            await (opt_out(tx, customer_id, person.person) if out else opt_in(tx, customer_id))
        for fact in facts:
            await _note(tx, customer_id, fact, person)


async def _note(tx: Transaction, customer_id: CustomerId, fact: NewFact, person: Person) -> None:
    text = clean_text(fact.text)
    if not text or len(text) > FACT_LIMIT:
        raise BadDecision(_("text: from 1 to %(most)s characters", most=FACT_LIMIT))
    check_note(text, "text")
    if fact.case_id is not None:
        case = await case_by_id(tx, fact.case_id)
        if case is None or case.customer_id != customer_id:
            raise NothingToDecide(_("no case %(case)s of this customer", case=fact.case_id))
    days = retention().days(fact.kind)
    if await remember(tx, customer_id, replace(fact, text=text), person.person, days=days):
        return
    if fact.fact_id is not None:
        raise NothingToDecide(_("this is not remembered, or not any more"))
    raise Conflict(_("nothing more is remembered of this customer: they opted out, or a page is full"))


async def forget_facts(
    books: Books, person: Person, tenant: TenantId, customer_id: CustomerId, fact_id: UUID | None = None
) -> int:
    """Erase a fact, or all that is remembered; how much it was. Raises NoAuthority, NothingToDecide."""
    person.may_submit(tenant)
    async with books.transaction(tenant) as tx:
        gone = await erase_memory(tx, customer_id, fact_id)
    if fact_id is not None and not gone:
        raise NothingToDecide(_("this is not remembered, or not any more"))
    return gone
