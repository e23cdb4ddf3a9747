"""An exam run: a whole dataset, on as many cores as there are, each part on a database cloned for it.

What is done is written down as it is done, so that a run that was interrupted goes on where it was.
"""

import asyncio
import json
import logging
import math
import multiprocessing
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, ValidationError

from app.house import HouseSettings, database_of_its_own, open_house, prepare
from evals.exam.episode import Dataset, Episode, episode_line, read_episode
from evals.exam.episode_run import EpisodeRun, Player
from evals.exam.world import CLOCK, equipment
from policies.documents import read_corpus
from policies.grading import NOT_RUN, Call, Outcome, RowReason, grade
from policies.manifest import DEMO_CORPUS, Manifest
from refunds.canonical import canonical, sha256
from runtime.home import Home, drop_database, with_database

log = logging.getLogger("countersign.exam")

Prepare = Callable[[str], Coroutine[None, None, None]]

DATABASE = "countersign_exam_"
SHARED = 40
"""Episodes that share a database, where a set allows it."""

CODE = ("refunds", "policies", "records", "runtime", "tools", "graph", "desk", "cashier", "app", "evals")
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Graded:
    """A row: what the books say of an episode, what that is worth, and what is kept beside it."""

    outcome: Outcome
    reason: RowReason
    trace: tuple[dict[str, object], ...] = ()
    took_ms: int = 0

    @property
    def passed(self) -> bool:
        return self.reason == "pass"

    def to_json(self) -> dict[str, object]:
        """The row of a receipt. `took_ms` and the `latency_ms` of a step are timings: no two runs agree on them."""
        done = self.outcome
        return {
            "episode": done.episode,
            "passed": self.passed,
            "grade": self.reason,
            "status": done.status,
            "reason": done.reason,
            "actions": [call.action for call in done.calls],
            "results": list(done.results),
            "citations": list(done.citations),
            "refunds": done.refunds,
            "refunded_minor": done.refunded_minor,
            "trace": list(self.trace),
            "took_ms": self.took_ms,
        }

    @classmethod
    def of_json(cls, value: object) -> "Graded":
        """The row again; ValueError where it is none, or its actions are not those of its trace."""
        try:
            row = _Row.model_validate(value)
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["loc"])) from None
        if [step.get("action") for step in row.trace] != row.actions:
            raise ValueError("actions")
        return cls(
            Outcome(
                episode=row.episode,
                status=row.status,
                reason=row.reason,
                calls=tuple(Call(str(step["action"]), _arguments(step.get("args"))) for step in row.trace),
                results=tuple(row.results),
                citations=tuple(row.citations),
                refunds=row.refunds,
                refunded_minor=row.refunded_minor,
            ),
            row.grade,
            tuple(row.trace),
            row.took_ms,
        )


class _Row(BaseModel):
    """The row of a receipt, type by type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    episode: str
    passed: bool
    grade: RowReason
    status: str
    reason: str
    actions: list[str]
    results: list[str]
    citations: list[str]
    refunds: int
    refunded_minor: int
    trace: list[dict[str, Any]]
    took_ms: int


def _arguments(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}


def approved_documents() -> frozenset[str]:
    """The document versions of the demo shop that may be cited."""
    return frozenset(
        f"{document.document_id}-v{document.version}"
        for document in read_corpus(DEMO_CORPUS)
        if document.status == "approved"
    )


def code_sha256() -> str:
    """The hash of every file that the program is made of; what an exam writes is none of them."""
    files = sorted(
        file
        for folder in CODE
        for file in (ROOT / folder).rglob("*")
        if file.suffix in {".py", ".sql", ".md", ".json", ".jsonl"}
        and not {"__pycache__", "reports"} & set(file.parts)
    )
    return sha256(
        canonical([[str(file.relative_to(ROOT)), sha256(file.read_text(encoding="utf-8"))] for file in files])
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What a process of the run is given: plain values, because it starts from nothing."""

    home: Path
    database_url: str | None
    template: str
    shared: bool
    lines: tuple[str, ...]
    approved: frozenset[str]


def run_exam(
    home: Home,
    dataset: Dataset,
    pinned: Manifest,
    *,
    seed: int = 0,
    cores: int | None = None,
    approved: frozenset[str] | None = None,
    arrange: Prepare | None = None,
    afresh: bool = False,
    said: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Graded]:
    """Every episode of a dataset, graded, by name. `arrange` puts more into the database that all parts start from.

    `afresh` takes nothing from a run that was interrupted.
    """
    approved = approved_documents() if approved is None else approved
    journal = Journal.of(home, dataset, pinned)
    if afresh:
        journal.forget()
    done = journal.read()
    left = [episode for episode in dataset.episodes if episode.name not in done]
    random.Random(seed).shuffle(left)  # noqa: S311  (an order that nothing hangs on)
    said(len(done), len(dataset.episodes))
    if left:
        with _template(home, arrange) as template:
            workers = cores or os.cpu_count() or 1
            size = 1 if dataset.alone else min(SHARED, math.ceil(len(left) / workers))
            parts = [
                _Part(
                    home.folder,
                    home.database_url,
                    template,
                    not dataset.alone,
                    tuple(canonical(episode_line(one)) for one in left[at : at + size]),
                    approved,
                )
                for at in range(0, len(left), size)
            ]
            for rows in _worked(parts, workers):
                journal.write(rows)
                done |= {row.outcome.episode: row for row in rows}
                said(len(done), len(dataset.episodes))
    journal.forget()
    return [done[name] for name in sorted(done)]


def _worked(parts: Sequence[_Part], cores: int) -> Iterator[list[Graded]]:
    """The parts as they are done; in this process where there are few."""
    if cores == 1 or len(parts) <= 8:
        for part in parts:
            yield _run_part(part)
        return
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures: list[Future[list[Graded]]] = [pool.submit(_run_part, part) for part in parts]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _template(home: Home, arrange: Prepare | None) -> Iterator[str]:
    """A database that every part is cloned from: the demo shop, with a clock that can be moved."""
    with database_of_its_own(home, DATABASE) as (url, _):
        asyncio.run(_arranged(home, url, arrange))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(CLOCK)
        yield url


async def _arranged(home: Home, url: str, arrange: Prepare | None) -> None:
    await prepare(home, url)
    if arrange is not None:
        await arrange(url)


def _run_part(part: _Part) -> list[Graded]:
    """The episodes of a part, one after another on one clone. Runs in a process of its own where there are many."""
    home = Home(part.home, part.database_url)
    episodes = [read_episode(json.loads(line), "part") for line in part.lines]
    with _clone(part.template) as url, tempfile.TemporaryDirectory(prefix="countersign-exam-") as folder:
        return asyncio.run(_run_all(home, url, Path(folder), episodes, part))


async def _run_all(
    home: Home, url: str, folder: Path, episodes: Sequence[Episode], part: _Part
) -> list[Graded]:
    first = episodes[0]
    rows: list[Graded] = []
    async with (
        open_house(
            home,
            url,
            HouseSettings(size=6, provider_file=folder / "provider.sqlite", test_database_allowed=True),
            equipment(first),
        ) as house,
        await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as owner,
    ):
        for number, episode in enumerate(episodes):
            player = Player(house, owner, url, episode, tag=f"-{number}" if part.shared else "")
            rows.append(graded(await _ran(player), episode, part.approved))
    return rows


async def _ran(player: Player) -> EpisodeRun:
    """The played episode; one that could not be played to its end is told as that, and fails."""
    try:
        return await player.run_episode()
    except Exception as error:
        log.exception("episode %s could not be played", player.episode.name)
        nothing = Outcome(player.episode.name, NOT_RUN, type(error).__name__, (), (), (), 0, 0)
        return EpisodeRun(nothing, (), 0)


def graded(ran: EpisodeRun, episode: Episode, approved: frozenset[str]) -> Graded:
    """The row of a played episode."""
    reason = grade(ran.outcome, episode.expected, approved)
    return Graded(ran.outcome, reason, ran.trace, ran.took_ms)


@contextmanager
def _clone(template: str) -> Iterator[str]:
    name = f"{DATABASE}{uuid4().hex[:12]}"
    url = with_database(template, name)
    with psycopg.connect(with_database(template, "postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template.rsplit("/", 1)[1])
            )
        )
        # Nothing of it outlives the run, so nothing waits for its disk.
        connection.execute(
            sql.SQL("alter database {} set synchronous_commit to off").format(sql.Identifier(name))
        )
    try:
        yield url
    finally:
        drop_database(url)


@dataclass(frozen=True, slots=True)
class Journal:
    """The rows of a run that is under way, in a file that is gone when it is over."""

    file: Path

    @classmethod
    def of(cls, home: Home, dataset: Dataset, pinned: Manifest) -> "Journal":
        """The journal of exactly this dataset, this manifest and this code."""
        key = sha256(canonical([dataset.key(), pinned.model_dump(mode="json"), code_sha256()]))[:16]
        return cls(home.folder / "exam" / f"{dataset.name}-{key}.jsonl")

    def read(self) -> dict[str, Graded]:
        """The rows that are there; a last line that was cut off is not one."""
        if not self.file.exists():
            return {}
        rows: dict[str, Graded] = {}
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                row = Graded.of_json(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue
            rows[row.outcome.episode] = row
        return rows

    def write(self, rows: Sequence[Graded]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as out:
            # What could not be played is tried again.
            ran = [row for row in rows if row.outcome.status != NOT_RUN]
            out.writelines(canonical(row.to_json()) + "\n" for row in ran)

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)
        if self.file.parent.is_dir() and not any(self.file.parent.iterdir()):
            shutil.rmtree(self.file.parent, ignore_errors=True)
