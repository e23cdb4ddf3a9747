"""The page of releases: what each step lacks, who may move one, and shadows that people grade."""

from dataclasses import replace
from typing import Any

from desk_kit import DeskStage
from release_kit import SMALL, entered, founded, operator

from desk.app import create_app
from desk.releases import ReleaseStages


def small(desk: DeskStage) -> DeskStage:
    """The desk of a shop whose limits are small."""
    services = replace(desk.services, release_stages=ReleaseStages(desk.services.books, SMALL))
    return replace(desk, services=services, app=create_app(services))


async def test_before_the_first_release_the_page_says_what_runs(desk: DeskStage) -> None:
    async with desk.visit("demo-operator") as visitor:
        assert "No release is kept here yet" in (await visitor.get("/releases")).text
        assert "No release has been entered" in (await visitor.get("/receipts")).text


async def test_an_operator_moves_a_release_at_the_page_and_nobody_else_does(desk: DeskStage) -> None:
    desk = small(desk)
    kept = await founded(desk.stage)
    await entered(desk.stage, kept)
    v3: dict[str, Any] = {"release": "refund_agent_v3", "reason": "look at it"}
    async with desk.visit("demo-reviewer") as reviewer:
        page = (await reviewer.get("/releases")).text
        assert "Roll back now" not in page
        assert "To shadow" not in page
        assert (await reviewer.post("/releases/promote", **v3)).status_code == 403
        assert (await reviewer.post("/releases/rollback", **v3)).status_code == 403
    async with desk.visit("demo-operator") as visitor:
        assert "To shadow" in (await visitor.get("/releases")).text
        assert (await visitor.post("/releases/promote", **v3)).status_code == 200
        assert "3 more shadow cases (of 3)" in (await visitor.get("/releases")).text
        assert (await visitor.post("/releases/promote", **v3, percent="10")).status_code == 409
        assert (await visitor.post("/releases/promote", **v3, percent="ten")).status_code == 422
        assert (await visitor.post("/releases/promote", release="x", reason="")).status_code == 422
        assert (await visitor.post("/releases/rollback", release="", reason="empty")).status_code == 409
        assert (await visitor.post("/releases/rollback", **v3)).status_code == 200
        assert "rolled back" in (await visitor.get("/releases")).text


async def test_a_shadow_is_graded_at_the_page_and_receipts_stand_side_by_side(desk: DeskStage) -> None:
    desk = small(desk)
    kept = await founded(desk.stage)
    await entered(desk.stage, kept)
    await kept.promote(await operator(desk.stage), "refund_agent_v3", "look at it")
    case, _ = await desk.stage.paused()
    await desk.stage.house.driver.shadow.sweep()
    graded: dict[str, Any] = {
        "release": "refund_agent_v3",
        "tenant": "demo",
        "case": str(case.case_id),
        "thumb": "down",
    }
    async with desk.visit("demo-reviewer") as reviewer:
        assert "Would send" in (await reviewer.get("/releases")).text
        assert (await reviewer.post("/releases/grade", **graded, note="too <b>cold</b>")).status_code == 200
        assert "too &lt;b&gt;cold&lt;/b&gt;" in (await reviewer.get("/releases")).text
        assert (await reviewer.post("/releases/grade", **graded)).status_code == 409
        assert (await reviewer.post("/releases/grade", **{**graded, "case": "x"})).status_code == 422
        receipts = (await reviewer.get("/receipts?a=refund_agent_v2&b=refund_agent_v3")).text
        assert "grounded refund draft" in receipts
        assert "<mark>" not in receipts
        assert (await reviewer.get("/receipts?a=%00&b=nobody")).status_code == 200


async def test_a_person_of_one_shop_sees_the_figures_of_that_shop_alone(desk: DeskStage) -> None:
    kept = await founded(desk.stage)
    await desk.stage.paused()
    stranger = replace(await desk.stage.person("demo-auditor"), roles={})
    other = replace(stranger, roles={"elsewhere": frozenset({"auditor"})})  # type: ignore[dict-item]
    report = next(iter(await kept.reports(other)))
    assert report.numbers.cases == 0
    assert next(iter(await kept.reports(await operator(desk.stage)))).numbers.cases == 1
