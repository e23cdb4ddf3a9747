"""What goes back for units of an order: their shares, shipping where the clause gives it, less what it deducts."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from policies.clauses.claim import Allow, Claim, Deny, LeaveToPerson, RuleVerdict
from policies.letter_templates import Because
from refunds.legs import Leg, split
from refunds.money import MAX_MINOR, Money
from refunds.order import OrderFacts, Units, counted
from refunds.shares import Shares, shares_of

AmountsByCurrency = dict[str, Annotated[int, Field(ge=0, le=MAX_MINOR)]]


class RuleParameters(BaseModel):
    """What every rule of a document states: its name and the clause that it cites. Other names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rule: str
    clause: str


class RefundParameters(RuleParameters):
    """What a clause that gives money back may say of shipping and of deductions; amounts in minor units by currency."""

    shipping_back: Literal["never", "whole_order", "always"] = "never"
    """Whether outbound shipping goes back: with the last of the order, or with whatever comes back."""

    standard_shipping: AmountsByCurrency = Field(default_factory=dict)
    """What goes back of shipping at most: a customer who chose a dearer way bears the difference."""

    restocking_percent: Annotated[int, Field(ge=0, le=100)] = 0
    return_label: AmountsByCurrency = Field(default_factory=dict)
    """What the shop keeps for the return label that it paid."""

    goods_first: bool = False
    """The goods come back first, as they were sold; the money follows."""

    how_to_return: Annotated[str, Field(max_length=600)] = ""
    """What the letter says of the way back."""

    keep_below: AmountsByCurrency = Field(default_factory=dict)
    """Where less than this goes back of the order in all, the customer keeps the goods, and nothing is deducted."""


def refund_units(claim: Claim, units: tuple[Units, ...], clause: RefundParameters) -> RuleVerdict:
    """What these units cost, back to the payments of the order; a person says it where that is not plain.

    Where the sums of an order do not add up to what was paid, no rule knows what a part of it cost.
    """
    refused = _not_by_rule(claim, units)
    if refused is not None:
        return refused
    order = claim.order
    shares = shares_of(order)
    whole = counted(units) == counted(order.not_refunded())
    kept = max(0, shares.charged_minor - order.charges_gone_minor)
    most = order.left.amount_minor - kept
    goods = shares.of(units, after=_gone(order))
    if goods > most and not whole:
        return LeaveToPerson("more_than_left")
    charges = _shipping(order, shares, clause, whole=whole)
    goods = max(0, min(goods, most))
    came = _came_back(order, units)
    if came == "otherwise":
        return LeaveToPerson("returned_otherwise")
    before = order.paid.amount_minor - order.left.amount_minor
    keep = came == "not_yet" and goods + charges + before < clause.keep_below.get(order.currency, 0)
    deducted = (
        0 if keep else goods * clause.restocking_percent // 100 + clause.return_label.get(order.currency, 0)
    )
    if goods + charges == 0:
        return Deny(Because.of("because.nothing"))
    if deducted >= goods + charges:
        return Deny(Because.of("because.deducted"))
    allowed = _allowed(claim, goods + charges - deducted, units, charges)
    if not isinstance(allowed, Allow) or came == "all":
        return allowed
    if keep:
        return replace(allowed, goods="keep")
    return (
        replace(allowed, goods="first", how_to_return=clause.how_to_return) if clause.goods_first else allowed
    )


def refund_rest(claim: Claim) -> RuleVerdict:
    """Everything that is left of what was paid: a whole order is taken back, with shipping and fees."""
    order, units = claim.order, claim.order.not_refunded()
    refused = _not_by_rule(claim, units or order.units())
    if refused is not None:
        return refused
    charges = max(0, order.charged.amount_minor - order.charges_gone_minor)
    return _allowed(claim, order.left.amount_minor, units, min(charges, order.left.amount_minor))


def _came_back(order: OrderFacts, units: tuple[Units, ...]) -> Literal["all", "otherwise", "not_yet"]:
    """Whether these units, after those that were refunded before, have come back; and as they were sold."""
    if any(order.arrived_otherwise[one.line_id] for one in units):
        return "otherwise"
    there, gone = order.arrived, order.gone_with_goods
    return (
        "all" if all(there[one.line_id] >= gone[one.line_id] + one.quantity for one in units) else "not_yet"
    )


def _not_by_rule(claim: Claim, units: tuple[Units, ...]) -> Deny | LeaveToPerson | None:
    """Why no rule says what goes back for these units; None where one does."""
    order = claim.order
    if order.difference_minor != 0 or not order.payments:
        return LeaveToPerson("order_unbalanced")
    wanted, there = counted(units), counted(order.not_refunded())
    if not wanted & there:
        return Deny(_made_before(claim, units))
    if wanted - there:
        return LeaveToPerson("more_than_left")
    if order.paid.amount_minor == 0:
        return Deny(Because.of("because.nothing"))
    if order.left.amount_minor == 0:
        return Deny(Because.of("because.all_returned", amount=order.paid))
    return None


def _made_before(claim: Claim, units: tuple[Units, ...]) -> Because:
    """When and how much, of the refund that these units were in, as far as the books know."""
    lines = {one.line_id for one in units}
    made = [one for one in claim.order.refunds if any(part.line_id in lines for part in one.units)]
    if not made:
        return Because.of("because.made_before")
    last = made[-1]
    if last.at is None:
        return Because.of("because.made_before_of", amount=last.amount)
    return Because.of("because.made_before_on", amount=last.amount, day=last.at)


def _gone(order: OrderFacts) -> tuple[Units, ...]:
    return tuple(Units(line_id, quantity) for line_id, quantity in order.gone.items() if quantity)


def _shipping(order: OrderFacts, shares: Shares, clause: RefundParameters, *, whole: bool) -> int:
    """What of shipping goes back beside the goods."""
    if clause.shipping_back == "never" or (clause.shipping_back == "whole_order" and not whole):
        return 0
    paid = sum(
        share
        for charge, share in zip(order.charges, shares.charges, strict=True)
        if charge.kind == "shipping"
    )
    most = clause.standard_shipping.get(order.currency, paid)
    return max(0, min(paid, most) - order.charges_gone_minor)


def _allowed(claim: Claim, amount_minor: int, units: tuple[Units, ...], charges_minor: int) -> RuleVerdict:
    """The amount, to the one payment of the order or to several as the clause in force says."""
    amount = Money(amount_minor, claim.order.currency)
    legs = _legs(claim, amount)
    if legs is None:
        return LeaveToPerson("several_payments")
    if not legs:
        return LeaveToPerson("more_than_left")
    return Allow(amount, legs[0].payment_id, units, charges_minor, legs if len(legs) > 1 else ())


def _legs(claim: Claim, amount: Money) -> tuple[Leg, ...] | None:
    """What goes to each payment; None where no clause says it, empty where so much is not left."""
    payments = claim.order.payments
    if not amount <= claim.order.left:
        return ()
    if len(payments) > 1 and claim.payment_order is None:
        return None
    return split(amount, payments, claim.payment_order or "in_proportion")
