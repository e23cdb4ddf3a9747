"""Production feeds the exam: decided cases become episodes without a customer in them, and a fortnight is looked at."""

import asyncio
import json
from pathlib import Path

import pytest
from stage import Cluster, Stage

from desk.decisions import DecisionRequest
from desk.fortnight import for_review, words_changed
from desk.people import NoAuthority
from evals.exam.adopting import NotDecided, adopt, keep
from evals.exam.episode import Dataset, episode_line, read_episodes
from evals.exam.exam_run import run_exam
from policies.manifest import manifest
from records.cases import Case

WORDS = "I am Jane Roe, jane@roe.example, +1 415 555 2671. My tablet arrived cracked, order D300. I want a refund, please."


async def known(stage: Stage) -> None:
    await stage.forced("update books.customers set name = 'Jane Roe' where customer_id = 'C100'")


async def decided(stage: Stage, word: DecisionRequest, **fields: object) -> Case:
    case, _ = await stage.paused(**fields)
    await stage.say(case, word)
    await stage.finish()
    return case


async def test_a_refunded_case_becomes_an_episode_that_pays_the_same_and_names_nobody(
    stage: Stage, cluster: Cluster, tmp_path: Path
) -> None:
    await known(stage)
    case = await decided(stage, DecisionRequest("approve"), question=WORDS, items=["SKU-1"])
    episode = await adopt(stage.house.desk_books, case)
    text = json.dumps(episode_line(episode))
    for private in (
        "Jane",
        "Roe",
        "jane@roe.example",
        "415",
        "D300",
        "C100",
        str(case.case_id),
        case.ticket_id,
    ):
        assert private not in text
    assert (episode.expected.refunds, episode.expected.refunded_minor) == (1, 7_900)
    file = tmp_path / "adopted.jsonl"
    assert keep(episode, file)
    assert not keep(episode, file)
    dataset = Dataset("adopted", read_episodes(file))
    rows = await asyncio.to_thread(run_exam, cluster.home, dataset, manifest(), cores=1)
    assert [(row.outcome.status, row.reason) for row in rows] == [("refunded", "pass")]


async def test_a_rejected_case_becomes_an_episode_that_pays_nothing(stage: Stage) -> None:
    case = await decided(stage, DecisionRequest("reject", "suspected_abuse"))
    episode = await adopt(stage.house.desk_books, case)
    assert (episode.expected.refunds, episode.expected.refunded_minor) == (0, 0)
    assert "suspected_abuse" in episode.about


async def test_a_case_that_waits_is_not_adopted(stage: Stage) -> None:
    case, _ = await stage.paused()
    with pytest.raises(NotDecided, match="needs_human"):
        await adopt(stage.house.desk_books, case)


async def test_a_case_whose_money_went_and_whose_run_is_not_over_is_adopted_a_moment_later(
    stage: Stage,
) -> None:
    case = await stage.ordered(question=WORDS, items=["SKU-1"])
    await stage.house.executor.settle_all()
    with pytest.raises(NotDecided, match="refunded succeeded and its run is not over"):
        await adopt(stage.house.desk_books, case)


async def test_hand_offs_edits_and_customers_who_came_again_are_for_the_fortnight(stage: Stage) -> None:
    handed, _ = await stage.paused(order_id="D999")
    edited, state = await stage.paused(items=["SKU-1"])
    reply = str(state["draft"]).replace("Hello", "Dear customer of many years, we are truly sorry about this")
    await stage.say(edited, DecisionRequest("revise", revised_amount_minor=7_900, revised_reply=reply))
    await stage.finish()
    await stage.submit(items=["SKU-1"])
    rows = await for_review(stage.house.desk_books, await stage.person("demo-auditor"))
    found = {row["kind"]: row for row in rows}
    assert found["hand-off"]["case_id"] == str(handed.case_id)
    assert found["edit"]["case_id"] == str(edited.case_id)
    assert found["came again"]["detail"] == "2 tickets about one order"
    calm = await for_review(stage.house.desk_books, await stage.person("demo-auditor"), words=1_000)
    assert "edit" not in {row["kind"] for row in calm}
    with pytest.raises(NoAuthority):
        await for_review(stage.house.desk_books, await stage.person("demo-helpdesk"))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b", "a b c d", 2),
        ("a b c d", "a", 3),
        ("", "a b", 2),
    ],
)
def test_words_that_changed_are_counted_once(before: str, after: str, words: int) -> None:
    assert words_changed(before, after) == words
