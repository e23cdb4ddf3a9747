"""Refunds that the provider has and the books do not, and what became of the books' own."""

from uuid import uuid4

from stage import Stage

from cashier.processor import ProviderRefund
from refunds.ids import PaymentId, TenantId
from refunds.money import Currency, Money

USD = Currency("USD")


DEMO = TenantId("demo")


def made_elsewhere(stage: Stage, amount: int, decision: object = "", payment: str = "pay_TWO") -> str:
    """A refund that these books did not order: from the dashboard, or by books that they are behind of."""
    refund = ProviderRefund(
        f"re_{uuid4().hex}", "demo", str(decision), PaymentId(payment), Money(amount, USD), "succeeded"
    )
    with stage.house.provider._open() as books:
        stage.house.provider._insert(books, refund)
    return refund.refund_id


def paid(stage: Stage) -> list[int]:
    """What the provider has given back, in the order it was made."""
    return [one.amount.amount_minor for one in stage.house.provider.all_refunds() if one.status != "failed"]


async def last_settlement(stage: Stage) -> tuple[str, str]:
    rows = await stage.sql("select outcome::text, detail from books.settlement_state")
    assert len(rows) == 1
    return rows[0]["outcome"], rows[0]["detail"]


async def passes(stage: Stage, times: int = 4) -> None:
    """The cashier, again and again, with time between."""
    for _ in range(times):
        await stage.house.executor.settle_all()
        await stage.move_clock(minutes=6)
