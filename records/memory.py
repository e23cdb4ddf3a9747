"""Memory in the books: facts, episodes and summaries of a customer. It may be changed and erased; nothing else may."""

from dataclasses import dataclass
from uuid import UUID

from records.books import Books, Reads, Row, Transaction
from records.readings import reading_in
from refunds.ids import CaseId, CustomerId, OrderId, PersonId, TenantId
from refunds.memory import EPISODES, FACTS, CustomerFact, CustomerMemory, PastCase
from refunds.money import Currency, Money
from refunds.vocabulary import MemoryAudience, MemoryKind, MemorySource


@dataclass(frozen=True, slots=True)
class KeptSummary:
    """What a model made of the older messages of a conversation, with the hash of those messages."""

    case_id: CaseId
    customer_id: CustomerId
    made_of: str
    messages: int
    text: str
    model: str


@dataclass(frozen=True, slots=True)
class NewFact:
    """What is to be remembered; with a fact's id it takes that fact's place."""

    kind: MemoryKind
    text: str
    source: MemorySource = "person"
    audience: MemoryAudience = "people_and_models"
    case_id: CaseId | None = None
    fact_id: UUID | None = None


async def summary_made_of(reads: Reads, case_id: CaseId, made_of: str) -> str | None:
    """The summary of exactly these messages; None where none is kept."""
    row = await reads.row("summary_made_of", case_id=case_id, made_of=made_of)
    return None if row is None else str(row["body"])


async def keep_summary(tx: Transaction, kept: KeptSummary, *, days: int) -> None:
    """Keep a summary for so many days; of nobody who wants nothing remembered."""
    await tx.rows("lock_memory", customer_id=kept.customer_id)
    await tx.rows(
        "insert_summary",
        case_id=kept.case_id,
        customer_id=kept.customer_id,
        made_of=kept.made_of,
        messages=kept.messages,
        body=kept.text,
        model=kept.model,
        days=days,
    )


async def memory_of(
    reads: Reads, customer_id: CustomerId, *, but: CaseId | None = None, episodes: int = EPISODES
) -> CustomerMemory:
    """What is remembered of a customer; the episodes are without the case that is asked for."""
    opted_out = await reads.row("opted_out", customer_id=customer_id)
    facts = await reads.rows("facts_of", customer_id=customer_id)
    rows = await reads.rows("episodes_of", customer_id=customer_id, case_id=but, most=episodes)
    return CustomerMemory(
        opted_out is not None, tuple(map(_fact, facts)), tuple(_episode(row) for row in rows)
    )


def _fact(row: Row) -> CustomerFact:
    return CustomerFact(
        fact_id=row["fact_id"],
        customer_id=CustomerId(row["customer_id"]),
        kind=row["kind"],
        text=row["body"],
        source=row["source"],
        audience=row["audience"],
        case_id=CaseId(row["case_id"]) if row["case_id"] else None,
        person=PersonId(row["person"]),
        said_at=row["said_at"],
        expires_at=row["expires_at"],
        counts=row["counts"],
    )


def _episode(row: Row) -> PastCase:
    reading = reading_in(row["reading"])
    return PastCase(
        case_id=CaseId(row["case_id"]),
        ticket_id=row["ticket_id"],
        order_id=OrderId(row["order_id"]) if row["order_id"] else None,
        received_at=row["received_at"],
        status=row["status"],
        asks=tuple(ask.ask for ask in reading.asks) if reading else (),
        refunded=tuple(Money(int(one["amount_minor"]), Currency(one["currency"])) for one in row["refunded"]),
        contacts=row["contacts"],
    )


async def remember(
    tx: Transaction, customer_id: CustomerId, fact: NewFact, person: PersonId, *, days: int
) -> bool:
    """Write down a fact for so many days, or say one anew that is there.

    False of a customer who wants nothing remembered, of whom too much is, or whose fact is not there.
    """
    said = {
        "customer_id": customer_id,
        "kind": fact.kind,
        "body": fact.text,
        "source": fact.source,
        "audience": fact.audience,
        "case_id": fact.case_id,
        "person": person,
        "days": days,
    }
    await tx.rows("lock_memory", customer_id=customer_id)
    if fact.fact_id is not None:
        return await tx.row("change_fact", fact_id=fact.fact_id, **said) is not None
    return await tx.row("insert_fact", most=FACTS, **said) is not None


async def erase_memory(tx: Transaction, customer_id: CustomerId, fact_id: UUID | None = None) -> int:
    """Erase a fact of a customer, or all that is remembered of them; how many rows it was.

    Receipts, decisions and the audit chain stay: they are bookkeeping and no memory.
    """
    gone = len(await tx.rows("delete_facts", customer_id=customer_id, fact_id=fact_id))
    if fact_id is None:
        gone += len(await tx.rows("delete_summaries", customer_id=customer_id))
    return gone


async def opt_out(tx: Transaction, customer_id: CustomerId, person: PersonId) -> None:
    """Remember nothing of a customer from now on, and erase what is."""
    await tx.rows("lock_memory", customer_id=customer_id)
    await tx.rows("opt_out", customer_id=customer_id, person=person)
    await erase_memory(tx, customer_id)


async def opt_in(tx: Transaction, customer_id: CustomerId) -> None:
    """Remember a customer again."""
    await tx.rows("opt_in", customer_id=customer_id)


async def summaries_of(reads: Reads, customer_id: CustomerId) -> list[Row]:
    """What models made of long conversations of a customer."""
    return await reads.rows("summaries_of", customer_id=customer_id)


async def forget_expired(books: Books) -> dict[TenantId, int]:
    """Erase what has run out, of every tenant; how much of each."""
    gone: dict[TenantId, int] = {}
    for tenant in await books.tenants():
        async with books.transaction(tenant) as tx:
            row = await tx.row("forget_expired")
            gone[tenant] = row["facts"] + row["summaries"] if row else 0
    return gone
