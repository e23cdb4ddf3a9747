"""A breaker: after failures in a row nobody asks for a while, then one call tries."""

import time
from collections.abc import Callable
from dataclasses import dataclass

OPEN_AFTER = 5
OPEN_SECONDS = 20.0


@dataclass
class Breaker:
    """Of one source, in one process."""

    ticks: Callable[[], float] = time.monotonic
    failures: int = 0
    until: float = 0.0

    def lets_through(self) -> bool:
        """Whether a call may be made now; after the pause only one at a time may."""
        if self.failures < OPEN_AFTER:
            return True
        now = self.ticks()
        if now < self.until:
            return False
        self.until = now + OPEN_SECONDS
        return True

    def worked(self) -> None:
        """A call did what it should."""
        self.failures = 0

    def failed(self) -> None:
        """A call did not."""
        self.failures += 1
        if self.failures >= OPEN_AFTER:
            self.until = self.ticks() + OPEN_SECONDS
