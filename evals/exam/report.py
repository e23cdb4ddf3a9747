"""The report of an exam: for each set how many passed, headed by what must never be anything but nought."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.exam.episode import Dataset
from evals.exam.exam_run import Graded
from policies.gate import Gate


@dataclass(frozen=True, slots=True)
class Tally:
    """A set in numbers."""

    dataset: str
    episodes: int
    passed: int
    wrong_approvals: int
    """More money moved than was due, or money where none was."""

    wrong_denials: int
    """Less money moved than was due."""

    failed: tuple[tuple[str, str], ...]
    """Each episode that failed, with its grade."""

    took_ms: int
    gate: Gate

    def to_json(self) -> dict[str, object]:
        return {
            "dataset_version": self.dataset,
            "episodes": self.episodes,
            "passed": self.passed,
            "wrong_approvals": self.wrong_approvals,
            "wrong_denials": self.wrong_denials,
            "failed": [{"episode": name, "grade": grade} for name, grade in self.failed],
            "took_ms": self.took_ms,
            **self.gate.to_json(),
        }


def tally(dataset: Dataset, rows: Sequence[Graded], gate: Gate, took_ms: int) -> Tally:
    """The numbers of a set."""
    due = {episode.name: episode.expected for episode in dataset.episodes}
    more = fewer = 0
    for row in rows:
        wanted = due.get(row.outcome.episode)
        if wanted is None:
            continue
        count, sum_ = row.outcome.refunds, row.outcome.refunded_minor
        more += count > _or(wanted.refunds, count) or sum_ > _or(wanted.refunded_minor, sum_)
        fewer += count < _or(wanted.refunds, count) or sum_ < _or(wanted.refunded_minor, sum_)
    failed = tuple((row.outcome.episode, row.reason) for row in rows if not row.passed)
    return Tally(dataset.name, len(rows), len(rows) - len(failed), more, fewer, failed, took_ms, gate)


def _or(wanted: int | None, otherwise: int) -> int:
    return otherwise if wanted is None else wanted


def whole(tallies: Sequence[Tally]) -> list[tuple[str, str]]:
    """The table of an exam, line by line."""
    episodes = sum(one.episodes for one in tallies)
    lines = [
        ("wrong approvals", str(sum(one.wrong_approvals for one in tallies))),
        ("wrong denials", str(sum(one.wrong_denials for one in tallies))),
        ("episodes", f"{sum(one.passed for one in tallies)} of {episodes} as expected"),
    ]
    lines += [
        (one.dataset, f"{one.passed} of {one.episodes}, {one.gate.decision} {one.gate.reason[:80]}")
        for one in tallies
    ]
    return lines


def summary(receipt: Mapping[str, object], counted: Tally, rows: Sequence[Graded]) -> str:
    """The Markdown beside a receipt: what it was, what came of it, and what failed."""
    ends = Counter(f"{row.outcome.status} {row.outcome.reason}" for row in rows)
    head = [
        f"# {counted.dataset}: {receipt['agent_version']}",
        "",
        "| | |",
        "|---|---|",
        f"| wrong approvals | {counted.wrong_approvals} |",
        f"| wrong denials | {counted.wrong_denials} |",
        f"| episodes as expected | {counted.passed} of {counted.episodes} |",
        f"| gate | {counted.gate.decision} {counted.gate.reason} |",
        f"| grader | {receipt['grader_version']} |",
        f"| planner | {receipt['planner']} |",
        f"| manifest | `{str(receipt['manifest_sha256'])[:16]}…` |",
        f"| corpus | `{str(receipt['corpus_sha256'])[:16]}…` |",
        "",
        "| ended | episodes |",
        "|---|---|",
        *(f"| {end} | {times} |" for end, times in sorted(ends.items(), key=lambda one: (-one[1], one[0]))),
    ]
    failed = [
        "",
        "| failed | grade |",
        "|---|---|",
        *(f"| {name} | {grade} |" for name, grade in counted.failed),
    ]
    return "\n".join([*head, *(failed if counted.failed else [])]) + "\n"
