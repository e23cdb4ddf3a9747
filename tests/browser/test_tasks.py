"""Ten tasks of a reviewer, by keyboard in a real browser, with the keys counted: what is written is no key of the task."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CAMPAIGN
from playwright.sync_api import Page, expect
from running import RunningHouse, until

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"


class Keys:
    """A person at a page who counts the keys that they press."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed = 0

    def press(self, *keys: str) -> "Keys":
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1
        return self

    def write(self, text: str) -> "Keys":
        """Words, which are not counted: they are the work itself."""
        self.page.keyboard.type(text)
        return self

    def seen(self) -> "Keys":
        self.page.wait_for_selector("body[data-read]")
        return self


def keys_at(desk: Any, at: str, person: str = "demo-reviewer") -> Keys:
    return Keys(desk.visitor(person, then=at)).seen()


def paused(house: RunningHouse, number: int, **fields: Any) -> str:
    return str(house.paused(order_id=f"X{number}", **fields)["case_id"])


def test_a_clean_case_is_decided_by_one_key(desk: Any) -> None:
    case = paused(desk.house, 520)
    keys = keys_at(desk, f"/cases/{case}")
    keys.press("a")
    keys.page.wait_for_url(re.compile("done="))
    desk.house.reaches(case, "refunded")
    assert keys.pressed <= 2


def test_a_hand_over_becomes_a_cited_reply(desk: Any) -> None:
    house = desk.house
    case = house.submit(order_id="X521", question="Where is my parcel?", intent="order_question")
    until(lambda: house.status(case) == "needs_human", "read")
    keys = keys_at(desk, f"/cases/{case}")
    keys.press("t", "5", "x", "s")
    until(lambda: house.status(case) in {"replied", "closed_by_human"}, "answered")
    [row] = house.sql("select reply from books.takeovers where case_id = %s", case)
    assert "Our policy says: “" in row["reply"] and "A person looks into what you wrote about" in row["reply"]
    assert keys.pressed <= 6


def test_a_clause_that_is_offered_answers_in_two_keys(desk: Any) -> None:
    house = desk.house
    case = house.submit(order_id="X523", question="Where is my parcel?", intent="order_question")
    until(lambda: house.status(case) == "needs_human", "read")
    keys = keys_at(desk, f"/cases/{case}")
    quote = keys.page.locator("blockquote", has=keys.page.locator("[data-key='1']")).evaluate(
        "one => one.firstChild.textContent"
    )
    keys.press("1", "s")
    until(lambda: house.status(case) in {"replied", "closed_by_human"}, "answered")
    [row] = house.sql("select reply from books.takeovers where case_id = %s", case)
    assert quote in row["reply"]
    assert keys.pressed <= 2


def test_a_hand_over_becomes_a_proposal_of_ones_own_in_three_keys(desk: Any) -> None:
    house = desk.house
    case = house.submit(
        order_id="X522", question="If you cannot mend the cracked tablet, I want a refund.", intent=None
    )
    until(lambda: house.status(case) == "needs_human", "read")
    keys = keys_at(desk, f"/cases/{case}")
    expect(keys.page.locator("h1")).to_have_text("Nothing is proposed")
    keys.page.locator("#take input[type=checkbox][name^='tick:']").first.evaluate(
        "one => { one.checked = true }"
    )
    keys.press("t", "1", "p")
    until(lambda: house.case(case)["state"]["proposal"]["kind"] == "refund", "proposed")
    assert house.case(case)["state"]["proposal"]["amount_minor"] == 7_900
    assert keys.pressed <= 3


def test_twenty_alike_are_countersigned_with_their_sample(desk: Any) -> None:
    house = desk.house
    cases = [
        house.submit(order_id=f"X{530 + number}", ticket_id=f"alike-{number:02}") for number in range(20)
    ]
    for case in cases:
        until(lambda one=case: house.status(one) == "needs_human", "read")  # type: ignore[misc]
    keys = keys_at(desk, "/?search=alike")
    for box in keys.page.locator("#rows [data-pick]").all():
        box.check()
    keys.page.locator(".picked button").click()
    keys.seen()
    assert keys.page.locator("input[name=pick]").count() == 20
    keys.press("c")
    keys.page.wait_for_selector("input[name=read]")
    keys.seen()
    sample = keys.page.locator("input[name=read]").count()
    keys.press(*[str(number + 1) for number in range(sample)]).press("c")
    keys.page.wait_for_selector("text=are approved")
    until(lambda: all(house.status(case) == "refunded" for case in cases), "paid", 120)
    votes = house.sql("select digest from books.votes where case_id = any(%s)", cases)
    assert len({vote["digest"] for vote in votes}) == 20
    assert sample >= 1 and keys.pressed <= 8, (sample, keys.pressed)


def test_a_customers_last_refund_is_found(desk: Any) -> None:
    house = desk.house
    case = paused(house, 551, ticket_id="last-refund")
    house.decide(house.case(case))
    house.reaches(case, "refunded")
    keys = keys_at(desk, "/")
    keys.press("/").write("last-refund").press("Enter")
    keys.page.wait_for_selector("text=Found, and ended")
    keys.press("j", "Enter")
    keys.page.wait_for_url(f"**/cases/{case}*")
    expect(keys.page.locator(".timeline")).to_contain_text("refunded")
    assert keys.pressed <= 4


def test_a_reject_with_its_letter(desk: Any) -> None:
    case = paused(desk.house, 552)
    keys = keys_at(desk, f"/cases/{case}")
    keys.press("r", "2", "Enter")
    desk.house.reaches(case, "rejected")
    assert keys.pressed <= 3


def test_the_customer_is_asked(desk: Any) -> None:
    case = paused(desk.house, 553)
    keys = keys_at(desk, f"/cases/{case}")
    keys.press("i").write("Was the parcel damaged, too?").press("Tab", "Enter")
    until(lambda: desk.house.case(case)["state"]["reason"] == "asked_customer", "asked")
    assert keys.pressed <= 3


def test_the_amount_is_changed(desk: Any) -> None:
    case = paused(desk.house, 554)
    keys = keys_at(desk, f"/cases/{case}")
    keys.press("e", "Control+a").write("40.00").press("Enter")
    until(lambda: desk.house.case(case)["state"]["proposal"]["amount_minor"] == 4_000, "proposed again")
    assert keys.pressed <= 3


def test_a_case_goes_to_whoever_has_least_in_hand(desk: Any) -> None:
    case = paused(desk.house, 555)
    keys = keys_at(desk, f"/cases/{case}")
    keys.press("h", "3", "Enter")
    until(lambda: desk.house.sql("select 1 from books.assignments where case_id = %s", case), "handed over")
    [row] = desk.house.sql("select to_person from books.assignments where case_id = %s", case)
    assert row["to_person"] and row["to_person"] != "demo-reviewer"
    assert keys.pressed <= 3


def test_a_note_names_a_colleague_and_ones_day_is_two_keys_away(desk: Any) -> None:
    case = paused(desk.house, 556)
    keys = keys_at(desk, f"/cases/{case}")
    keys.press("m").write("@demo-specialist, their third one").press("Tab", "Enter")
    until(lambda: desk.house.sql("select 1 from books.case_notes where case_id = %s", case), "noted")
    keys.page.wait_for_selector(".timeline >> text=their third one")
    keys.press("g", "m")
    keys.page.wait_for_url("**/mine")
    assert keys.pressed <= 5


PAGES = (
    "/",
    "/mine",
    "/alike",
    "/unknown",
    "/library",
    "/letters",
    "/releases",
    "/traces",
    "/audit",
    "/ops",
    "/runbook",
)


@pytest.fixture(name="axe", scope="module")
def _axe() -> Iterator[str]:
    if not AXE.exists():
        pytest.skip("no axe-core here: npm ci --prefix tests/browser brings it")
    yield AXE.read_text(encoding="utf-8")


EVERY = [("en-US", "light"), ("en-US", "dark"), ("de-DE", "light"), ("de-DE", "dark")]


@pytest.mark.parametrize(("locale", "theme"), EVERY if CAMPAIGN else [("de-DE", "dark")])
def test_every_page_is_for_everybody_in_both_languages_and_themes(
    desk: Any, axe: str, locale: str, theme: Any
) -> None:
    """No serious finding of the checker, nothing that scrolls sideways, and every link and field reached by Tab."""
    house = desk.house
    case = paused(house, 557)
    hand_over = house.submit(order_id="X9999", question="Where is it?", intent="order_question")
    until(lambda: house.status(hand_over) == "needs_human", "read")
    passwords = json.loads((house.folder / "demo-passwords.json").read_text())
    for person, pages in (
        (
            "demo-operator",
            [one for one in PAGES if one not in {"/mine", "/alike"}] + [f"/audit/cases/{case}"],
        ),
        (
            "demo-specialist",
            ["/", "/mine", "/alike", "/customers/demo/C100", f"/cases/{case}", f"/cases/{hand_over}"],
        ),
    ):
        context = desk.browser.new_context(
            locale=locale, color_scheme=theme, viewport={"width": 1280, "height": 900}
        )
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("console", lambda said: desk._heard(said.type, said.text))
        page.goto(f"{house.desk_url}/sign-in")
        page.fill("[name=name]", person)
        page.fill("[name=password]", passwords[person])
        page.keyboard.press("Enter")
        page.wait_for_selector("#live[data-on]")
        for at in pages:
            page.goto(house.desk_url + at)
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            serious = [
                f"{one['id']}: {one['nodes'][0]['html'][:160]}"
                for one in found
                if one["impact"] in {"serious", "critical"}
            ]
            assert serious == [], (at, serious)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), at
            assert page.evaluate("document.documentElement.lang") == locale[:2], at
        context.close()


def test_without_scripts_a_hand_over_is_ended_all_the_same(desk: Any) -> None:
    house = desk.house
    case = house.submit(order_id="X9998", question="Where is it?", intent="order_question")
    until(lambda: house.status(case) == "needs_human", "read")
    context = desk.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{house.desk_url}/sign-in")
    page.fill("[name=name]", "demo-reviewer")
    page.fill(
        "[name=password]", json.loads((house.folder / "demo-passwords.json").read_text())["demo-reviewer"]
    )
    page.click("button[type=submit]")
    page.goto(f"{house.desk_url}/cases/{case}")
    dialog = page.locator("dialog#take")
    expect(dialog).to_be_visible()
    expect(page.locator("[data-opens=take]")).to_be_hidden()
    dialog.locator("[name=reply]").fill("It is on its way.")
    dialog.locator("button[value=reply]").click()
    until(lambda: house.status(case) in {"replied", "closed_by_human"}, "answered")
    context.close()
