"""Shares: units sum to lines, lines, shipping and fees to what was paid, whatever goes back in whichever order."""

from dataclasses import replace

import pytest
from conftest import CAMPAIGN
from hypothesis import given, settings
from hypothesis import strategies as st
from order_kit import NOW, ORDERS, after, orders

from policies.clauses.claim import Allow, Claim, Deny, LeaveToPerson
from policies.clauses.what_goes_back import RefundParameters, refund_rest, refund_units
from refunds.ids import CustomerId, LineId, OrderId, PaymentId, Sku, TenantId
from refunds.legs import split
from refunds.money import Currency, Money
from refunds.order import Line, OrderFacts, Payment, Units, counted
from refunds.shares import Unbalanced, in_proportion, shares_of
from refunds.vocabulary import PaymentOrder

EXAMPLES = 20_000 if CAMPAIGN else 300
PLAIN = RefundParameters(rule="change-of-mind", clause="1")


@settings(max_examples=EXAMPLES, deadline=None)
@given(order=orders(), data=st.data())
def test_any_sequence_of_refunds_gives_back_exactly_the_shares_and_in_the_end_what_was_paid(
    order: OrderFacts, data: st.DataObject
) -> None:
    by = data.draw(st.sampled_from(ORDERS))
    shares = shares_of(order)
    assert sum(map(sum, shares.lines.values())) + shares.charged_minor == order.paid.amount_minor
    assert all(share >= 0 for line in shares.lines.values() for share in line)
    for line, units in shares.lines.items():
        assert len(units) == order.line(line).quantity
        assert max(units) - min(units) <= 1
    while left := order.not_refunded():
        one = data.draw(st.sampled_from(left))
        wanted = Units(one.line_id, data.draw(st.integers(1, one.quantity)))
        gone = order.gone[one.line_id]
        due = sum(shares.lines[one.line_id][gone : gone + wanted.quantity])
        claim = Claim(order, None, says_damaged=False, now=NOW, named=(wanted,), payment_order=by)
        last = order.not_refunded() == (wanted,)
        said = refund_rest(claim) if last else refund_units(claim, (wanted,), PLAIN)
        if not isinstance(said, Allow):
            # Nothing was due for it; the rest of the order has its shares all the same.
            assert due == 0 or order.left.amount_minor == 0
            order = after(order, Allow(Money(0, order.currency), order.payments[0].payment_id, (wanted,)))
            continue
        assert said.amount.amount_minor == (order.left.amount_minor if last else due)
        order = after(order, said)
        assert all(payment.left.amount_minor >= 0 for payment in order.payments)
        claim = Claim(order, None, says_damaged=False, now=NOW, named=(wanted,), payment_order=by)
        if order.gone[one.line_id] == order.line(one.line_id).quantity:
            assert not isinstance(refund_units(claim, (wanted,), PLAIN), Allow), "no unit twice"
    assert order.left.amount_minor in {0, shares.charged_minor}


@given(amount=st.integers(0, 10**6), weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
def test_parts_sum_to_the_whole_and_none_is_above_its_weight(amount: int, weights: list[int]) -> None:
    amount = min(amount, sum(weights))
    parts = in_proportion(amount, weights)
    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


def test_what_is_over_goes_to_the_largest_remainder_in_the_order_of_the_lines() -> None:
    assert in_proportion(100, [1, 1, 1]) == [34, 33, 33]
    assert in_proportion(10, [10, 10, 20]) == [3, 2, 5]


@pytest.mark.parametrize(
    ("by", "parts"),
    [
        pytest.param("gift_card_first", [("gift", 1_000), ("card", 500)], id="gift card first"),
        pytest.param("card_first", [("card", 1_500)], id="card first"),
        pytest.param("in_proportion", [("gift", 500), ("card", 1_000)], id="in proportion"),
    ],
)
def test_a_clause_says_to_which_payment_money_goes_first(
    by: PaymentOrder, parts: list[tuple[str, int]]
) -> None:
    usd = Currency("USD")
    payments = [
        Payment(PaymentId("gift"), "gift_card_1", Money(1_000, usd), Money(0, usd), "gift_card"),
        Payment(PaymentId("card"), "card_1", Money(2_000, usd), Money(0, usd), "card"),
    ]
    assert [
        (leg.payment_id, leg.amount.amount_minor) for leg in split(Money(1_500, usd), payments, by)
    ] == parts


def test_an_order_that_does_not_add_up_has_no_shares() -> None:
    usd = Currency("USD")
    line = Line(LineId("1"), Sku("S"), "Cup", "kitchen", Money(2_000, usd))
    paid = Payment(PaymentId("p"), "card_1", Money(1_999, usd), Money(0, usd))
    order = OrderFacts(
        TenantId("demo"), OrderId("O"), CustomerId("C"), "US", "delivered", NOW, NOW, (line,), (paid,)
    )
    with pytest.raises(Unbalanced):
        shares_of(order)


@given(order=orders(), over=st.integers(-300, 300), data=st.data())
def test_what_a_rule_allows_or_says_can_be_computed_from_the_order_alone(
    order: OrderFacts, over: int, data: st.DataObject
) -> None:
    """Earlier refunds of units and of nobody knows what, sums that do not add up: each sentence is a fact of the order."""
    for line in order.lines:
        back = data.draw(st.integers(0, line.quantity))
        if back and line.price.amount_minor <= order.left.amount_minor:
            legs = split(Money(line.price.amount_minor, order.currency), order.payments, "card_first")
            told = (Units(line.line_id, back),) if data.draw(st.booleans()) else ()
            to = legs[0].payment_id if legs else order.payments[0].payment_id
            order = after(order, Allow(line.price, to, told, 0, legs if len(legs) > 1 else ()))
    first, *others = order.payments
    if over and first.paid.amount_minor + over >= first.refunded.amount_minor:
        first = replace(first, paid=Money(first.paid.amount_minor + over, order.currency))
    order = replace(order, payments=(first, *others))
    named = (
        tuple(
            Units(line.line_id, quantity)
            for line in order.lines
            if (quantity := data.draw(st.integers(0, line.quantity)))
        )
        or order.units()
    )
    by = data.draw(st.sampled_from([None, *ORDERS]))
    claim = Claim(order, None, says_damaged=False, now=NOW, named=named, payment_order=by)
    said, there = refund_units(claim, named, PLAIN), counted(order.not_refunded())
    match said:
        case Allow(amount, _, units, charges, legs):
            assert order.difference_minor == 0 and charges == 0
            assert 0 < amount.amount_minor <= order.left.amount_minor and not counted(units) - there
            assert sum(leg.amount.amount_minor for leg in legs) in {0, amount.amount_minor}
            assert by is not None or len(order.payments) == 1
        case Deny(because) if because.key.startswith("because.made_before"):
            assert not counted(named) & there
            made = [one for one in order.refunds if counted(one.units) & counted(named)]
            assert not made or dict(because.values) == {"amount": made[-1].amount, "day": NOW}
        case Deny(because) if because.key == "because.all_returned":
            assert order.left.amount_minor == 0 < order.paid.amount_minor
            assert dict(because.values) == {"amount": order.paid}
        case Deny(because):
            assert because.key == "because.nothing"
        case LeaveToPerson("order_unbalanced"):
            assert order.difference_minor != 0
        case LeaveToPerson("several_payments"):
            assert len(order.payments) > 1 and by is None
        case LeaveToPerson("more_than_left"):
            assert counted(named) - there or order.unexplained.amount_minor > 0 or order.refunds
        case _:
            raise AssertionError(said)
