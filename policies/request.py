"""The request: what a case asks for in money, by its reading and by what its ticket states beside the words.

The words decide. What a ticket states (`intent`, `items`) is one more witness: it may say what the words leave open,
and where it says another thing a person is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from policies.reading.heard import FAULTS, MONEY_ASKS
from refunds.ask_progress import about_of
from refunds.ids import OrderId
from refunds.order import CustomerOrder
from refunds.reading import TicketAsk, TicketReading
from refunds.ticket import Ticket
from refunds.vocabulary import AskKind, Cause, HandoffReason, Intent, OrderStatus, ReadingDoubt

NO_FAULTS: frozenset[Cause] = frozenset({"change_of_mind"})
"""Causes after which nothing that was said can be damage."""

OPEN_STATUSES: frozenset[OrderStatus] = frozenset({"pending", "processed"})

ELSEWHERE: frozenset[ReadingDoubt] = frozenset({"several_orders_fit", "another_order", "not_their_order"})

_OPEN: frozenset[AskKind] = frozenset({"complaint", "other"})
"""Asks beside which the words leave open whether money is wanted."""

_INTENTS: dict[AskKind, Intent] = {
    "refund": "refund_request",
    "cancellation": "cancellation",
    "replacement": "exchange",
    "exchange": "exchange",
    "refund_status": "refund_status",
    "order_status": "order_question",
    "order_change": "order_question",
    "policy_question": "policy_question",
    "account_access": "account_access",
    "dispute": "dispute",
    "complaint": "complaint",
    "other": "other",
}
_FIRST: tuple[AskKind, ...] = (
    "dispute",
    "account_access",
    "refund",
    "cancellation",
    "exchange",
    "replacement",
    "refund_status",
    "order_change",
    "order_status",
    "policy_question",
    "complaint",
    "other",
)
"""Which of several asks a case is filed under."""

REFUND_INTENTS: frozenset[Intent] = frozenset({"refund_request", "cancellation"})

SaidBy = Literal["words", "ticket", "nobody"]


@dataclass(frozen=True, slots=True)
class MoneyRequest:
    """What is wanted in money of one order."""

    said_by: SaidBy
    """Whether the words want money back, or only the ticket says so, or nobody does."""

    doubt: HandoffReason | None = None
    """Why it is a person's to read."""

    ask: TicketAsk | None = None
    cause: Cause | None = None
    cause_open: bool = True
    """What the words say may be damage and may be none."""

    cancels: bool = False
    """The words ask for a cancellation, or give a reason for the one that the ticket states."""

    items: tuple[str, ...] | None = None
    """The goods that the ticket states beside the words; None where it states none, or a person read what is meant."""

    of_what: bool = False
    """Whether it is said what of the order is meant, or why."""

    @property
    def damaged(self) -> bool:
        return self.cause in FAULTS

    @property
    def wanted(self) -> bool:
        return self.said_by != "nobody"


NOTHING_ASKED = MoneyRequest("nobody", cause_open=False)


def request_of(
    reading: TicketReading, ticket: Ticket, about: OrderId | None, orders: Sequence[CustomerOrder] = ()
) -> MoneyRequest:
    """The request of a case that is about an order, of the reading of its texts and of what its ticket states.

    What a person read needs no witness: then the ticket states nothing.
    """
    if reading.reader == "person":
        ticket = ticket.model_copy(update={"intent": None, "items": None})
    status = next((order.status for order in orders if order.order_id == about), None)
    money = [ask for ask in reading.asks if ask.ask in MONEY_ASKS and ask.money != "open"]
    wanted = [ask for ask in money if ask.money == "wanted"]
    own = [ask for ask in wanted if ask.order_id in {about, None} and ask.doubt not in ELSEWHERE]
    here = own or wanted
    stated = ticket.intent in REFUND_INTENTS
    if stated and len(here) > 1:
        # Before an order is sent it is cancelled, and returned after.
        first: AskKind = "cancellation" if status in OPEN_STATUSES else "refund"
        here = [ask for ask in here if ask.ask == first] or here
    if stated and status in OPEN_STATUSES and not ticket.items:
        # An order that is not sent is cancelled as a whole: who asks that by name need not list its goods.
        here = [replace(ask, lines=None) if ask.lines == () else ask for ask in here]
    cause = next((ask.cause for ask in (*here, *reading.asks) if ask.cause), None)
    said_by: SaidBy = "words" if here else "ticket" if stated else "nobody"
    cancels = any(one.ask == "cancellation" for one in here) or (stated and cause in NO_FAULTS)
    return MoneyRequest(
        said_by,
        doubt="several_orders"
        if reading.reader == "person" and here and not own
        else _doubt(said_by, here, reading, ticket),
        ask=here[0] if here else None,
        cause=cause,
        cause_open=cause not in FAULTS | NO_FAULTS and bool(cause or reading.unread),
        cancels=cancels,
        items=ticket.items,
        of_what=bool(ticket.items or cancels or reading.reader == "person")
        or any(one.lines is not None or one.cause is not None for one in here[:1]),
    )


def _doubt(
    said_by: SaidBy, here: Sequence[TicketAsk], reading: TicketReading, ticket: Ticket
) -> HandoffReason | None:
    """Why a person reads it, where one must."""
    if any(one.doubt == "readers_disagree" for one in reading.asks):
        return "unclear_request"
    stated = ticket.intent in REFUND_INTENTS
    refused = any(ask.money == "refused" for ask in reading.asks) and not any(
        ask.ask in MONEY_ASKS and ask.money != "refused" for ask in reading.asks
    )
    match said_by:
        case "nobody":
            return None
        case "ticket":
            other = any(ask.ask not in _OPEN for ask in reading.asks) and not ticket.items
            return "unclear_request" if refused or other else None
        case "words":
            pass
        case _:
            assert_never(said_by)
    ask = here[0]
    if stated:
        # Who states a request, its order and its goods has heard more of it than this text says.
        match ask.doubt:
            case "another_order" | "not_their_order" if not ticket.items:
                return "several_orders"
            case "wanted_and_refused" if not ticket.items:
                return "unclear_request"
            case _:
                return None
    if any(one.doubt in ELSEWHERE for one in here):
        return "several_orders"
    contradicted = ticket.intent is not None and ticket.intent not in {"other", "complaint"}
    if refused or contradicted or len(here) > 1 or ask.doubt is not None:
        return "unclear_request"
    return "unclear_request" if ask.conditions else None


def intent_of(reading: TicketReading) -> Intent:
    """Under what a ticket is filed; a want for money that stands under a condition or a doubt is filed as nothing."""
    kinds = {ask.ask: ask for ask in reading.asks}
    for kind in _FIRST:
        ask = kinds.get(kind)
        if ask is None or (kind in MONEY_ASKS and ask.conditions):
            continue
        if kind in MONEY_ASKS and ask.money != "wanted":
            return "policy_question"
        return _INTENTS[kind]
    return "other"


def order_of(
    reading: TicketReading, orders: Sequence[CustomerOrder], stated: OrderId | None
) -> OrderId | None:
    """The order that a case is about: the one that a person read, the ticket's, or the one that the words fit."""
    if reading.reader == "person":
        return about_of(reading, stated)
    if stated is not None:
        return stated
    named = {ask.order_id for ask in reading.asks if ask.order_id is not None}
    in_doubt = any(ask.doubt in ELSEWHERE for ask in reading.asks)
    if len(named) == 1 and not in_doubt:
        return named.pop()
    return orders[0].order_id if len(orders) == 1 and not named and not in_doubt else None
