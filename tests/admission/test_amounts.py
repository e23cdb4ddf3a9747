"""Amounts: what a rule gives back is what was paid for it, and what a denial says is so."""

from dataclasses import replace
from datetime import timedelta

import pytest
from policy_kit import NOW, USD, claim, order, rules, verdict

from policies.clauses import (
    Allow,
    BadRule,
    Bar,
    Deny,
    LeaveToPerson,
    RuleInForce,
    check_rules,
    judgement_of,
)
from policies.letter_templates import Because
from refunds.ids import LineId, Sku
from refunds.money import Money
from refunds.order import Charge, Line, MadeRefund, OrderFacts, Units
from refunds.vocabulary import OrderStatus


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
        Because.of(
            "because.made_before_on",
            amount=Money(2_000, USD),
            day=NOW,
        )
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
    assert verdict(claim(spent)) == Deny(Because.of("because.all_returned", amount=Money(10_000, USD)))


def with_shipping(status: OrderStatus = "delivered", shipping: int = 1_590) -> OrderFacts:
    """Two cups of 20.00 USD and shipping, all paid with one card."""
    facts = bought([2_000, 2_000], 4_000)
    paid = replace(facts.payments[0], paid=Money(4_000 + shipping, USD))
    charge = Charge("shipping", "express", Money(shipping, USD))
    return replace(facts, status=status, charges=(charge,), payments=(paid,))


def given_back(facts: OrderFacts, *wanted: str, **says: object) -> object:
    """What a change of mind gives back where its clause says this beside its window."""
    stated = {"rule": "change-of-mind", "clause": "2", "window_days": 14, **says}
    rule = RuleInForce("change-of-mind", stated, rules()[0].citation)
    found = judgement_of(claim(facts, *wanted), [rule])
    assert found is not None
    return found.verdict.amount.amount_minor if isinstance(found.verdict, Allow) else found.verdict


@pytest.mark.parametrize(
    ("says", "wanted", "amount"),
    [
        pytest.param({}, (), 4_000, id="shipping is kept where no clause gives it"),
        pytest.param({"shipping_back": "whole_order"}, (), 5_590, id="with the whole order"),
        pytest.param({"shipping_back": "whole_order"}, ("SKU-1",), 2_000, id="not with a part of it"),
        pytest.param({"shipping_back": "always"}, ("SKU-1",), 3_590, id="with any part"),
        pytest.param(
            {"shipping_back": "whole_order", "standard_shipping": {"USD": 650}},
            (),
            4_650,
            id="standard at most",
        ),
        pytest.param(
            {"shipping_back": "whole_order", "standard_shipping": {"EUR": 650}},
            (),
            5_590,
            id="of another currency",
        ),
        pytest.param({"restocking_percent": 15}, ("SKU-1",), 1_700, id="a restocking fee"),
        pytest.param({"return_label": {"USD": 690}}, (), 3_310, id="the label is deducted"),
        pytest.param(
            {"restocking_percent": 100},
            (),
            Deny(Because.of("because.deducted")),
            id="nothing is left",
        ),
    ],
)
def test_a_clause_says_what_goes_back_beside_the_goods(
    says: dict[str, object], wanted: tuple[str, ...], amount: object
) -> None:
    assert given_back(with_shipping(), *wanted, **says) == amount


def test_shipping_goes_back_once() -> None:
    first = claim(with_shipping(), "SKU-1")
    stated = {"rule": "change-of-mind", "clause": "2", "window_days": 14, "shipping_back": "always"}
    rule = RuleInForce("change-of-mind", stated, rules()[0].citation)
    found = judgement_of(first, [rule])
    assert found is not None and isinstance(found.verdict, Allow)
    assert found.verdict.charges_minor == 1_590
    facts = first.order
    refund = MadeRefund(
        NOW, found.verdict.amount, found.verdict.units, found.verdict.charges_minor, here=True
    )
    paid = replace(facts.payments[0], refunded=found.verdict.amount)
    later = replace(facts, refunds=(refund,), payments=(paid,))
    assert given_back(later, shipping_back="always") == 2_000


def test_a_cancellation_gives_back_what_is_left_of_all_that_was_paid() -> None:
    facts = replace(with_shipping("pending"), delivered_at=None)
    said = verdict(claim(facts))
    assert isinstance(said, Allow)
    assert (said.amount.amount_minor, said.charges_minor) == (5_590, 1_590)
    assert verdict(claim(facts, "SKU-1")) == Deny(Because.of("because.whole_order"))


def test_a_parameter_that_no_rule_has_is_refused() -> None:
    with pytest.raises(BadRule, match="shiping_back"):
        check_rules([{"rule": "change-of-mind", "clause": "2", "window_days": 14, "shiping_back": "always"}])


def test_a_line_that_is_marked_final_sale_is_barred_where_the_clause_speaks_of_it() -> None:
    facts = bought([2_000], 2_000)
    marked = replace(facts, lines=(replace(facts.lines[0], final_sale=True),))
    stated = {"rule": "excluded-category", "clause": "1", "final_sale": True}
    bar = RuleInForce("excluded-category", stated, rules()[0].citation)
    for order_, barred in ((marked, True), (facts, False)):
        found = judgement_of(claim(order_), [*rules(), bar])
        assert found is not None and isinstance(found.verdict, Bar) is barred
