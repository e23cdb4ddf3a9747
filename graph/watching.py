"""Watching: which stage a run is at and the words of its draft so far, for people who wait. Nothing depends on it.

A client that streams the run on the server API gets it as `custom`; the desk's page reads it from the books.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from langgraph.config import get_stream_writer

from records.books import Books
from records.cases import Case
from refunds.vocabulary import Stage

log = logging.getLogger("countersign.graph")

EVERY_SECONDS = 0.3
"""Between two writes of words that are still coming."""

TELL_SECONDS = 1.0
WORDS_LIMIT = 8_000

SAID: dict[Stage, str] = {
    "planning": "planning",
    "reading_policy": "reading policy",
    "reading_order": "reading order",
    "drafting": "drafting",
    "checking": "checking",
}

_WRITER: ContextVar[Callable[[Any], None] | None] = ContextVar("writer", default=None)


@contextmanager
def streamed() -> Iterator[None]:
    """Inside a node of the outer graph: what is told goes into its stream, from whatever runs within."""
    token = _WRITER.set(get_stream_writer())
    try:
        yield
    finally:
        _WRITER.reset(token)


@dataclass
class Watch:
    """Tells where one run is."""

    books: Books
    case: Case
    kept: bool
    """Whether the books are told too: only runs that a person has to wait for."""

    last: float = 0.0

    async def at(self, stage: Stage, words: str = "") -> None:
        """Now at this stage; words that are still coming are told a few times a second."""
        now = time.monotonic()
        if words and now - self.last < EVERY_SECONDS:
            return
        self.last = now
        writer = _WRITER.get()
        if writer is not None:
            writer({"stage": SAID[stage], **({"words": words} if words else {})})
        await self._keep(stage, words)

    async def over(self) -> None:
        """Nothing is under way any more."""
        await self._keep(None, "")

    async def _keep(self, stage: Stage | None, words: str) -> None:
        if not self.kept:
            return
        try:
            async with asyncio.timeout(TELL_SECONDS):
                # One statement that commits by itself: nothing depends on it.
                await self.books.reading(self.case.tenant).rows(
                    "tell_progress", case_id=self.case.case_id, stage=stage, words=words[:WORDS_LIMIT]
                )
        except Exception as error:  # noqa: BLE001  (whoever watches must not harm what is watched)
            log.debug("progress was not told: %s", type(error).__name__)
