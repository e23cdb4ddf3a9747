"""Books that were restored from a backup, or of which two copies live: what was paid after it is not paid again."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from desk_kit import DeskStage
from provider_kit import made_elsewhere, paid, passes
from stage import Cluster, Stage, open_stage

from desk.decisions import Conflict, DecisionRequest
from refunds.ids import decision_of


async def restored(stage: Stage, cluster: Cluster, saved: str, tmp_path: Any) -> Any:
    """The house on a backup of the books, with the provider as it is."""
    return open_stage(stage.house.home, cluster.clone(saved), tmp_path)


async def backup(stage: Stage, cluster: Cluster) -> str:
    """A copy of the books as they are now, by its name."""
    name = stage.url.rsplit("/", 1)[1]
    copy = f"b_{uuid4().hex}"
    with psycopg.connect(cluster.admin, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
        )
        connection.execute(f"create database {copy} template {name}")
    return copy


@pytest.mark.parametrize("again", [7_900, 5_000])
async def test_books_from_a_backup_do_not_pay_what_was_paid_after_it(
    stage: Stage, cluster: Cluster, tmp_path: Any, again: int
) -> None:
    """79.00 was paid; the books are restored from before; the same item is asked for again, or less of it."""
    await stage.order_of_two()
    saved = await backup(stage, cluster)
    async with await restored(stage, cluster, saved, tmp_path) as before:
        await before.ordered(order_id="TWO", items=["SKU-1"])
        await before.finish()
        assert paid(before) == [7_900]
    async with await restored(stage, cluster, saved, tmp_path) as after:
        case, state = await after.paused(order_id="TWO", items=["SKU-1"])
        assert state["proposal"]["kind"] == "refund"
        if again != 7_900:
            await after.say(case, DecisionRequest("revise", revised_amount_minor=again, note="less"))
            await after.run(case)
        try:
            await after.say(
                case, DecisionRequest("approve"), "demo-specialist" if again == 7_900 else "demo-reviewer-2"
            )
        except Conflict:
            pass
        else:
            await after.run(case)
        await passes(after)
        assert paid(after) == [7_900]


async def test_a_case_whose_refund_the_books_lost_is_not_rejected_over_it(
    stage: Stage, cluster: Cluster, tmp_path: Any
) -> None:
    """Approved and paid after the backup's hour; in the restored books it still waits, and somebody turns it down."""
    await stage.order_of_two()
    case, _ = await stage.paused(order_id="TWO", items=["SKU-1"])
    saved = await backup(stage, cluster)
    async with await restored(stage, cluster, saved, tmp_path) as before:
        await before.say(case, DecisionRequest("approve"))
        await before.run(case)
        await before.finish()
        assert paid(before) == [7_900]
    async with await restored(stage, cluster, saved, tmp_path) as after:
        await after.house.executor.settle_all()
        with pytest.raises(Conflict, match="these books do not know"):
            await after.say(case, DecisionRequest("reject", "other"))
        assert (await after.house.state(case))["status"] == "needs_human"


@pytest.mark.parametrize("when", ["before it is found", "after it is found"])
async def test_the_operator_settles_what_the_books_lost_and_the_case_says_the_truth(
    desk: DeskStage, when: str
) -> None:
    stage = desk.stage
    await stage.order_of_two()
    case, state = await stage.paused(order_id="TWO", items=["SKU-1"])
    if when == "before it is found":
        await stage.say(case, DecisionRequest("reject", "other"))
        await stage.finish()
        assert (await stage.house.state(case))["status"] == "rejected"
    proposal = state["proposal"]
    found = made_elsewhere(stage, 7_900, decision_of(proposal["id"]))  # type: ignore[index]
    await stage.house.executor.settle_all()
    rows = (await desk.ask("GET", "/api/found-refunds", who="demo-operator")).json()["refunds"]
    assert [(row["provider_refund_id"], row["case_id"]) for row in rows] == [(found, str(case.case_id))]
    metrics = (await desk.ask("GET", "/metrics", who="demo-operator")).text
    assert "countersign_found_refunds 1.0" in metrics
    async with desk.visit("demo-reviewer") as reviewer, desk.visit("demo-specialist") as specialist:
        page = (await specialist.get("/unknown")).text
        assert found in page and "It is the refund of this case" in page
        assert (await reviewer.post("/unknown/found", refund_id=found, act="adopt")).status_code == 403
        assert (await specialist.post("/unknown/found", refund_id=found, act="adopt")).status_code == 200
        assert found not in (await specialist.get("/unknown")).text
        assert (await specialist.post("/unknown/found", refund_id=found, act="separate")).status_code == 409
    await stage.finish()
    ended = await stage.house.state(case)
    assert (ended["status"], ended["reason"]) == ("refunded", "found_at_provider")
    await stage.move_clock(hours=24 * 8)
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert paid(stage) == [7_900]
    again, said = await stage.paused(order_id="TWO", items=["SKU-9"])
    assert said["proposal"]["amount_minor"] == 7_900  # type: ignore[index]
    await stage.say(again, DecisionRequest("approve"))
    await stage.run(again)
    await stage.finish()
    assert paid(stage) == [7_900, 7_900]


async def test_two_live_copies_of_the_books_pay_once(stage: Stage, cluster: Cluster, tmp_path: Any) -> None:
    """Both copies approve the one proposal, by other people at another time, and send under one key."""
    case, _ = await stage.paused()
    saved = await backup(stage, cluster)
    keys: list[str] = []
    for who in ("demo-reviewer", "demo-reviewer-2"):
        async with await restored(stage, cluster, saved, tmp_path) as copy:
            await copy.say(case, DecisionRequest("approve"), who)
            await copy.run(case)
            if not keys:
                # The first one's effect is not listed yet when the second one looks.
                await copy.house.executor.settle_all()
            else:
                copy.house.provider.misbehave("list_behind")
                await copy.house.executor.settle_all()
            keys += [row["key"] for row in await copy.sql("select key from books.sends")]
    assert len(keys) == 2 and len(set(keys)) == 1
    assert paid(stage) == [7_900]
