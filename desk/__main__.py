"""python -m desk: the desk as a process. It serves the API and sends the replies."""

import argparse
import asyncio
import os
import sys
from contextlib import suppress
from uuid import UUID

import uvicorn

from desk.app import create_app
from desk.assignments import escalate
from desk.services import DeskServices, open_services
from desk.settings import DeskSettings
from policies.signature import BadKey
from records.books import BooksAway
from records.memory import forget_expired
from records.queue import ANSWER, NOTIFY
from refunds.ids import CaseId, TenantId
from runtime.jobs import Routine, Worker
from runtime.parent_watch import held
from runtime.process import run_process, stop_signal
from runtime.startup import CannotWork

LOOK_SECONDS = 0.2
WATCH_SECONDS = 5


async def run(settings: DeskSettings) -> None:
    """Serve until told to stop; requests and replies in hand are finished."""
    stop = stop_signal()
    async with open_services(settings) as services:

        async def tell(tenant: str, notice_id: str) -> None:
            await services.notices.send(TenantId(tenant), UUID(notice_id))

        async def answer(tenant: str, case_id: str) -> None:
            await services.outbox.answer(TenantId(tenant), CaseId(UUID(case_id)))

        worker = Worker(
            books=services.books,
            url=settings.database_url.get_secret_value(),
            queue="desk",
            tasks={ANSWER: answer, NOTIFY: tell},
            routines=routines(services),
        )
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(services),
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=10,
                limit_concurrency=400,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies or None,
            )
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.work(stop))
            group.create_task(held(os.environ, stop))
            group.create_task(services.live.listen(stop))
            group.create_task(_end_streams(server, services, stop))
            await server.serve()
            stop.set()


FORGET_SECONDS = 3_600
"""How often what has run out of memory is erased."""


def routines(services: DeskServices) -> dict[str, Routine]:
    """What comes round by itself: held approvals, lost replies, proposals that run out, releases, notices."""
    found = {
        "sweep": Routine(30, services.outbox.sweep),
        "held": Routine(1, services.held.sweep),
        "deadlines": Routine(60, lambda: escalate(services.books)),
        "memory": Routine(FORGET_SECONDS, lambda: forget_expired(services.books)),
        "releases": Routine(WATCH_SECONDS, services.release_stages.watch),
    }
    if services.notices.wanted:
        found["notices"] = Routine(5, services.notices.sweep)
    return found


async def _end_streams(server: uvicorn.Server, services: DeskServices, stop: asyncio.Event) -> None:
    """A server that stops waits for what is open; a live page would be open for ever."""
    while not server.should_exit:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            break
    services.live.close()


def main() -> int:
    """The process; 0 done, 1 refused or failed with the reason on standard error, 2 usage."""
    argparse.ArgumentParser(
        prog="python -m desk",
        description="Serve the desk's API and send the replies.",
        epilog="example: DESK_DATABASE_URL=… DESK_KEY_FILE=… DESK_INTAKE_KEYS=… python -m desk",
    ).parse_args()
    return run_process("desk", lambda: run(DeskSettings()), (BadKey, BooksAway, CannotWork, OSError))


if __name__ == "__main__":
    sys.exit(main())
