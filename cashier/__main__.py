"""python -m cashier: the cashier as a process. It polls; a wake-up is only a hint."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import assert_never
from uuid import UUID

from cashier.charges import charges_of
from cashier.executor import Executor
from cashier.processor import Processor
from cashier.settings import CashierSettings
from cashier.simulated_provider import SimulatedProvider
from policies.signature import BadKey, PublicKeys, parse_public_keys
from records.books import Books, BooksAway
from records.queue import SETTLE
from refunds.ids import DisbursementId, TenantId
from runtime.jobs import Routine, Worker
from runtime.parent_watch import held
from runtime.process import run_process, stop_signal
from runtime.startup import CannotWork, check_books

log = logging.getLogger("countersign.cashier")


def read_keys(file: Path) -> PublicKeys:
    """The desk's public keys; BadKey where the file holds none."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadKey(f"{file}: {error.strerror}: set CASHIER_DESK_KEYS, or run countersign db up") from None
    return parse_public_keys(text, str(file))


def processor_of(settings: CashierSettings, books: Books) -> Processor:
    """The payment processor that the settings name."""
    match settings.processor:
        case "twin":
            return SimulatedProvider(settings.provider_file, charges_of(books))
        case unknown:
            assert_never(unknown)


async def run(settings: CashierSettings, *, once: bool) -> None:
    """Settle what is ordered, until told to stop; one pass with `once`."""
    url = settings.database_url.get_secret_value()
    keys = read_keys(settings.desk_keys)
    await check_books(url)
    stop = stop_signal()
    async with Books.open(url, size=8) as books:
        executor = Executor(
            books,
            processor_of(settings, books),
            keys,
            retry_seconds=settings.retry_seconds,
        )
        if once:
            await executor.settle_all()
            return

        async def settle(tenant: str, decision_id: str) -> None:
            await executor.settle(TenantId(tenant), DisbursementId(UUID(decision_id)))

        worker = Worker(
            books=books,
            url=url,
            queue="cashier",
            tasks={SETTLE: settle},
            routines={
                "pass": Routine(settings.poll_seconds, lambda: executor.settle_all(late_failures=False)),
                "late_failures": Routine(settings.late_failure_seconds, executor.settle_all),
            },
            concurrency=2,
        )
        log.info("the cashier is open, every %s s and when it is woken", settings.poll_seconds)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.work(stop))
            group.create_task(held(os.environ, stop))


def main() -> int:
    """The process; 0 done, 1 refused or failed with the reason on standard error, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m cashier",
        description="Pay what was approved, once.",
        epilog="example: python -m cashier --once",
    )
    parser.add_argument("--once", action="store_true", help="one pass and out")
    options = parser.parse_args()
    return run_process(
        "cashier", lambda: run(CashierSettings(), once=options.once), (BadKey, BooksAway, CannotWork)
    )


if __name__ == "__main__":
    sys.exit(main())
