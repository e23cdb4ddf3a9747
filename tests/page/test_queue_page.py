"""The queue shows first what matters most, finds what is asked for, and says how long is left."""

import re
from urllib.parse import quote

import pytest
from desk_kit import DeskStage, Visitor

from desk.queue import pattern


async def listed(visitor: Visitor, path: str = "/") -> list[str]:
    """The ticket ids of a page, in order."""
    return re.findall(r"data-item>([^<]+)</a><small>", (await visitor.get(path)).text)


async def test_what_is_risky_and_large_and_old_comes_first(desk: DeskStage) -> None:
    await desk.stage.paused(ticket_id="small-old")
    await desk.stage.move_clock(hours=1)
    await desk.stage.paused(
        ticket_id="large", customer_id="C103", order_id="D303", question="My camera is defective: refund"
    )
    await desk.stage.paused(
        ticket_id="medium", customer_id="C102", order_id="D302", question="My laptop is defective: refund"
    )
    await desk.stage.paused(ticket_id="small-new")
    turned_away = await desk.stage.submit(
        ticket_id="turned-away", route="human_review_now", bundle_version="intake_bundle_v2"
    )
    await desk.stage.run(turned_away)
    await desk.stage.move_clock(minutes=1)
    async with desk.visit() as visitor:
        # What burns, then 79.00 for an hour, which weighs more than 2,399.00 for a minute.
        assert await listed(visitor) == ["turned-away", "small-old", "large", "medium", "small-new"]
        await desk.stage.move_clock(hours=3)
        assert (await listed(visitor))[:3] == ["turned-away", "large", "medium"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/?search=refund-1", ["refund-1"]),
        ("/?search=C102", ["laptop"]),
        ("/?search=LAPTOP", ["laptop"]),
        ("/?search=%25", []),
        ("/?search=_efund", []),
        ("/?intent=policy_question", ["question"]),
        ("/?least=100", ["laptop"]),
        ("/?least=79.00&most=79.00", ["refund-1"]),
        ("/?most=0.00", ["question", "unnamed"]),
        ("/?reason=missing_order", []),
        ("/?older=1", []),
        ("/?mine=yes", ["refund-1"]),
        ("/?stage=1", []),
        ("/?tenant=demo&search=laptop", ["laptop"]),
    ],
)
async def test_every_filter_finds_what_it_says(desk: DeskStage, path: str, found: list[str]) -> None:
    first, _ = await desk.stage.paused(ticket_id="refund-1")
    await desk.stage.paused(
        ticket_id="laptop", customer_id="C102", order_id="D302", question="My laptop is defective: refund"
    )
    await desk.stage.paused(
        ticket_id="question",
        question="What is the return policy for my cracked tablet?",
        intent="policy_question",
    )
    await desk.stage.paused(
        ticket_id="unnamed", order_id=None, question="Where is it?", intent="order_question"
    )
    async with desk.visit() as visitor:
        await visitor.post(f"/cases/{first.case_id}/claim", act="claim")
        assert sorted(await listed(visitor, path)) == sorted(found)
        api = (
            path.replace("/?", "/api/cases?")
            .replace("least=100", "least_minor=10000")
            .replace("least=79.00&most=79.00", "least_minor=7900&most_minor=7900")
            .replace("most=0.00", "most_minor=0")
            .replace("older=", "older_hours=")
            .replace("mine=yes", "mine=true")
        )
        if "stage" not in path:
            rows = (await desk.ask("GET", api)).json()["cases"]
            assert sorted(row["ticket_id"] for row in rows) == sorted(found)


async def test_a_search_reads_what_the_customer_wrote_and_no_signature(desk: DeskStage) -> None:
    """The ticket is kept as escaped JSON with its signature, in which any three letters stand by chance."""
    case, _ = await desk.stage.paused(
        ticket_id="odd",
        question='Das Gerät "Fön" \\u0000 \\ \x00 🎁\nkam zerbrochen an: refund\\',
        order_id=None,
    )
    signed = case.ticket.intake or ""
    async with desk.visit() as visitor:
        for text, found in (
            ("gerät", ["odd"]), ("Fön", ["odd"]), ("zerbrochen", ["odd"]), ("kam zerbrochen", ["odd"]),
            (signed[10:18], []), ("intent", []), ("question", []), ("u0000", ["odd"]),
        ):  # fmt: skip
            assert await listed(visitor, f"/?search={quote(text)}") == found, text
            rows = (await desk.ask("GET", f"/api/cases?every=true&search={quote(text)}")).json()["cases"]
            assert [row["ticket_id"] for row in rows] == found, text


@pytest.mark.parametrize(
    "path", ["/?least=1e9", "/?older=-1", "/?intent=x", "/?stage=9", "/?page=0", "/?search=%00"]
)
async def test_a_filter_that_is_none_is_named(desk: DeskStage, path: str) -> None:
    async with desk.visit() as visitor:
        answer = await visitor.get(path)
        assert answer.status_code == 422
        assert re.search(r"least|older|intent|stage|page|search", answer.text)


async def test_pages_follow_one_another_without_a_gap(desk: DeskStage) -> None:
    await desk.stage.many_orders(60)
    names = {
        (
            await desk.stage.submit(
                order_id=f"X{number}", route="human_review_now", bundle_version="intake_bundle_v2"
            )
        ).ticket_id
        for number in range(57)
    }
    await desk.stage.finish()
    async with desk.visit() as visitor:
        first, second = await listed(visitor, "/"), await listed(visitor, "/?page=2")
        assert (len(first), len(second), set(first) | set(second)) == (50, 7, names)
        assert "page 1 of 2, 57 cases" in (await visitor.get("/")).text


async def test_every_row_says_its_age_and_what_is_left(desk: DeskStage) -> None:
    await desk.stage.paused()
    await desk.stage.move_clock(hours=2, minutes=30)
    async with desk.visit() as visitor:
        text = (await visitor.get("/")).text
        assert "2 h 30 min" in text and "2 d left" in text
        await desk.stage.move_clock(hours=54)
    async with desk.visit() as visitor:
        assert re.search(r'class="warned"', (await visitor.get("/")).text)


def test_nothing_in_a_search_means_anything() -> None:
    assert pattern("50%_\\") == "%50\\%\\_\\\\%"


async def test_time_runs_out_with_a_warning_then_the_specialists_then_an_end_of_its_own(
    desk: DeskStage,
) -> None:
    from desk.assignments import escalate

    books = desk.stage.house.desk_books
    case, _ = await desk.stage.paused()
    assert await escalate(books) == 0
    await desk.stage.move_clock(hours=56)
    async with desk.visit() as visitor:
        assert "running out" in (await visitor.get(f"/cases/{case.case_id}")).text
    assert await escalate(books) == 0
    await desk.stage.move_clock(hours=10)
    assert await escalate(books) == 1
    assert await escalate(books) == 0
    async with desk.visit("demo-specialist") as specialist:
        text = (await specialist.get(f"/cases/{case.case_id}")).text
        assert "with the specialists" in text and "for the specialists, says the house" in text
        digest = await specialist.digest(case.case_id)
        await desk.stage.move_clock(hours=8)
        late = await specialist.decide(case.case_id, "approve", digest=digest)
        assert (late.status_code, "the time to decide ended" in late.text) == (409, True)
        await desk.stage.finish()
        assert await desk.status(case.case_id) == "expired"
        assert await desk.stage.count("decisions") == await desk.stage.count("votes") == 0
    async with desk.visit("demo-operator") as operator:
        page = (await operator.get("/ops")).text
        assert "<dt>time ran out</dt><dd>1</dd>" in page and "<dt>rejected</dt>" not in page
