"""Three rehearsals with real processes: a friendly and wrong candidate stays at the gate, one that drifts stays in shadow,
one that degrades as a canary takes itself back. And the way back and the kill switch, in a second."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import open_to_the_server
from fake_openai import FakeOpenAI, served
from model_kit import data_of, fenced, plan, reply_to, section
from running import RunningHouse, until
from warm import countersign

from policies.manifest import manifest

FREE = {"input": 0, "output": 0}
V2, V3, V4 = "refund_agent_v2", "refund_agent_v3", "refund_agent_v4"
ROLLOUT = {
    "shadow": {
        "cases": 3, "decision_differs_percent": 0, "path_differs_percent": 0, "citations_differ_percent": 0,
        "amount_differs_percent": 0, "cost_percent": 100, "latency_percent": 100_000,
    },
    "canary": {"cases": 3},
    "bands": {
        "window_minutes": 60, "cases": 3, "success_percent_least": 10, "blocked_percent_most": 10,
        "handoff_percent_most": 60, "cost_micros_most": 1_000, "latency_ms_most": 600_000,
    },
}  # fmt: skip


def careful(body: dict[str, Any]) -> str:
    """A model that does its work one step after the other: the gate does not take a read that was not needed."""
    if body["response_format"]["json_schema"]["name"] == "Reply":
        return reply_to(data_of(body))
    case, results = (json.loads(section(data_of(body), name)) for name in ("case", "results"))
    match [row["result"] for row in results]:
        case []:
            return plan("get_policy_evidence", question=fenced(section(data_of(body), "customer")) or "?")
        case ["grounded"]:
            return plan("lookup_order", order_id=case["order_id"])
        case ["grounded", "found"]:
            return plan("draft_reply")
        case [*_, "cited_draft"]:
            return plan("request_human_approval", reason="draft_ready_for_review")
        case _:
            return plan("request_human_approval", reason="no_approved_evidence")


def lazy(body: dict[str, Any]) -> str:
    """The same model after its provider changed it: it leaves everything to people."""
    del body
    return plan("request_human_approval", reason="no_approved_evidence")


def friendly(body: dict[str, Any]) -> str:
    """A model that means well: it promises a refund, says that no approval is needed, and wants to refund at once."""
    if body["response_format"]["json_schema"]["name"] == "Reply":
        reply = json.loads(reply_to(data_of(body)))
        reply["reply"] += "\n\nWe are happy to give you your money back at once, as our private note says."
        return json.dumps(reply)
    if "private-note" in data_of(body):
        return plan("draft_reply")
    return careful(body)


def candidate(folder: Path, name: str, **changes: object) -> Path:
    """A manifest of a candidate in a file."""
    pinned = manifest().model_dump(mode="json") | {"agent_version": name, **changes}
    file = folder / f"{name}.json"
    file.write_text(json.dumps(pinned))
    return file


def of_model(folder: Path, name: str) -> Path:
    budgets = manifest().model_dump(mode="json")["budgets"]
    spending = manifest().model_dump(mode="json")["spending"]
    routes = [{"provider": "fake", "model": "small"}]
    return candidate(
        folder,
        name,
        planner="model",
        models={"plan": routes, "draft": routes},
        budgets=budgets,
        spending=spending,
    )


@pytest.fixture(name="fake", scope="module")
def _fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeOpenAI]:
    with served(FakeOpenAI(careful)) as fake:
        fake.folder = tmp_path_factory.mktemp("fake")
        prices = {"small": FREE, "large": FREE}
        (fake.folder / "providers.json").write_text(
            json.dumps({"fake": {"base_url": fake.url, "prices": prices}})
        )
        (fake.folder / "rollout.json").write_text(json.dumps(ROLLOUT))
        yield fake


@pytest.fixture(name="house", scope="module")
def _house(tmp_path_factory: pytest.TempPathFactory, fake: FakeOpenAI) -> Iterator[RunningHouse]:
    folder = tmp_path_factory.mktemp("releases")
    open_to_the_server(folder, fake.folder, *folder.parents[:3])
    house = RunningHouse(
        folder / "h",
        environment={
            "GRAPH_PROVIDERS": str(fake.folder / "providers.json"),
            "OPENAI_API_KEY": "test-key",
            "COUNTERSIGN_ROLLOUT": str(fake.folder / "rollout.json"),
        },
    )
    try:
        house.start()
        house.many_orders(60)
        yield house
    finally:
        house.close()


def said(house: RunningHouse, *words: str, who: str = "demo-operator", ok: bool = True, **env: str) -> str:
    """A command line of an operator, in a process of its own."""
    variables = {
        **house.variables(), "COUNTERSIGN_TOKEN": house.tokens()[who], "HOME": os.environ.get("HOME", "/"), **env,
    }  # fmt: skip
    done = subprocess.run(
        [countersign(), *words], check=False, env=variables, capture_output=True, text=True, timeout=240
    )
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def examined(house: RunningHouse, file: Path) -> Path:
    """The receipt of a candidate's exam."""
    receipt = file.with_suffix(".receipt.json")
    said(house, "eval", "run", "--agent", str(file), "--out", str(receipt), "--cores", "1")
    return receipt


def found(house: RunningHouse, folder: Path) -> None:
    """Releases are kept from now on, where they are not yet."""
    if "no release is kept" in said(house, "release", "list"):
        own = candidate(folder, V2)
        said(
            house,
            "release",
            "enter",
            str(own),
            "--receipt",
            str(examined(house, own)),
            "--reason",
            "the first",
            "--found",
        )


def state_of(house: RunningHouse, name: str) -> str:
    rows = house.sql("select state from release_steps where release = %s order by seq desc limit 1", name)
    return str(rows[0]["state"]) if rows else "none"


def bound_to(house: RunningHouse, case_id: str) -> str:
    return str(house.sql("select release from cases where case_id = %s", case_id)[0]["release"])


def test_a_friendly_and_wrong_candidate_is_held_at_the_gate(
    house: RunningHouse, fake: FakeOpenAI, tmp_path: Path
) -> None:
    found(house, tmp_path)
    file = of_model(tmp_path, "refund_agent_friendly")
    fake.answer = friendly
    try:
        receipt = examined(house, file)
    finally:
        fake.answer = careful
    gate = said(house, "release", "gate", str(receipt), ok=False)
    assert "hold failed:grounded_refund_draft,private_note_injection" in gate
    entered = said(
        house, "release", "enter", str(file), "--receipt", str(receipt), "--reason", "it is so friendly"
    )
    assert "refund_agent_friendly: hold" in entered
    assert "no step after it" in said(
        house, "release", "promote", "refund_agent_friendly", "--reason", "please", ok=False
    )
    # Neither the books nor the provider moved for it, and its receipt cannot be made better by hand.
    graded = json.loads(receipt.read_text())
    assert sum(row["refunds"] for row in graded["rows"]) == 1  # the prepared approval's own
    for row in graded["rows"]:
        row["passed"], row["grade"] = True, "pass"
    receipt.write_text(json.dumps(graded))
    other = json.loads(file.read_text()) | {"agent_version": "refund_agent_friendlier"}
    file.write_text(json.dumps(other))
    assert "not written by hand" in said(
        house, "release", "enter", str(file), "--receipt", str(receipt), "--reason", "again", ok=False
    )


def test_a_candidate_that_passes_the_gate_and_drifts_is_held_in_shadow(
    house: RunningHouse, tmp_path: Path
) -> None:
    """It may take a millisecond: enough where the exam's clock stands still, and nowhere else."""
    found(house, tmp_path)
    budgets = manifest().model_dump(mode="json")["budgets"]
    budgets["deterministic"]["latency_ms"] = 1
    file = candidate(tmp_path, V3, budgets=budgets)
    entered = said(
        house,
        "release",
        "enter",
        str(file),
        "--receipt",
        str(examined(house, file)),
        "--reason",
        "it is quick",
    )
    assert f"{V3}: eligible_for_shadow" in entered
    said(house, "release", "promote", V3, "--reason", "look at it")
    before = house.sql("select count(*) as n from disbursements")
    cases = [house.paused(order_id=f"X{number}") for number in range(3)]
    until(
        lambda: house.sql("select count(*) as n from shadow_runs where release = %s", V3)[0]["n"] >= 3,
        "shadowed",
    )
    refused = said(house, "release", "promote", V3, "--percent", "10", "--reason", "it is friendly", ok=False)
    assert "decision differs in 100 % of cases" in refused
    assert {bound_to(house, case["case_id"]) for case in cases} == {V2}
    assert house.sql("select count(*) as n from disbursements") == before
    assert house.sql("select count(*) as n from proposals where release = %s", V3)[0]["n"] == 0
    listed = [json.loads(line) for line in said(house, "release", "list", "--json").splitlines()]
    mine = next(row for row in listed if row["release"] == V3)
    assert (mine["state"], mine["next"]) == ("shadow", "canary")
    assert any("decision differs" in lack for lack in mine["lacks"])
    said(house, "release", "rollback", V3, "--reason", "it drifts")


def test_a_canary_that_degrades_rolls_itself_back_and_its_cases_are_proposed_again(
    house: RunningHouse, fake: FakeOpenAI, tmp_path: Path
) -> None:
    found(house, tmp_path)
    file = of_model(tmp_path, V4)
    said(house, "release", "enter", str(file), "--receipt", str(examined(house, file)), "--reason", "a model")
    said(house, "release", "promote", V4, "--reason", "look at it")
    for number in range(10, 13):
        house.paused(order_id=f"X{number}")
    until(
        lambda: house.sql("select count(*) as n from shadow_runs where release = %s", V4)[0]["n"] >= 3,
        "shadowed",
    )
    assert {
        row["differs"] == [] for row in house.sql("select differs from shadow_runs where release = %s", V4)
    } == {True}
    said(house, "release", "promote", V4, "--tenant", "demo", "--reason", "it agrees")
    good = house.paused(order_id="X20")
    assert bound_to(house, good["case_id"]) == V4
    assert good["state"]["proposal"]["kind"] == "refund"
    fake.answer = lazy
    try:
        for number in range(21, 25):
            house.paused(order_id=f"X{number}")
        until(lambda: state_of(house, V4) == "rolled_back", "rolled back by itself")
    finally:
        fake.answer = careful
    rows = house.sql(
        "select person, reason from release_steps where release = %s order by seq desc limit 1", V4
    )
    assert rows[0]["person"] is None
    assert re.match(r"hand-off rate \d+ % of \d cases", rows[0]["reason"])
    fresh = house.paused(order_id="X30")
    assert bound_to(house, fresh["case_id"]) == V2
    assert fresh["state"]["reason"] == "draft_ready_for_review"
    # What a person had not yet decided is proposed again by what is live, and is paid once.
    until(
        lambda: (
            house.sql("select count(*) as n from proposals where case_id = %s", good["case_id"])[0]["n"] == 2
        ),
        "again",
    )
    again = house.reaches(good["case_id"], "needs_human")
    assert house.decide(again).status_code == 200
    house.reaches(good["case_id"], "refunded")
    assert sum(one["payment_id"] == "pay_X20" for one in house.refunds()) == 1


def test_the_way_back_and_the_kill_switch_count_for_every_process_within_a_second(
    house: RunningHouse, tmp_path: Path
) -> None:
    found(house, tmp_path)
    name = "refund_agent_v5"
    file = candidate(tmp_path, name, time_to_decide_hours=5)
    said(house, "release", "enter", str(file), "--receipt", str(examined(house, file)), "--reason", "shorter")
    with house.desk("demo-operator") as operator:
        assert operator.post(f"/api/releases/{name}/promote", json={"reason": "look"}).status_code == 200
        refused = operator.post(f"/api/releases/{name}/promote", json={"reason": "now", "percent": 10})
        assert refused.status_code == 409
        assert "shadow cases" in refused.json()["detail"]
        for number in range(40, 43):
            house.paused(order_id=f"X{number}")
        until(
            lambda: house.sql("select count(*) as n from shadow_runs where release = %s", name)[0]["n"] >= 3,
            "shadowed",
        )
        moved = operator.post(f"/api/releases/{name}/promote", json={"reason": "agrees", "tenants": ["demo"]})
        assert moved.status_code == 200, moved.text
        assert bound_to(house, house.submit(order_id="X50")) == name
        started = time.monotonic()
        assert (
            operator.post(f"/api/releases/{name}/rollback", json={"reason": "rehearsal"}).status_code == 200
        )
        assert bound_to(house, house.submit(order_id="X51")) == V2
        took = time.monotonic() - started
        assert (
            operator.post(
                "/api/flags/kill_switch", json={"on": True, "reason": "rehearsal", "tenant": "*"}
            ).status_code
            == 200
        )
        try:
            parked = house.reaches(house.submit(order_id="X52"), "bypassed")
            assert parked["state"]["reason"] == "kill_switch"
        finally:
            operator.post("/api/flags/kill_switch", json={"on": False, "reason": "over", "tenant": "*"})
        house.reaches(parked["case_id"], "needs_human")
    assert took < 1.0, f"the way back took {took:.2f} s"
