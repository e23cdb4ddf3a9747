"""The demo shop: a tenant with people, orders and a policy, so that the house can be tried at once."""

import json
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from app.authority import add_authority_rules
from desk.passwords import set_password
from desk.people import issue_for_server, new_token, register
from policies.authority import rules_for
from policies.documents import PolicyDocument, corpus_sha256, found_by, read_corpus
from policies.manifest import DEMO_CORPUS
from records.books import Books, Transaction
from records.cases import books_now
from records.customers import import_customers
from records.library import import_document, library_of, note_import, review
from records.orders import import_orders
from refunds.customer import Customer
from refunds.ids import CustomerId, PersonId, TenantId
from refunds.incoming_order import Unstated, read_order_line
from refunds.money import Currency
from refunds.order import OrderFacts
from refunds.vocabulary import Role
from runtime.home import BadHome, Home, read_home_json, write_secret

DEMO = TenantId("demo")
USD = Currency("USD")
CURRENCIES = (USD, Currency("EUR"), Currency("GBP"))
"""What a new tenant may approve without a word."""

YEN = Currency("JPY")

PEOPLE: dict[str, Role] = {
    "demo-reviewer": "reviewer",
    "demo-reviewer-2": "reviewer",
    "demo-specialist": "specialist",
    "demo-specialist-2": "specialist",
    "demo-operator": "operator",
    "demo-auditor": "auditor",
    "demo-helpdesk": "service",
}

ORDERS = Path(__file__).with_name("demo_orders.jsonl")
"""Forty orders of eighteen customers in three regions and four currencies, in the form that any shop imports."""

_LANGUAGES = {"C110": "de", "C111": "de", "C112": "fr", "C113": "en"}
"""In which languages customers write, where the shop knows it."""


def demo_orders(now: datetime) -> list[OrderFacts]:
    """The shop's orders, with dates as of a moment."""
    unstated = Unstated(USD, "US", now)
    return [
        read_order_line(json.dumps(_as_of(json.loads(line), now)), DEMO, unstated)
        for line in ORDERS.read_text(encoding="utf-8").splitlines()
    ]


def _as_of(value: Any, now: datetime) -> Any:  # noqa: ANN401  (any JSON)
    """The value with each `…_days_ago` in it as the time of so many days before a moment."""
    match value:
        case dict():
            return {
                name.removesuffix("_days_ago"): (now - timedelta(days=inner)).isoformat()
                if name.endswith("_days_ago")
                else _as_of(inner, now)
                for name, inner in value.items()
            }
        case list():
            return [_as_of(inner, now) for inner in value]
        case _:
            return value


async def enter_tenant(tx: Transaction, tenant: TenantId, name: str) -> None:
    """A tenant with the house's rules of authority, in a transaction of the owner."""
    await tx.rows("insert_tenant", tenant=tenant, name=name)
    await tx.rows("enter_tenant", tenant=tenant)
    await add_authority_rules(tx, rules_for(tenant, CURRENCIES))


async def import_corpus(tx: Transaction, tenant: TenantId, documents: tuple[PolicyDocument, ...]) -> int:
    """Documents into a tenant's library; how many were new. The transaction is in the tenant."""
    new = 0
    for document in documents:
        new += await import_document(
            tx,
            tenant,
            document_id=document.document_id,
            version=document.version,
            title=document.title,
            region=document.region,
            status=document.status,
            effective_on=document.effective_on,
            expires_on=document.expires_on,
            rules=list(document.rules),
            clauses=[
                (clause.number, clause.quote, found_by(document, clause)) for clause in document.clauses
            ],
            sha256=document.sha256,
        )
    return new


async def open_shop(
    owner: Books, tokens: dict[str, str], passwords: dict[str, str], corpus: Path = DEMO_CORPUS
) -> None:
    """The demo tenant with its people, orders and policy; what is there already stays."""
    async with owner.transaction(DEMO) as tx:
        await enter_tenant(tx, DEMO, "Demo shop")
        await add_authority_rules(tx, rules_for(DEMO, [YEN]))
        orders = demo_orders(await books_now(tx))
        await import_orders(tx, orders)
        brought = await bring_library(tx, corpus)
        addressed = [_customer(name) for name in sorted({order.customer_id for order in orders})]
        await import_customers(tx, addressed, keep=True)
        for person, role in PEOPLE.items():
            found = await tx.row("person_there", person=person)
            if found is None:
                await register(tx, PersonId(person), person, {DEMO: frozenset({role})}, tokens[person])
            if await tx.row("password_of", person=person) is None and person in passwords:
                await set_password(tx, PersonId(person), passwords[person])
            await issue_for_server(tx, PersonId(person), frozenset({role}), tokens[on_server(person)])
        await approve_library(tx, PersonId("demo-specialist"), brought)


def _customer(name: CustomerId) -> Customer:
    return Customer(name, f"{name.lower()}@demo.example", language=_LANGUAGES.get(name))


async def bring_library(tx: Transaction, corpus: Path) -> set[tuple[str, int]]:
    """The demo's policy, where this corpus was not brought before; the versions that are new.

    What it brings is approved with it; what somebody else imported or rejected stays as they left it.
    """
    name = corpus_sha256(corpus)
    if await tx.row("corpus_imported", corpus_sha256=name) is not None:
        return set()
    documents = read_corpus(corpus)
    before = {(row["document_id"], row["version"]) for row in await library_of(tx)}
    await import_corpus(tx, DEMO, documents)
    await note_import(tx, name, len(documents))
    return {(document.document_id, document.version) for document in documents} - before


async def approve_library(
    tx: Transaction, person: PersonId, only: Collection[tuple[str, int]] | None = None
) -> int:
    """A specialist's yes to the imported versions that nobody has said anything of; how many."""
    waiting = [
        row
        for row in await library_of(tx)
        if row["status"] == "approved"
        and row["verdict"] is None
        and (only is None or (row["document_id"], row["version"]) in only)
    ]
    for row in waiting:
        await review(tx, row["document_id"], row["version"], row["sha256"], "approve", person)
    return len(waiting)


async def is_open(owner_url: str, tenant: TenantId) -> bool:
    """Whether a tenant is in the books."""
    async with Books.open(owner_url, size=1) as owner:
        return await owner.knows(tenant)


async def staff(owner_url: str, tenant: TenantId) -> None:
    """Let the demo shop's people work for a tenant too, where a stranger tries data of their own."""
    async with Books.open(owner_url, size=1) as owner, owner.transaction(tenant) as tx:
        for person, role in PEOPLE.items():
            await tx.rows("insert_membership", tenant=tenant, person=person, role=role)


def on_server(person: str) -> str:
    """The name of a person's token for the server API."""
    return f"{person}@server"


def demo_tokens(home: Home) -> dict[str, str]:
    """The tokens of the demo shop's people, made on first use; those for the server API under `on_server`."""
    desk = _tokens(home.token_file, PEOPLE)
    server = _tokens(home.server_token_file, [on_server(person) for person in PEOPLE])
    return desk | server


def demo_passwords(home: Home) -> dict[str, str]:
    """The passwords of the demo shop's people for the page, made on first use; a service has none."""
    people = [person for person, role in PEOPLE.items() if role != "service"]
    if not home.password_file.exists():
        write_secret(home.password_file, json.dumps({name: token_urlsafe(12) for name in people}, indent=1))
    found = read_home_json(home.password_file)
    if not isinstance(found, dict) or set(found) != set(people):
        raise BadHome(
            f"{home.password_file}: not the demo shop's passwords: remove it and run countersign db reset"
        )
    return {name: str(password) for name, password in found.items()}


def _tokens(file: Path, names: Iterable[str]) -> dict[str, str]:
    wanted = list(names)
    if not file.exists():
        write_secret(file, json.dumps({name: new_token() for name in wanted}, indent=1))
    tokens = read_home_json(file)
    if not isinstance(tokens, dict) or set(tokens) != set(wanted):
        raise BadHome(f"{file}: not the demo shop's tokens: remove it and run countersign db reset")
    return {name: str(token) for name, token in tokens.items()}
