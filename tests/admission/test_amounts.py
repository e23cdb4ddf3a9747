"""Amounts: what a rule gives back is what was paid for it, and what a denial says is so."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_kit import NOW, USD, claim, order, verdict

from policies.clauses import Allow, Deny, LeaveToPerson
from refunds.ids import PaymentId, Sku
from refunds.money import Money
from refunds.order import Item, OrderFacts

SKU = Sku("SKU-1")


def bought(prices: list[int], paid: int, *, refunded: int = 0, skus: list[str] | None = None) -> OrderFacts:
    """Order D300, delivered yesterday, of these items at these prices, in cents."""
    names = skus or [f"SKU-{number}" for number in range(1, len(prices) + 1)]
    facts = order("D300", 1)
    return replace(
        facts,
        items=tuple(
            Item(Sku(sku), "Cup", "kitchen", Money(price, USD))
            for sku, price in zip(names, prices, strict=True)
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
    one = Allow(Money(2_000, USD), facts.payments[0].payment_id, (SKU,))
    assert verdict(claim(facts, "SKU-1")) == one
    left = replace(facts, refunded=(SKU,), payments=(replace(facts.payments[0], refunded=Money(2_000, USD)),))
    assert verdict(claim(left, "SKU-1")) == verdict(claim(left)) == one
    assert verdict(claim(left, "SKU-1", "SKU-1")) == LeaveToPerson("more_than_left")
    assert (
        verdict(claim(facts, "SKU-1", "SKU-1"))
        == verdict(claim(facts))
        == replace(one, amount=Money(4_000, USD), items=(SKU, SKU))
    )
    gone = replace(left, refunded=(SKU, SKU))
    assert verdict(claim(gone, "SKU-1")) == Deny("its refund has been made or ordered already")


def test_a_part_is_never_given_what_is_left_of_the_whole() -> None:
    """A clause that speaks of the damaged items alone prices them alone, though the whole order was claimed."""
    facts = bought([7_900, 2_100], 10_000, refunded=3_000)
    tablet = replace(facts, items=(replace(facts.items[0], category="tablet"), facts.items[1]))
    late = replace(tablet, delivered_at=NOW - timedelta(days=20))
    assert verdict(claim(late, damaged=True)) == LeaveToPerson("more_than_left")


def test_what_is_left_of_an_open_order_is_cancelled_as_a_whole() -> None:
    facts = replace(bought([2_000, 2_000], 4_000, refunded=2_000, skus=["SKU-1", "SKU-1"]), status="pending")
    left = replace(facts, refunded=(SKU,), delivered_at=None)
    assert verdict(claim(left)) == Allow(Money(2_000, USD), facts.payments[0].payment_id, (SKU,))


def test_lines_of_one_name_that_differ_are_a_persons_once_one_of_them_went_back() -> None:
    facts = bought([1_000, 5_000], 6_000, refunded=500, skus=["SKU-1", "SKU-1"])
    assert verdict(claim(replace(facts, refunded=(SKU,)))) is None
    assert verdict(claim(facts, "SKU-1")) is None


def test_an_order_that_nobody_paid_is_not_one_of_several_payments() -> None:
    assert verdict(claim(replace(bought([1_000], 1_000), payments=()))) == LeaveToPerson("order_unbalanced")


def test_what_went_back_before_the_order_came_here_is_not_given_back_again() -> None:
    facts = bought([10_000, 10_000, 10_000], 30_000, refunded=15_000)
    every = tuple(item.sku for item in facts.items)
    assert verdict(claim(facts)) == Allow(Money(15_000, USD), facts.payments[0].payment_id, every)
    assert isinstance(verdict(claim(facts, "SKU-1")), Allow)
    assert verdict(claim(facts, "SKU-1", "SKU-2")) == LeaveToPerson("more_than_left")
    spent = bought([10_000], 10_000, refunded=10_000)
    assert verdict(claim(spent)) == Deny(
        "all of the 100.00 USD that was paid has been returned, or its return is ordered"
    )


@given(
    prices=st.lists(st.integers(0, 10**6), min_size=1, max_size=5),
    over=st.integers(-500, 500),
    payments=st.integers(1, 3),
    refunded=st.integers(0, 10**6),
    data=st.data(),
)
def test_what_a_rule_allows_or_says_can_be_computed_from_the_order_alone(
    prices: list[int], over: int, payments: int, refunded: int, data: st.DataObject
) -> None:
    skus = data.draw(
        st.lists(st.sampled_from(["SKU-1", "SKU-2"]), min_size=len(prices), max_size=len(prices))
    )
    price_of = dict(zip(skus, prices, strict=True))
    items = [price_of[sku] for sku in skus]
    paid = max(0, sum(items) + over)
    facts = bought(items, paid, refunded=min(refunded, paid), skus=skus)
    categories = {sku: data.draw(st.sampled_from(["tablet", "kitchen"])) for sku in price_of}
    facts = replace(
        facts, items=tuple(replace(item, category=categories[str(item.sku)]) for item in facts.items)
    )
    gone = data.draw(st.lists(st.sampled_from(skus), max_size=len(skus)))
    facts = replace(
        facts,
        refunded=tuple(Sku(sku) for sku in gone),
        payments=facts.payments
        + tuple(replace(facts.payments[0], payment_id=PaymentId(f"more_{n}")) for n in range(1, payments)),
    )
    wanted = data.draw(st.lists(st.sampled_from(skus), max_size=len(skus)))
    said = verdict(claim(facts, *wanted, damaged=data.draw(st.booleans())))
    match said:
        case Allow(amount, payment_id, named):
            assert len(facts.payments) == 1 and payment_id == facts.payments[0].payment_id
            assert paid == sum(items)
            assert 0 < amount.amount_minor <= facts.payments[0].left.amount_minor
            priced = sum(price_of[sku] for sku in named)
            rest = facts.payments[0].left.amount_minor
            assert amount.amount_minor == (min(priced, rest) if len(named) == len(items) else priced)
            assert all(named.count(sku) + gone.count(sku) <= skus.count(sku) for sku in named)
        case Deny("its refund has been made or ordered already"):
            assert gone
        case Deny(because) if "has been returned" in because:
            assert facts.payments[0].left.amount_minor == 0 and paid > 0
        case Deny(because):
            assert because == "there is nothing to return on this order"
        case LeaveToPerson("order_unbalanced"):
            assert paid != sum(items)
        case LeaveToPerson("several_payments"):
            assert len(facts.payments) > 1
        case LeaveToPerson("more_than_left"):
            assert refunded > 0 or any(
                wanted.count(sku) + gone.count(sku) > skus.count(sku) for sku in wanted
            )
        case None:
            assert any(wanted.count(sku) > skus.count(sku) for sku in wanted)
        case _:
            raise AssertionError(said)
