"""Takeovers: what a person does with a case that nobody proposes for."""

from dataclasses import dataclass

from records.books import Row, Transaction
from refunds.ids import NO_ORDER, NO_PAYMENT, CaseId, OrderId, PaymentId, PersonId
from refunds.money import NOTHING, Money
from refunds.vocabulary import TakeoverAct, Via


@dataclass(frozen=True, slots=True)
class Takeover:
    """A person's own reply, proposal of a refund, or closing of a case."""

    person: PersonId
    act: TakeoverAct
    reply: str = ""
    order_id: OrderId = NO_ORDER
    payment_id: PaymentId = NO_PAYMENT
    amount: Money = NOTHING
    note: str = ""
    via: Via | None = None
    address: str | None = None


async def insert_takeover(tx: Transaction, case_id: CaseId, takeover: Takeover) -> None:
    """Write it down; Refused where the case is not a hand-over."""
    await tx.rows(
        "insert_takeover",
        case_id=case_id,
        person=takeover.person,
        act=takeover.act,
        reply=takeover.reply,
        payment_id=takeover.payment_id,
        order_id=takeover.order_id,
        amount_minor=takeover.amount.amount_minor,
        currency=takeover.amount.currency,
        note=takeover.note,
        via=takeover.via,
        address=takeover.address,
    )


async def takeovers_of(tx: Transaction, case_id: CaseId) -> list[Row]:
    """Every takeover of a case, in order."""
    return await tx.rows("takeovers_of", case_id=case_id)
