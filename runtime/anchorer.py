"""python -m runtime.anchorer: signs the heads of the audit every minute, in a role that can do nothing else."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from records.audit import BadAnchors, Sign, anchor
from records.books import Books, BooksAway
from runtime.home import BadHome, read_home_json
from runtime.jobs import Routine, Worker
from runtime.parent_watch import held
from runtime.process import run_process, stop_signal
from runtime.startup import CannotWork, check_books

log = logging.getLogger("countersign.anchorer")

EVERY_SECONDS = 60
SETTINGS = ("ANCHORER_DATABASE_URL", "ANCHORER_KEY_FILE", "ANCHORER_COPY")


def signer(file: Path) -> Sign:
    """What signs with the private JWK of a file; BadHome names the file where it holds none."""
    jwk = read_home_json(file)
    try:
        if not isinstance(jwk, dict):
            raise BadHome(f"{file}: not a key")
        key = OKPKey.import_key({name: str(value) for name, value in jwk.items()})
    except (JoseError, ValueError):
        raise BadHome(f"{file}: not a key: restore it, or remove it and run countersign db up") from None
    header = {"alg": "Ed25519", "kid": str(jwk.get("kid"))}
    return lambda text: jws.serialize_compact(header, text.encode(), key, algorithms=["Ed25519"])


async def run(environment: Mapping[str, str]) -> None:
    """Sign until told to stop, and once more then."""
    missing = [name for name in SETTINGS if not environment.get(name)]
    if missing:
        raise CannotWork(f"missing settings: {', '.join(missing)}")
    url, key_file, copy = (environment[name] for name in SETTINGS)
    sign = signer(Path(key_file))
    await check_books(url)
    stop = stop_signal()
    async with Books.open(url, size=3) as books:
        worker = Worker(
            books=books,
            url=url,
            queue="anchorer",
            routines={"sign": Routine(EVERY_SECONDS, lambda: anchor(books, sign, Path(copy)))},
            concurrency=1,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.work(stop))
            group.create_task(held(os.environ, stop))
        try:
            await anchor(books, sign, Path(copy))
        except BooksAway as error:
            log.warning("the last heads are not signed: %s", error)


def main() -> int:
    """The process; 0 done, 1 refused or failed with the reason on standard error, 2 usage."""
    argparse.ArgumentParser(
        prog="python -m runtime.anchorer",
        description="Sign the heads of the audit every minute, and copy the signature out of the database.",
        epilog=f"settings: {', '.join(SETTINGS)}",
    ).parse_args()
    return run_process("anchorer", lambda: run(os.environ), (BadAnchors, BadHome, BooksAway, CannotWork))


if __name__ == "__main__":
    sys.exit(main())
