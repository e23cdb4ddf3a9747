"""What people correct becomes rows to train by, without what names a customer; a new bundle is held against the old one."""

import json
from pathlib import Path
from typing import Any

from desk_kit import DeskStage

from desk.corrected_rows import corrected_rows
from evals.intake.comparison import ErrorChange, compared, worse_for_money
from evals.intake.rows import corrected_tickets
from policies.reading import trained_reader
from refunds.ids import TenantId

DEMO = TenantId("demo")


async def test_a_correction_is_a_row_to_train_by_without_what_names_the_customer(
    desk: DeskStage, tmp_path: Path
) -> None:
    case, _ = await desk.stage.paused(
        intent=None,
        question="If you cannot mend my tablet, I want a refund. Write to jo.doe@mail.example, please.",
    )
    for asks in ([{"ask": "replacement"}], [{"ask": "replacement"}, {"ask": "policy_question"}]):
        digest = (await desk.newest(case.case_id))["digest"]
        answer = await desk.decide(case.case_id, word="revise", digest=digest, reading={"asks": asks})
        assert answer.status_code == 200, answer.text
        await desk.stage.run(case)
    rows: list[Any] = [row async for row in corrected_rows(desk.stage.house.desk_books, DEMO, 10)]
    [row] = rows
    assert "jo.doe" not in json.dumps(row)
    assert [ask["ask"] for ask in row["corrected"]] == ["replacement", "policy_question"]
    assert row["person"] == "demo-reviewer"
    assert row["read"], "what was read before stands beside it"
    file = tmp_path / "corrections.jsonl"
    file.write_text(json.dumps(row) + "\n")
    [ticket] = corrected_tickets(file)
    assert ticket.asks == {"replacement", "policy_question"}
    assert any("tablet" in text for text in ticket.texts)


def test_a_bundle_that_errs_towards_money_anew_is_named_whatever_else_it_mends() -> None:
    rows = [
        ErrorChange("lines of a proposal", frozenset({"a"}), frozenset({"b"})),
        ErrorChange("asks", frozenset({"c", "d"}), frozenset({"e"})),
    ]
    assert worse_for_money(rows) == ["b"]
    assert worse_for_money(rows[1:]) == []


def test_a_bundle_beside_itself_mends_and_breaks_nothing() -> None:
    for row in compared(trained_reader(), trained_reader()):
        assert row.to_json()["broken"] == row.to_json()["mended"] == []
