"""Orders as shops have them, drawn at random, and what they are after a refund."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from policies.clauses.claim import Allow
from refunds.ids import CustomerId, LineId, OrderId, PaymentId, Sku, TenantId
from refunds.legs import Leg
from refunds.money import Currency, Money
from refunds.order import Charge, Discount, Line, MadeRefund, OrderFacts, Payment
from refunds.vocabulary import PaymentKind, PaymentOrder

NOW = datetime(2026, 10, 1, tzinfo=UTC)
ORDERS: tuple[PaymentOrder, ...] = ("gift_card_first", "card_first", "in_proportion")


@st.composite
def orders(draw: st.DrawFn) -> OrderFacts:
    """An order as a shop has them: lines, quantities, discounts, tax in or on top, shipping, fees, one to three payments."""
    currency = Currency(draw(st.sampled_from(["USD", "EUR", "JPY", "KWD"])))
    included = draw(st.booleans())
    lines = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        quantity, unit = draw(st.integers(1, 7)), draw(st.integers(0, 20_000))
        lines.append(
            Line(
                LineId(str(number)), Sku(f"S{number}"), "Thing", "kitchen", Money(unit, currency), quantity,
                draw(st.integers(0, unit * quantity)), draw(st.integers(0, 4_000)), tax_included=included,
            )
        )  # fmt: skip
    charges = tuple(
        Charge(draw(st.sampled_from(["shipping", "fee"])), "it", Money(draw(st.integers(0, 2_000)), currency))
        for _ in range(draw(st.integers(0, 3)))
    )
    gross = sum(line.price.amount_minor for line in lines) + sum(one.price.amount_minor for one in charges)
    off = draw(st.integers(0, gross))
    paid, payments = gross - off, list[Payment]()
    kinds: list[PaymentKind] = draw(
        st.lists(st.sampled_from(["card", "gift_card", "wallet"]), min_size=1, max_size=3)
    )
    for number, kind in enumerate(kinds, start=1):
        part = paid if number == len(kinds) else draw(st.integers(0, paid))
        paid -= part
        payments.append(
            Payment(PaymentId(f"p{number}"), kind, Money(part, currency), Money(0, currency), kind)
        )
    return OrderFacts(
        TenantId("demo"), OrderId("O"), CustomerId("C"), "US", "delivered", NOW, NOW, tuple(lines), tuple(payments),
        charges, (Discount("off", Money(off, currency)),) if off else (),
    )  # fmt: skip


def after(order: OrderFacts, made: Allow) -> OrderFacts:
    """The order when this refund was made, as the books then tell of it."""
    back = {leg.payment_id: leg.amount for leg in made.legs or (Leg(made.payment_id, made.amount),)}
    payments = tuple(
        Payment(one.payment_id, one.method, one.paid, one.refunded + back[one.payment_id], one.kind)
        if one.payment_id in back
        else one
        for one in order.payments
    )
    refund = MadeRefund(NOW, made.amount, made.units, made.charges_minor, here=True)
    return OrderFacts(
        order.tenant, order.order_id, order.customer_id, order.region, order.status, order.ordered_at,
        order.delivered_at, order.lines, payments, order.charges, order.discounts, (*order.refunds, refund),
    )  # fmt: skip
