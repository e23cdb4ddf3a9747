"""Finding: by name and words, among what waits and what has ended; kept views, another order; the policy itself."""

import re
from datetime import UTC, datetime, timedelta

from desk_kit import DeskStage, Visitor


async def tickets(visitor: Visitor, path: str) -> list[str]:
    return re.findall(r"data-item>([^<]+)</a><small>", (await visitor.get(path)).text)


async def found(visitor: Visitor, asked: str) -> str:
    page = (await visitor.get("/", params={"search": asked})).text
    return page[page.index('id="rows"') :]


async def test_a_search_finds_people_by_name_and_words_and_ids(desk: DeskStage) -> None:
    await desk.stage.sql("update books.customers set name = 'Zoë Müller-Lind' where customer_id = 'C102'")
    waits, _ = await desk.stage.paused(
        ticket_id="zd-4711",
        customer_id="C102",
        order_id="D302",
        question="My laptop flickers: refund, it is defective",
    )
    ended, _ = await desk.stage.paused(
        ticket_id="zd-4712",
        customer_id="C102",
        order_id="D302",
        question="The hinge of my laptop broke: refund",
    )
    async with desk.visit("demo-specialist") as visitor:
        await visitor.decide(ended.case_id, "reject", code="other")
        await desk.stage.finish()
        for asked in (
            "Müller",
            "zoë",
            "lind",
            "C102",
            "D302",
            "laptop",
            "4711",
            "zd-471",
            "zd-4711",
            "flickers refund",
        ):
            assert "zd-4711" in await found(visitor, asked), asked
        for asked in ("Müller", "zd-4712", "hinge", "lind", "d302"):
            page = await found(visitor, asked)
            assert "Found, and ended" in page and "zd-4712" in page, asked
            assert "Zoë Müller-Lind" in page, "by what they are called"
        for asked in ("nobody", "%", "_", "'; drop", "4713", "\\", "'", "a" * 200):
            page = await found(visitor, asked)
            assert "zd-47" not in page, asked
        assert waits.case_id != ended.case_id


async def test_another_shop_finds_nothing_of_this_one(desk: DeskStage) -> None:
    await desk.stage.sql("update books.customers set name = 'Zoë Müller-Lind' where customer_id = 'C100'")
    case, _ = await desk.stage.paused(ticket_id="zd-1")
    await desk.stage.sql("insert into books.tenants (tenant, name) values ('other', 'Other')")
    async with desk.visit("demo-specialist") as visitor:
        await visitor.decide(case.case_id, "reject", code="other")
        await desk.stage.finish()
        assert "zd-1" in await found(visitor, "Müller")
        await desk.stage.sql("update books.memberships set tenant = 'other' where person = 'demo-specialist'")
        assert "zd-1" not in await found(visitor, "Müller")
    async with desk.stage.house.desk_books.transaction(case.tenant) as tx:
        assert await tx.rows("found_ended", asked="Müller", most=5)
    [row] = await desk.stage.sql("select count(*) as n from books.found_cases('demo', 'Müller', 10)")
    assert row["n"] == 0, "who is in no tenant finds nothing, whatever tenant is asked for"


async def test_the_queue_stands_as_the_help_desk_wants_it_then_by_tier_then_by_weight(
    desk: DeskStage,
) -> None:
    now = datetime.now(UTC)
    await desk.stage.paused(ticket_id="plain")
    await desk.stage.paused(ticket_id="premium", tier="premium")
    await desk.stage.paused(ticket_id="vip", tier="vip")
    await desk.stage.paused(ticket_id="later", due_at=(now + timedelta(days=2)).isoformat())
    await desk.stage.paused(ticket_id="soon", due_at=(now + timedelta(hours=1)).isoformat(), tier="standard")
    await desk.stage.paused(
        ticket_id="burns", priority="urgent", due_at=(now + timedelta(days=9)).isoformat()
    )
    async with desk.visit() as visitor:
        assert await tickets(visitor, "/") == ["burns", "soon", "later", "vip", "premium", "plain"]
        page = (await visitor.get("/")).text
        places = re.findall(r'class="risk" title="([^"]+)"', page)
        assert places[0].startswith("urgent") and places[1].startswith("the help desk wants it by")
        assert places[3].startswith("vip; risk 1 of 3")
        left = re.findall(r'class="due">([^<]+)', page)
        assert left[1].startswith(("59 min", "1 h")), "the nearer of the two times"


async def test_the_queue_is_put_in_another_order(desk: DeskStage) -> None:
    await desk.stage.paused(ticket_id="small")
    await desk.stage.move_clock(hours=1)
    await desk.stage.paused(
        ticket_id="large", customer_id="C103", order_id="D303", question="My camera is defective: refund"
    )
    await desk.stage.move_clock(hours=1)
    await desk.stage.paused(
        ticket_id="middle", customer_id="C102", order_id="D302", question="My laptop broke: refund"
    )
    async with desk.visit() as visitor:
        assert await tickets(visitor, "/?sort=newest") == ["middle", "large", "small"]
        assert await tickets(visitor, "/?sort=oldest") == ["small", "large", "middle"]
        assert await tickets(visitor, "/?sort=amount") == ["large", "middle", "small"]
        assert await tickets(visitor, "/?sort=due") == ["small", "large", "middle"]
        assert await tickets(visitor, "/?sort=newest&search=laptop") == ["middle"]
        assert (await visitor.get("/?sort=luck")).status_code == 422


async def test_a_filter_takes_the_words_of_the_screen(desk: DeskStage) -> None:
    await desk.stage.paused(ticket_id="draft")
    await desk.stage.paused(ticket_id="unnamed", order_id="D999")
    async with desk.visit() as visitor:
        assert await tickets(visitor, "/?reason=A+draft+is+ready") == ["draft"]
        assert await tickets(visitor, "/?reason=draft_ready_for_review") == ["draft"]
        [other] = set(
            re.findall(
                r'class="state">.*?<small>([^<]+)', (await visitor.get("/?search=unnamed")).text, re.DOTALL
            )
        )
        assert await tickets(visitor, "/?" + "reason=" + other.replace(" ", "+")) == ["unnamed"]
        german = {"accept-language": "de"}
        page = (await visitor.get("/?reason=ein+Entwurf+ist+fertig", headers=german)).text
        assert ">draft</a>" in page and ">unnamed</a>" not in page


async def test_a_view_is_kept_found_again_and_taken_away(desk: DeskStage) -> None:
    await desk.stage.paused(ticket_id="wanted")
    await desk.stage.paused(
        ticket_id="other", customer_id="C102", order_id="D302", question="My laptop broke: refund"
    )
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as colleague:
        none = await visitor.post("/views", name="all", within="")
        assert none.status_code == 422
        kept = await visitor.post("/views", name="Laptops <b>", within="search=laptop&sort=amount&evil=1")
        assert kept.headers["hx-redirect"] == "/?search=laptop&sort=amount"
        page = (await visitor.get("/")).text
        [at] = re.findall(r'href="(/\?[^"]+)">Laptops &lt;b&gt;</a>', page)
        assert await tickets(visitor, at.replace("&amp;", "&")) == ["other"]
        assert "Laptops" not in (await colleague.get("/")).text, "a view is one's own"
        await visitor.post("/views", name="Laptops <b>", within="search=laptop", act="remove")
        assert "Laptops" not in (await visitor.get("/")).text
        for number in range(25):
            last = await visitor.post("/views", name=f"view {number}", within="mine=yes")
        assert last.status_code == 422 and "take one away first" in last.text


async def test_the_policy_is_read_and_searched_at_the_desk(desk: DeskStage) -> None:
    async with desk.visit() as visitor:
        listed = (await visitor.get("/library")).text
        links = set(re.findall(r'href="(/library/demo/[^"]+/\d+)" data-item', listed))
        assert len(links) > 50
        for at in sorted(links)[:10]:
            page = (await visitor.get(at)).text
            assert '<ol class="clauses"><li id="clause-' in page, at
        hits = (await visitor.get("/library?search=cracked")).text
        assert "damaged, broken, cracked or defective" in hits
        [first, *_rest] = re.findall(r'href="(/library/demo/[^"#]+#clause-[^"]+)"', hits)
        assert (await visitor.get(first.partition("#")[0])).status_code == 200
        assert "No clause has these words." in (await visitor.get("/library?search=xyzzy")).text
        for odd in (
            "/library/demo/none/1",
            "/library/other/return-policy-us/3",
            "/library/demo/return-policy-us/99",
        ):
            assert (await visitor.get(odd)).status_code in {403, 409}, odd
        assert (await visitor.get("/library/demo/return-policy-us/0")).status_code == 422


async def test_my_day_shows_what_i_decided_and_what_came_back(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(ticket_id="decided")
    back, _ = await desk.stage.paused(ticket_id="returned")
    async with desk.visit() as visitor:
        assert "Nothing yet today." in (await visitor.get("/mine")).text
        await visitor.decide(case.case_id, "approve")
        await visitor.decide(back.case_id, "send_back", note="look again")
        await desk.stage.finish()
        page = (await visitor.get("/mine")).text
        came, did = page[page.index("Came back to you") :].split("What you decided</h2>")
        assert "returned" in came and "decided</a>" not in came
        assert "decided" in did and "refunded" in did and '$79<span class="part">.00' in did
    async with desk.visit("demo-reviewer-2") as other:
        assert "decided</a>" not in (await other.get("/mine")).text
