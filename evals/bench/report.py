"""The report: what was measured, as tables and for a machine."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

from evals.bench.blocks import Block, Ratio, ratio
from evals.bench.counting import Cost
from evals.bench.growth import Level

PEER = "A"


@dataclass
class Measurements:
    """All that was measured."""

    costs: list[Cost] = field(default_factory=list)
    blocks: dict[int, dict[str, list[Block]]] = field(default_factory=dict)
    levels: list[Level] = field(default_factory=list)
    workers: list[tuple[float, float]] = field(default_factory=list)
    """Cases a second of one worker and of two, a round each."""

    load: list[float] = field(default_factory=list)
    rss_mb: float = 0.0


def ratios(blocks: dict[str, list[Block]], of: Callable[[Block], float], *, more: bool) -> dict[str, Ratio]:
    """Of every contender to the peer."""
    peer = [of(block) for block in blocks[PEER]]
    return {name: ratio([of(b) for b in mine], peer, more_is_better=more) for name, mine in blocks.items()}


def tables(found: Measurements) -> str:
    """What was found, as Markdown."""
    lines: list[str] = []
    for concurrency, blocks in found.blocks.items():
        speed = ratios(blocks, lambda block: block.per_second, more=True)
        cpu = ratios(blocks, lambda block: block.cpu_a_ticket, more=False)
        rounds_done = len(blocks[PEER])
        lines += [
            f"Concurrency {concurrency}, {rounds_done} rounds, {blocks[PEER][0].tickets} tickets a block:",
            "",
            "| contender | tickets/s | ratio to A [95 %] | rounds won | CPU ms | CPU ratio [95 %] "
            "| pause p50 / p99 ms | resume p50 / p99 ms |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name, mine in blocks.items():
            cpu_ms = median(block.cpu_a_ticket for block in mine) * 1000
            cells = [
                name,
                f"{median(block.per_second for block in mine):.0f}",
                str(speed[name]),
                f"{speed[name].won}/{rounds_done}",
                f"{cpu_ms:.1f}" if cpu_ms else "",
                str(cpu[name]) if cpu_ms else "",
                _pair([seconds for block in mine for seconds in block.pauses]),
                _pair([seconds for block in mine for seconds in block.resumes]),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "| contender | stretch | commits | WAL record KB | of it the queue's | WAL ratio to A |",
        "|---|---|---|---|---|---|",
    ]
    peer_bytes = next((cost.record_bytes for cost in found.costs if cost.contender == PEER), 1)
    for cost in found.costs:
        share = f"{cost.record_bytes / peer_bytes:.2f}"
        kb, queue = f"{cost.record_bytes / 1024:.1f}", f"{cost.queue_bytes / 1024:.1f}"
        lines.append(f"| {cost.contender} | {cost.stretch} | {cost.commits} | {kb} | {queue} | {share} |")
    if found.levels:
        lines += [
            "",
            "| waiting | resume after a restart, first / p50 ms | hot ms "
            "| list 50, ms in the database with planning | books and checkpoints MB |",
            "|---|---|---|---|---|",
        ]
        for level in found.levels:
            cells = [
                f"{level.waiting:,}",
                f"{level.first_ms:.1f} / {level.cold_ms:.1f}",
                f"{level.hot_ms:.1f}",
                f"{level.list_ms:.2f}",
            ]
            lines.append(f"| {' | '.join(cells)} | {level.disk_mb:.0f} |")
    if found.workers:
        times = median(two / one for one, two in found.workers)
        each = ", ".join(f"{one:.0f} and {two:.0f}" for one, two in found.workers)
        lines += ["", f"Two workers drive {times:.2f} times what one does (cases/s: {each})."]
    load = ", ".join(f"{one:.1f}" for one in found.load)
    lines += ["", f"This process held at most {found.rss_mb:.0f} MB; load before each part: {load}."]
    return "\n".join(lines)


def _pair(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return ""
    cuts = quantiles(seconds, n=100, method="inclusive")
    return f"{cuts[49] * 1000:.1f} / {cuts[98] * 1000:.1f}"


def to_json(found: Measurements) -> dict[str, Any]:
    """The measurements as JSON."""
    return {
        "costs": [asdict(cost) for cost in found.costs],
        "levels": [asdict(level) for level in found.levels],
        "workers": found.workers,
        "rss_mb": found.rss_mb,
        "ratios": {
            concurrency: {
                "tickets": {
                    n: asdict(r) for n, r in ratios(blocks, lambda b: b.per_second, more=True).items()
                },
                "cpu": {
                    n: asdict(r) for n, r in ratios(blocks, lambda b: b.cpu_a_ticket, more=False).items()
                },
            }
            for concurrency, blocks in found.blocks.items()
        },
    }
