"""Public reports of other shops' refund bugs, played on their orders: each amount is right, or a person is told why not.

All of `data/public_reports` is played.
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
    """Every report is played; what is right at the end, and the amount to the cent, stands in it."""
    await opened(stage)
    wrong = {}
    played = lines("tickets.jsonl")
    assert len(played) >= 23
    there = {order["order_id"] for order in lines("orders.jsonl")}
    for line in played:
        if line["ticket"]["order_id"].lstrip("#") not in there:
            continue  # its order is kept aside
        after = [other for other in played if other["ticket"]["order_id"] == line["ticket"]["order_id"]][1:]
        pays = all(other.get("after") for other in after)
        said = await wrong_with(stage, line["ticket"], line["right"], pays=pays)
        if said:
            wrong[line["ticket"]["ticket_id"]] = said
    assert wrong == {}


async def wrong_with(stage: Stage, ticket: dict[str, Any], right: dict[str, Any], *, pays: bool) -> str:
    """What is wrong with how a report ends; empty where nothing is.

    What is proposed is approved and paid, but where other reports are told of the same order as it was.
    """
    case = await stage.submit(**{"intent": None, "items": None, **ticket})
    state = await stage.run(case)
    proposal, draft = state["proposal"], str(state["draft"])
    if proposal is None:
        return "" if right["outcome"] != "refund" else f"{state['status']} {state['reason']}"
    assert isinstance(proposal, dict)
    if right.get("never_says", "\0") in draft:
        return f"says {right['never_says']}"
    if proposal["kind"] != "refund":
        denied = proposal["kind"] == "reply" and right["outcome"] in {"refund_or_handoff", "handoff"}
        return f"{proposal['kind']} {state['reason']}" if right["outcome"] == "refund" or denied else ""
    if right["outcome"] in {"no_refund", "handoff"} or proposal["rule"] == right.get("rule"):
        return f"a refund of {proposal['amount_minor']}"
    exact = proposal["amount_minor"] == right.get("amount_minor", proposal["amount_minor"])
    if not pays:
        return "" if exact else f"{proposal['amount_minor']}"
    await stage.say(case, DecisionRequest("approve"), "demo-specialist")
    await stage.finish()
    ended = (await stage.house.state(case))["status"]
    return "" if exact and ended == "refunded" else f"{proposal['amount_minor']} {ended}"
