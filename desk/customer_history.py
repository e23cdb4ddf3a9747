"""A customer's history: what they bought, asked and got back within a year, and what a fraud team would look at.

It is information. No rule reads it and nothing is decided by it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from desk.catalogue import _, counted_text
from records.books import Row, Transaction
from refunds.ids import CustomerId
from refunds.money import Currency, Money

ORDERS = 8
REFUNDS_FROM = 3
SHARE_FROM = 0.5
SAME_ITEM_FROM = 2


@dataclass(frozen=True, slots=True)
class OrderShown:
    """One order of the customer, in a line."""

    order_id: str
    ordered_at: object
    status: str
    goods: str
    paid: Money
    back: Money


@dataclass(frozen=True, slots=True)
class CustomerHistory:
    """A year of one customer."""

    name: str | None
    language: str | None
    orders: tuple[OrderShown, ...]
    orders_in_a_year: int
    cases_in_a_year: int
    refunds_in_a_year: int
    paid: tuple[Money, ...]
    refunded: tuple[Money, ...]
    patterns: tuple[str, ...]
    """What stands out, in sentences; none where nothing does."""


async def history_of(tx: Transaction, customer_id: CustomerId, skus: Iterable[str] = ()) -> CustomerHistory:
    """The year of a customer; `skus` are those that this case is about."""
    row = await tx.row("customer_year", customer_id=customer_id)
    assert row is not None  # noqa: S101  (it has one row whoever is asked for)
    orders = await tx.rows("orders_with_sums", customer_id=customer_id, most=ORDERS)
    went_back = Counter(str(one["sku"]) for one in await tx.rows("skus_refunded", customer_id=customer_id))
    return CustomerHistory(
        name=row["name"],
        language=row["language"],
        orders=tuple(
            OrderShown(
                one["order_id"],
                one["ordered_at"],
                one["status"],
                one["goods"] or "",
                Money(one["paid_minor"], Currency(one["currency"])),
                Money(max(0, one["back_minor"]), Currency(one["currency"])),
            )
            for one in orders
        ),
        orders_in_a_year=row["orders"],
        cases_in_a_year=row["cases"],
        refunds_in_a_year=row["refunds"],
        paid=_sums(row["paid"]),
        refunded=_sums(row["refunded"]),
        patterns=tuple(_patterns(row, went_back, frozenset(skus))),
    )


def _sums(by_currency: dict[str, int]) -> tuple[Money, ...]:
    return tuple(Money(minor, Currency(code)) for code, minor in sorted(by_currency.items()))


def _patterns(row: Row, went_back: Counter[str], skus: frozenset[str]) -> Iterable[str]:
    for code, back in row["refunded"].items():
        paid = row["paid"].get(code, 0)
        if row["refunds"] >= REFUNDS_FROM and paid and back >= SHARE_FROM * paid:
            yield _("%(share)s %% of what was paid in a year went back", share=round(100 * back / paid))
    if row["at_this_address"]:
        yield counted_text(
            "%(count)s other customer has the same address",
            "%(count)s other customers have the same address",
            row["at_this_address"],
        )
    if row["at_this_mail"]:
        yield counted_text(
            "%(count)s other customer has the same mail address",
            "%(count)s other customers have the same mail address",
            row["at_this_mail"],
        )
    for sku, times in sorted(went_back.items()):
        if times >= SAME_ITEM_FROM or sku in skus:
            yield counted_text(
                "%(sku)s was refunded to this customer once before",
                "%(sku)s was refunded to this customer %(count)s times before",
                times,
                sku=sku,
            )
