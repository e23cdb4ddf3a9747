"""Loops: how a run is seen to go in circles. Pure, over the recorded steps."""

from collections.abc import Sequence

from refunds.canonical import digest
from refunds.trace import TraceEvent

WINDOWS = range(2, 5)
WITHOUT_NEWS = 3


def goes_in_circles(trace: Sequence[TraceEvent]) -> bool:
    """Whether the last steps repeat the ones before them, or three in a row brought nothing that was not known."""
    asked = [(event.action, digest(event.checked_args)) for event in trace]
    if any(len(asked) >= 2 * n and asked[-n:] == asked[-2 * n : -n] for n in WINDOWS):
        return True
    known: set[str] = set()
    since = 0
    for event in trace:
        news = event.result_sha256 and event.result_sha256 not in known
        known.add(event.result_sha256)
        since = 0 if news else since + 1
    return since >= WITHOUT_NEWS
