"""The outside score: requests of a stranger's shop, exact to the cent, and nothing where nothing is due.

The outside data is not part of the project: its law skips where it is absent. A small shop of the same form,
written here, shows that the score can fail.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import CAMPAIGN
from stage import Cluster

from evals.tau2 import BadData, Score, open_exam, read_shop, score_exam

DATA = Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).parents[3] / "shared/data")) / "tau2_retail"

CLAUSES = {
    "retail-026": "We act on orders that are pending or delivered.",
    "retail-029": "To cancel, confirm that you want it and say why.",
    "retail-030": "A pending order that is cancelled is paid back in full to where the money came from.",
    "retail-040": "To return, list what comes back.",
    "retail-042": "What you return is paid back to where the money came from.",
}


def order(name: str, status: str, *cents: int, customer: str = "ann") -> dict[str, Any]:
    items = [{"item_id": f"{name}{n}", "name": f"Thing {n}", "cents": price} for n, price in enumerate(cents)]
    paid = {"method": f"card_{customer}", "cents": sum(cents), "type": "payment"}
    return {"order_id": name, "user_id": customer, "status": status, "items": items, "payments": [paid]}


ORDERS = [
    order("#W0000001", "delivered", 1_000, 2_500, 60_000),
    order("#W0000002", "pending", 900, 100),
    order("#W0000003", "processed", 5_000),
    order("#W0000004", "cancelled", 5_000),
]


def asked(order_id: str, cents: int, text: str, items: list[str] | None, **more: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "expected_refund_cents": cents,
        "method": "card_ann",
        "customer_text": text,
        "item_ids": items,
        "reason": None,
        "task": "1",
    } | more


def write_shop(folder: Path, expected: list[dict[str, Any]], without: list[str]) -> Path:
    def lines(rows: Any) -> str:
        return "".join(json.dumps(row) + "\n" for row in rows)

    (folder / "orders.jsonl").write_text(lines(ORDERS))
    (folder / "policy_clauses.jsonl").write_text(
        lines({"id": name, "section": "Rules", "text": text} for name, text in CLAUSES.items())
    )
    (folder / "expected_refunds.jsonl").write_text(lines(expected))
    (folder / "no_refund_tasks.jsonl").write_text(
        lines({"task": str(n), "customer_text": text, "actions": []} for n, text in enumerate(without))
    )
    return folder


async def score(cluster: Cluster, folder: Path) -> Score:
    async with open_exam(cluster.home, folder) as exam:
        return await score_exam(exam, lambda _done, _of: None)


RETURNED = asked("#W0000001", 61_000, "Two of these go back.", ["#W00000010", "#W00000012"])
CANCELLED = asked("#W0000002", 1_000, "Please cancel it, all of it.", None, reason="no longer needed")


async def test_a_request_is_exact_and_its_repeat_pays_nothing(cluster: Cluster, tmp_path: Path) -> None:
    without = [
        "Swap order #W0000001 for another colour.",  # delivered, no item named
        "Change the address of order #W0000002.",  # pending, no cancellation asked for
        "Where is it? If it cannot come by Friday, no cancellation of #W0000002 please.",
        "Cancel order #W0000003 and refund me.",  # neither pending nor delivered
        "Cancel #W0000004 again.",
        "Give me my money back.",
    ]
    done = await score(cluster, write_shop(tmp_path, [RETURNED, CANCELLED], without))
    assert done.perfect, (done.rows, done.without, done.over)
    assert done.to_json() == {"cases": 2, "exact": 2, "expected_minor": 62_000, "refunded_minor": 62_000}
    assert [row["paid_again_minor"] for row in done.rows] == [0, 0]
    as_refund = [row for row in done.without if row["intent"] == "refund_request"]
    clauses = [str(row["clause"]).rpartition(" ")[2] for row in as_refund]
    # A wish to swap, to change or to know is no request for a refund, whatever the ticket says: a person is told.
    assert clauses == ["", "", "", "retail-026", "retail-026", ""]


WRONG = [
    RETURNED | {"expected_refund_cents": 61_001},
    RETURNED | {"method": "card_bob"},
    RETURNED | {"item_ids": ["#W00000010", "#W00000010"]},
    RETURNED | {"item_ids": []},
    RETURNED | {"item_ids": ["#W00000020"]},
    asked("#W0000003", 5_000, "Cancel it.", None, reason="no longer needed"),
]


async def test_a_wrong_amount_method_or_item_is_not_exact(cluster: Cluster, tmp_path: Path) -> None:
    done = await score(cluster, write_shop(tmp_path, [*WRONG, RETURNED], []))
    assert [row["exact"] for row in done.rows] == [False] * len(WRONG) + [True]
    assert not done.perfect
    assert [row["refunded_minor"] for row in done.rows[2:6]] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("orders.jsonl", "{}\n", "orders.jsonl:1"),
        ("expected_refunds.jsonl", "{}\n", "expected_refunds.jsonl:1"),
        ("expected_refunds.jsonl", json.dumps(RETURNED | {"order_id": "#W9"}) + "\n", "#W9"),
        ("no_refund_tasks.jsonl", "[]\n", "no_refund_tasks.jsonl:1"),
    ],
)
def test_data_that_is_not_of_the_form_is_named_by_line(
    tmp_path: Path, file: str, text: str, said: str
) -> None:
    folder = write_shop(tmp_path, [RETURNED], ["x"])
    (folder / file).write_text(text)
    with pytest.raises(BadData, match=said):
        read_shop(folder)


def sample(folder: Path, lines: int) -> Path:
    """The outside data with every so manieth request; all of its orders and clauses."""
    for file in DATA.iterdir():
        if file.name.startswith(("expected_refunds", "no_refund_tasks")):
            kept = file.read_text(encoding="utf-8").splitlines(keepends=True)[::lines]
            (folder / file.name).write_text("".join(kept), encoding="utf-8")
        else:
            (folder / file.name).symlink_to(file)
    return folder


@pytest.mark.skipif(not (DATA / "orders.jsonl").exists(), reason="the outside data is not here")
async def test_every_outside_request_is_exact_and_nothing_is_paid_where_nothing_is_due(
    cluster: Cluster, tmp_path: Path
) -> None:
    """A third of them; the campaign and `make exam` play all."""
    done = await score(cluster, DATA if CAMPAIGN else sample(tmp_path, 3))
    assert done.exact == len(done.rows) >= (50 if CAMPAIGN else 15)
    assert [row for row in done.rows if row["paid_again_minor"]] == []
    assert [row for row in done.without if row["refunded_minor"]] == []
    assert done.over == []
    assert done.perfect
