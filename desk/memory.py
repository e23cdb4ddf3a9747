"""A customer's memory at the desk: seen, noted, said anew, erased, carried away, and ended for those who want none.

Nothing of it is read by a rule: it informs people, and models where it may stand before them.
"""

from dataclasses import dataclass
from uuid import UUID

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide
from desk.notes import BadDecision, check_note, clean_text
from desk.people import Person
from policies.retention import retention
from records.books import Books, Row
from records.cases import case_by_id
from records.memory import change_fact, erase_memory, memory_of, opt_in, opt_out, remember, summaries_of
from refunds.ids import CaseId, CustomerId, TenantId
from refunds.memory import FACT_LIMIT, CustomerMemory
from refunds.vocabulary import MemoryAudience, MemoryKind, MemorySource

EPISODES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class NewFact:
    """What is to be remembered; with a fact's id it takes that fact's place."""

    kind: MemoryKind
    text: str
    source: MemorySource = "person"
    audience: MemoryAudience = "people_and_models"
    case_id: CaseId | None = None
    fact_id: UUID | None = None


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


async def note_fact(
    books: Books, person: Person, tenant: TenantId, customer_id: CustomerId, fact: NewFact
) -> None:
    """Remember a fact, or say one anew. Raises NoAuthority, BadDecision, NothingToDecide, Conflict."""
    person.may_submit(tenant)
    text = clean_text(fact.text)
    if not text or len(text) > FACT_LIMIT:
        raise BadDecision(_("text: from 1 to %(most)s characters", most=FACT_LIMIT))
    check_note(text, "text")
    days = retention().days(fact.kind)
    async with books.transaction(tenant) as tx:
        if fact.case_id is not None:
            case = await case_by_id(tx, fact.case_id)
            if case is None or case.customer_id != customer_id:
                raise NothingToDecide(_("no case %(case)s of this customer", case=fact.case_id))
        if fact.fact_id is not None:
            done = await change_fact(
                tx, customer_id, fact.fact_id, text, audience=fact.audience, person=person.person, days=days
            )
            if not done:
                raise NothingToDecide(_("this is not remembered, or not any more"))
            return
        written = await remember(
            tx,
            customer_id,
            fact.kind,
            text,
            source=fact.source,
            audience=fact.audience,
            case_id=fact.case_id,
            person=person.person,
            days=days,
        )
    if written is None:
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


async def set_opt_out(
    books: Books, person: Person, tenant: TenantId, customer_id: CustomerId, *, out: bool
) -> None:
    """Remember nothing of a customer from now on, or remember them again. Raises NoAuthority."""
    person.may_submit(tenant)
    async with books.transaction(tenant) as tx:
        if out:
            await opt_out(tx, customer_id, person.person)
        else:
            await opt_in(tx, customer_id)
