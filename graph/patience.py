"""Patience: for how long a run that somebody watches stays with the provider before its thread pauses for it.

Runs that nobody watches have none: they pause at once, and the settlement rings.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

WATCHED_SECONDS = 5.0
"""For a run whose person waits for what comes of their answer."""

LOOK_SECONDS = 0.04
AT_ONCE = 2
"""Runs that wait at a time in a process: more would keep its runner from other cases. The next ones pause at once."""


@dataclass
class Patience:
    """How long; none unless it is said."""

    seconds: float = 0.0
    waiting: int = 0

    async def until(self, done: Callable[[], Awaitable[bool]]) -> None:
        """Look again and again until it is done, or the patience is over."""
        if self.waiting >= AT_ONCE:
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + self.seconds
        self.waiting += 1
        try:
            while loop.time() < end:
                await asyncio.sleep(LOOK_SECONDS)
                if await done():
                    return
        finally:
            self.waiting -= 1
