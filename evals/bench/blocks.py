"""Paired blocks: in each round every contender does the same number of tickets, in random order; ratios, not times.

What disturbs the machine disturbs a round, so a ratio within a round holds where a time would not.
"""

import asyncio
import random
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from evals.bench.contender import Contender

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Block:
    """What one contender did in one round."""

    tickets: int
    seconds: float
    cpu_seconds: float
    """Of this process; what Postgres works is the same machine's and not counted here."""

    pauses: list[float] = field(default_factory=list)
    resumes: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.tickets / self.seconds

    @property
    def cpu_a_ticket(self) -> float:
        return self.cpu_seconds / self.tickets


class BlockRunner(Protocol):
    """Runs one block of a contender."""

    @property
    def name(self) -> str: ...

    async def block(self, round_number: int, tickets: int, concurrency: int) -> Block: ...


@dataclass
class GraphRunner:
    """A contender that pauses and resumes tickets."""

    contender: Contender
    numbers: Callable[[], int]
    """The next free number of a ticket."""

    @property
    def name(self) -> str:
        return self.contender.name

    async def block(self, round_number: int, tickets: int, concurrency: int) -> Block:
        del round_number
        pauses: list[float] = []
        resumes: list[float] = []
        waiting = [str(self.numbers()) for _ in range(tickets)]

        async def work() -> None:
            while waiting:
                ticket = waiting.pop()
                begun = time.perf_counter()
                await self.contender.pause(ticket)
                paused = time.perf_counter()
                await self.contender.resume(ticket)
                pauses.append(paused - begun)
                resumes.append(time.perf_counter() - paused)

        cpu, begun = _cpu(), time.perf_counter()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        return Block(tickets, time.perf_counter() - begun, _cpu() - cpu, pauses, resumes)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True, slots=True)
class Ratio:
    """A median with the interval that holds 95 of 100 resampled medians."""

    median: float
    low: float
    high: float
    won: int
    """Rounds in which it was better than the peer."""

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ratio(ours: Sequence[float], peers: Sequence[float], *, more_is_better: bool, seed: int = 1) -> Ratio:
    """The ratio to the peer of the same round, over all rounds."""
    ratios = [mine / theirs for mine, theirs in zip(ours, peers, strict=True)]
    chance = random.Random(seed)  # noqa: S311  (resampling, not a secret)
    medians = sorted(median(chance.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    won = sum((value > 1) == more_is_better and value != 1 for value in ratios)
    return Ratio(median(ratios), medians[int(RESAMPLES * 0.025)], medians[int(RESAMPLES * 0.975)], won)


async def rounds(
    runners: Sequence[BlockRunner],
    *,
    count: int,
    tickets: int,
    concurrency: int,
    seed: int,
    said: Callable[[], None],
) -> dict[str, list[Block]]:
    """So many rounds of a block each, after one that is thrown away."""
    chance = random.Random(seed)  # noqa: S311
    found: dict[str, list[Block]] = {runner.name: [] for runner in runners}
    for number in range(-1, count):
        order = list(runners)
        chance.shuffle(order)
        for runner in order:
            block = await runner.block(number, tickets, concurrency)
            if number >= 0:
                found[runner.name].append(block)
        said()
    return found
