"""Live: what moves in the books, told to the pages that are open. A hint without rights: each asks for what it may see.

One connection listens for all of them. Where it was away, every page is told to look again.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection

from records.connection import connection_string
from refunds.ids import TenantId

log = logging.getLogger("countersign.desk")

CHANNEL = "countersign_desk"
WATCHERS = 200
"""Pages that are kept live at a time; one more is told to come back later."""

WATCHERS_OF_ONE = 20

HELD = 200
"""Hints that wait for one page; a page that falls behind is told to look at everything again."""

AGAIN_SECONDS = 1.0
EVERYTHING = "*"


class TooMany(Exception):
    """As many pages are live as one process keeps."""

    def __init__(self) -> None:
        super().__init__("too many pages are open: this one refreshes when you load it again")


@dataclass(frozen=True, eq=False)
class Watcher:
    """One open page: the cases of its tenants that moved, as they come."""

    tenants: frozenset[TenantId]
    person: str
    moved: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(HELD))

    def tell(self, case_id: str | None) -> None:
        """Put a hint in; None ends the page's stream."""
        while True:
            try:
                self.moved.put_nowait(case_id)
            except asyncio.QueueFull:
                while not self.moved.empty():
                    self.moved.get_nowait()
                if case_id is not None:
                    case_id = EVERYTHING
                continue
            return


@dataclass
class Live:
    """The open pages of this process."""

    url: str
    watchers: set[Watcher] = field(default_factory=set)
    closed: bool = False

    @contextmanager
    def watch(self, tenants: frozenset[TenantId], person: str) -> Iterator[Watcher]:
        """A page, for as long as it is open. Raises TooMany."""
        theirs = sum(watcher.person == person for watcher in self.watchers)
        if len(self.watchers) >= WATCHERS or theirs >= WATCHERS_OF_ONE or self.closed:
            raise TooMany
        watcher = Watcher(tenants, person)
        self.watchers.add(watcher)
        try:
            yield watcher
        finally:
            self.watchers.discard(watcher)

    def tell(self, tenant: TenantId, case_id: str) -> None:
        """A case moved."""
        for watcher in self.watchers:
            if tenant in watcher.tenants:
                watcher.tell(case_id)

    def close(self) -> None:
        """End every stream, so that a process that stops need not wait for them."""
        self.closed = True
        for watcher in self.watchers:
            watcher.tell(None)

    async def listen(self, stop: asyncio.Event) -> None:
        """Listen until told to stop, over every absence of the books."""
        while not stop.is_set():
            listening = asyncio.create_task(self._listen())
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({listening, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                listening.cancel()
                await asyncio.wait({listening})
            if not listening.cancelled() and (error := listening.exception()) is not None:
                if not isinstance(error, psycopg.Error | OSError):
                    raise error
                log.warning("the books are away: %s", type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), AGAIN_SECONDS)
        self.close()

    async def _listen(self) -> None:
        connection = await AsyncConnection.connect(connection_string(self.url), autocommit=True)
        async with connection:
            await connection.execute(f"listen {CHANNEL}")
            for watcher in self.watchers:
                watcher.tell(EVERYTHING)
            async for said in connection.notifies():
                tenant, _, case_id = said.payload.partition(" ")
                self.tell(TenantId(tenant), case_id)
