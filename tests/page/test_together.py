"""Many alike: each has its own digest, signature and row; a stale one is refused alone; a sample is read one by one."""

import re
from typing import Any

import pytest
from desk_kit import DeskStage, Visitor
from stage import MANY_ORDERS, MANY_PAYMENTS

from policies.countersigning import Countersigning, countersigning
from refunds.canonical import sha256

CRACKED = "My tablet arrived cracked. I want a refund, please."


async def orders_alike(desk: DeskStage, most: int) -> list[Any]:
    """Cases of one rule, each about an order of its own that cost 79.00."""
    for statement in (MANY_ORDERS, MANY_PAYMENTS):
        await desk.stage.owner.execute(statement, {"most": most, "letter": "A"})
    return [
        (await desk.stage.paused(ticket_id=f"alike-{number}", order_id=f"A{number}", question=CRACKED))[0]
        for number in range(most)
    ]


async def offered(visitor: Visitor) -> dict[str, str]:
    """The cases on the table of the first group, each with its digest."""
    page = (await visitor.get("/alike")).text
    [at] = re.findall(r'href="(/alike\?[^"]+)"', page)
    table = (await visitor.get(at.replace("&amp;", "&"))).text
    return dict(re.findall(r'name="pick" value="([0-9a-f-]{36}):([0-9a-f]{64})" checked', table))


def fields(chosen: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "tenant": "demo",
        "rule": "damaged-electronics",
        "pick": [f"{case_id}:{digest}" for case_id, digest in chosen.items()],
        **more,
    }


async def test_many_are_countersigned_together_each_with_its_own_row(desk: DeskStage) -> None:
    cases = await orders_alike(desk, 4)
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        chosen = await offered(visitor)
        assert set(chosen) == {str(case.case_id) for case in cases}
        first = await visitor.post("/alike", fragment=False, **fields(chosen))
        asked = re.findall(r'name="read" value="([0-9a-f-]{36})"', first.text)
        assert asked and CRACKED in first.text, "the sample is shown whole before anything is approved"
        assert await desk.stage.count("votes") == 0
        done = await visitor.post("/alike", fragment=False, **fields(chosen, read=asked))
        assert "4 are approved" in done.text
        votes = await desk.stage.sql("select digest, signature, via::text, person from books.votes")
        assert len({vote["digest"] for vote in votes}) == len({vote["signature"] for vote in votes}) == 4
        assert {(vote["via"], vote["person"]) for vote in votes} == {("page", "demo-reviewer")}
        rows = await desk.stage.sql(
            "select of_them, asked_alone, case_id::text from books.countersigned_together"
        )
        assert {row["of_them"] for row in rows} == {4}
        assert {row["case_id"] for row in rows if row["asked_alone"]} == set(asked)
        await desk.stage.finish()
        assert "approved, together with 3 alike" in (await other.get(f"/cases/{cases[0].case_id}")).text
    assert [await desk.status(case.case_id) for case in cases] == ["refunded"] * 4
    assert desk.stage.refunds() == 4


async def test_what_was_chosen_is_found_however_far_down_the_queue_it_stands(
    desk: DeskStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [str(case.case_id) for case in await orders_alike(desk, 4)]
    monkeypatch.setattr("desk.together.LOOK_AHEAD", 2)
    async with desk.visit() as visitor:
        first = set(await offered(visitor))
        assert len(first) == 2
        further = [case for case in cases if case not in first]
        table = (await visitor.get(f"/alike?case={further[0]}&case={further[1]}")).text
        chosen = dict(re.findall(r'name="pick" value="([0-9a-f-]{36}):([0-9a-f]{64})" checked', table))
        assert set(chosen) == set(further)
        done = await visitor.post("/alike", fragment=False, **fields(chosen, read=further))
        assert "2 are approved" in done.text
        no_id = await visitor.get("/alike?case=none")
        assert no_id.status_code == 422 and "not the id of one" in no_id.text


async def test_one_that_is_stale_is_refused_alone(desk: DeskStage) -> None:
    cases = await orders_alike(desk, 3)
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        chosen = await offered(visitor)
        stale = str(cases[1].case_id)
        wrong = chosen | {stale: "0" * 64}
        done = await visitor.post("/alike", fragment=False, **fields(wrong, read=list(chosen)))
        assert "2 are approved" in done.text and "no longer the open one" in done.text
        assert await desk.stage.count("votes") == 2
        assert await desk.status(stale) == "needs_human"
        await other.decide(stale, "reject", code="other")
        gone = await visitor.post("/alike", fragment=False, **fields({stale: chosen[stale]}, read=[stale]))
        assert gone.status_code == 409, gone.text
    assert await desk.stage.count("votes") == 3


async def test_what_was_not_read_is_approved_by_nobody(desk: DeskStage) -> None:
    await orders_alike(desk, 3)
    async with desk.visit() as visitor:
        chosen = await offered(visitor)
        for read in ([], ["00000000-0000-0000-0000-000000000000"]):
            answer = await visitor.post("/alike", fragment=False, **fields(chosen, read=read))
            assert "I have read this one" in answer.text
    assert await desk.stage.count("votes") == 0


async def test_nobody_gains_authority_by_many(desk: DeskStage) -> None:
    """Above the limit of the policy, or of one's own authority, or submitted by oneself: it is not among them."""
    await orders_alike(desk, 2)
    for number in range(2):
        await desk.stage.paused(
            ticket_id=f"large-{number}",
            customer_id="C102",
            order_id="D302",
            question="My laptop arrived broken: refund",
        )
    async with desk.visit("demo-specialist") as specialist:
        assert set(await offered(specialist)) == {
            str(row["case_id"])
            for row in await desk.stage.sql("select case_id from books.cases where ticket_id like 'alike-%%'")
        }
    async with desk.visit("demo-auditor") as auditor:
        assert (await auditor.get("/alike")).status_code == 403
    [large] = await desk.stage.sql("select case_id from books.cases where ticket_id = 'large-0'")
    async with desk.visit() as visitor:
        chosen = {str(large["case_id"]): (await desk.newest(large["case_id"]))["digest"]}
        alone = await visitor.post("/alike", fragment=False, **fields(chosen, read=list(chosen)))
        assert alone.status_code == 409 and "can be approved together now" in alone.text
        chosen |= await offered(visitor)
        answer = await visitor.post("/alike", fragment=False, **fields(chosen, read=list(chosen)))
        assert answer.status_code == 422 and "not of this rule any more" in answer.text
    assert await desk.stage.count("votes") == 0


async def test_more_than_the_policy_lets_are_not_approved(desk: DeskStage) -> None:
    await orders_alike(desk, 2)
    async with desk.visit() as visitor:
        chosen = await offered(visitor)
        many = chosen | {f"00000000-0000-0000-0000-{number:012}": "0" * 64 for number in range(30)}
        answer = await visitor.post("/alike", fragment=False, **fields(many, read=list(many)))
        assert answer.status_code == 422 and "choose from 1 to 20" in answer.text
        none = await visitor.post("/alike", fragment=False, **fields({}))
        assert none.status_code == 422
    assert await desk.stage.count("votes") == 0


async def test_what_was_chosen_in_the_queue_is_what_is_offered(desk: DeskStage) -> None:
    cases = await orders_alike(desk, 3)
    other, _ = await desk.stage.paused(order_id=None, question="Where is it?", intent="order_question")
    wanted = [str(cases[0].case_id), str(cases[2].case_id), str(other.case_id)]
    async with desk.visit() as visitor:
        page = (await visitor.get("/alike", params={"case": wanted})).text
        assert set(re.findall(r'name="pick" value="([0-9a-f-]{36})', page)) == set(wanted[:2])
        assert "1 of the chosen cannot be approved together with others" in page


async def test_all_of_them_are_taken_back_within_their_seconds(desk: DeskStage) -> None:
    from dataclasses import replace

    from desk.held_approvals import HeldApprovals

    cases = await orders_alike(desk, 2)
    held = HeldApprovals(desk.stage.house.desk_books, desk.stage.house.desk, 10)
    desk.app.state.services = replace(
        desk.services, held=held, together=replace(desk.services.together, held=held)
    )
    async with desk.visit() as visitor:
        chosen = await offered(visitor)
        done = await visitor.post("/alike", fragment=False, **fields(chosen, read=list(chosen)))
        assert "They count in" in done.text and await desk.stage.count("votes") == 0
        back = [f"demo:{case.case_id}" for case in cases]
        answer = await visitor.post("/alike/take-back", fragment=False, case=back)
        assert "2 are taken back" in answer.text
    await desk.stage.move_clock(minutes=1)
    assert await held.sweep() == 0
    assert await desk.stage.count("votes") == 0


@pytest.mark.parametrize("size", [1, 2, 5, 20, 200])
def test_a_sample_is_drawn_by_the_digests_and_never_empty(size: int) -> None:
    rules = countersigning()
    digests = [sha256(f"{size}-{number}") for number in range(size)]
    drawn = rules.asked_alone(digests)
    assert drawn <= set(digests) and drawn
    assert rules.asked_alone(list(reversed(digests))) == drawn
    if size == 200:
        assert 8 <= len(drawn) <= 40, "one in ten"


def test_a_currency_without_a_limit_is_approved_one_by_one() -> None:
    from refunds.money import Currency, Money

    rules = Countersigning.model_validate(
        {"limit_minor": {"USD": 10_000}, "most": 2, "asked_alone_one_in": 1}
    )
    assert rules.is_below(Money(9_999, Currency("USD")))
    assert not rules.is_below(Money(10_000, Currency("USD")))
    assert not rules.is_below(Money(1, Currency("EUR")))
