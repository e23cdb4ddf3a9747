"""What the server runs beside its own routes: the allowlist in front, and the runner in its lifespan."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware

from graph.refund_graph import refund_agent
from graph.runner import Runner
from graph.server.allowlist import RouteAllowlist
from graph.server.memory import keep_off_disk
from graph.server.origins import AllowedOrigins
from graph.server.queue_wake import wake_at_once
from graph.server.resources import open_resources
from graph.server.thread_rows import keep_rows_true
from graph.services import the_services, the_settings
from policies.amounts import signs
from records.migrate import laws, schema_version
from records.named_queries import named_queries
from runtime.logs import log_to_standard_error
from runtime.parent_watch import held
from runtime.process import keep_what_was_loaded, wrong_settings


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the resources, bring the newest rows back, and drive cases where this deployment's runner is the server."""
    del app
    log_to_standard_error("graph", plain=os.environ.get("COUNTERSIGN_LOGS") == "plain", level=logging.WARNING)
    keep_what_was_loaded()
    await asyncio.to_thread(keep_off_disk)
    await asyncio.to_thread(_read_files)
    wake_at_once()
    keep_rows_true()
    settings = the_settings()
    stop = asyncio.Event()
    async with open_resources(settings, the_services()) as resources, asyncio.TaskGroup() as group:
        await resources.rows.restore()
        group.create_task(held(os.environ, stop))
        if settings.runner == "server":
            url = settings.database_url.get_secret_value()
            runner = Runner(resources.driver, url, settings.concurrency, resources.rows)
            group.create_task(runner.worker().work(stop))
        try:
            yield
        finally:
            stop.set()


def _read_files() -> None:
    """Whatever is read from disk is read now: the server lets nothing block its loop later."""
    named_queries()
    schema_version()
    laws()
    signs()
    refund_agent()


def _read_only() -> bool:
    return the_settings().runner != "server"


def _origins() -> tuple[str, ...]:
    return the_settings().allowed_origins


def _check_settings() -> None:
    """Before the server starts anything: what is missing is one line, and not the server's own traceback."""
    try:
        the_settings()
    except ValidationError as error:
        raise SystemExit(
            f"graph: {wrong_settings('graph', error)}: "
            'of a house that is up, eval "$(countersign env graph)" sets them'
        ) from None


_check_settings()
app = Starlette(
    lifespan=lifespan,
    middleware=[
        Middleware(AllowedOrigins, listed=_origins),
        Middleware(RouteAllowlist, read_only=_read_only),
    ],
)
