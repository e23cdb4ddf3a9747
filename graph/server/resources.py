"""Resources of the server's process: what its routes and hooks work with, opened once by its lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from graph.checkpointer import checkpointer
from graph.drive import Driver
from graph.refund_graph import refund_graph
from graph.server.desk_call import DeskCall
from graph.server.thread_rows import ThreadRows
from graph.services import GraphServices
from graph.settings import GraphSettings
from records.books import Books
from runtime.startup import check_books, check_names


@dataclass(frozen=True)
class ServerResources:
    """Books, the driver, the desk and the rows."""

    settings: GraphSettings
    books: Books
    saver: AsyncPostgresSaver
    driver: Driver
    desk: DeskCall
    rows: ThreadRows


class NotOpen(Exception):
    """The server has not started, or has stopped."""


_OPEN: list[ServerResources] = []


def the_resources() -> ServerResources:
    """The resources of this process; NotOpen before the start and after the stop."""
    if not _OPEN:
        raise NotOpen
    return _OPEN[-1]


@asynccontextmanager
async def open_resources(settings: GraphSettings, services: GraphServices) -> AsyncIterator[ServerResources]:
    """Check what must be so, and open everything. Raises CannotWork, BooksAway, LooseSerializer."""
    url = settings.database_url.get_secret_value()
    check_names()
    await check_books(url)
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=16)
    async with (
        services.opened(),
        checkpointer(url, size=2 * settings.concurrency) as saver,
        httpx.AsyncClient(
            base_url=settings.desk_url, timeout=settings.call_seconds, limits=limits, trust_env=False
        ) as client,
    ):
        driver = Driver(services, refund_graph(services, saver), settings.durability or "sync")
        resources = ServerResources(
            settings, services.books, saver, driver, DeskCall(client), ThreadRows(driver)
        )
        _OPEN.append(resources)
        try:
            yield resources
        finally:
            _OPEN.remove(resources)
