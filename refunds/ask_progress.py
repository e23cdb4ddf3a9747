"""How far each ask of a case has come. It decides what its proposal is about; whatever else is asked is not lost."""

from dataclasses import dataclass
from typing import assert_never

from refunds.ids import OrderId
from refunds.reading import TicketAsk, TicketReading
from refunds.vocabulary import AskKind, AskState, CaseStatus

_BESIDE: frozenset[AskKind] = frozenset(
    {"replacement", "exchange", "order_change", "account_access", "dispute", "policy_question"}
)
"""What a letter about money does not answer; where an order stands and what went back of it, it says."""

ENDS_BY_PROPOSAL: frozenset[CaseStatus] = frozenset(
    {"replied", "refunded", "rejected", "refund_failed", "expired"}
)
"""Ends at which nobody has looked at more than the proposal."""


@dataclass(frozen=True, slots=True)
class AskProgress:
    """An ask and how far it is."""

    ask: TicketAsk
    state: AskState


def about_of(reading: TicketReading | None, stated: OrderId | None) -> OrderId | None:
    """The order that a case is about: the one for which a person reads that money is wanted, or the case's own."""
    if reading is None or reading.reader != "person":
        return stated
    wanted = [ask.order_id for ask in reading.asks if ask.money == "wanted" and ask.order_id is not None]
    return stated if stated in wanted else next(iter(wanted), stated)


def left_asks(reading: TicketReading | None, about: OrderId | None) -> tuple[TicketAsk, ...]:
    """What a case about an order does not decide: money for another order, and what no letter about money answers."""
    if reading is None or len(reading.asks) < 2:
        return ()
    wanted = [ask for ask in reading.asks if ask.money == "wanted"]
    here = [ask for ask in wanted if ask.order_id in {None, about}] or wanted[:1]
    if not wanted:
        beside = _BESIDE - {"policy_question"}  # what a letter without money quotes is what was asked
        first = next((ask for ask in reading.asks if ask.ask not in beside), reading.asks[0])
        return tuple(ask for ask in reading.asks if ask is not first and ask.ask in beside)
    return tuple(
        ask
        for ask in reading.asks
        if (ask in wanted and ask not in here) or (ask not in wanted and ask.ask in _BESIDE)
    )


def progress_of(
    reading: TicketReading | None,
    about: OrderId | None,
    status: CaseStatus,
    reason: str,
    *,
    by_person: bool = False,
) -> tuple[AskProgress, ...]:
    """Each ask of a case with its state.

    `by_person` is whether a person took the case over and wrote the answer: they had all of it before them.
    """
    if reading is None:
        return ()
    left = () if by_person else left_asks(reading, about)
    return tuple(
        AskProgress(ask, _left(status) if ask in left else _here(status, reason)) for ask in reading.asks
    )


def _here(status: CaseStatus, reason: str) -> AskState:
    match status:
        case "received":
            return "waiting" if reason == "asked_customer" else "open"
        case "needs_human":
            return "waiting" if reason in {"asked_customer", "asked_colleague"} else "open"
        case "bypassed" | "blocked" | "approved" | "refund_pending":
            return "waiting"
        case "refunded" | "replied":
            return "done"
        case "rejected" | "expired" | "refund_failed":
            return "failed"
        case "closed_by_human":
            return "skipped"
        case _:
            assert_never(status)


def _left(status: CaseStatus) -> AskState:
    """What waits for the first ask; once that has an end, a case of its own goes on with it."""
    return "skipped" if status in ENDS_BY_PROPOSAL or status == "closed_by_human" else "waiting"
