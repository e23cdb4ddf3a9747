"""Amounts: what a rule gives back is what was paid for it, and what a denial says is so."""

from dataclasses import replace
from datetime import timedelta

import pytest
from policy_kit import NOW, USD, claim, order, verdict

from policies.clauses import Allow, Deny, LeaveToPerson
from refunds.ids import LineId, Sku
from refunds.money import Money
from refunds.order import Line, MadeRefund, OrderFacts, Units


def units(*lines: int) -> tuple[Units, ...]:
    return tuple(Units(LineId(str(line)), 1) for line in lines)


def refunded(facts: OrderFacts, amount: int, *lines: int) -> OrderFacts:
    """The order after this much went back for these lines."""
    made = MadeRefund(NOW, Money(amount, USD), units(*lines), here=True)
    paid = replace(facts.payments[0], refunded=facts.payments[0].refunded + made.amount)
    return replace(facts, refunds=(*facts.refunds, made), payments=(paid, *facts.payments[1:]))


def bought(prices: list[int], paid: int, *, refunded: int = 0, skus: list[str] | None = None) -> OrderFacts:
    """Order D300, delivered yesterday, of these items at these prices, in cents."""
    names = skus or [f"SKU-{number}" for number in range(1, len(prices) + 1)]
    facts = order("D300", 1)
    return replace(
        facts,
        lines=tuple(
            Line(LineId(str(place)), Sku(sku), "Cup", "kitchen", Money(price, USD))
            for place, (sku, price) in enumerate(zip(names, prices, strict=True), start=1)
        ),
        payments=(replace(facts.payments[0], paid=Money(paid, USD), refunded=Money(refunded, USD)),),
    )


@pytest.mark.parametrize("wanted", [(), ("SKU-1",)])
@pytest.mark.parametrize(
    ("prices", "paid"),
    [
        pytest.param([1_210], 1_815, id="shipping that no line shows"),
        pytest.param([10_000, 10_000, 10_000], 27_000, id="a discount on the order"),
        pytest.param([17_926], 17_925, id="a cent of rounding"),
        pytest.param([7_900], 0, id="nothing paid"),
    ],
)
def test_no_rule_says_an_amount_where_the_items_are_not_what_was_paid(
    prices: list[int], paid: int, wanted: tuple[str, ...]
) -> None:
    assert verdict(claim(bought(prices, paid), *wanted)) == LeaveToPerson("order_unbalanced")


def test_of_two_equal_items_each_goes_back_once() -> None:
    facts = bought([2_000, 2_000], 4_000, skus=["SKU-1", "SKU-1"])
    one = Allow(Money(2_000, USD), facts.payments[0].payment_id, units(1))
    assert verdict(claim(facts, "SKU-1")) == one
    left = refunded(facts, 2_000, 1)
    assert verdict(claim(left, "SKU-1")) == verdict(claim(left)) == replace(one, units=units(2))
    assert verdict(claim(left, "SKU-1", "SKU-1")) == LeaveToPerson("more_than_left")
    assert (
        verdict(claim(facts, "SKU-1", "SKU-1"))
        == verdict(claim(facts))
        == replace(one, amount=Money(4_000, USD), units=units(1, 2))
    )
    gone = refunded(left, 2_000, 2)
    assert verdict(claim(gone, "SKU-1")) == Deny(
        "its refund has been made or ordered already: 20.00 USD on 2026-06-01"
    )


def test_a_part_is_never_given_what_is_left_of_the_whole() -> None:
    """A clause that speaks of the damaged items alone prices them alone, though the whole order was claimed."""
    facts = bought([7_900, 2_100], 10_000, refunded=3_000)
    tablet = replace(facts, lines=(replace(facts.lines[0], category="tablet"), facts.lines[1]))
    late = replace(tablet, delivered_at=NOW - timedelta(days=20))
    assert verdict(claim(late, damaged=True)) == LeaveToPerson("more_than_left")


def test_what_is_left_of_an_open_order_is_cancelled_as_a_whole() -> None:
    facts = replace(
        bought([2_000, 2_000], 4_000, skus=["SKU-1", "SKU-1"]), status="pending", delivered_at=None
    )
    left = refunded(facts, 2_000, 1)
    assert verdict(claim(left)) == Allow(Money(2_000, USD), facts.payments[0].payment_id, units(2))


def test_lines_of_one_name_that_differ_are_told_apart_by_a_person() -> None:
    facts = bought([1_000, 5_000], 6_000, skus=["SKU-1", "SKU-1"])
    assert verdict(claim(facts, "SKU-1")) is None
    named = replace(claim(facts, "SKU-1"), named=units(2))
    assert verdict(named) == Allow(Money(5_000, USD), facts.payments[0].payment_id, units(2))
    rest = refunded(facts, 1_000, 1)
    assert verdict(claim(rest)) == Allow(Money(5_000, USD), facts.payments[0].payment_id, units(2))


def test_an_order_that_nobody_paid_is_not_one_of_several_payments() -> None:
    assert verdict(claim(replace(bought([1_000], 1_000), payments=()))) == LeaveToPerson("order_unbalanced")


def test_what_went_back_before_the_order_came_here_is_not_given_back_again() -> None:
    facts = bought([10_000, 10_000, 10_000], 30_000, refunded=15_000)
    assert verdict(claim(facts)) == Allow(Money(15_000, USD), facts.payments[0].payment_id, units(1, 2, 3))
    assert verdict(claim(facts, "SKU-1")) == Allow(Money(10_000, USD), facts.payments[0].payment_id, units(1))
    assert verdict(claim(facts, "SKU-1", "SKU-2")) == LeaveToPerson("more_than_left")
    spent = bought([10_000], 10_000, refunded=10_000)
    assert verdict(claim(spent)) == Deny(
        "all of the 100.00 USD that was paid has been returned, or its return is ordered"
    )
