"""Deadlines: how a proposal's time to decide runs out. A warning, then the specialists, then `expired`; never a yes."""

from datetime import datetime
from typing import Literal

WARN_SHARE = 0.25
ESCALATE_SHARE = 0.10
"""Shares of the time to decide that are left when people are warned, and when it becomes the specialists' matter."""

Urgency = Literal["calm", "warned", "escalated", "over"]


def urgency(proposed_at: datetime, expires_at: datetime, now: datetime) -> Urgency:
    """How near its end a proposal is."""
    if now >= expires_at:
        return "over"
    left = (expires_at - now) / (expires_at - proposed_at)
    if left <= ESCALATE_SHARE:
        return "escalated"
    return "warned" if left <= WARN_SHARE else "calm"
