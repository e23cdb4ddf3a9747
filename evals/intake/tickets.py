"""Tickets with their readings, written for this project: half to tune by, half kept for the test."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from evals.intake.rows import READING
from refunds.ids import LineId, OrderId, Sku
from refunds.money import Currency, Money
from refunds.order import CustomerOrder, Line

HALVES = ("tuning", "test")


@dataclass(frozen=True, slots=True)
class LabelledTicket:
    """A ticket and what a person read in it: `lines` are line ids with counts, `whole`, `unclear` or None."""

    name: str
    customer_id: str
    order_id: OrderId | None
    text: str
    asks: frozenset[str]
    money: str
    about: str | None
    lines: Mapping[str, int] | str | None
    cause: str | None
    conditions: bool
    urgent: bool


def labelled(half: str) -> list[LabelledTicket]:
    """The tickets of a half."""
    return [_ticket(json.loads(line)) for line in _lines(f"{half}.jsonl")]


def _ticket(told: Mapping[str, Any]) -> LabelledTicket:
    ticket, reading = told["ticket"], told["reading"]
    lines = reading["lines"]
    return LabelledTicket(
        name=ticket["ticket_id"],
        customer_id=ticket["customer_id"],
        order_id=OrderId(ticket["order_id"]) if ticket["order_id"] else None,
        text=ticket["question"],
        asks=frozenset(reading["asks"]),
        money=reading["money"],
        about=reading["order"],
        lines=dict(lines) if isinstance(lines, list) else lines,
        cause=reading["cause"],
        conditions=reading["conditions"],
        urgent=reading["urgent"],
    )


@cache
def orders_by_customer() -> Mapping[str, tuple[CustomerOrder, ...]]:
    """The orders that the tickets are about."""
    found: dict[str, tuple[CustomerOrder, ...]] = {}
    for line in _lines("orders.jsonl"):
        told = json.loads(line)
        lines = tuple(
            Line(
                LineId(one["line_id"]),
                Sku(one["sku"]),
                one["name"],
                one["category"],
                Money(one["unit_price_minor"], Currency(told["currency"])),
                one["quantity"],
                options=tuple(one.get("options", {}).items()),
            )
            for one in told["lines"]
        )
        order = CustomerOrder(
            OrderId(told["order_id"]), told["status"], datetime(2026, 1, 1, tzinfo=UTC), lines, told["region"]
        )
        found[told["customer_id"]] = (*found.get(told["customer_id"], ()), order)
    return found


def _lines(name: str) -> list[str]:
    return [line for line in (READING / name).read_text(encoding="utf-8").splitlines() if line]
