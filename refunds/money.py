"""Money: an integer of minor units and its currency. No float comes near it."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import NewType

import iso4217
from babel import Locale, UnknownLocaleError
from babel.numbers import NumberPattern, parse_pattern

Currency = NewType("Currency", str)
"""An ISO 4217 code."""

NO_CURRENCY = Currency("XXX")
"""ISO 4217 for "no currency": what stands beside the zero of a reply or a hand-over."""

_MINOR_DIGITS: dict[str, int] = {
    one.code: one.exponent for one in iso4217.Currency if one.exponent is not None
}
"""How many digits of each currency are minor units, by ISO 4217; the others, as gold and testing codes, pay nothing."""

CURRENCIES = frozenset(_MINOR_DIGITS)
"""What can be paid in."""

_CODE = re.compile(r"[A-Z]{3}")

MAX_MINOR = 10**12
"""Ten thousand million in a two-digit currency: above any order, far below a bigint."""


class CurrencyMismatch(ValueError):
    """Two currencies cannot be added or compared."""


def currency(code: str) -> Currency:
    """The currency of an ISO code; ValueError where ISO 4217 has none of it that something can be paid in."""
    if code not in _MINOR_DIGITS:
        raise ValueError(f"not an ISO 4217 code: {code!r}")
    return Currency(code)


def minor_digits(of: Currency) -> int:
    """How many digits of a currency are minor units: 0, 2, 3 or 4; two of one that ISO 4217 has no more."""
    return _MINOR_DIGITS.get(of, 2)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units (cents for USD) of one currency."""

    amount_minor: int
    currency: Currency

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            raise TypeError("amount_minor is an integer")
        if not 0 <= self.amount_minor <= MAX_MINOR:
            raise ValueError(f"amount_minor out of bounds: {self.amount_minor}")
        if not _CODE.fullmatch(self.currency):
            raise ValueError(f"not an ISO 4217 code: {self.currency!r}")

    def _same(self, other: "Money") -> None:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} is not {other.currency}")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.amount_minor - other.amount_minor, self.currency)

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.amount_minor <= other.amount_minor

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.amount_minor < other.amount_minor

    @property
    def has_minor(self) -> bool:
        """Whether the currency has a decimal point."""
        return minor_digits(self.currency) > 0

    @property
    def major(self) -> Decimal:
        """The amount as people count it: 79.00 for 7900 cents."""
        return Decimal(self.amount_minor).scaleb(-minor_digits(self.currency))

    def shown(self, language: str) -> str:
        """As a language writes it: `¥5,800` in English, `1.619,34 €` in German; in English where none is known."""
        return _plain(
            _pattern(language, self.currency).apply(
                self.major, _locale(language), self.currency, currency_digits=False
            )
        )

    def bare(self, language: str) -> str:
        """The number alone, as people of a language write it, for a column whose head names the currency."""
        return _plain(_number_pattern(language, self.currency).apply(self.major, _locale(language)))

    def __str__(self) -> str:
        """For logs, messages and commands: one form in every language."""
        digits = minor_digits(self.currency)
        if digits == 0:
            return f"{self.amount_minor} {self.currency}"
        whole, part = divmod(self.amount_minor, 10**digits)
        return f"{whole}.{part:0{digits}d} {self.currency}"


def read_amount(text: str, of: Currency) -> Money:
    """The money of a text such as `79.00` or `79` in a currency; ValueError where it is none."""
    digits = minor_digits(of)
    said = re.fullmatch(r"(\d{1,10})(?:[.,](\d{1,4}))?", text.strip(), re.ASCII)
    if said is None or (said.group(2) is not None and len(said.group(2)) != digits):
        raise ValueError(f"not an amount of {of}: write it as {Money(0, of)}")
    return Money(int(said.group(1)) * 10**digits + int(said.group(2) or 0), of)


def load(language: str) -> None:
    """Read the tables of a language from their files, once a process: an event loop does it on a thread first."""
    Money(0, Currency("EUR")).shown(language)
    Money(0, Currency("EUR")).bare(language)


@lru_cache(maxsize=512)
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        return Locale("en")


@lru_cache(maxsize=512)
def _pattern(language: str, of: Currency) -> NumberPattern:
    """The pattern of a language for amounts, with the digits of ISO 4217: those of a language's tables may be fewer."""
    return _with_digits(_locale(language).currency_formats["standard"].pattern, of)


@lru_cache(maxsize=512)
def _number_pattern(language: str, of: Currency) -> NumberPattern:
    return _with_digits(_locale(language).decimal_formats[None].pattern, of)


def _with_digits(pattern: str, of: Currency) -> NumberPattern:
    made = parse_pattern(pattern)
    made.frac_prec = (minor_digits(of), minor_digits(of))
    return made


def _plain(text: str) -> str:
    """With spaces of one kind and no marks of direction: what a letter says can be typed, searched and compared."""
    return text.translate(_SPACES)


_SPACES = {0xA0: " ", 0x202F: " ", 0x200E: None, 0x200F: None, 0x061C: None}


NOTHING = Money(0, NO_CURRENCY)
