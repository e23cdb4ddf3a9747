"""A key that pays is taken back before it counts; then it counts by the same checks as every other."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from desk_kit import DeskStage, desk_at
from stage import Stage

from desk.held_approvals import HeldApprovals
from policies.signature import SigningKey
from records.books import BooksAway, Row
from refunds.ids import TenantId

SECONDS = 10


@pytest.fixture(name="patient")
async def _patient(stage: Stage, tmp_path: Path) -> AsyncIterator[DeskStage]:
    """A desk whose approvals can be taken back."""
    yield desk_at(stage, tmp_path, take_back_seconds=SECONDS)


async def votes(desk: DeskStage) -> list[str]:
    return [row["person"] for row in await desk.stage.sql("select person from books.votes")]


async def ends(desk: DeskStage) -> list[tuple[str, str]]:
    rows = await desk.stage.sql("select word::text, why from books.held_ends order by at")
    return [(row["word"], row["why"]) for row in rows]


async def test_an_approval_counts_when_its_time_is_over_and_not_before(patient: DeskStage) -> None:
    case, _ = await patient.stage.paused()
    async with patient.visit() as visitor:
        answer = await visitor.decide(case.case_id, "approve")
        assert answer.headers["hx-redirect"] == f"/next?after={case.case_id}", answer.text
        assert await patient.services.held.sweep() == 0
        assert await votes(patient) == []
        strip = (await visitor.get(f"/strip/{case.case_id}")).text
        assert "Approved" in strip and 'data-key="z"' in strip
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert "Take it back" in page and 'data-says="approve"' not in page
        await patient.stage.move_clock(seconds=SECONDS + 1)
        assert await patient.services.held.sweep() == 1
        assert (await votes(patient), await ends(patient)) == (["demo-reviewer"], [("given", "")])
        assert await patient.services.held.sweep() == 0
    await patient.stage.run(case)
    [vote] = await patient.stage.sql("select via::text, address from books.votes")
    assert (vote["via"], bool(vote["address"])) == ("page", True)


async def test_what_is_taken_back_never_counts(patient: DeskStage) -> None:
    case, _ = await patient.stage.paused()
    async with patient.visit() as visitor, patient.visit("demo-reviewer-2") as other:
        await visitor.decide(case.case_id, "approve")
        refused = await other.post(f"/cases/{case.case_id}/take-back")
        assert "no approval of yours" in refused.text
        taken = await visitor.post(f"/cases/{case.case_id}/take-back")
        assert taken.headers["hx-redirect"] == f"/cases/{case.case_id}?done={case.case_id}"
        await patient.stage.move_clock(seconds=SECONDS + 1)
        assert await patient.services.held.sweep() == 0
        assert (await votes(patient), await ends(patient)) == ([], [("taken_back", "")])
        late = await visitor.post(f"/cases/{case.case_id}/take-back")
        assert "too late" in late.text
        # The case is open as before, to whoever decides it.
        await other.decide(case.case_id, "approve")
        await patient.stage.move_clock(seconds=2 * SECONDS + 2)
        assert await patient.services.held.sweep() == 1
        assert await votes(patient) == ["demo-reviewer-2"]


async def test_while_it_is_held_nobody_else_works_on_the_case(patient: DeskStage) -> None:
    case, _ = await patient.stage.paused()
    async with patient.visit() as visitor, patient.visit("demo-reviewer-2") as other:
        await visitor.decide(case.case_id, "approve")
        page = (await other.get(f"/cases/{case.case_id}")).text
        assert "demo-reviewer approved this" in page
        assert 'data-says="approve"' not in page and 'data-key="r"' not in page
        again = await visitor.post(
            f"/cases/{case.case_id}/decide",
            act="approve",
            digest=(await patient.newest(case.case_id))["digest"],
        )
        assert again.status_code == 409
        for person in (visitor, other):
            following = await person.get("/next")
            assert str(case.case_id) not in following.headers["location"]


async def test_what_would_not_count_is_refused_at_once(patient: DeskStage) -> None:
    case, _ = await patient.stage.paused()
    async with patient.visit("demo-auditor") as auditor, patient.visit() as visitor:
        assert (await auditor.post(f"/cases/{case.case_id}/decide", act="approve", digest="0" * 64)).is_error
        stale = await visitor.post(f"/cases/{case.case_id}/decide", act="approve", digest="0" * 64)
        assert stale.status_code == 409
    assert not await patient.stage.sql("select 1 from books.held_approvals")


async def test_what_does_not_count_any_more_says_why(patient: DeskStage) -> None:
    """The person has lost their role meanwhile: nobody's approval outlives their authority."""
    case, _ = await patient.stage.paused()
    async with patient.visit() as visitor:
        await visitor.decide(case.case_id, "approve")
        await patient.stage.sql("delete from books.memberships where person = 'demo-reviewer'")
        await patient.stage.move_clock(seconds=SECONDS + 1)
        assert await patient.services.held.sweep() == 0
        [(word, why)] = await ends(patient)
        assert (word, bool(why)) == ("refused", True)
        assert await votes(patient) == []


async def test_taken_back_and_given_at_once_are_one_of_the_two(patient: DeskStage) -> None:
    for number in range(6):
        case, _ = await patient.stage.paused(order_id="D300", ticket_id=f"race-{number}")
        async with patient.visit() as visitor:
            await visitor.decide(case.case_id, "approve")
            await patient.stage.move_clock(seconds=(number + 1) * (SECONDS + 1))
            await asyncio.gather(
                visitor.post(f"/cases/{case.case_id}/take-back"), patient.services.held.sweep()
            )
        [row] = await patient.stage.sql(
            "select e.word::text, exists (select from books.votes v where v.case_id = h.case_id) as voted"
            " from books.held_approvals h join books.held_ends e using (tenant, held_id) where h.case_id = %s",
            case.case_id,
        )
        assert row["voted"] == (row["word"] == "given")
        if row["voted"]:
            return  # the order is paid by now


@pytest.mark.parametrize(("minutes", "given"), [(1, True), (5, False), (90, False)])
async def test_a_desk_that_was_away_gives_what_is_due_for_a_little_while(
    patient: DeskStage, minutes: int, given: bool
) -> None:
    """Later, others may have worked on the case, or the books may be of yesterday."""
    case, _ = await patient.stage.paused()
    async with patient.visit() as visitor:
        await visitor.decide(case.case_id, "approve")
        await patient.stage.move_clock(minutes=minutes)
        house = patient.stage.house
        assert await HeldApprovals(house.desk_books, house.desk, 0).sweep() == int(given)
        assert await votes(patient) == (["demo-reviewer"] if given else [])
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        assert ("The approval did not count: the desk was away" in page) == (not given)
        assert ('data-says="approve"' in page) == (not given)


async def test_nothing_is_signed_before_it_counts(
    patient: DeskStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken? A signature that was made once counts for whoever finds it: in a log, in a page of the disk."""
    case, _ = await patient.stage.paused()

    def signed(self: SigningKey, text: str) -> str:
        del self, text
        raise AssertionError("signed")

    async with patient.visit() as visitor:
        monkeypatch.setattr(SigningKey, "sign", signed)
        assert 'data-says="approve"' in (await visitor.get(f"/cases/{case.case_id}")).text
        assert (await visitor.get("/next")).headers["location"].startswith(f"/cases/{case.case_id}")
        assert (await visitor.decide(case.case_id, "approve")).status_code == 200
        monkeypatch.undo()
    await patient.stage.move_clock(seconds=SECONDS + 1)
    assert await patient.services.held.sweep() == 1


async def test_what_the_customer_wrote_after_the_key_is_read_first(patient: DeskStage) -> None:
    case, _ = await patient.stage.paused()
    async with patient.visit() as visitor:
        await visitor.decide(case.case_id, "approve")
        text = {"author": "customer", "text": "Stop, I keep it, no refund please."}
        told = await patient.ask("POST", f"/api/cases/{case.case_id}/messages", text, "demo-helpdesk")
        assert told.is_success
        await patient.stage.move_clock(seconds=SECONDS + 1)
        assert await patient.services.held.sweep() == 0
        [(word, why)] = await ends(patient)
        assert (word, "has written since" in why) == ("refused", True)
        assert await votes(patient) == []


async def test_one_case_that_is_held_up_holds_up_no_other(patient: DeskStage) -> None:
    first, _ = await patient.stage.paused()
    second, _ = await patient.stage.paused(
        customer_id="C101", order_id="D301", question="My headphones are defective: refund"
    )
    async with patient.visit() as visitor:
        for case in (first, second):
            assert (await visitor.decide(case.case_id, "approve")).status_code == 200
    await patient.stage.move_clock(seconds=SECONDS + 1)
    give = HeldApprovals._give

    async def away(self: HeldApprovals, tenant: TenantId, row: Row) -> bool:
        if row["case_id"] == first.case_id:
            raise BooksAway("lock timeout")
        return await give(self, tenant, row)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HeldApprovals, "_give", away)
        assert await patient.services.held.sweep() == 1
    assert await patient.services.held.sweep() == 1


async def test_a_note_that_is_none_is_refused_at_once(patient: DeskStage) -> None:
    case, _ = await patient.stage.paused()
    async with patient.visit() as visitor:
        for note in ("x" * 2_001, "a\x00b"):
            assert (await visitor.decide(case.case_id, "approve", note=note)).status_code == 422


async def test_at_zero_seconds_an_approval_counts_at_once(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        await visitor.decide(case.case_id, "approve")
    assert await votes(desk) == ["demo-reviewer"]
    assert not await desk.stage.sql("select 1 from books.held_approvals")


async def test_postgres_ends_one_once_and_holds_none_for_long(patient: DeskStage) -> None:
    case, _ = await patient.stage.paused()
    async with patient.visit() as visitor:
        await visitor.decide(case.case_id, "approve")
    end = "insert into books.held_ends (tenant, held_id, case_id, word) select tenant, held_id, case_id, 'given' from books.held_approvals"
    await patient.stage.sql(end)
    with pytest.raises(psycopg.errors.UniqueViolation):
        await patient.stage.sql(end)
    with pytest.raises(psycopg.errors.CheckViolation):
        await patient.stage.sql(
            "insert into books.held_approvals (tenant, held_id, case_id, proposal_id, digest, person, due_at)"
            " select tenant, gen_random_uuid(), case_id, proposal_id, digest, person, held_at + interval '1 hour'"
            " from books.held_approvals"
        )
