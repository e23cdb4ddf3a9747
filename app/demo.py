"""The demo: the seed's question to its reply, then a refund request on the same order to its refund."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from app.house import House, HouseSettings, database_of_its_own, open_house, prepare
from app.shop import DEMO, demo_tokens
from desk.decisions import DecisionRequest
from desk.people import sign_in
from records.cases import Case
from records.states import State
from refunds.ticket import Ticket
from runtime.home import Home

DATABASE = "countersign_demo_"
"""With a number that no other database has: the demo drops what it made and nothing else."""

TICKETS = (
    {
        "ticket_id": "r-104",
        "tenant": "demo",
        "customer_id": "C100",
        "order_id": "D300",
        "question": "What is the return policy for my cracked tablet?",
        "intent": "policy_question",
    },
    {
        "ticket_id": "r-105",
        "tenant": "demo",
        "customer_id": "C100",
        "order_id": "D300",
        "question": "My tablet arrived cracked. I want a refund, please.",
        "intent": "refund_request",
        "items": ["SKU-1"],
    },
)

Approve = Callable[[State], bool]
"""Asks the person at the terminal whether to countersign what they see."""


async def play(home: Home, admin_url: str, approve: Approve, provider_file: Path) -> AsyncIterator[State]:
    """Each state of each ticket, as it is reached; ends early where the person does not approve."""
    await prepare(home, admin_url)
    async with open_house(home, admin_url, HouseSettings(provider_file=provider_file)) as house:
        tokens = demo_tokens(home)
        helpdesk = await sign_in(house.desk_books, tokens["demo-helpdesk"])
        for ticket in TICKETS:
            case = await house.intake.submit(Ticket.read(ticket), helpdesk)
            state = await house.go_on(case)
            yield state
            if not approve(state):
                return
            yield await _countersign(house, case, state, tokens["demo-reviewer"])


async def demo_house(home: Home, approve: Approve) -> AsyncIterator[State]:
    """The play on a database and a provider of its own, which are gone when it ends."""
    with database_of_its_own(home, DATABASE) as (url, provider_file):
        async for state in play(home, url, approve, provider_file):
            yield state


async def _countersign(house: House, case: Case, state: State, token: str) -> State:
    reviewer = await sign_in(house.desk_books, token)
    proposal = state["proposal"]
    if not isinstance(proposal, dict):
        raise TypeError("a pause has a proposal")
    await house.desk.decide(reviewer, DEMO, case.case_id, str(proposal["digest"]), DecisionRequest("approve"))
    return await house.go_on(case)
