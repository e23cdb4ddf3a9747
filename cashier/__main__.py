"""python -m cashier: the till as a process. It polls; a doorbell is only a hint."""

import argparse
import asyncio
import json
import logging
import signal
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from cashier.executor import Executor
from cashier.settings import CashierSettings
from cashier.twin import Charges, Twin
from policies.signature import BadKey, PublicKeys, public_keys
from records.books import Books, BooksAway, Refused
from records.startup import CannotWork, check_books
from refunds.ids import PaymentId, TenantId
from refunds.money import Currency, Money

log = logging.getLogger("countersign.cashier")


def read_keys(file: Path) -> PublicKeys:
    """The desk's public keys; BadKey where the file holds none."""
    try:
        keys = json.loads(file.read_text(encoding="utf-8"))["keys"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadKey(f"{file}: no public keys of the desk: set CASHIER_DESK_KEYS") from None
    return public_keys(keys)


def charges_of(books: Books) -> Charges:
    """What was once paid, as the twin asks for it."""

    async def paid(tenant: TenantId, payment_id: PaymentId) -> Money | None:
        async with books.transaction(tenant) as page:
            row = await page.row("payment", payment_id=payment_id)
        return Money(row["amount_minor"], Currency(row["currency"])) if row else None

    return paid


async def run(settings: CashierSettings, *, once: bool) -> None:
    """Settle what is ordered, until told to stop; one pass with `once`."""
    url = settings.database_url.get_secret_value()
    keys = read_keys(settings.desk_keys)
    await check_books(url)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with Books.open(url, size=4) as books:
        executor = Executor(
            books, Twin(settings.twin_file, charges_of(books)), keys, retry_seconds=settings.retry_seconds
        )
        if once:
            await executor.settle_all()
            return
        log.info("the till is open, every %s s", settings.poll_seconds)
        looked_for_failures = 0.0
        while not stop.is_set():
            late = time.monotonic() - looked_for_failures > settings.late_failure_seconds
            try:
                await executor.settle_all(late_failures=late)
            except (BooksAway, Refused) as error:
                log.warning("the books are away: %s", error)
            else:
                looked_for_failures = time.monotonic() if late else looked_for_failures
            try:
                await asyncio.wait_for(stop.wait(), settings.poll_seconds)
            except TimeoutError:
                continue


def main() -> int:
    """The process; 0 done, 1 refused or failed with the reason on standard error, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m cashier",
        description="Pay what was approved, once.",
        epilog="example: python -m cashier --once",
    )
    parser.add_argument("--once", action="store_true", help="one pass and out")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        asyncio.run(run(CashierSettings(), once=options.once))
    except ValidationError as error:
        names = ", ".join(
            f"CASHIER_{str(item['loc'][0]).upper()}" for item in error.errors(include_input=False)
        )
        print(f"cashier: missing or wrong settings: {names}", file=sys.stderr)  # noqa: T201
        return 1
    except (BadKey, BooksAway, CannotWork) as error:
        print(f"cashier: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
