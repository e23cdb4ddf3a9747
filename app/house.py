"""The whole house in one process: for the exam, for the demo, and for the command line.

What only reads or decides opens the office: the books as the desk sees them. It loads neither the graph nor the
cashier, which is most of what a command would cost.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import SecretStr

from app.shop import demo_passwords, demo_tokens, open_shop
from desk.decisions import Desk
from desk.intake import Intake
from graph.settings import GraphSettings
from policies.budget import audit_budget
from policies.manifest import Manifest, ModelRoute, manifest
from policies.signature import PublicKeys, SigningKey, new_key, parse_public_keys, parse_signing_key
from records.audit import Anchor, anchor
from records.books import Books
from records.cases import Case, case_by_id
from records.migrate import checkpoints_are_of, migrate, note_checkpoints
from records.states import State, state_of
from refunds.canonical import canonical
from refunds.ids import CaseId, TenantId
from runtime.home import BadHome, Home, drop_database, read_home_json, write_secret
from runtime.startup import check_books

if TYPE_CHECKING:
    from cashier.executor import Executor
    from cashier.simulated_provider import SimulatedProvider
    from graph.drive import Driver, Durability
    from graph.services import GraphServices

KEYS = ("intake", "desk", "anchor", "tools")

CHECKPOINT_LIBRARY = f"langgraph-checkpoint-postgres {version('langgraph-checkpoint-postgres')}"
"""Whose tables the schema of checkpoints holds; they are looked at again when it is another release."""

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between looks at a payment that another process is paying."""


def make_keys(home: Home) -> None:
    """A key pair for each signer of the house, where there is none yet."""
    for name in KEYS:
        private, public_file = home.private_key_file(name), home.public_keys_file(name)
        if public_file.exists() and not private.exists():
            raise BadHome(
                f"{private} is missing and its public half is there:"
                f" restore it, or remove {public_file.name} too for a new pair"
            )
        if not private.exists():
            write_secret(home.private_key_file(name), canonical(new_key(name).private()))
        if not home.public_keys_file(name).exists():
            public = home_private_key(home, name).public()
            write_secret(home.public_keys_file(name), canonical({"keys": [public]}))


def check_keys(home: Home) -> None:
    """BadHome or BadKey where a signer's keys are missing, broken or not of one another."""
    for name in KEYS:
        signed = home_private_key(home, name).sign(name)
        if home_trusted_keys(home, name).read(signed) is None:
            raise BadHome(
                f"{home.private_key_file(name)} is not the other half of {home.public_keys_file(name).name}:"
                " restore the one that belongs to it"
            )


def check_models(home: Home) -> None:
    """BadProvider or ManifestMismatch where the models that the environment asks for cannot be used."""
    settings = GraphSettings(database_url=SecretStr("unused"), intake_keys=home.public_keys_file("intake"))
    pinned = manifest(settings.manifest)
    routes = [route for one in pinned.models.values() for route in one] if pinned.planner == "model" else []
    if settings.embedding_model is not None:
        routes.append(ModelRoute(provider=settings.embedding_provider, model=settings.embedding_model))
    if routes:
        from graph.model.providers import endpoint_line, read_providers

        providers = read_providers(settings.providers, os.environ)
        for route in routes:
            endpoint_line(route, providers)


def home_private_key(home: Home, name: str) -> SigningKey:
    """A signer's private key; BadHome or BadKey names the file where it is missing or none."""
    file = home.private_key_file(name)
    return parse_signing_key(canonical(read_home_json(file)), str(file))


def home_trusted_keys(home: Home, name: str) -> PublicKeys:
    """A signer's public keys; BadHome or BadKey names the file where it is missing or holds none."""
    file = home.public_keys_file(name)
    return parse_public_keys(canonical(read_home_json(file)), str(file))


def migrate_books(home: Home, admin_url: str, *, set_passwords: bool = False) -> list[str]:
    """The schemas of the house and its roles' passwords; the names of what was applied.

    On a server that is not the embedded one, passwords that differ are set only when that is asked for.
    """
    own_server = set_passwords or home.database_url is None
    applied = migrate(admin_url, home.passwords(), own_server=own_server)
    if not checkpoints_are_of(CHECKPOINT_LIBRARY, admin_url):
        from graph.checkpointer import install_checkpoints  # loads LangGraph

        install_checkpoints(admin_url)
        note_checkpoints(CHECKPOINT_LIBRARY, admin_url)
    return applied


async def prepare(home: Home, admin_url: str, *, page: bool = False) -> None:
    """Migrations, roles, keys and the demo shop; safe to repeat. With `page` its people get their passwords too.

    Hashing a password takes a tenth of a second; a command that shows no page does not wait for it.
    """
    migrate_books(home, admin_url)
    make_keys(home)
    async with Books.open(admin_url, size=2) as owner:
        await open_shop(owner, demo_tokens(home), demo_passwords(home) if page else {})


async def books_of_owner(home: Home) -> str:
    """The owner's URL of the books; the embedded ones are brought up first."""
    url = home.admin_url()
    if home.database_url is None:
        await prepare(home, url)
    return url


@contextmanager
def database_of_its_own(home: Home, prefix: str) -> Iterator[tuple[str, Path]]:
    """The URL of a new database and the file of a provider beside it; both are gone when the block ends."""
    name = f"{prefix}{uuid4().hex[:12]}"
    url, provider_file = home.admin_url(name), home.folder / f"{name}.sqlite"
    try:
        yield url, provider_file
    finally:
        drop_database(url)
        for file in provider_file.parent.glob(f"{provider_file.stem}.*"):
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink()


@dataclass(frozen=True)
class Office:
    """What reads the books and decides: the desk's own role, and the anchorer's."""

    home: Home
    manifest: Manifest
    desk_books: Books
    intake: Intake
    desk: Desk
    anchorer_books: Books

    async def case(self, tenant: TenantId, case_id: CaseId) -> Case | None:
        async with self.desk_books.transaction(tenant) as tx:
            return await case_by_id(tx, case_id)

    async def state(self, case: Case) -> State:
        """The state of the contract, rebuilt from the books."""
        async with self.desk_books.transaction(case.tenant) as tx:
            state, trace = await state_of(tx, case)
        return {**state, "budget_audit": audit_budget(trace, self.manifest.limits())}

    async def anchor(self) -> Anchor | None:
        """Sign the heads of the audit that moved."""
        return await anchor(
            self.anchorer_books, home_private_key(self.home, "anchor").sign, self.home.anchors_file
        )


@dataclass(frozen=True)
class House(Office):
    """The whole house, open."""

    driver: "Driver"
    provider: "SimulatedProvider"
    executor: "Executor"

    async def go_on(self, case: Case) -> State:
        """Drive a case, let the cashier make its pass, and drive it again: to the next pause or the end."""
        await self.driver.drive(case.tenant, case.case_id)
        state = await self.state(case)
        for pause in PAUSES:
            if state["status"] != "refund_pending":
                break
            await self.executor.settle_all(late_failures=False)
            await self.driver.drive(case.tenant, case.case_id)
            state = await self.state(case)
            if state["reason"] != "refund_created":
                break
            # Another cashier, of a house that runs beside this process, has the payment in hand.
            await asyncio.sleep(pause)
        return state


@dataclass(frozen=True)
class HouseSettings:
    """How a house is opened. The defaults are those of a house in service; the exam and the tests have their own."""

    size: int = 8
    """Sessions of the books that each role may hold."""

    durability: "Durability" = "exit"
    """When LangGraph writes its checkpoints."""

    provider_file: Path | None = None
    """Where the simulated provider keeps its refunds; in the home where it is None."""

    books_type: type[Books] = Books
    test_database_allowed: bool = False


@asynccontextmanager
async def open_office(
    home: Home, admin_url: str, settings: HouseSettings = HouseSettings(size=4)
) -> AsyncIterator[Office]:
    """The office on a database; each part of it through its own role."""
    desk_url = home.role_url("desk", admin_url)
    await check_books(desk_url, test_database_allowed=settings.test_database_allowed)
    async with (
        settings.books_type.open(desk_url, size=settings.size) as desk_books,
        settings.books_type.open(home.role_url("anchorer", admin_url), size=2) as anchorer_books,
    ):
        graph = settings_of(home, home.role_url("graph", admin_url))
        pinned = manifest(graph.manifest)
        intake_key = home_private_key(home, "intake")
        yield Office(
            home=home,
            manifest=pinned,
            desk_books=desk_books,
            intake=Intake(desk_books, pinned, home_trusted_keys(home, "intake"), intake_key, graph.mode),
            desk=Desk(desk_books, home_private_key(home, "desk")),
            anchorer_books=anchorer_books,
        )


def settings_of(home: Home, graph_url: str) -> GraphSettings:
    """The graph's settings in this process, from the home and the environment."""
    return GraphSettings(
        database_url=SecretStr(graph_url),
        intake_keys=home.public_keys_file("intake"),
        tools_key=home.private_key_file("tools"),
    )


@asynccontextmanager
async def open_house(
    home: Home,
    admin_url: str,
    settings: HouseSettings = HouseSettings(),
    equip: "Callable[[GraphServices], GraphServices] | None" = None,
) -> AsyncIterator[House]:
    """The house on a database; each part through its own role. `equip` changes what the graph works with."""
    from cashier.charges import charges_of
    from cashier.executor import Executor
    from cashier.simulated_provider import SimulatedProvider
    from graph.checkpointer import checkpointer
    from graph.drive import Driver
    from graph.refund_graph import refund_graph
    from graph.services import graph_services

    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(open_office(home, admin_url, settings))
        graph_url, cashier_url = (home.role_url(role, admin_url) for role in ("graph", "cashier"))
        opened = settings.books_type.open
        graph_books = await stack.enter_async_context(opened(graph_url, size=settings.size))
        cashier_books = await stack.enter_async_context(opened(cashier_url, size=settings.size))
        saver = await stack.enter_async_context(checkpointer(graph_url, size=settings.size))
        services = graph_services(settings_of(home, graph_url), graph_books)
        services = equip(services) if equip else services
        stack.push_async_callback(services.close)
        provider = SimulatedProvider(settings.provider_file or home.provider_file, charges_of(cashier_books))
        yield House(
            home=home,
            manifest=services.manifest,
            desk_books=office.desk_books,
            intake=Intake(
                office.desk_books,
                services.manifest,
                home_trusted_keys(home, "intake"),
                home_private_key(home, "intake"),
                services.mode,
            ),
            desk=office.desk,
            anchorer_books=office.anchorer_books,
            driver=Driver(services, refund_graph(services, saver), settings.durability),
            provider=provider,
            executor=Executor(cashier_books, provider, home_trusted_keys(home, "desk"), retry_seconds=0),
        )
