"""python -m desk: the desk as a process. It serves the API and sends the replies."""

import argparse
import asyncio
import os
import sys
from uuid import UUID

import uvicorn

from desk.app import create_app
from desk.room import open_room
from desk.settings import DeskSettings
from policies.signature import BadKey
from records.books import BooksAway
from records.jobs import Routine, Worker
from records.leash import held
from records.process import run_process, stop_signal
from records.queue import ANSWER
from records.startup import CannotWork
from refunds.ids import CaseId, TenantId


async def run(settings: DeskSettings) -> None:
    """Serve until told to stop; requests and replies in hand are finished."""
    stop = stop_signal()
    async with open_room(settings) as room:

        async def answer(tenant: str, case_id: str) -> None:
            await room.outbox.answer(TenantId(tenant), CaseId(UUID(case_id)))

        worker = Worker(
            books=room.books,
            url=settings.database_url.get_secret_value(),
            queue="desk",
            tasks={ANSWER: answer},
            routines={"sweep": Routine(30, room.outbox.sweep)},
        )
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(room),
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=10,
                limit_concurrency=400,
                server_header=False,
            )
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.work(stop))
            group.create_task(held(os.environ, stop))
            await server.serve()
            stop.set()


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
