"""Orders of the outside shop as they are, exchanged for a dearer one, and paid half by gift card: exact to the cent."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evals.tau2 import RULES
from policies.clauses import Allow, Claim, Deny, RuleInForce, judgement_of
from refunds.evidence import Citation
from refunds.ids import Sku, TenantId
from refunds.incoming_order import Unstated, read_order_line
from refunds.money import Currency, Money
from refunds.order import MadeRefund, OrderFacts

DATA = Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).parents[3] / "shared/data")) / "tau2_retail"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there")


def exports() -> list[dict[str, Any]]:
    """The delivered orders, as the export has them."""
    every = [json.loads(line) for line in (DATA / "orders.jsonl").read_text().splitlines()]
    return [order for order in every if order["status"] == "delivered"]


def read(export: dict[str, Any]) -> OrderFacts:
    return read_order_line(json.dumps(export), TenantId("shop"), Unstated(Currency("USD"), "US", NOW))


def rules() -> list[RuleInForce]:
    stated = [json.loads(line) for line in RULES.read_text().splitlines()]
    return [RuleInForce(rule["rule"], rule, Citation("c", "c", 1, rule["clause"], "…")) for rule in stated]


def allowed(order: OrderFacts, items: list[str]) -> Allow:
    """What the shop's rules give back for these items."""
    claim = Claim(order, tuple(Sku(item) for item in items), says_damaged=False, now=NOW)
    found = judgement_of(claim, rules())
    assert found is not None and isinstance(found.verdict, Allow), (order.order_id, found)
    return found.verdict


def paid(order: OrderFacts, made: Allow) -> OrderFacts:
    """The order after this refund."""
    parts = {leg.payment_id: leg.amount for leg in made.legs} or {made.payment_id: made.amount}
    payments = tuple(
        replace(one, refunded=one.refunded + parts.get(one.payment_id, Money(0, order.currency)))
        for one in order.payments
    )
    refund = MadeRefund(NOW, made.amount, made.units, made.charges_minor, here=True)
    return replace(order, payments=payments, refunds=(*order.refunds, refund))


def test_a_delivered_order_returned_whole_gives_back_what_was_paid() -> None:
    orders = exports()
    assert len(orders) > 300
    for export in orders:
        order = read(export)
        made = allowed(order, [item["item_id"] for item in export["items"]])
        assert made.amount == order.left


def test_an_order_that_was_exchanged_for_a_dearer_one_goes_back_to_both_payments() -> None:
    for export in exports():
        first, *rest = export["items"]
        dearer = {**first, "cents": first["cents"] + 1_234}
        more = {"method": "card_again", "cents": 1_234, "type": "payment"}
        order = read({**export, "items": [dearer, *rest], "payments": [*export["payments"], more]})
        assert order.difference_minor == 0
        made = allowed(order, [item["item_id"] for item in export["items"]])
        assert sum(leg.amount.amount_minor for leg in made.legs) == order.left.amount_minor
        assert [leg.amount for leg in made.legs] == [payment.left for payment in order.payments]
        assert paid(order, made).left.amount_minor == 0


def test_an_order_that_was_paid_half_by_gift_card_is_returned_item_by_item_to_the_cent() -> None:
    for export in exports():
        whole = sum(item["cents"] for item in export["items"])
        if any(payment["type"] == "refund" for payment in export["payments"]):
            continue
        half = [
            {"method": "gift_card_7", "cents": whole // 2, "type": "payment"},
            {"method": "card_7", "cents": whole - whole // 2, "type": "payment"},
        ]
        order = read({**export, "payments": half})
        for item in export["items"]:
            made = allowed(order, [item["item_id"]])
            assert made.amount.amount_minor == item["cents"]
            order = paid(order, made)
            assert all(payment.left.amount_minor >= 0 for payment in order.payments)
        assert order.left.amount_minor == 0


def test_two_of_one_item_are_returned_one_by_one_and_not_a_third_time() -> None:
    repeated = [
        export
        for export in exports()
        if len({item["item_id"] for item in export["items"]}) < len(export["items"])
    ]
    assert repeated
    for export in repeated:
        order, ids = read(export), [item["item_id"] for item in export["items"]]
        twice = next(name for name in ids if ids.count(name) > 1)
        price = next(item["cents"] for item in export["items"] if item["item_id"] == twice)
        for _ in range(ids.count(twice)):
            made = allowed(order, [twice])
            assert made.amount.amount_minor == price
            order = paid(order, made)
        claim = Claim(order, (Sku(twice),), says_damaged=False, now=NOW)
        found = judgement_of(claim, rules())
        assert found is not None and isinstance(found.verdict, Deny)
