"""The exam: the committed receipts are what this program does, runs repeat themselves, and a cut run goes on where it was."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from stage import Cluster

from evals.exam.episode import EPISODES, SETS, BadEpisode, Dataset, episode_line, read_episode, read_episodes
from evals.exam.exam_run import Graded, Journal, approved_documents, run_exam
from evals.exam.examining import Examined, examine
from evals.exam.receipt import gate_of, regraded, same_behaviour, without_timings
from evals.exam.sets import COUNTERPARTS, FILES, the_set
from policies.admission import RunAgent
from policies.gate import DATASET
from policies.manifest import manifest
from refunds.canonical import digest, first_difference
from refunds.vocabulary import BlockReason, BypassReason, HandoffReason, RefundResult, RejectCode

REPORTS = Path(__file__).parents[2] / "evals" / "reports"
DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module", name="examined")
def _examined(cluster: Cluster) -> Iterator[Examined]:
    yield examine(cluster.home, DATASET, manifest(), DATA, seed=7, cores=1)


def committed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPORTS / f"{name}.json").read_text())
    return found


def test_a_fresh_run_of_the_six_is_the_committed_receipt(examined: Examined) -> None:
    fresh = same_behaviour(json.loads(json.dumps(examined.receipt)))
    assert first_difference(fresh, same_behaviour(committed(DATASET))) is None
    assert examined.tally.gate.reason == "exact_receipt_pass"


def test_two_runs_of_one_version_give_the_same_receipt_but_for_its_timings(
    examined: Examined, cluster: Cluster
) -> None:
    again = examine(cluster.home, DATASET, manifest(), DATA, seed=7, cores=1)
    assert without_timings(again.receipt) == without_timings(examined.receipt)


def test_a_committed_receipt_was_made_by_this_manifest_and_passes_its_own_gate() -> None:
    for name in (DATASET, *FILES):
        receipt = committed(name)
        sat = the_set(name, DATA)
        assert receipt["agent_version"] == manifest().agent_version
        assert receipt["corpus_sha256"] == manifest().corpus.sha256
        assert receipt["manifest_sha256"] == digest(manifest().model_dump(mode="json"))
        assert receipt["dataset_sha256"] == digest(sat.dataset.key())
        assert gate_of(receipt, sat.dataset).decision == "eligible_for_shadow"
        rows = regraded(receipt, sat.dataset, sat.approved, name)
        assert {row.outcome.episode for row, _ in rows} == sat.dataset.names
        assert all(row.passed and said == "pass" for row, said in rows)


def test_a_row_that_calls_itself_passed_is_graded_anew(examined: Examined) -> None:
    receipt = json.loads(json.dumps(examined.receipt))
    row = next(row for row in receipt["rows"] if row["episode"] == "grounded_refund_draft")
    row["citations"].append("seller-private-note-44-v1")
    rows = regraded(receipt, the_set(DATASET, DATA).dataset, approved_documents(), "x")
    assert ("unapproved_citation", "pass") in [(row.reason, said) for row, said in rows]


def test_a_run_that_was_interrupted_goes_on_where_it_was(cluster: Cluster) -> None:
    episodes = [
        one for one in read_episodes(EPISODES) if one.name in {"stale_intake_bundle", "approval_replay"}
    ]
    dataset = Dataset("interrupted", tuple(episodes))
    whole = run_exam(cluster.home, dataset, manifest(), cores=1)
    journal = Journal.of(cluster.home, dataset, manifest())
    assert not journal.file.exists()
    done = next(row for row in whole if row.outcome.episode == "approval_replay")
    journal.write([Graded(done.outcome, done.reason, done.trace, took_ms=987_654_321)])
    with journal.file.open("a") as out:
        out.write('{"episode": "stale_intake_bu')  # where the power went
    told: list[tuple[int, int]] = []
    rows = run_exam(cluster.home, dataset, manifest(), cores=1, said=lambda n, of: told.append((n, of)))
    assert [row.took_ms == 987_654_321 for row in rows] == [True, False]
    assert (told[0], told[-1]) == ((1, 2), (2, 2))
    assert not journal.file.exists()


def test_every_reason_of_the_contract_has_an_episode() -> None:
    named = {episode.expected.reason for episode in read_episodes(SETS / "reasons-v1.jsonl")}
    named |= {episode.name for episode in read_episodes(SETS / "reasons-v1.jsonl")}
    wanted = {
        RunAgent().reason,
        *get_args(BypassReason),
        *get_args(BlockReason),
        *get_args(HandoffReason),
        *get_args(RefundResult),
        *get_args(RejectCode),
    }
    assert wanted - named - {"blocked:mode"} == set()


@pytest.mark.parametrize("name", FILES)
def test_every_line_of_a_set_reads_and_writes_the_same(name: str) -> None:
    for episode in read_episodes(SETS / f"{name}.jsonl"):
        assert read_episode(json.loads(json.dumps(episode_line(episode))), name) == episode


@pytest.mark.parametrize(
    "line",
    [
        {"episode": "x"},
        {"episode": "x", "expected": {"status": 7}},
        {"episode": "x", "expected": {}, "given": {"intake": "friendly"}},
        {"episode": "x", "expected": {}, "given": {"then": [{"act": "bribe"}]}},
        {"episode": "x", "expected": {"actions": [{"action": "lookup_order"}]}},
        {"episode": "x", "expected": {}, "and": 1},
    ],
)
def test_a_line_that_is_no_episode_is_refused(line: object) -> None:
    with pytest.raises(BadEpisode):
        read_episode(line, "here")


def test_the_strangers_set_has_its_exact_refunds_its_noughts_and_nine_counterparts_of_each() -> None:
    if not DATA.is_dir():
        pytest.skip("the outside data is not here")
    names = Counter(episode.name[4:] for episode in the_set("tau2-retail-v1", DATA).dataset.episodes)
    assert len(COUNTERPARTS) == 10
    assert {names[rule] for rule in COUNTERPARTS} == {50}
    assert names["no refund is due"] == 48


def test_a_sample_of_the_strangers_set_ends_as_it_must(cluster: Cluster) -> None:
    if not DATA.is_dir():
        pytest.skip("the outside data is not here")
    sat = the_set("tau2-retail-v1", DATA)
    chosen = tuple(episode for episode in sat.dataset.episodes if episode.name.startswith(("007", "031")))
    dataset = Dataset("sample", chosen, alone=False)
    rows = run_exam(cluster.home, dataset, manifest(), cores=1, approved=sat.approved, arrange=sat.arrange)
    assert [(row.outcome.episode, row.reason) for row in rows if not row.passed] == []
    assert len(rows) == 22
