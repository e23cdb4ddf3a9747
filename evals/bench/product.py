"""The product in one process: its graph with its books, through every role's own pool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import psycopg

from app.house import House, HouseSettings, open_house
from app.shop import DEMO, demo_tokens
from desk.decisions import DecisionRequest
from desk.people import Person, sign_in
from evals.bench.model import AskedModel
from evals.bench.peer import QUESTION
from graph.drive import Durability
from graph.services import GraphServices
from records.cases import Case
from records.snapshots import snapshot_now
from records.states import State
from refunds.ticket import Ticket
from runtime.home import Home

ORDERS = """
insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines)
select tenant, 'B' || n, customer_id, region, status, ordered_at, delivered_at, currency, lines
from books.orders, generate_series(1, %(most)s) n where order_id = 'D300'
"""
PAYMENTS = """
insert into books.payments (tenant, payment_id, order_id, method, amount_minor, currency)
select 'demo', 'pay_B' || n, 'B' || n, 'card', 7900, 'USD' from generate_series(1, %(most)s) n
"""


def many_orders(url: str, most: int) -> None:
    """Orders enough for every ticket to have its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ORDERS, {"most": most})
        connection.execute(PAYMENTS, {"most": most})
        connection.execute("vacuum analyze")


@dataclass
class Product:
    """A house, who sends tickets and who decides."""

    name: str
    house: House
    helpdesk: Person
    reviewer: Person
    cases: dict[str, Case] = field(default_factory=dict)

    async def pause(self, ticket: str) -> None:
        fields = {
            "ticket_id": f"{self.name}-{ticket}",
            "tenant": DEMO,
            "customer_id": "C100",
            "order_id": f"B{ticket}",
            "question": QUESTION,
            "intent": "refund_request",
        }
        case = await self.house.intake.submit(Ticket.read(fields), self.helpdesk)
        driven = await self.house.driver.drive(case.tenant, case.case_id)
        assert driven == "started", driven  # noqa: S101
        self.cases[ticket] = case

    async def decide(self, ticket: str) -> None:
        """A person's yes, signed and in the books."""
        case = self.cases[ticket]
        current = (await snapshot_now(self.house.desk_books, case.tenant, case.case_id)).current
        assert current is not None  # noqa: S101
        await self.house.desk.decide(
            self.reviewer, case.tenant, case.case_id, current.digest, DecisionRequest("approve")
        )

    async def resume(self, ticket: str) -> None:
        await self.decide(ticket)
        await self.drive(ticket)

    async def drive(self, ticket: str) -> None:
        """As far as the case goes now."""
        case = self.cases[ticket]
        driven = await self.house.driver.drive(case.tenant, case.case_id)
        assert driven == "resumed", driven  # noqa: S101

    async def settle(self) -> None:
        """The cashier's pass over what is ordered."""
        await self.house.executor.settle_all(late_failures=False)

    async def state(self, ticket: str) -> State:
        """Where a ticket stands."""
        return await self.house.state(self.cases[ticket])


def _asking_the_model(services: GraphServices) -> GraphServices:
    return replace(services, planner=AskedModel(), ticks=lambda: 0.0)


@asynccontextmanager
async def open_product(home: Home, url: str, durability: Durability, size: int) -> AsyncIterator[Product]:
    """The product on a database that is prepared; its planner asks the same model as the peer."""
    provider_file = home.folder / f"provider-{durability}.sqlite"
    settings = HouseSettings(size=size, durability=durability, provider_file=provider_file)
    async with open_house(home, url, settings, _asking_the_model) as house:
        tokens = demo_tokens(home)
        yield Product(
            durability,
            house,
            await sign_in(house.desk_books, tokens["demo-helpdesk"]),
            await sign_in(house.desk_books, tokens["demo-reviewer"]),
        )
