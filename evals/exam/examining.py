"""Examining: a set is run and graded, and becomes a receipt with its numbers."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evals.exam.exam_run import Graded, run_exam
from evals.exam.receipt import exam_receipt, gate_of, receipt_text
from evals.exam.report import Tally, summary, tally
from evals.exam.sets import FROM_DATA, the_set
from policies.manifest import Manifest, ManifestMismatch, manifest
from runtime.home import Home

MANIFEST = "COUNTERSIGN_MANIFEST"


@dataclass(frozen=True, slots=True)
class Examined:
    """One set of an exam."""

    receipt: dict[str, object]
    tally: Tally
    rows: list[Graded]


def the_agent(name: str) -> Manifest:
    """The version that is examined: this program's own, or that of a manifest's file. Raises ManifestMismatch."""
    file = Path(name)
    if file.suffix == ".json" and file.is_file():
        # The parts of a run are processes that find their manifest where every process does.
        os.environ[MANIFEST] = str(file.absolute())
        return manifest(file)
    own = own_agent()
    if name != own.agent_version:
        raise ManifestMismatch(
            f"agent {name[:80]} is not here: this program is {own.agent_version}; another version is examined with "
            "its manifest: --agent FILE.json"
        )
    return own


def own_agent() -> Manifest:
    """The manifest that this program works by. Raises ManifestMismatch."""
    return manifest(Path(os.environ[MANIFEST]) if os.environ.get(MANIFEST) else None)


def examine(
    home: Home,
    name: str,
    pinned: Manifest,
    data: Path,
    *,
    seed: int = 0,
    cores: int | None = None,
    afresh: bool = False,
    said: Callable[[int, int], None] = lambda _done, _of: None,
) -> Examined:
    """A whole set. Raises NoData, BadEpisode, and what the house raises."""
    chosen = the_set(name, data)
    started = time.monotonic()
    rows = run_exam(
        home,
        chosen.dataset,
        pinned,
        seed=seed,
        cores=cores,
        approved=chosen.approved,
        arrange=chosen.arrange,
        afresh=afresh,
        said=said,
    )
    took_ms = round((time.monotonic() - started) * 1000)
    receipt = exam_receipt(chosen.dataset, rows, pinned, seed=seed, took_ms=took_ms)
    counted = tally(chosen.dataset, rows, gate_of(receipt, chosen.dataset), took_ms)
    return Examined(receipt, counted, rows)


def file_away(folder: Path, examined: Examined) -> Path:
    """Write the summary of a set, and its receipt where its episodes are ours: others' data is not copied."""
    folder.mkdir(parents=True, exist_ok=True)
    name = examined.tally.dataset
    page = folder / f"{name}.md"
    page.write_text(summary(examined.receipt, examined.tally, examined.rows), encoding="utf-8")
    if name in FROM_DATA:
        return page
    file = folder / f"{name}.json"
    file.write_text(receipt_text(examined.receipt), encoding="utf-8")
    return file
