"""What one ticket costs, counted and not timed: commits and record bytes of each stretch of its way."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise

import psycopg

from evals.bench.contender import Contender
from evals.bench.product import Product
from evals.bench.wal import LogWritten, log_written, place
from runtime.embedded import EmbeddedPostgres

REPEATS = 3
"""Each is counted so often, and the commits must be the same every time."""

COMMITS = {
    ("exit", "to the order"): 6,
    ("exit", "to the end"): 8,
    ("sync", "to the order"): 9,
    ("sync", "to the end"): 12,
}
"""Of the graph and its books. The cashier has two of its own between the order and the end."""

CASHIER_COMMITS = 2


@dataclass(frozen=True, slots=True)
class Cost:
    """One stretch of one contender's way."""

    contender: str
    stretch: str
    commits: int
    record_bytes: int
    """Median of the repeats, page images left out."""

    queue_bytes: int
    """Of them, the queue's."""


class Uneven(Exception):
    """Two tickets that should cost the same did not."""


@dataclass(frozen=True)
class Counter:
    """Reads the log of one database."""

    postgres: EmbeddedPostgres
    url: str

    async def count(self, acts: list[Callable[[], Awaitable[None]]]) -> list[LogWritten]:
        """What each of some acts wrote, one after the other."""
        program = self.postgres.program("pg_waldump")
        with psycopg.connect(self.url, autocommit=True) as connection:
            places = [place(connection)]
            for act in acts:
                await act()
                places.append(place(connection))
            connection.execute("select pg_switch_wal()")  # so that all of it is on the disk, and can be read
            return [
                log_written(connection, program, self.postgres.data, start, end)
                for start, end in pairwise(places)
            ]


async def count_peer(counter: Counter, peer: Contender, numbers: Callable[[], int]) -> list[Cost]:
    """A peer's whole way, from nothing to the ordered money."""
    found = []
    for _ in range(REPEATS):
        ticket = str(numbers())

        async def pause(ticket: str = ticket) -> None:
            await peer.pause(ticket)

        async def resume(ticket: str = ticket) -> None:
            await peer.resume(ticket)

        found.append(await counter.count([pause, resume]))
    return [_cost(peer.name, "to the order", [_sum(parts) for parts in found])]


async def count_product(counter: Counter, product: Product, numbers: Callable[[], int]) -> list[Cost]:
    """The product's way to the order, the cashier's two commits, and the way to the end."""
    found = []
    for _ in range(REPEATS):
        ticket = str(numbers())

        async def pause(ticket: str = ticket) -> None:
            await product.pause(ticket)

        async def resume(ticket: str = ticket) -> None:
            await product.resume(ticket)

        async def end(ticket: str = ticket) -> None:
            await product.drive(ticket)

        found.append(await counter.count([pause, resume, product.settle, end]))
    return [
        _cost(product.name, "to the order", [_sum(parts[:2]) for parts in found]),
        _cost(product.name, "to the end", [_sum([*parts[:2], parts[3]]) for parts in found]),
        _cost(product.name, "the cashier", [parts[2] for parts in found]),
    ]


def check_counts(costs: list[Cost]) -> None:
    """Uneven where the product commits more or less often than it is said to."""
    for cost in costs:
        expected = (
            CASHIER_COMMITS if cost.stretch == "the cashier" else COMMITS.get((cost.contender, cost.stretch))
        )
        if expected is not None and cost.commits != expected:
            raise Uneven(f"{cost.contender} {cost.stretch}: {cost.commits} commits, said to be {expected}")


def _sum(parts: list[LogWritten]) -> LogWritten:
    schemas = {name for part in parts for name in part.by_schema}
    by_schema = {name: sum(part.by_schema.get(name, 0) for part in parts) for name in schemas}
    return LogWritten(
        sum(part.commits for part in parts), sum(part.record_bytes for part in parts), by_schema
    )


def _cost(contender: str, stretch: str, found: list[LogWritten]) -> Cost:
    commits = {one.commits for one in found}
    if len(commits) != 1:
        raise Uneven(f"{contender} {stretch}: {sorted(commits)} commits")
    middle = sorted(found, key=lambda one: one.record_bytes)[len(found) // 2]
    return Cost(contender, stretch, commits.pop(), middle.record_bytes, middle.by_schema.get("jobs", 0))
