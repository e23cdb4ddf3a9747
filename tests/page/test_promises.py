"""What the screen of a case promises is what its button does: both come from the same checks."""

import pytest
from desk_kit import DeskStage

from desk.decisions import DecisionRequest


async def test_an_order_that_was_refunded_meanwhile_offers_no_approval(desk: DeskStage) -> None:
    first, _ = await desk.stage.paused(ticket_id="first")
    second, _ = await desk.stage.paused(ticket_id="second")
    async with desk.visit() as visitor:
        before = (await visitor.get(f"/cases/{second.case_id}")).text
        assert "returns $79.00" in before and 'data-says="approve"' in before
        await desk.stage.say(first, DecisionRequest("approve"))
        await desk.stage.run(first)
        page = (await visitor.get(f"/cases/{second.case_id}")).text
        assert "You cannot approve it now:" in page
        assert 'data-says="approve"' not in page and "returns $79.00" not in page
        refused = await visitor.decide(second.case_id, "approve")
        assert refused.is_error
        said = page.split("You cannot approve it now: ")[1].split(".</p>")[0]
        assert said in refused.text


@pytest.mark.parametrize("person", ["demo-reviewer", "demo-reviewer-2", "demo-specialist"])
async def test_looking_at_a_case_decides_nothing(desk: DeskStage, person: str) -> None:
    """The screen gives an approval and takes it back: nothing of it may stay."""
    case, _ = await desk.stage.paused()

    async def counted() -> list[int]:
        tables = ("votes", "decisions", "disbursements", "claims", "audit_events", "case_events", "readings")
        jobs = (await desk.stage.sql("select count(*) as n from jobs.procrastinate_jobs"))[0]["n"]
        return [int(jobs), *[await desk.stage.count(table) for table in tables]]

    before = await counted()
    async with desk.visit(person) as visitor:
        for _ in range(3):
            assert 'data-says="approve"' in (await visitor.get(f"/cases/{case.case_id}")).text
    assert await counted() == before


async def test_a_case_that_somebody_else_has_in_hand_has_no_live_buttons(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        await visitor.post(f"/cases/{case.case_id}/claim", act="claim")
        page = (await other.get(f"/cases/{case.case_id}")).text
        assert "demo-reviewer has claimed it" in page
        for key in "anerbfict":
            assert f'data-key="{key}"' not in page
        assert 'data-key="j"' in page
        assert 'data-says="approve"' in (await visitor.get(f"/cases/{case.case_id}")).text


async def test_under_the_kill_switch_the_screen_says_when_it_is_paid(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.ask(
        "POST", "/api/flags/kill_switch", {"on": True, "reason": "a drill", "tenant": "demo"}, "demo-operator"
    )
    killed = await desk.stage.sql("select 1 from books.flags where name = 'kill_switch'")
    assert killed
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
    assert "The kill switch is on: nothing is paid until it is lifted." in page


async def test_what_burns_stands_before_every_draft(desk: DeskStage) -> None:
    drafted, _ = await desk.stage.paused(ticket_id="drafted")
    urgent = await desk.stage.submit(
        ticket_id="burning", order_id="D301", customer_id="C101", question="My lawyer will sue you. The charger burned my child's hand.",
        intent=None,
    )  # fmt: skip
    await desk.stage.run(urgent)
    plain = await desk.stage.submit(
        ticket_id="asked-for", order_id="D302", customer_id="C102", priority="urgent"
    )
    await desk.stage.run(plain)
    async with desk.visit() as visitor:
        page = (await visitor.get("/")).text
        places = [page.index(f"/cases/{case.case_id}") for case in (urgent, plain, drafted)]
        assert max(places[:2]) < places[2]
        assert page.count("tag urgent") == 2
