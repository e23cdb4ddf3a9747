"""Whose case it is: claims that end by themselves, hand-overs to a person or a team, cases that a person ends."""

from typing import Any

import pytest
from desk_kit import DeskStage


async def test_a_claim_names_its_holder_and_ends_by_itself(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        assert (await visitor.post(f"/cases/{case.case_id}/claim", act="claim")).status_code == 200
        assert "yours" in (await visitor.get("/?mine=yes")).text
        assert case.ticket_id not in (await other.get("/?mine=yes")).text
        taken = await other.post(f"/cases/{case.case_id}/claim", act="claim")
        assert taken.status_code == 409 and "demo-reviewer has claimed it since" in taken.text
        digest = (await desk.newest(case.case_id))["digest"]
        decided = await other.decide(case.case_id, "approve", digest=digest)
        assert decided.status_code == 409 and "until" in decided.text
        await desk.stage.move_clock(minutes=16)
        assert (await other.decide(case.case_id, "approve")).status_code == 200


async def test_a_claim_may_be_given_back(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        await visitor.post(f"/cases/{case.case_id}/claim", act="claim")
        await other.post(f"/cases/{case.case_id}/claim", act="give_back")
        assert (await other.post(f"/cases/{case.case_id}/claim", act="claim")).status_code == 409
        await visitor.post(f"/cases/{case.case_id}/claim", act="give_back")
        assert (await other.post(f"/cases/{case.case_id}/claim", act="claim")).status_code == 200


async def test_who_has_spoken_has_it_in_hand_no_longer(desk: DeskStage) -> None:
    """Two people must agree: the first one's lease does not keep the second away."""
    case, _ = await desk.stage.paused(
        customer_id="C103", order_id="D303", question="My camera is defective. Refund, please."
    )
    async with desk.visit() as visitor, desk.visit("demo-specialist") as specialist:
        text = (await visitor.get(f"/cases/{case.case_id}")).text
        assert (
            "Approve sends this reply and returns $2,399.00 to card …4242, once. It is one of 2 approvals that are needed, 1 of"
            " them a specialist" in text
        )
        await visitor.post(f"/cases/{case.case_id}/claim", act="claim")
        await visitor.decide(case.case_id, "approve")
        assert "1 said yes" in (await specialist.get("/")).text
        assert "you have voted" in (await visitor.get(f"/cases/{case.case_id}")).text
        assert (await specialist.decide(case.case_id, "approve")).status_code == 200
    await desk.stage.finish()
    assert await desk.status(case.case_id) == "refunded"


async def test_what_a_colleague_has_in_hand_is_theirs_to_end(desk: DeskStage) -> None:
    case = await desk.stage.submit(
        question="hm", intent="other", route="human_review_now", bundle_version="intake_bundle_v2"
    )
    await desk.stage.run(case)
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        await other.post(f"/cases/{case.case_id}/claim", act="claim")
        taken = await visitor.post(f"/cases/{case.case_id}/take-over", act="reply", reply="Hello.")
        assert taken.status_code == 409 and "demo-reviewer-2 has claimed it" in taken.text
        assert (
            await visitor.post(f"/cases/{case.case_id}/hand-over", to="team:specialist")
        ).status_code == 409


async def test_a_message_says_who_brought_it(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor, desk.visit("demo-auditor") as auditor:
        await visitor.decide(case.case_id, "ask", asks="customer", note="A photo?")
        await visitor.post(f"/cases/{case.case_id}/message", author="customer", text="Here.")
        assert "message of the customer" in (await auditor.get("/audit?person=demo-reviewer")).text
        assert "brought by demo-reviewer" in (await auditor.get(f"/cases/{case.case_id}")).text


async def test_a_case_is_handed_to_a_person_or_a_team(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with (
        desk.visit() as visitor,
        desk.visit("demo-reviewer-2") as other,
        desk.visit("demo-specialist") as specialist,
    ):
        for to in ("demo-auditor", "nobody"):
            refused = await visitor.post(f"/cases/{case.case_id}/hand-over", to=to)
            assert refused.status_code in {403, 409}, refused.text
        assert (await visitor.post(f"/cases/{case.case_id}/hand-over", to="")).status_code == 422
        await visitor.post(f"/cases/{case.case_id}/claim", act="claim")
        await visitor.post(f"/cases/{case.case_id}/hand-over", to="demo-reviewer-2", note="you know this one")
        assert "for demo-reviewer-2" in (await visitor.get("/")).text
        assert (await visitor.get("/next")).headers["location"] == "/"
        assert (await other.get("/next")).headers["location"].startswith(f"/cases/{case.case_id}")
        await other.post(f"/cases/{case.case_id}/hand-over", to="team:specialist")
        assert (await other.get("/next")).headers["location"] == "/"
        assert (await specialist.get("/next")).headers["location"].startswith(f"/cases/{case.case_id}")


@pytest.mark.parametrize("act", ["reply", "propose", "close"])
async def test_what_never_got_a_draft_is_ended_on_the_page(desk: DeskStage, act: str) -> None:
    case = await desk.stage.submit(
        order_id="D300",
        question="hm",
        intent="other",
        route="human_review_now",
        bundle_version="intake_bundle_v2",
    )
    await desk.stage.run(case)
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "Write or propose" in page and ">Approve" not in page
        fields: dict[str, Any] = {"reply": "We looked into it.", "note": "spam", "amount": "10.00"}
        answer = await visitor.post(f"/cases/{case.case_id}/take-over", act=act, **fields)
        assert answer.status_code == 200, answer.text
        await desk.stage.finish()
        if act == "propose":
            assert (await visitor.decide(case.case_id, "approve")).status_code == 403
            assert (await other.decide(case.case_id, "approve")).status_code == 200
            await desk.stage.finish()
    assert (
        await desk.status(case.case_id)
        == {"reply": "replied", "propose": "refunded", "close": "closed_by_human"}[act]
    )
