"""The demo shop's return policy as rules, its orders, and claims on them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.shop import demo_orders
from policies.clauses import (
    Claim,
    RuleInForce,
    judgement_of,
)
from policies.documents import read_document
from policies.manifest import DEMO_CORPUS
from refunds.evidence import Citation
from refunds.ids import Sku
from refunds.money import Currency
from refunds.order import OrderFacts

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


USD = Currency("USD")


def rules() -> list[RuleInForce]:
    document = read_document(GOOD, "return-policy-us-v3.md")
    quotes = {clause.number: clause.quote for clause in document.clauses}
    return [
        RuleInForce(
            str(rule["rule"]),
            rule,
            Citation(
                "return-policy-us-v3",
                document.document_id,
                3,
                str(rule["clause"]),
                quotes[str(rule["clause"])],
            ),
        )
        for rule in document.rules
    ]


def order(name: str, days: int | None = None) -> OrderFacts:
    found = next(order for order in demo_orders(NOW) if order.order_id == name)
    return found if days is None else replace(found, delivered_at=NOW - timedelta(days=days))


def claim(facts: OrderFacts, *wanted: str, damaged: bool = False) -> Claim:
    return Claim(facts, tuple(Sku(sku) for sku in wanted) or None, damaged, NOW)


def verdict(said: Claim) -> object:
    found = judgement_of(said, rules())
    return None if found is None else found.verdict


GOOD = (DEMO_CORPUS / "return-policy-us-v3.md").read_text()
