"""Figures: what takes long to count, kept for a minute and counted again behind the page's back.

Whoever asks sees the last count at once, with its time; only the first one waits. Nothing is decided by a figure.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

Counted = TypeVar("Counted")

log = logging.getLogger("countersign.desk")

KEPT = 200
"""Figures that a process remembers at most."""

OLD_SECONDS = 900.0
"""Nobody is shown a count that is older: they wait for a new one."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A count and when it was made."""

    value: Any
    at: datetime
    ticks: float


@dataclass
class Figures:
    """The counts of one process."""

    seconds: float = 60.0
    """How long one is as good as new; at zero each is counted when it is asked for."""

    kept: dict[Hashable, Figure] = field(default_factory=dict)
    counting: dict[Hashable, asyncio.Task[Figure]] = field(default_factory=dict)

    async def of(self, key: Hashable, count: Callable[[], Awaitable[Counted]]) -> tuple[Counted, datetime]:
        """A figure and the moment of its count."""
        known = self.kept.get(key)
        age = time.monotonic() - known.ticks if known else OLD_SECONDS
        if known is None or age >= min(self.seconds, OLD_SECONDS):
            task = self.counting.get(key) or self._count(key, count)
            if known is None or age >= OLD_SECONDS or not self.seconds:
                known = await asyncio.shield(task)
        return cast("Counted", known.value), known.at

    def _count(self, key: Hashable, count: Callable[[], Awaitable[Any]]) -> asyncio.Task[Figure]:
        async def counted() -> Figure:
            figure = Figure(await count(), datetime.now(UTC), time.monotonic())
            while len(self.kept) >= KEPT:
                self.kept.pop(next(iter(self.kept)))
            self.kept[key] = figure
            return figure

        task = asyncio.create_task(counted())
        self.counting[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: Hashable, task: "asyncio.Task[Figure]") -> None:
        self.counting.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a figure could not be counted: %s", type(error).__name__)
