"""SIGKILL at every named point from intake to close, in both durability modes, times the provider's faults."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from conftest import CAMPAIGN
from stage import Cluster

ROOT = Path(__file__).parents[2]
BATCHES = 20 if CAMPAIGN else 1
RUNS = 52 if CAMPAIGN else 26
"""A batch; two are the sample of `make test`, and a campaign is forty of twice the size."""


def campaign(cluster: Cluster, url: str, **told: object) -> dict[str, Any]:
    """The report of a campaign in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        whole = {"home": str(cluster.home.folder), "url": url, "folder": folder, "runs": RUNS} | told
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "campaign.py")],
            input=json.dumps(whole),
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        )
    assert done.returncode == 0, done.stderr[-2_000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("durability", ["exit", "sync"])
def test_a_process_that_is_stopped_and_wakes_after_another_has_finished_pays_nothing(
    cluster: Cluster, url: str, durability: str
) -> None:
    """SIGSTOP, its database sessions ended, another process to the end, SIGCONT."""
    report = campaign(cluster, url, durability=durability, seed=0, stall=True)
    assert (report["wrong"], report["stalled"]) == ([], 7)


@pytest.mark.parametrize("durability", ["exit", "sync"])
@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_kill_anywhere_pays_once_and_loses_nothing(
    cluster: Cluster, url: str, durability: str, batch: int
) -> None:
    report = campaign(cluster, url, durability=durability, seed=batch)
    assert report["wrong"] == [], "\n".join(report["wrong"])
    assert report["left"] == []
    assert len({point.split("#")[0] for point in report["points"]}) >= 20
    # A fault may send a story past the point it was to die at; of six, about five die there.
    assert report["killed"] >= RUNS * 3 // 4, report["killed"]
