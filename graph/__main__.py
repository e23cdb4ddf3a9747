"""python -m graph: a worker. Any number of them drive cases, on any number of machines."""

import argparse
import asyncio
import logging
import os
import signal
import sys

from pydantic import ValidationError

from graph.checkpointer import LooseSerializer, checkpointer
from graph.drive import Driver
from graph.mind import Mind, mind_of
from graph.refund_graph import refund_graph
from graph.runner import Runner
from graph.settings import GraphSettings
from policies.signature import BadKey
from records.books import BooksAway
from records.leash import held
from records.startup import CannotWork, check_books


async def run(settings: GraphSettings) -> None:
    """Drive cases until told to stop; those in hand are finished."""
    url = settings.database_url.get_secret_value()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    mind: Mind = mind_of(settings)
    await check_books(url)
    async with (
        mind.books.opened(),
        checkpointer(url, size=2 * settings.concurrency) as saver,
        asyncio.TaskGroup() as group,
    ):
        driver = Driver(mind, refund_graph(mind, saver), settings.durability or "exit")
        group.create_task(Runner(driver, url, settings.concurrency).worker().work(stop))
        group.create_task(held(os.environ, stop))


def main() -> int:
    """The process; 0 done, 1 refused or failed with the reason on standard error, 2 usage."""
    argparse.ArgumentParser(
        prog="python -m graph",
        description="Drive cases: one worker of any number.",
        epilog="example: GRAPH_DATABASE_URL=… GRAPH_INTAKE_KEYS=… RUNNER=workers python -m graph",
    ).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    try:
        settings = GraphSettings()
        if settings.runner != "workers":
            print(  # noqa: T201
                "graph: RUNNER is server, so the cases are driven there: set RUNNER=workers everywhere to use workers",
                file=sys.stderr,
            )
            return 1
        asyncio.run(run(settings))
    except ValidationError as error:
        names = ", ".join(str(item["loc"][0]) for item in error.errors(include_input=False))
        print(f"graph: missing or wrong settings of GRAPH_: {names}", file=sys.stderr)  # noqa: T201
        return 1
    except (BadKey, BooksAway, CannotWork, LooseSerializer) as error:
        print(f"graph: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
