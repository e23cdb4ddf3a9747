"""Next is the next case that this person may decide, in the filter that they came from; and a search finds what ended."""

import re
from urllib.parse import parse_qs, urlsplit

from desk_kit import DeskStage, Visitor

from desk.decisions import DecisionRequest


async def following(visitor: Visitor, case_id: object, within: str = "") -> str:
    """The case that Next opens; empty where it opens the queue."""
    answer = await visitor.get(
        "/next", params={"after": str(case_id), **({"within": within} if within else {})}
    )
    found = re.match(r"/cases/([0-9a-f-]{36})", answer.headers["location"])
    return found[1] if found else ""


async def test_next_stays_in_the_filter_that_a_case_was_opened_from(desk: DeskStage) -> None:
    mine = [await desk.stage.paused(ticket_id=f"wanted-{number}") for number in range(2)]
    await desk.stage.paused(
        ticket_id="other", customer_id="C102", order_id="D302", question="My laptop is defective: refund"
    )
    async with desk.visit("demo-specialist") as visitor:
        page = (await visitor.get("/?search=wanted")).text
        links = re.findall(r'href="(/cases/[^"]+)" data-item', page)
        assert len(links) == 2
        within = parse_qs(urlsplit(links[0]).query)["within"][0]
        seen = {str(case.case_id) for case, _ in mine}
        first = urlsplit(links[0]).path.removeprefix("/cases/")
        second = await following(visitor, first, within)
        assert {first, second} == seen
        case = (await visitor.get(links[0].replace("&amp;", "&"))).text
        assert f'name="within" value="{within}"' in case and f'href="/?{within}"' in case
        # The filter goes on with what is done in a case of it.
        digest = re.search(r'name="digest" value="([0-9a-f]{64})"', case)
        assert digest
        done = await visitor.post(f"/cases/{first}/decide", act="approve", digest=digest[1], within=within)
        assert "within=search%3Dwanted" in done.headers["hx-redirect"]
        # Nothing more in it: the queue under the same filter, and no case of another.
        await desk.stage.say(
            next(case for case, _ in mine if str(case.case_id) == second), DecisionRequest("reject", "other")
        )
        answer = await visitor.get("/next", params={"after": first, "within": within})
        assert answer.headers["location"].startswith("/?search=wanted&done=")


async def test_next_skips_what_this_persons_yes_does_not_reach(desk: DeskStage) -> None:
    small, _ = await desk.stage.paused()
    large, _ = await desk.stage.paused(
        customer_id="C102", order_id="D302", question="My laptop is defective: refund"
    )
    async with desk.visit() as reviewer, desk.visit("demo-specialist") as specialist:
        assert await following(reviewer, small.case_id) == ""
        assert await following(specialist, small.case_id) == str(large.case_id)


async def test_next_skips_what_one_proposed_oneself(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    digest = (await desk.newest(case.case_id))["digest"]
    body = {"act": "propose", "reply": "We return 40.00 USD.", "amount_minor": 4_000, "digest": digest}
    assert (await desk.ask("POST", f"/api/cases/{case.case_id}/takeovers", body)).status_code == 200
    await desk.stage.run(case)
    async with desk.visit() as visitor, desk.visit("demo-reviewer-2") as other:
        assert (await visitor.get("/next")).headers["location"] == "/"
        assert (await other.get("/next")).headers["location"].startswith(f"/cases/{case.case_id}")


async def test_next_takes_no_filter_that_is_none(desk: DeskStage) -> None:
    first, _ = await desk.stage.paused()
    second, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        for within in ("stage=9", "least=x", "nonsense", "search=%00", "after=x&done=y", "tenant=nobody"):
            assert await following(visitor, first.case_id, within) == str(second.case_id)


async def test_a_search_finds_what_has_ended(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(ticket_id="long-ago")
    async with desk.visit() as visitor:
        assert "Found, and ended" not in (await visitor.get("/?search=long-ago")).text
        await desk.stage.say(case, DecisionRequest("reject", "other"))
        await desk.stage.run(case)
        page = (await visitor.get("/?search=long-ago")).text
        assert "Found, and ended" in page
        assert f'href="/cases/{case.case_id}"' in page.split("Found, and ended")[1]
        for path in ("/?search=never-was", "/?search=long-ago&stage=2", "/?search=long-ago&page=2"):
            assert "Found, and" not in (await visitor.get(path)).text
        assert "Found, and" not in (await visitor.get("/")).text
