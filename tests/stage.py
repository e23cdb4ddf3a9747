"""The stage of a test: a whole house on a database of its own, and the few verbs that a story needs."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from kept import kept_at
from psycopg.rows import DictRow, dict_row

from app.house import House, HouseSettings, make_keys, open_house
from app.shop import DEMO, demo_passwords, demo_tokens, open_shop
from desk.decisions import DecisionRequest, DecisionResult
from desk.people import Person, sign_in
from evals.exam.world import CLOCK, no_time
from graph.checkpointer import install_checkpoints
from graph.drive import Durability
from graph.planner import Planner
from graph.services import GraphServices
from policies.signature import SigningKey, new_key, signing_key
from records.books import Books
from records.cases import Case
from records.connection import connection_string
from records.migrate import migrate
from records.states import State
from refunds.ids import CaseId
from refunds.ticket import Ticket
from runtime.home import Home, with_database

MANY_ORDERS = """
insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines)
select tenant, %(letter)s || n, customer_id, region, status, ordered_at, delivered_at, currency, lines
from books.orders, generate_series(0, %(most)s) n where order_id = 'D300';
"""
MANY_PAYMENTS = """
insert into books.payments (tenant, payment_id, order_id, method, amount_minor, currency)
select 'demo', 'pay_' || %(letter)s || n, %(letter)s || n, 'card', 7900, 'USD' from generate_series(0, %(most)s) n
"""

CRACKED = "My tablet arrived cracked. I want a refund, please."
QUESTION = "What is the return policy for my cracked tablet?"


async def prepare_template(home: Home, url: str) -> None:
    """A database that every test starts from: migrated, with keys and the demo shop, its clock movable."""
    migrate(url, home.passwords())
    install_checkpoints(url)
    make_keys(home)
    async with Books.open(url, size=1) as owner:
        await open_shop(owner, demo_tokens(home), demo_passwords(home))
    with psycopg.connect(connection_string(url), autocommit=True) as connection:
        connection.execute(CLOCK)


def requested(action: object, **arguments: object) -> dict[str, object]:
    return {"action": action, "arguments": arguments}


@dataclass(frozen=True)
class Stage:
    """A house with its owner's connection beside it."""

    house: House
    url: str
    owner: psycopg.AsyncConnection[DictRow]

    @property
    def desk_url(self) -> str:
        """The books as the desk opens them."""
        return self.house.home.role_url("desk", self.url)

    async def person(self, name: str) -> Person:
        return await sign_in(self.house.desk_books, demo_tokens(self.house.home)[name])

    async def submit(self, **fields: object) -> Case:
        ticket: dict[str, object] = {
            "ticket_id": f"t-{uuid.uuid4().hex[:12]}",
            "tenant": "demo",
            "customer_id": "C100",
            "order_id": "D300",
            "question": CRACKED,
            "intent": "refund_request",
        }
        ticket |= fields
        wanted = {name: value for name, value in ticket.items() if value is not None or name == "order_id"}
        return await self.house.intake.submit(Ticket.read(wanted), await self.person("demo-helpdesk"))

    async def run(self, case: Case) -> State:
        await self.house.driver.drive(case.tenant, case.case_id)
        return await self.house.state(case)

    async def paused(self, **fields: object) -> tuple[Case, State]:
        """A case at the pause, with its state."""
        case = await self.submit(**fields)
        state = await self.run(case)
        assert state["status"] == "needs_human", state
        return case, state

    async def say(self, case: Case, word: DecisionRequest, who: str = "demo-reviewer") -> DecisionResult:
        state = await self.house.state(case)
        proposal = state["proposal"]
        assert isinstance(proposal, dict)
        person = await self.person(who)
        return await self.house.desk.decide(person, DEMO, case.case_id, proposal["digest"], word)

    async def approved(self, **fields: object) -> Case:
        """A case that was countersigned and that nobody has driven since."""
        case, _ = await self.paused(**fields)
        await self.say(case, DecisionRequest("approve"))
        return case

    async def ordered(self, **fields: object) -> Case:
        """A case whose money is ordered and not paid."""
        case = await self.approved(**fields)
        state = await self.run(case)
        assert state["status"] == "refund_pending", state
        return case

    async def finish(self) -> None:
        """What the runner, the sweep and the cashier do in the end."""
        for _ in range(8):
            moved = await self.house.driver.sweep()
            settled = await self.house.executor.settle_all()
            if not moved and not settled:
                return

    async def sql(self, text: str, *values: object) -> list[dict[str, Any]]:
        """As the superuser, past every wall."""
        cursor = await self.owner.execute(text, values or None)
        return list(await cursor.fetchall()) if cursor.description else []

    async def count(self, table: str) -> int:
        rows = await self.sql(f"select count(*) as n from books.{table}")
        return int(rows[0]["n"])

    async def move_clock(self, **parts: float) -> None:
        """Move the time of the books on, by the parts of a timedelta."""
        seconds = timedelta(**parts).total_seconds()
        await self.sql("insert into books.test_clock values (make_interval(secs => %s))", seconds)

    async def forced(self, text: str, *values: object) -> None:
        """As an administrator who turns the triggers off first."""
        await self.sql("set session_replication_role = replica")
        await self.sql(text, *values)
        await self.sql("set session_replication_role = origin")

    async def many_orders(self, most: int) -> None:
        """Orders X0 to X<most> of customer C100, 79.00 USD each, as D300."""
        await self.owner.execute(MANY_ORDERS, {"most": most, "letter": "X"})
        await self.owner.execute(MANY_PAYMENTS, {"most": most, "letter": "X"})

    async def order_of_two(self, price: int = 7_900) -> None:
        """Order TWO of C100: SKU-1 and SKU-9 at one price in cents, both paid by pay_TWO."""
        await self.sql(
            "insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines)"
            " select tenant, 'TWO', customer_id, region, status, ordered_at, delivered_at, currency,"
            " jsonb_build_array(lines->0 || jsonb_build_object('unit_price_minor', %s::int),"
            " lines->0 || jsonb_build_object('line_id', '2', 'unit_price_minor', %s::int, 'sku', 'SKU-9'))"
            " from books.orders where order_id = 'D300'",
            price,
            price,
        )
        await self.sql(
            "insert into books.payments values ('demo', 'pay_TWO', 'TWO', 'card', %s, 'USD', 0)", 2 * price
        )

    def refunds(self) -> int:
        return len(self.house.provider.all_refunds())

    async def decision_ids(self) -> list[uuid.UUID]:
        return [row["decision_id"] for row in await self.sql("select decision_id from books.disbursements")]


@asynccontextmanager
async def open_stage(
    home: Home,
    url: str,
    folder: Path,
    *,
    durability: Durability = "exit",
    planner: Planner | None = None,
    books_type: type[Books] = Books,
    equip: Callable[[GraphServices], GraphServices] | None = None,
) -> AsyncIterator[Stage]:
    """A stage on a database that was cloned from the template."""
    kept = kept_at(url)

    def equipped(services: GraphServices) -> GraphServices:
        timeless = replace(services, planner=planner or services.planner, ticks=no_time)
        return equip(timeless) if equip else timeless

    async with AsyncExitStack() as stack:
        with kept.checkpoints_kept() if kept else nullcontext():
            house = await stack.enter_async_context(
                open_house(
                    home,
                    url,
                    HouseSettings(
                        size=12,
                        durability=durability,
                        provider_file=folder / "provider.sqlite",
                        books_type=kept.books_type() if kept else books_type,
                        test_database_allowed=True,
                    ),
                    equipped,
                )
            )
        if kept is not None:
            owner = await kept.session()
        else:
            owner = await stack.enter_async_context(
                await psycopg.AsyncConnection.connect(
                    connection_string(url, search_path="public"), autocommit=True, row_factory=dict_row
                )
            )
        yield Stage(house, url, owner)


@dataclass(frozen=True)
class Cluster:
    """The server of a test process and the template in it."""

    home: Home
    admin: str

    def clone(self, template: str = "template_books", name: str = "") -> str:
        name = name or f"t_{uuid.uuid4().hex}"
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(f"create database {name} template {template} strategy file_copy")
        return with_database(self.admin, name)

    def drop(self, url: str) -> None:
        name = url.rsplit("/", 1)[1]
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(f"drop database if exists {name} with (force)")


def another_key(kid: str) -> SigningKey:
    """A key of somebody else's under a name that is taken."""
    return signing_key({**new_key("another").private(), "kid": kid})


def results(state: State) -> list[str]:
    """The results of a state's trace."""
    trace = state["trace"]
    assert isinstance(trace, list)
    return [str(row["result"]) for row in trace]


def case_ids(cases: Sequence[Case]) -> list[CaseId]:
    return [case.case_id for case in cases]
