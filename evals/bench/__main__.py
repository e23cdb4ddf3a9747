"""python -m evals.bench: the product beside the peer, on a Postgres of its own with fsync on."""

import argparse
import asyncio
import itertools
import json
import os
import resource
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from app.house import prepare
from evals.bench.blocks import BlockRunner, GraphRunner, rounds
from evals.bench.contender import Contender
from evals.bench.counting import Counter, check_counts, count_peer, count_product
from evals.bench.growth import measure_growth
from evals.bench.peer import open_peers
from evals.bench.pgbench import Floor
from evals.bench.plot import plot
from evals.bench.product import many_orders, open_product
from evals.bench.report import Measurements, ratios, tables, to_json
from evals.bench.workers import drive_seconds
from runtime.embedded import EmbeddedPostgres
from runtime.home import Home, make_database, with_database

SHAPES = ((1, 6), (16, 32))
"""Concurrency, and tickets a block."""

PLOT = Path(__file__).parents[2] / "docs" / "benchmarks.svg"


def say_progress(line: str) -> None:
    """How far it is, on standard error."""
    sys.stderr.write(f"{line}\n")


async def run(options: argparse.Namespace, folder: Path) -> Measurements:
    """Everything, one part after the other."""
    home, found = Home(folder), Measurements()
    postgres = EmbeddedPostgres(folder)
    admin = postgres.start()
    peer_url, url = with_database(admin, "bench_peer"), with_database(admin, "bench_product")
    for name in (peer_url, url):
        make_database(name)
    await prepare(home, url)
    many_orders(url, 60_000)
    count = itertools.count(1)

    def numbers() -> int:
        return next(count)

    floor = Floor(peer_url, postgres.program("pgbench"), folder / "floor.sql")
    floor.prepare()
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(open_peers(peer_url, 20))
        ours = [
            await stack.enter_async_context(open_product(home, url, mode, 20)) for mode in ("exit", "sync")
        ]
        contenders: list[Contender] = [*peers, *ours]
        runners: list[BlockRunner] = [GraphRunner(contender, numbers) for contender in contenders]
        say_progress("warming up and counting")
        for runner in runners:
            await runner.block(-1, 6, 1)
        for peer in peers:
            found.costs += await count_peer(Counter(postgres, peer_url), peer, numbers)
        for product in ours:
            await product.settle()
            found.costs += await count_product(Counter(postgres, url), product, numbers)
        check_counts(found.costs)
        for concurrency, tickets in SHAPES:
            say_progress(f"{options.rounds} rounds of {tickets} tickets, {concurrency} at a time")
            found.load.append(os.getloadavg()[0])
            found.blocks[concurrency] = await rounds(
                [*runners, floor],
                count=options.rounds,
                tickets=tickets,
                concurrency=concurrency,
                seed=options.seed,
                said=lambda: say_progress("."),
            )
        if options.workers:
            say_progress("one worker and two")
            for _ in range(options.workers):
                one = await drive_seconds(home, url, ours[0], 1, 200, numbers)
                two = await drive_seconds(home, url, ours[0], 2, 200, numbers)
                found.workers.append((200 / one, 200 / two))
        found.rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.growth:
        found.levels = await measure_growth(home, url, postgres, options.growth, numbers, say_progress)
    postgres.stop()
    return found


def main() -> int:
    """The benchmark; 1 where a count is not what it is said to be."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.bench", description="The product beside a peer, as ratios of one run.",
        epilog="example: make bench ARGS='--rounds 21 --growth 1000 100000'",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=15, help="paired rounds, at least 15 for a figure")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--growth", type=int, nargs="*", default=(1_000, 100_000), help="levels of waiting cases"
    )
    parser.add_argument("--workers", type=int, default=3, help="rounds of one worker against two; 0 for none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
    folder.chmod(0o755)
    try:
        found = asyncio.run(run(options, folder))
    finally:
        EmbeddedPostgres(folder).stop()
        shutil.rmtree(folder, ignore_errors=True)
    PLOT.write_text(
        plot(
            {
                f"Tickets a second as a ratio to A, {concurrency} at a time": {
                    name: one
                    for name, one in ratios(blocks, lambda b: b.per_second, more=True).items()
                    if name[0] != "E"
                }
                for concurrency, blocks in found.blocks.items()
            }
        ),
        encoding="utf-8",
    )
    sys.stdout.write((json.dumps(to_json(found)) if options.json else tables(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
