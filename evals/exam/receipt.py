"""A receipt: what a version was examined with, and every row of it. Two of one version differ in timings alone."""

import json
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.exam.episode import Dataset
from evals.exam.exam_run import ROOT, Graded, code_sha256
from policies.gate import Gate, decide_gate
from policies.grading import GRADER, grade
from policies.manifest import Manifest
from refunds.canonical import digest, read_json

TIMINGS = ("took_ms", "rows[].took_ms", "rows[].trace[].latency_ms")
"""The fields of a receipt in which two runs of one version may differ."""

LIMIT_BYTES = 64_000_000


class BadReceipt(Exception):
    """A file is no receipt; the message names it."""


def exam_receipt(
    dataset: Dataset, rows: Sequence[Graded], pinned: Manifest, *, seed: int, took_ms: int
) -> dict[str, object]:
    """The receipt of an exam run, as JSON."""
    return {
        "dataset_version": dataset.name,
        "dataset_sha256": digest(dataset.key()),
        "grader_version": GRADER,
        "agent_version": pinned.agent_version,
        "manifest_sha256": digest(pinned.model_dump(mode="json")),
        "corpus_sha256": pinned.corpus.sha256,
        "tool_schema_sha256": pinned.tool_schema.sha256,
        "prompts": {name: f"{part.version}:{part.sha256}" for name, part in pinned.prompts.items()},
        "planner": pinned.planner,
        "models": {
            name: [route.endpoint for route in routes] if pinned.planner == "model" else []
            for name, routes in pinned.models.items()
        },
        "commit": commit(),
        "code_sha256": code_sha256(),
        "seed": seed,
        "rows": [row.to_json() for row in rows],
        "timings": list(TIMINGS),
        "took_ms": took_ms,
    }


def commit() -> str:
    """The commit of this program's source, `+` where it was changed since; `unknown` outside a checkout."""
    try:
        named, changed = (
            subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=20).stdout
            for command in (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return named.strip() + ("+" if changed.strip() else "")


def without_timings(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """What of a receipt two runs of one version agree on, byte for byte."""
    rows = [
        {
            **{name: value for name, value in row.items() if name != "took_ms"},
            "trace": [
                {name: value for name, value in step.items() if name != "latency_ms"} for step in row["trace"]
            ],
        }
        for row in receipt["rows"]
    ]
    return {**{name: value for name, value in receipt.items() if name != "took_ms"}, "rows": rows}


def same_behaviour(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt without the code and the seed: what a committed one and a fresh run have to agree on."""
    beside = {"commit", "code_sha256", "seed"}
    return {name: value for name, value in without_timings(receipt).items() if name not in beside}


def read_receipt(file: Path) -> object:
    """The JSON of a file, whatever it is. Raises BadReceipt where it is none."""
    try:
        if file.stat().st_size > LIMIT_BYTES:
            raise BadReceipt(f"{file}: above {LIMIT_BYTES} bytes")
        value: object = read_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadReceipt(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BadReceipt(f"{file}: not JSON") from None
    return value


def regraded(
    value: object, dataset: Dataset, approved: Collection[str], where: str
) -> list[tuple[Graded, str]]:
    """Every row of a receipt graded anew by its own dataset, with what the receipt says of it. Raises BadReceipt."""
    expected = {episode.name: episode.expected for episode in dataset.episodes}
    if not isinstance(value, Mapping) or not isinstance(value.get("rows"), list):
        raise BadReceipt(f"{where}: no receipt: it has no rows")
    found: list[tuple[Graded, str]] = []
    for number, row in enumerate(value["rows"], 1):
        try:
            read = Graded.of_json(row)
        except (KeyError, TypeError, ValueError):
            raise BadReceipt(f"{where}: row {number} is not one of this program's") from None
        now = grade(read.outcome, expected.get(read.outcome.episode), approved)
        found.append((Graded(read.outcome, now, read.trace, read.took_ms), read.reason))
    return found


def gate_of(receipt: Mapping[str, object], dataset: Dataset) -> Gate:
    """The gate of a receipt's own dataset."""
    return decide_gate(receipt, dataset=dataset.name, episodes=dataset.names)


def receipt_text(receipt: Mapping[str, object]) -> str:
    """The text of a receipt's file: keys in order, one row below the other."""
    return json.dumps(receipt, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
