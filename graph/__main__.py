"""python -m graph: a worker. Any number of them drive cases, on any number of machines."""

import argparse
import asyncio
import os
import sys

from graph.checkpointer import LooseSerializer, checkpointer
from graph.drive import Driver
from graph.refund_graph import refund_graph
from graph.runner import Runner
from graph.services import GraphServices, graph_services
from graph.settings import BadProvider, GraphSettings
from policies.manifest import ManifestMismatch
from policies.signature import BadKey
from records.books import BooksAway
from runtime.parent_watch import held
from runtime.process import run_process, stop_signal
from runtime.startup import CannotWork, check_books


async def run(settings: GraphSettings) -> None:
    """Drive cases until told to stop; those in hand are finished."""
    url = settings.database_url.get_secret_value()
    if settings.runner != "workers":
        raise CannotWork(
            "RUNNER is server, so the cases are driven there: set RUNNER=workers everywhere to use workers"
        )
    stop = stop_signal()
    services: GraphServices = graph_services(settings)
    await check_books(url)
    async with (
        services.opened(),
        checkpointer(url, size=2 * settings.concurrency) as saver,
        asyncio.TaskGroup() as group,
    ):
        driver = Driver(services, refund_graph(services, saver), settings.durability or "exit")
        group.create_task(Runner(driver, url, settings.concurrency).worker().work(stop))
        group.create_task(held(os.environ, stop))


def main() -> int:
    """The process; 0 done, 1 refused or failed with the reason on standard error, 2 usage."""
    argparse.ArgumentParser(
        prog="python -m graph",
        description="Drive cases: one worker of any number.",
        epilog="example: GRAPH_DATABASE_URL=… GRAPH_INTAKE_KEYS=… RUNNER=workers python -m graph",
    ).parse_args()
    return run_process(
        "graph",
        lambda: run(GraphSettings()),
        (BadKey, BadProvider, BooksAway, CannotWork, LooseSerializer, ManifestMismatch),
    )


if __name__ == "__main__":
    sys.exit(main())
