"""Amounts in a text: what a reply may say of money, however people write it. Pure."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from babel import Locale

from policies.languages import LANGUAGES
from refunds.money import CURRENCIES, Currency, minor_digits

_SHARED = {
    "$": frozenset({"USD", "CAD", "AUD", "NZD", "HKD", "SGD", "MXN", "TWD", "CLP", "COP", "ARS"}),
    "¥": frozenset({"JPY", "CNY"}),
    "\N{FULLWIDTH YEN SIGN}": frozenset({"JPY", "CNY"}),
}
"""Signs that several currencies have: such a one means that of the order, where it can."""

_NAMES = {
    "dollar": "USD", "buck": "USD", "dólare": "USD", "euro": "EUR", "pound": "GBP", "quid": "GBP", "libra": "GBP",
    "franc": "CHF", "yen": "JPY", "cent": "CENT",
}  # fmt: skip
_TIMES = {"k": 1_000, "thousand": 1_000, "million": 1_000_000}
_WORDS = r"dollars?|euros?|pounds?|cents?|bucks|quid|francs?|yen|dólares|libras"

_ENGLISH = {"ALL", "BAM", "COP", "CUP", "GEL", "MAD", "MOP", "PEN", "SOS", "TOP", "TRY"}
"""Codes that are English words too: those are codes in capitals alone."""

_CODES = "|".join(sorted(CURRENCIES - _ENGLISH))
_CAPITALS = "|".join(sorted(_ENGLISH))
_NUMBER = r"\d{1,3}(?:[.,'’\u00a0\u202f ]\d{3})+(?:[.,]\d{1,4})?(?!\d)|\d+(?:[.,]\d+)?"


@cache
def signs() -> dict[str, str]:
    """What stands for a currency beside an amount, in the languages that replies are written in; English says it first.

    The tables of the languages are read from their files, once a process: an event loop does it on a thread first.
    """
    found = {"\N{FULLWIDTH YEN SIGN}": "JPY"}
    for language in LANGUAGES:
        for code, sign in Locale(language).currency_symbols.items():
            if code in CURRENCIES and ("$" in sign or not sign.isascii()):
                found.setdefault(sign.upper().replace("\N{NARROW NO-BREAK SPACE}", " "), code)
    return found


@cache
def _stated() -> re.Pattern[str]:
    by_length = sorted(signs(), key=len, reverse=True)
    mark = (
        rf"(?:(?<![A-Za-z])(?:{_CODES}|(?-i:{_CAPITALS}))(?![A-Za-z])"
        rf"|{'|'.join(map(re.escape, by_length))}|(?:{_WORDS})\b)"
    )
    return re.compile(
        rf"(?P<before>{mark})?(?(before)\s?|(?<![\w.,-]))(?P<number>{_NUMBER})(?![\d%]|[.,]\d)"
        rf"(?:\s?(?P<times>million|thousand|k)\b)?(?(before)|(?:\s?(?P<after>{mark})(?!\d))?)",
        re.IGNORECASE,
    )


@dataclass(frozen=True, slots=True)
class Stated:
    """An amount that a text states: as people count it, and of which currency where the text says so."""

    amount: Decimal
    unit: str
    """An ISO 4217 code, CENT, or nothing."""

    def __str__(self) -> str:
        return f"{self.amount:f} {self.unit}".strip()

    @property
    def minor(self) -> int:
        """In minor units, those of two digits where no currency is said; -1 where that is no whole number."""
        if self.unit == "CENT":
            return int(self.amount) if self.amount == self.amount.to_integral_value() else -1
        minor = self.amount.scaleb(minor_digits(Currency(self.unit)))
        return int(minor) if minor == minor.to_integral_value() else -1

    def can_be(self, of: Currency) -> bool:
        """Whether it may be an amount of this currency: it says no other one."""
        return self.unit in {"", "CENT", of}


def stated_in(text: str, of: Currency | None = None) -> list[Stated]:
    """Every amount of a text in order: a number beside a currency, and one with two decimals without.

    `of` is the currency that a sign means which several have.
    """
    found = []
    for match in _stated().finditer(text):
        unit = _unit(match["before"] or match["after"] or "", of)
        if unit or re.search(r"[.,]\d{2}$", match["number"]):
            times = _TIMES.get((match["times"] or "").lower(), 1)
            found.append(Stated(_amount(match["number"], unit) * times, unit))
    return found


def amounts_in(text: str, of: Currency | None = None) -> list[int]:
    """Every amount that a text states, in minor units and in order."""
    return [stated.minor for stated in stated_in(text, of)]


def _unit(mark: str, of: Currency | None) -> str:
    if of is not None and of in _SHARED.get(mark, ()):
        return of
    sign: str | None = signs().get(mark.upper())
    return sign or _NAMES.get(mark.lower().rstrip("s"), mark.upper())


def _amount(number: str, unit: str) -> Decimal:
    """A number with groups or decimals: what follows its last mark are decimals unless that can only be a group."""
    whole, mark, last = re.fullmatch(r"(.*?)(?:([.,])(\d+))?", number, re.ASCII).groups()  # type: ignore[union-attr]
    digits = minor_digits(Currency(unit)) if unit in CURRENCIES else 2
    grouped = mark and len(last) == 3 and (digits != 3 or mark in whole)
    if mark is None or grouped:
        return Decimal(re.sub(r"\D", "", number))
    return Decimal(f"{re.sub(r'[^0-9]', '', whole) or '0'}.{last}")
