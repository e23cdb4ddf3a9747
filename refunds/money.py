"""Money: an integer of minor units and its currency. No float comes near it."""

import re
from dataclasses import dataclass
from typing import NewType

Currency = NewType("Currency", str)
"""An ISO 4217 code."""

NO_CURRENCY = Currency("XXX")
"""ISO 4217 for "no currency": what stands beside the zero of a reply or a hand-over."""

# ISO 4217 (list one, maintained by SIX): minor units that differ from two.
_MINOR_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}

_CODE = re.compile(r"[A-Z]{3}")

MAX_MINOR = 10**12
"""Ten thousand million in a two-digit currency: above any order, far below a bigint."""


class CurrencyMismatch(ValueError):
    """Two currencies cannot be added or compared."""


def currency(code: str) -> Currency:
    """The currency of an ISO code; ValueError where it is not three capitals."""
    if not _CODE.fullmatch(code):
        raise ValueError(f"not an ISO 4217 code: {code!r}")
    return Currency(code)


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
        currency(self.currency)

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

    def __str__(self) -> str:
        digits = _MINOR_DIGITS.get(self.currency, 2)
        if digits == 0:
            return f"{self.amount_minor} {self.currency}"
        whole, part = divmod(self.amount_minor, 10**digits)
        return f"{whole}.{part:0{digits}d} {self.currency}"


def read_amount(text: str, of: Currency) -> Money:
    """The money of a text such as `79.00` or `79` in a currency; ValueError where it is none."""
    digits = _MINOR_DIGITS.get(of, 2)
    said = re.fullmatch(r"(\d{1,10})(?:[.,](\d{1,4}))?", text.strip(), re.ASCII)
    if said is None or (said.group(2) is not None and len(said.group(2)) != digits):
        raise ValueError(f"not an amount of {of}: write it as {Money(0, of)}")
    return Money(int(said.group(1)) * 10**digits + int(said.group(2) or 0), of)


NOTHING = Money(0, NO_CURRENCY)
