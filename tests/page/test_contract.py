"""The published API holds whatever is sent to it, and however many send at once."""

import random
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import CAMPAIGN
from running import CERTIFICATES, RunningHouse, until

from refunds.canonical import sha256

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
CASES = 1_000 if CAMPAIGN else 30
REVIEWERS = 20


@pytest.mark.parametrize("person", ["demo-specialist", "demo-operator"] if CAMPAIGN else ["demo-specialist"])
def test_nothing_that_is_sent_breaks_the_document(running: RunningHouse, person: str, tmp_path: Path) -> None:
    """No 5xx, no status and no shape that the document does not name; on a case that is there."""
    case = running.paused(order_id="X390" if person == "demo-operator" else "X391")
    (tmp_path / "schemathesis.toml").write_text(f'[parameters]\n"path.case_id" = "{case["case_id"]}"\n')
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"{running.desk_url}/api/openapi.json",
        "--header", f"Authorization: Bearer {running.tokens()[person]}",
        "--checks", CHECKS, "--max-examples", "100" if CAMPAIGN else "6", "--seed", "20261121",
        "--phases", "examples,coverage,fuzzing" if CAMPAIGN else "fuzzing", "--generation-database", "none",
        "--exclude-path-regex", "^/api/flags/" if person == "demo-operator" else "^/api/server/",
        "--suppress-health-check", "all", "--request-timeout", "30", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=1_800)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert "Tested: " in done.stdout


def a_reviewer(house: RunningHouse, number: int) -> str:
    """A person of their own; the token."""
    name, token = f"rush-{number}", f"cs_rush_{number}"
    house.sql("insert into books.people (person, name) values (%s, 'x') on conflict do nothing", name)
    house.sql("insert into books.memberships values ('demo', %s, 'reviewer') on conflict do nothing", name)
    house.sql(
        "insert into books.tokens (token_sha256, person, scopes, expires_at)"
        " values (%s, %s, '{cases:read,cases:decide}', now() + interval '1 day') on conflict do nothing",
        sha256(token), name,
    )  # fmt: skip
    return token


def test_twenty_who_decide_at_once_leave_one_decision_a_case(running: RunningHouse) -> None:
    """Each goes through every case in an order of their own, and says yes or no as they like."""
    running.many_orders(CASES, "R")
    with running.desk() as desk:
        submitted = [
            str(desk.post("/api/tickets", json=running.ticket(order_id=f"R{number}")).json()["case_id"])
            for number in range(CASES)
        ]
    paused = "select case_id from books.waiting where case_id = any(%s::uuid[]) and stage = 0"
    until(lambda: len(running.sql(paused, submitted)) == CASES, "at the pause", 600)
    digests = {
        str(row["case_id"]): row["digest"]
        for row in running.sql(
            "select case_id, digest from books.proposals where case_id = any(%s::uuid[])", submitted
        )
    }
    tokens = [a_reviewer(running, number) for number in range(REVIEWERS)]

    def work(number: int) -> list[tuple[int, str]]:
        mine = random.Random(number)
        order = mine.sample(submitted, len(submitted))
        answers: list[tuple[int, str]] = []
        with httpx.Client(
            base_url=running.desk_url,
            headers={"authorization": f"Bearer {tokens[number]}"},
            timeout=60,
            verify=CERTIFICATES,
        ) as desk:
            for case_id in order:
                said: dict[str, Any] = {"word": "approve", "digest": digests[case_id]}
                if mine.random() < 0.5:
                    said = {"word": "reject", "code": "other", "digest": digests[case_id]}
                answer = desk.post(f"/api/cases/{case_id}/decisions", json=said)
                answers.append((answer.status_code, answer.text))
        return answers

    with ThreadPoolExecutor(REVIEWERS) as people:
        answers = [answer for found in people.map(work, range(REVIEWERS)) for answer in found]
    counted = Counter(status for status, _ in answers)
    assert counted == {200: CASES, 409: CASES * (REVIEWERS - 1)}
    assert all("rush-" in text and " said " in text for status, text in answers if status == 409)
    rows = running.sql(
        "select count(*) as n, count(distinct case_id) as cases from books.decisions where case_id = any(%s::uuid[])",
        submitted,
    )
    assert (rows[0]["n"], rows[0]["cases"]) == (CASES, CASES)
