"""Money is shown as people write it, and read back from a text however they wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.amounts import stated_in
from policies.languages import LANGUAGES
from refunds.money import Currency, Money, currency, minor_digits

WRITTEN = ["EUR", "USD", "GBP", "JPY", "KWD", "CAD", "CHF", "ISK"]


@pytest.mark.parametrize(
    ("minor", "code", "language", "text"),
    [
        (5_800, "JPY", "en", "¥5,800"),
        (161_934, "EUR", "de", "1.619,34 €"),
        (161_934, "EUR", "fr", "1 619,34 €"),
        (161_934, "EUR", "en", "€1,619.34"),
        (1_234_567, "KWD", "en", "KWD1,234.567"),
        (1_210, "CAD", "en", "CA$12.10"),
        (50_000, "IQD", "en", "IQD50.000"),
        (7_900, "USD", "tlh", "$79.00"),
    ],
)
def test_an_amount_is_written_as_its_language_does_with_the_digits_of_its_currency(
    minor: int, code: str, language: str, text: str
) -> None:
    assert Money(minor, Currency(code)).shown(language) == text


@pytest.mark.parametrize(("code", "digits"), [("JPY", 0), ("USD", 2), ("KWD", 3), ("CLF", 4), ("IQD", 3)])
def test_minor_units_are_those_of_iso_4217(code: str, digits: int) -> None:
    assert minor_digits(Currency(code)) == digits


@pytest.mark.parametrize("code", ["XAU", "XXX", "ABC", "usd", "US"])
def test_nothing_is_paid_in_what_is_no_currency(code: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        currency(code)


@given(st.integers(0, 10**9), st.sampled_from(WRITTEN), st.sampled_from(LANGUAGES))
def test_what_is_written_in_any_language_is_read_back_to_the_minor_unit(
    minor: int, code: str, language: str
) -> None:
    amount = Money(minor, Currency(code))
    for text in (amount.shown(language), str(amount)):
        [stated] = stated_in(f"We return {text}, once. It has 30 days.")
        assert (stated.minor, stated.unit) == (minor, code), text


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("within 30 days, 10.5 kg, 20.00% off, on 2026-11-20", []),
        ("79.00 and 1 200,50", [7_900, 120_050]),
        ("$5 million and 5k EUR", [500_000_000, 500_000]),
        ("¥5,800.50", [-1]),
        ("try 3 all 4 top", []),
        ("120.00USD, 120usd, Usd 120 and 79 cents", [12_000, 12_000, 12_000, 79]),
    ],
)
def test_a_number_is_an_amount_beside_a_currency_or_with_two_decimals(text: str, amounts: list[int]) -> None:
    assert [stated.minor for stated in stated_in(text)] == amounts


@pytest.mark.parametrize(
    ("text", "of", "unit"),
    [("¥79.00", "CNY", "CNY"), ("¥79", "JPY", "JPY"), ("$5", "CAD", "CAD"), ("$5", "EUR", "USD")],
)
def test_a_sign_that_several_currencies_have_means_that_of_the_order(text: str, of: str, unit: str) -> None:
    [stated] = stated_in(text, Currency(of))
    assert (stated.unit, stated.can_be(Currency(of))) == (unit, unit == of)
