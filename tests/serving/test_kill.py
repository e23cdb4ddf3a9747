"""kill -9 of anything, at the worst moment: after `make serve` every case reaches its right end, one refund each."""

import random
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from conftest import CAMPAIGN
from running import RunningHouse, until
from warm import countersign

CASES = 20
DOWN = (httpx.HTTPError, psycopg.Error, OSError, AssertionError, KeyError, TypeError, IndexError)
"""What is seen of a house that is down, or half up."""

IN_TURN = [("graph",), ("desk",), ("cashier",), ("anchorer",), ("postgres",), ("all",)]
IN_SHORT = [("graph", "cashier"), ("postgres",)]
"""Who is killed before each start: one by one in a campaign; a start costs five seconds of a processor. With Postgres
go, a moment later, all that stand on it."""

OF_WORKERS = [("worker-2",), ("cashier",), ("all",), ("worker-1",)]
OF_WORKERS_AT_ONCE = [("worker-2", "cashier")]
KINDS = ["approve"] * 12 + ["reject"] * 3 + ["reply"] * 2 + ["handoff"] * 2 + ["urgent"]
ENDS = {
    "approve": "refunded",
    "reject": "rejected",
    "reply": "replied",
    "handoff": "closed_by_human",
    "urgent": "bypassed",
}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path / "h"


def kind_of(number: int) -> str:
    """Of twenty: twelve refunds, three rejections, two replies, two hand-overs, one that no agent may see."""
    return KINDS[number]


def ticket_of(number: int, batch: str) -> dict[str, object]:
    ticket: dict[str, object] = {"ticket_id": f"{batch}-{number}", "order_id": f"X{number}"}
    match kind_of(number):
        case "reply":
            return ticket | {
                "question": "What is the return policy for my tablet?",
                "intent": "policy_question",
            }
        case "handoff":
            return ticket | {"order_id": None}
        case "urgent":
            return ticket | {"question": "My tablet caught fire and I was burned. My lawyer will call."}
        case _:
            return ticket


class Story:
    """Twenty cases, each pushed one step further whenever the house can be reached."""

    def __init__(self, house: RunningHouse, batch: str) -> None:
        self.house = house
        self.batch = batch
        self.ids: dict[int, str] = {}

    def push(self, numbers: Iterable[int]) -> None:
        """A step for each of these: submit it, or decide it where it waits. Nobody answers where the house is down."""
        for number in numbers:
            with suppress(*DOWN):
                if number not in self.ids:
                    self.submit(number)
                elif self.status(number) == "needs_human":
                    word: dict[str, Any] = {"word": "approve"}
                    if kind_of(number) == "reject":
                        word = {"word": "reject", "code": "other"}
                    self.house.decide(self.house.case(self.ids[number]), **word)

    def submit(self, number: int) -> None:
        with self.house.desk() as desk:
            answer = desk.post("/api/tickets", json=self.house.ticket(**ticket_of(number, self.batch)))
        answer.raise_for_status()
        self.ids[number] = answer.json()["case_id"]

    def status(self, number: int) -> str:
        rows = self.house.sql("select status from books.case_state where case_id = %s", self.ids[number])
        return str(rows[0]["status"])

    def ends(self) -> dict[int, str]:
        """Where each case stands; nothing while the books are away."""
        with suppress(*DOWN):
            rows = self.house.sql(
                "select case_id, status from books.case_state where case_id = any(%s::uuid[])",
                list(self.ids.values()),
            )
            found = {str(row["case_id"]): str(row["status"]) for row in rows}
            return {number: found[case_id] for number, case_id in self.ids.items()}
        return {}

    def events(self, number: int) -> list[str]:
        """What happened to a case, with its reasons."""
        rows = self.house.sql(
            "select status || ' ' || reason as said from books.case_events where case_id = %s order by seq",
            self.ids.get(number),
        )
        return [str(row["said"]) for row in rows]

    def finish(self) -> None:
        wanted = {number: ENDS[kind_of(number)] for number in range(CASES)}

        def there() -> bool:
            self.push(range(CASES))
            return self.ends() == wanted

        try:
            until(there, "ended", patience=240)
        except AssertionError:
            ends = self.ends()
            late = {n: (self.events(n), ends.get(n), end) for n, end in wanted.items() if ends.get(n) != end}
            raise AssertionError(f"never ended: {late}") from None


def settled_once(house: RunningHouse) -> None:
    made = Counter(refund["payment_id"] for refund in house.refunds())
    assert made == {f"pay_X{number}": 1 for number in range(12)}
    ledger = house.sql(
        "select decision_id, count(*) as n from books.disbursements group by 1 having count(*) > 1"
    )
    assert ledger == []


def replied_once(house: RunningHouse, story: Story) -> None:
    """Every outcome is told, once in the books, and delivered."""
    for number, case_id in story.ids.items():
        end = ENDS[kind_of(number)]
        told = until(
            partial(delivered, house, case_id, None if end == "closed_by_human" else end), f"told {end}"
        )
        assert len(told) == len(set(told)), (number, told)


def delivered(house: RunningHouse, case_id: str, outcome: str | None) -> list[str]:
    """What the customer was told, once everything of it went out and this outcome is among it."""
    replies = house.case(case_id)["replies"]
    told = [str(reply["outcome"]) for reply in replies]
    return (
        told
        if all(reply["delivered_at"] for reply in replies) and (outcome is None or outcome in told)
        else []
    )


def audited(house: RunningHouse) -> None:
    done = subprocess.run(
        [countersign(), "audit", "verify"],
        env=house.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def play(house: RunningHouse, rounds: Sequence[tuple[str, ...]], seed: int) -> None:
    """Push some cases, kill some processes in mid-work, start again; and so on; then let everything end."""
    dice = random.Random(seed)
    house.start()
    house.many_orders(CASES)
    story = Story(house, f"k{seed}")
    for victims in rounds:
        story.push(dice.sample(range(CASES), 12))
        if victims == ("all",):
            house.kill_all()
        else:
            house.kill(*victims)
            if victims == ("postgres",):
                story.push(dice.sample(range(CASES), 3))
                house.kill_all()
            else:
                house.wait()
        house.start()
    story.finish()
    settled_once(house)
    replied_once(house, story)
    audited(house)


def test_each_process_in_turn_then_postgres_then_all(folder: Path) -> None:
    house = RunningHouse(folder)
    try:
        play(house, IN_TURN if CAMPAIGN else IN_SHORT, 1)
    finally:
        house.close()


def test_three_workers_one_killed_in_mid_run(folder: Path) -> None:
    house = RunningHouse(folder, runner="workers", workers=3)
    try:
        play(house, OF_WORKERS if CAMPAIGN else OF_WORKERS_AT_ONCE, 2)
    finally:
        house.close()


def test_books_that_die_under_the_house_come_back_and_so_does_the_work(folder: Path) -> None:
    """Nobody starts anything again: the supervisor brings Postgres back on its port, and every process finds it."""
    house = RunningHouse(folder)
    try:
        house.start()
        house.many_orders(CASES)
        story = Story(house, "p")
        story.push(range(CASES))
        for _ in range(2):
            house.kill("postgres")
            story.push(range(5))
            with house.desk() as desk:

                def ready(desk: httpx.Client = desk) -> bool:
                    try:
                        return desk.get("/readyz").status_code == 200
                    except httpx.HTTPError:
                        return False

                until(ready, "ready again")
        assert not house.over()
        story.finish()
        settled_once(house)
        assert not house.over()
    finally:
        house.close()
