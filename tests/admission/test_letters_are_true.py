"""Every sentence of a letter is a fact: what it states is computed again here from the order alone, by other code."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import pytest
from conftest import CAMPAIGN
from hypothesis import given, settings
from hypothesis import strategies as st
from order_kit import NOW, ORDERS, after, orders

from graph.drafter import Draft, draft
from policies.amounts import stated_in
from policies.clauses.claim import Allow
from policies.languages import LANGUAGES
from policies.reading import trained_reader
from policies.request import MoneyRequest, request_of
from records.cases import Case
from records.library import StatedRule
from refunds.evidence import Citation, Grounded
from refunds.ids import LineId
from refunds.money import Currency, Money
from refunds.order import CustomerOrder, OrderFacts, Units, counted
from refunds.ticket import Ticket
from refunds.vocabulary import OrderStatus

EXAMPLES = 20_000 if CAMPAIGN else 200
CLAUSE = Citation("policy-v1", "policy", 1, "1", "What the policy says of it.")
SOURCE_SAID = "Our policy says: “What the policy says of it.” (policy-v1, clause 1)"
WINDOW, DAMAGED, LATE = 30, 90, 10
TEXTS = (
    "I changed my mind and want a refund.",
    "It came broken. Refund, please.",
    "It flickers. Refund, please.",
)


def rules(by: str, more: dict[str, object]) -> list[StatedRule]:
    stated: list[dict[str, object]] = [
        {"rule": "change-of-mind", "window_days": WINDOW, **more},
        {"rule": "faulty-goods", "window_days": DAMAGED},
        {"rule": "pending-cancellation"},
        {"rule": "late-delivery", "late_after_days": LATE},
        {"rule": "excluded-category", "final_sale": True},
        {"rule": "several-payments", "payment_order": by},
    ]
    return [StatedRule({"clause": "1", **rule}, CLAUSE) for rule in stated]


@st.composite
def told(draw: st.DrawFn) -> OrderFacts:
    """An order somewhere on its way, of which something may have gone back already."""
    order = draw(orders())
    status: OrderStatus = draw(st.sampled_from(["pending", "shipped", "delivered"]))
    days = draw(st.integers(0, 120))
    order = replace(
        order,
        status=status,
        ordered_at=NOW - timedelta(days=days + 3),
        delivered_at=NOW - timedelta(days=days) if status == "delivered" else None,
        lines=tuple(
            replace(
                line, name=f"Thing {line.line_id}", final_sale=draw(st.booleans()) and draw(st.booleans())
            )
            for line in order.lines
        ),
    )
    for _ in range(draw(st.integers(0, 2))):
        left = order.not_refunded()
        paying = [one for one in order.payments if one.left.amount_minor]
        if not left or not paying:
            break
        one, payment = draw(st.sampled_from(left)), draw(st.sampled_from(paying))
        part = Money(draw(st.integers(1, payment.left.amount_minor)), order.currency)
        units = (Units(one.line_id, draw(st.integers(1, one.quantity))),)
        order = after(order, Allow(part, payment.payment_id, units))
    return order


@settings(max_examples=EXAMPLES, deadline=None)
@given(order=told(), data=st.data())
def test_what_a_letter_states_can_be_computed_again_from_the_order(
    order: OrderFacts, data: st.DataObject
) -> None:
    skus = data.draw(
        st.none() | st.lists(st.sampled_from([line.sku for line in order.lines]), min_size=1, max_size=3)
    )
    more: dict[str, object] = data.draw(
        st.sampled_from(
            [
                {},
                {"restocking_percent": 10},
                {"goods_first": True},
                {"goods_first": True, "keep_below": {order.currency: 10_000}},
            ]
        )
    )
    text, language = (
        data.draw(st.sampled_from(TEXTS)),
        data.draw(st.sampled_from([one for one in LANGUAGES if one != "de"])),
    )
    case = cast(
        "Case",
        SimpleNamespace(
            intent="refund_request",
            tenant="demo",
            received_at=NOW,
            customer_id="C",
            ticket=SimpleNamespace(items=skus),
        ),
    )
    made = draft(
        case,
        asked_in(text, order),
        order,
        Grounded((CLAUSE,), by_rule=True),
        rules(data.draw(st.sampled_from(ORDERS)), more),
        NOW,
        None,
        language,
    )
    if isinstance(made, Draft):
        assert (
            why_untrue(made, order, text, Fraction(cast("int", more.get("restocking_percent", 0)), 100))
            is None
        ), made.text


def asked_in(text: str, order: OrderFacts) -> MoneyRequest:
    """What a text asks, with a ticket beside it that is a request for a refund of this order."""
    own = CustomerOrder(order.order_id, order.status, order.ordered_at, order.lines)
    ticket = Ticket.read(
        {"ticket_id": "t", "tenant": "demo", "customer_id": "C", "question": text, "intent": "refund_request"}
    )
    return request_of(trained_reader().read([text], [own], own.order_id), ticket, own.order_id)


def why_untrue(made: Draft, order: OrderFacts, text: str, kept: Fraction) -> str | None:
    """Which sentence of a letter is none that the order bears out; None where each is."""
    hello, first, *middle, team = made.text.split("\n\n")
    if (hello, team) != ("Hello,", "Your support team"):
        return "not a letter"
    if made.question and first.startswith("Which of these"):
        goods = "\n".join(f"- {line.quantity} × {line.name}" for line in order.lines)
        asks = first == f"Which of these of your order {order.order_id} do you mean, and how many?"
        return None if asks and middle[0] == goods and made.kind == "reply" else first
    names = ", ".join(line.name for line in order.lines[:3]) + (
        f" and {len(order.lines) - 3} more" if len(order.lines) > 3 else ""
    )
    came = (
        f"was delivered on {spoken(order.delivered_at)}"
        if order.delivered_at
        else "has not been delivered yet"
    )
    if middle[0] != f"Your order {order.order_id} ({names}) {came}. {SOURCE_SAID}":
        return middle[0]
    denial = re.fullmatch(r"We cannot offer a refund here: (.*)\.", first)
    if denial:
        return (
            None if len(middle) == 1 and made.kind == "reply" and is_so(denial[1], order, text) else denial[1]
        )
    return why_unfair(first, middle[1:], made, order, kept)


def spoken(at: datetime) -> str:
    """A day as an English letter says it."""
    return f"{at:%B} {at.day}, {at.year}"


def is_so(because: str, order: OrderFacts, text: str) -> bool:
    """Whether a denial's sentence is a fact."""
    days = None if order.delivered_at is None else (NOW - order.delivered_at).days
    if found := re.fullmatch(r"items can be returned within (\d+) days of delivery", because):
        return days is not None and days > int(found[1]) == WINDOW
    if found := re.fullmatch(
        r"faulty goods can be returned for a full refund within (\d+) days of delivery", because
    ):
        return days is not None and days > int(found[1]) == DAMAGED and "broken" in text
    if found := re.fullmatch(
        r"an order that is on its way is refunded (\d+) days after it was placed", because
    ):
        return order.status == "shipped" and (NOW - order.ordered_at).days <= int(found[1]) == LATE
    if because == "an order is cancelled as a whole or not at all":
        return order.status == "pending"
    if found := re.fullmatch(
        r"(Thing \d+) cannot be returned unless it came damaged, and your message does not say that it did",
        because,
    ):
        return "mind" in text and any(line.name == found[1] and line.final_sale for line in order.lines)
    if found := re.fullmatch(
        r"its refund has been made or ordered already: (.*?) on ([A-Z][a-z]+ \d+, \d{4})", because
    ):
        return any(
            stated_in(found[1])[0].minor == one.amount.amount_minor
            and one.at is not None
            and spoken(one.at) == found[2]
            for one in order.refunds
            if one.units
        )
    if found := re.fullmatch(
        r"all of the (.*) that was paid has been returned, or its return is ordered", because
    ):
        paid = sum(one.paid.amount_minor for one in order.payments)
        back = sum(one.refunded.amount_minor for one in order.payments)
        return stated_in(found[1])[0].minor == paid == back > 0
    # What of an order cost anything is held by the law of shares.
    return because == "there is nothing to return on this order"


def why_unfair(said: str, rest: list[str], made: Draft, order: OrderFacts, kept: Fraction) -> str | None:
    """What an offer says that the order does not bear out: its amount, its parts, its goods."""
    kept = kept if made.rule == "change-of-mind" else Fraction(0)
    found = re.fullmatch(
        r"(?P<amount>.*?) goes back to your original payment method(?:s(?:: |, )(?P<parts>.*?),?)?(?P<first> once this is back with us as you received it: (?P<goods>.*))?\.",
        said,
    )
    if found is None or made.kind != "refund":
        return said
    left = {one.payment_id: one.paid.amount_minor - one.refunded.amount_minor for one in order.payments}
    amount = stated_in(found["amount"])[0].minor
    parts = [one.minor for one in stated_in(found["parts"] or found["amount"])]
    if amount != made.amount.amount_minor or sum(parts) != amount or amount > sum(left.values()):
        return f"{amount} of {left} in {parts}"
    if any(part > left[leg.payment_id] for part, leg in zip(parts, made.legs, strict=bool(made.legs))):
        return f"{parts} of {left}"
    gone = counted(one for refund in order.refunds for one in refund.units)
    if any(one.quantity + gone[one.line_id] > order.line(one.line_id).quantity for one in made.units):
        return "a unit twice"
    whole = all(
        gone[line.line_id] + counted(made.units)[line.line_id] == line.quantity for line in order.lines
    )
    if not whole and abs(amount - worth(order, made.units) * (1 - kept)) > sum(
        one.quantity for one in made.units
    ) + len(order.lines):
        return f"{amount} for what cost {worth(order, made.units)}"
    goods = ", ".join(f"{one.quantity} × Thing {one.line_id}" for one in made.units)
    if (found["first"] is not None) != made.goods_first or (found["goods"] or goods) != goods:
        return said
    allowed = {
        "You need not send anything back.",
        "This is how you send it back:\n1. Pack it as you received it.\n2. Put a note with the number of your order,"
        f" {order.order_id}, into the parcel.\n3. Keep the receipt of the post until you have heard from us.",
        "When it is here, we return the money and write to you again.",
    }
    return None if set(rest) <= allowed else str(rest)


def worth(order: OrderFacts, units: tuple[Units, ...]) -> Fraction:
    """What units cost to the fraction: their part of the line, less its part of what was taken off the order."""
    prices = {line.line_id: line.price.amount_minor for line in order.lines}
    off = sum(one.amount.amount_minor for one in order.discounts)
    sold = sum(prices.values())
    rate = 1 - Fraction(min(off, sold), sold) if sold else Fraction(0)
    return sum(
        (
            Fraction(prices[one.line_id] * one.quantity, order.line(one.line_id).quantity) * rate
            for one in units
        ),
        Fraction(0),
    )


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("within 30 days", "within 31 days"),
        ("Thing 1 cannot", "Thing 2 cannot"),
        ("$79.00", "$80.00"),
        ("delivered on September", "delivered on August"),
        ("goes back", "came back"),
    ],
)
def test_the_law_sees_a_letter_that_is_a_little_wrong(said: str, instead: str) -> None:
    """Broken? The reading of letters above has gone blind."""
    order = bought(NOW - timedelta(days=25))
    letters: list[tuple[OrderFacts, str]] = [
        (order, TEXTS[0]),
        (replace(order, delivered_at=NOW - timedelta(days=40)), TEXTS[0]),
        (replace(order, lines=(replace(order.lines[0], final_sale=True), *order.lines[1:])), TEXTS[0]),
    ]
    seen = 0
    for facts, text in letters:
        case = cast(
            "Case",
            SimpleNamespace(
                intent="refund_request",
                tenant="demo",
                received_at=NOW,
                customer_id="C",
                ticket=SimpleNamespace(items=None),
            ),
        )
        made: Any = draft(
            case,
            asked_in(text, facts),
            facts,
            Grounded((CLAUSE,), by_rule=True),
            rules("card_first", {}),
            NOW,
            None,
            "en",
        )
        assert why_untrue(made, facts, text, Fraction(0)) is None, made.text
        if said in made.text:
            seen += 1
            wrong = replace(made, text=made.text.replace(said, instead))
            assert why_untrue(wrong, facts, text, Fraction(0)) is not None, wrong.text
    assert seen


def bought(delivered: datetime) -> OrderFacts:
    """Two things of 79.00 together, delivered then."""
    from policy_kit import order

    facts = order("D300", 1)
    line = replace(facts.lines[0], name="Thing 1", unit_price=Money(5_000, Currency("USD")))
    other = replace(line, line_id=LineId("2"), name="Thing 2", unit_price=Money(2_900, Currency("USD")))
    return replace(
        facts, lines=(line, other), ordered_at=delivered - timedelta(days=2), delivered_at=delivered
    )
