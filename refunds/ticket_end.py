"""The end of a ticket: who has the next word, as somebody counts who has sent many."""

from typing import assert_never

from refunds.vocabulary import CaseStatus, TicketEnd


def ticket_end(status: CaseStatus, reason: str) -> TicketEnd:
    """Where a case stands for whoever sent its ticket."""
    match status:
        case "received" | "approved" | "refund_pending":
            return "waiting_for_customer" if reason == "awaiting_return" else "under_way"
        case "needs_human":
            return "waiting_for_customer" if reason == "asked_customer" else "waiting_for_person"
        case "bypassed" | "blocked":
            return "waiting_for_person"
        case "refunded" | "replied" | "rejected" | "closed_by_human":
            return "resolved"
        case "expired" | "refund_failed":
            return "failed"
        case _:
            assert_never(status)
