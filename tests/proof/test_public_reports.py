"""Public reports of other shops' refund bugs, played on their orders: each amount is right, or a person is told why not.

Of `data/public_reports` the tickets about money are held here; those about what a text says are of its reading.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stage import Stage

from app.authority import add_authority_rules
from desk.decisions import DecisionRequest
from policies.authority import rules_for
from records.books import Books
from records.orders import import_orders
from refunds.ids import TenantId
from refunds.incoming_order import Unstated, read_order_line
from refunds.money import Currency

DATA = Path(__file__).parents[3] / "shared/data/public_reports"
DEMO = TenantId("demo")
MONEY = ("pr-01", "pr-02", "pr-03a", "pr-03b", "pr-04", "pr-12", "pr-18", "pr-18b", "pr-19")

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there")


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


async def opened(stage: Stage) -> None:
    """The orders of the reports in the demo shop, which may approve their currencies."""
    now = datetime.now(UTC)
    unstated = Unstated(Currency("USD"), "US", now)
    orders = []
    for line in lines("orders.jsonl"):
        for days, at in (("ordered_days_ago", "ordered_at"), ("delivered_days_ago", "delivered_at")):
            if days in line:
                line[at] = (now - timedelta(days=line.pop(days), hours=1)).isoformat()
        orders.append(read_order_line(json.dumps(line), DEMO, unstated))
    currencies = {order.currency for order in orders}
    async with Books.open(stage.url, size=1) as owner, owner.transaction(DEMO) as tx:
        await add_authority_rules(tx, rules_for(DEMO, sorted(currencies)))
        await import_orders(tx, orders)


async def test_each_report_about_money_ends_right(stage: Stage) -> None:
    await opened(stage)
    wrong: list[str] = []
    played = [line for line in lines("tickets.jsonl") if line["ticket"]["ticket_id"] in MONEY]
    assert len(played) == len(MONEY)
    for line in played:
        ticket, right = line["ticket"], line["right"]
        case, state = await stage.paused(**{"intent": None, "items": None, **ticket})
        proposal = state["proposal"]
        assert isinstance(proposal, dict)
        draft = str(state["draft"])
        if proposal["kind"] == "refund":
            await stage.say(case, DecisionRequest("approve"), "demo-specialist")
            await stage.finish()
            ended = (await stage.house.state(case))["status"]
            if proposal["amount_minor"] != right.get("amount_minor", 3_000) or ended != "refunded":
                wrong.append(f"{ticket['ticket_id']}: {proposal['amount_minor']} {ended}")
        elif right["outcome"] == "refund" or proposal["kind"] == "reply":
            wrong.append(f"{ticket['ticket_id']}: {proposal['kind']} {state['reason']}: {draft[:200]}")
        if right.get("never_says", "\0") in draft:
            wrong.append(f"{ticket['ticket_id']} says {right['never_says']}")
    assert wrong == []
