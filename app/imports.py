"""Imports: a shop's own orders and policy into its books. Safe to repeat; what is bad is said by line."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from app.authority import authority_rules
from app.shop import enter_tenant, import_corpus
from graph.settings import GraphSettings
from policies.clause_lines import Edition, read_clause_lines
from policies.clauses import check_rules
from policies.documents import PolicyDocument, corpus_sha256, read_corpus
from policies.manifest import manifest
from records.books import Books, Transaction
from records.cases import books_now
from records.customers import import_customers, reply_again
from records.library import note_import
from records.orders import follow_orders, orders_there
from refunds.canonical import digest
from refunds.customer import BadCustomer, Customer, read_customer_line
from refunds.ids import TenantId
from refunds.incoming_order import BadOrder, Unstated, read_order_line
from refunds.money import Currency, Money, currency
from refunds.order import OrderFacts

CLAUSES_AT_ONCE = 64
REPLIES_AT_ONCE = 100_000
LINES_AT_ONCE = 2_000
"""Orders a transaction: enough to be quick, few enough that a stop loses seconds of work."""

CLAUSES_FILE = "policy_clauses.jsonl"

OnProgress = Callable[[int, int], None]
"""Told after each part how many bytes were read of how many."""


@dataclass(slots=True)
class ImportedOrders:
    """What became of an order book."""

    read: int = 0
    new: int = 0
    moved: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    """Number of a line and why it was left out."""

    unbalanced: dict[int, str] = field(default_factory=dict)
    """Number of a line that was taken and does not add up, and by how much: no rule proposes a refund of it."""


async def import_order_book(
    owner_url: str, tenant: TenantId, file: Path, *, currency_code: str, region: str, said: OnProgress
) -> ImportedOrders:
    """Every line of an order book into a tenant's books, a part a transaction; a bad line stops no other."""
    done, place = ImportedOrders(), 0
    size = file.stat().st_size  # noqa: ASYNC240  (one look, before anything waits)
    with file.open("rb") as lines:
        async with Books.open(owner_url, size=2) as owner:
            async with owner.transaction(tenant) as tx:
                await enter_tenant(tx, tenant, tenant)
                unstated = Unstated(currency(currency_code), region, await books_now(tx))
                ruled = {rule.floor.currency for rule in await authority_rules(tx, tenant)}
            numbered = enumerate(lines, start=1)
            while part := list(islice(numbered, LINES_AT_ONCE)):
                place += sum(len(line) for _, line in part)
                for wave in _waves(_orders(part, tenant, unstated, done)):
                    async with owner.transaction(tenant) as tx:
                        done.bad |= await _unapprovable(tx, tenant, wave, ruled)
                        wanted = {number: order for number, order in wave.items() if number not in done.bad}
                        followed = await follow_orders(tx, wanted)
                        for number in followed.refused:
                            done.unbalanced.pop(number, None)
                    done.new += followed.new
                    done.moved += followed.moved
                    done.bad |= followed.refused
                said(place, size)
    return done


def _waves(orders: Iterable[tuple[int, OrderFacts]]) -> Iterator[dict[int, OrderFacts]]:
    """Orders in waves that can be written at once: none has an order or a payment twice, and later lines come later."""
    wave: dict[int, OrderFacts] = {}
    names: set[str] = set()
    for number, order in orders:
        own = {f"order {order.order_id}", *(f"payment {payment.payment_id}" for payment in order.payments)}
        if own & names:
            yield wave
            wave, names = {}, set()
        wave[number] = order
        names |= own
    if wave:
        yield wave


async def _unapprovable(
    tx: Transaction, tenant: TenantId, wave: Mapping[int, OrderFacts], ruled: Collection[Currency]
) -> dict[int, str]:
    """New orders in a currency that nobody may approve, by line; one that is in the books goes on all the same."""
    strange = {number: order.currency for number, order in wave.items() if order.currency not in ruled}
    known = await orders_there(tx, [wave[number].order_id for number in strange]) if strange else set()
    return {
        number: f"currency {code}: nobody may approve it: countersign authority set --tenant {tenant} --currency {code}"
        for number, code in strange.items()
        if wave[number].order_id not in known
    }


def difference_said(order: OrderFacts) -> str:
    """By how much an order does not add up, in words."""
    amount = Money(abs(order.difference_minor), order.currency)
    more = "more" if order.difference_minor > 0 else "less"
    return (
        f"order {order.order_id}: {amount} {more} was paid than it comes to: no rule proposes a refund of it"
    )


def _orders(
    part: list[tuple[int, bytes]], tenant: TenantId, unstated: Unstated, done: ImportedOrders
) -> Iterator[tuple[int, OrderFacts]]:
    for number, line in part:
        if not line.strip():
            continue
        done.read += 1
        try:
            order = read_order_line(line.decode("utf-8-sig"), tenant, unstated)
            if order.difference_minor != 0:
                done.unbalanced[number] = difference_said(order)
            yield number, order
        except UnicodeDecodeError:
            done.bad[number] = "not UTF-8"
        except BadOrder as error:
            done.bad[number] = str(error)


async def import_library(
    owner_url: str,
    tenant: TenantId,
    source: Path,
    rules: Path | None,
    edition: Edition,
    bad: dict[int, str] | None = None,
) -> tuple[int, int, int]:
    """A tenant's policy into its library: how many documents were read, how many were new, how many rules they state.

    A folder of Markdown documents, or an export of clauses and its rules. None counts before a person approves. With
    `bad`, a line of an export that breaks the form stops no other and stands there.
    """
    documents = _documents(source, rules, edition, bad)
    for document in documents:
        check_rules(document.rules)
    async with Books.open(owner_url, size=2) as owner, owner.transaction(tenant) as tx:
        await enter_tenant(tx, tenant, tenant)
        new = await import_corpus(tx, tenant, documents)
        await note_import(tx, _hash_of(source, documents), len(documents))
    return len(documents), new, sum(len(document.rules) for document in documents)


def _hash_of(source: Path, documents: tuple[PolicyDocument, ...]) -> str:
    """The hash of a corpus, as a manifest names it: of a folder's files, or of the documents of an export."""
    if source.is_dir() and any(source.glob("*.md")):
        return corpus_sha256(source)
    return digest({f"{document.document_id}-v{document.version}": document.sha256 for document in documents})


def _documents(
    source: Path, rules: Path | None, edition: Edition, bad: dict[int, str] | None
) -> tuple[PolicyDocument, ...]:
    if source.is_dir() and (source / CLAUSES_FILE).is_file() and not any(source.glob("*.md")):
        source = source / CLAUSES_FILE
    if source.is_file():
        return read_clause_lines(source, rules, edition, bad)
    return read_corpus(source)


async def index_library(
    owner_url: str, tenant: TenantId, settings: GraphSettings, on_progress: OnProgress
) -> tuple[int, int | None]:
    """Let an embedding model read what it has not: how many clauses it read, and its tokens where that is told."""
    from graph.model.models import embedding_of  # noqa: PLC0415  (loads a model library)

    tokens: int | None = 0
    done = 0
    async with Books.open(owner_url, size=2) as owner:
        embedding = embedding_of(settings, str(settings.embedding_model), manifest(settings.manifest), owner)
        try:
            rows = await owner.reading(tenant).rows("unread_phrases", model=embedding.model)
            for first in range(0, len(rows), CLAUSES_AT_ONCE):
                part = rows[first : first + CLAUSES_AT_ONCE]
                said = [f"{row['title']}. {row['quote']}" for row in part]
                vectors, used = await embedding.vectors(said)
                ways = [
                    (row, number, way) for row in part for number, way in enumerate(row["asked"], start=2)
                ]
                asked, more = await embedding.vectors([way for _, _, way in ways], asked=True)
                tokens = None if None in (tokens, used, more) else (tokens or 0) + (used or 0) + (more or 0)
                phrases = [(row, 1) for row in part] + [(row, number) for row, number, _ in ways]
                async with owner.transaction(tenant) as tx:
                    for (row, number), vector in zip(phrases, [*vectors, *asked], strict=True):
                        tx.later(
                            "insert_vector",
                            document_id=row["document_id"],
                            version=row["version"],
                            clause=row["clause"],
                            phrase=number,
                            model=embedding.model,
                            vector=vector,
                        )
                done += len(part)
                on_progress(done, len(rows))
        finally:
            await embedding.close()
    return done, tokens


@dataclass(slots=True)
class ImportedCustomers:
    """What became of a file of customers."""

    read: int = 0
    written: int = 0
    answered: int = 0
    """Cases whose customer had no address, and whose reply goes out now."""

    bad: dict[int, str] = field(default_factory=dict)
    """Number of a line and why it was left out."""


async def import_customer_book(owner_url: str, tenant: TenantId, file: Path) -> ImportedCustomers:
    """Every line of a file of customers into a tenant's books, a part a transaction; a bad line stops no other."""
    done, seen = ImportedCustomers(), set[str]()
    with file.open("rb") as lines:
        numbered = enumerate(lines, start=1)
        async with Books.open(owner_url, size=2) as owner:
            while part := list(islice(numbered, LINES_AT_ONCE)):
                customers = _customers(part, seen, done)
                async with owner.transaction(tenant) as tx:
                    done.answered += await reply_again(tx, tenant, customers, REPLIES_AT_ONCE)
                    done.written += await import_customers(tx, customers)
    return done


def _customers(part: list[tuple[int, bytes]], seen: set[str], done: ImportedCustomers) -> list[Customer]:
    found: list[Customer] = []
    for number, line in part:
        if not line.strip():
            continue
        done.read += 1
        try:
            customer = read_customer_line(line.decode("utf-8-sig"))
        except UnicodeDecodeError:
            done.bad[number] = "not UTF-8"
        except BadCustomer as error:
            done.bad[number] = str(error)
        else:
            if customer.customer_id in seen:
                done.bad[number] = f"customer {customer.customer_id} stands twice: the first line counts"
            else:
                seen.add(customer.customer_id)
                found.append(customer)
    return found
