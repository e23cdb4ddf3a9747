"""Two bundles on the same frozen sets: what goes wrong towards money first, then everything else."""

from collections.abc import Iterator
from dataclasses import dataclass

from evals.intake.measures import score_reading, urgent_score
from policies.reading import TrainedReader

MONEY = ("no money is wanted", "lines of a proposal", "conditions")
"""What a ticket can be wrong by that would pay somebody."""

OTHER = ("asks", "lines", "urgent")


@dataclass(frozen=True, slots=True)
class ErrorChange:
    """A kind of error, and the tickets that have it with each bundle."""

    kind: str
    old: frozenset[str]
    new: frozenset[str]

    def to_json(self) -> dict[str, object]:
        return {
            "wrong": self.kind,
            "old": len(self.old),
            "new": len(self.new),
            "mended": sorted(self.old - self.new),
            "broken": sorted(self.new - self.old),
        }


def compared(old: TrainedReader, new: TrainedReader) -> Iterator[ErrorChange]:
    """The errors of two readers on the test half, those towards money first."""
    scores = [score_reading(reader, "test", _quietly) for reader in (old, new)]
    for kind in (*MONEY, *OTHER):
        before, after = (frozenset(score.wrong.get(kind, ())) for score in scores)
        yield ErrorChange(kind, before, after)


def urgent_compared(old: TrainedReader, new: TrainedReader) -> Iterator[dict[str, object]]:
    """Urgent texts with each bundle."""
    for name, reader in (("old", old), ("new", new)):
        yield {"bundle": name, **urgent_score(reader)}


def worse_for_money(rows: list[ErrorChange]) -> list[str]:
    """The tickets that only the new one has wrong towards money."""
    return sorted({ticket for row in rows if row.kind in MONEY for ticket in row.new - row.old})


def _quietly(done: int, of: int) -> None:
    del done, of
