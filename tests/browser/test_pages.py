"""People at the page, in a real browser: by keyboard, two at a time, on a phone, under a strict policy for scripts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from running import RunningHouse, until

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
SHARED = Path(__file__).parents[3] / "shared/data/injections/sample.jsonl"
SCRIPTS = (
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    '"><svg onload=window.pwned=1>',
    "<a href='javascript:window.pwned=1' data-key='a' data-opens='approve'>click</a>",
    "{{ 7 * 7 }} {% raw %}",
    "</blockquote></article><form method=post action=/ops/flags><button data-key=a>x</button></form>",
    "<div hx-post='/ops/flags' hx-trigger='load'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
)


def seen(page: Page) -> Page:
    """The page, once it has stood for as long as a person needs to see it: before, no key decides."""
    page.wait_for_selector("body[data-read]")
    return page


def status(house: RunningHouse, case_id: str) -> str:
    return house.status(case_id)


def test_a_ticket_arrives_by_itself_and_is_refunded_by_keyboard(desk: Any) -> None:
    page = desk.visitor(then="/?search=by-itself")
    page.evaluate("window.here = 'the same page'")
    case_id = desk.house.submit(order_id="X392", ticket_id="t-by-itself")
    page.wait_for_selector(f"#row-{case_id}")
    assert page.evaluate("window.here") == "the same page"
    row = page.locator(f"#row-{case_id} a")
    for _ in range(60):
        page.keyboard.press("j")
        if row.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/cases/{case_id}*")
    page.wait_for_selector("#live[data-on]")
    page.keyboard.press("c")
    page.wait_for_selector("#status >> text=yours since")
    seen(page).keyboard.press("a")
    page.wait_for_selector("#strip [data-status=refunded]")
    assert "t-by-itself" in page.inner_text("#strip")
    assert status(desk.house, case_id) == "refunded"
    [vote] = desk.house.sql("select person, via::text from books.votes where case_id = %s", case_id)
    assert vote == {"person": "demo-reviewer", "via": "page"}


def test_a_key_that_is_pressed_three_times_pays_one_customer(desk: Any) -> None:
    """The next case opens under the same key: no key decides what nobody can have seen."""
    cases = [desk.house.paused(order_id=f"X{490 + number}")["case_id"] for number in range(3)]
    page = seen(desk.visitor(then=f"/cases/{cases[0]}"))
    page.keyboard.press("a")
    page.wait_for_url(re.compile(r"done="))
    for _ in range(3):
        page.keyboard.press("a")
        page.keyboard.press("n")
        page.wait_for_timeout(100)
    page.wait_for_selector("body[data-read]")
    voted = desk.house.sql("select case_id::text from books.votes where case_id = any(%s)", [*cases])
    assert [row["case_id"] for row in voted] == [cases[0]]


def test_two_browsers_race_for_one_case(desk: Any) -> None:
    case = desk.house.paused(order_id="X393")
    at = f"/cases/{case['case_id']}"
    one, other = desk.visitor(then=at), desk.visitor("demo-reviewer-2", then=at)
    other.keyboard.press("r")
    other.keyboard.press("2")
    other.fill("#letter", "Ten minutes of writing.")
    seen(one).keyboard.press("a")
    one.wait_for_url(re.compile(r"\?done="))
    other.click("#reject button:has-text('Reject and send')")
    said = other.locator("#reject .said")
    expect(said).to_contain_text("demo-reviewer said approve at")
    assert other.input_value("#letter") == "Ten minutes of writing."
    desk.house.reaches(case["case_id"], "refunded")
    assert len(desk.house.sql("select 1 from books.decisions where case_id = %s", case["case_id"])) == 1


def test_a_large_amount_takes_two_people_and_a_second_review_at_the_sentence(desk: Any) -> None:
    desk.house.sql(
        "insert into books.orders (tenant, order_id, customer_id, region, status, ordered_at, delivered_at, currency, lines) select tenant, 'BIG', customer_id, region, status, ordered_at, delivered_at, currency, lines from books.orders where order_id = 'D303'"
    )
    desk.house.sql(
        "insert into books.payments (tenant, payment_id, order_id, method, amount_minor, currency) values ('demo', 'pay_BIG', 'BIG', 'card_4242', 239900, 'USD')"
    )
    case = desk.house.paused(
        order_id="BIG", customer_id="C103", question="My camera is defective. Refund, please."
    )
    at = f"/cases/{case['case_id']}"
    one, other = desk.visitor(then=at), desk.visitor("demo-specialist", then=at)
    seen(one).keyboard.press("a")
    expect(one.locator("dialog#approve")).to_contain_text(
        "It is one of 2 approvals that are needed, 1 of them a specialist's."
    )
    one.keyboard.press("Enter")
    one.wait_for_url(re.compile(r"\?done="))
    expect(other.locator("#status")).to_contain_text("demo-reviewer said approve")
    assert status(desk.house, case["case_id"]) == "needs_human"
    seen(other).keyboard.press("a")
    other.keyboard.press("Enter")
    other.wait_for_selector("#strip [data-status=refunded]")


def test_an_edit_comes_back_with_a_digest_of_its_own_and_a_diff(desk: Any) -> None:
    case = desk.house.paused(order_id="X394")
    page = desk.visitor(then=f"/cases/{case['case_id']}")
    before = page.locator("input[name=digest]").first.input_value()
    page.keyboard.press("e")
    page.fill("#edit [name=amount]", "40.00")
    page.click("#edit button:has-text('Ask for this')")
    expect(page.locator("input[name=digest]").first).not_to_have_value(before)
    expect(page.locator("h1")).to_have_text("$40.00")
    expect(page.locator(".diff")).to_contain_text("$79.00")
    seen(page).keyboard.press("a")
    page.wait_for_selector("#strip [data-status=refunded]")
    assert [
        refund["amount_minor"] for refund in desk.house.refunds() if refund["payment_id"] == "pay_X394"
    ] == [4_000]


def test_a_field_of_the_reading_is_corrected_by_key_and_the_case_runs_again(desk: Any) -> None:
    case = desk.house.paused(
        order_id="X398",
        intent=None,
        question="The tablet arrived cracked. If you cannot mend it, I want a refund.",
    )
    page = desk.visitor(then=f"/cases/{case['case_id']}")
    expect(page.locator("h1")).to_have_text("Nothing is proposed")
    expect(page.locator("mark").first).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator("#correct input[value=wanted]")).to_be_checked()
    page.locator("#correct [name=conditions]").uncheck()
    page.keyboard.press("1")
    expect(page.locator("#correct input[value=refund]")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("$79.00")
    expect(page.locator("#h-time ~ p")).to_contain_text("person reader")
    expect(page.locator("nav.bar")).to_contain_text("their own reading has raised")
    other = desk.visitor("demo-reviewer-2", then=f"/cases/{case['case_id']}")
    seen(other).keyboard.press("a")
    other.wait_for_selector("#strip [data-status=refunded]")
    [reading] = desk.house.sql(
        "select person from books.readings where reader = 'person' and case_id = %s", case["case_id"]
    )
    assert reading == {"person": "demo-reviewer"}


def test_a_reject_takes_a_key_for_its_code_before_any_words(desk: Any) -> None:
    case = desk.house.paused(order_id="X395")
    page = desk.visitor(then=f"/cases/{case['case_id']}")
    page.keyboard.press("r")
    page.keyboard.press("2")
    assert "has passed" in page.input_value("#letter")
    page.keyboard.press("3")
    assert "which order you mean" in page.input_value("#letter")
    page.click("#reject button:has-text('Reject and send')")
    desk.house.reaches(case["case_id"], "rejected")


def test_what_runs_out_is_said_and_ends_as_expired(desk: Any) -> None:
    case = desk.house.paused(order_id="X396")
    page = desk.visitor(then=f"/cases/{case['case_id']}")
    desk.house.sql(
        "set session_replication_role = replica; update books.proposals set proposed_at = now() - interval '71 hours', expires_at = now() + interval '3 seconds' where case_id = '"
        + case["case_id"]
        + "'"
    )
    page.wait_for_selector("#status [data-status=expired]", timeout=60_000)
    assert desk.house.sql("select 1 from books.decisions where case_id = %s", case["case_id"]) == []


def test_the_next_case_opens_by_itself_and_help_lists_the_keys(desk: Any) -> None:
    case, _ = (desk.house.paused(order_id=f"X{391 + number}") for number in (6, 7))
    page = desk.visitor(then=f"/cases/{case['case_id']}")
    first = page.url
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("approve")
    page.keyboard.press("Escape")
    seen(page).keyboard.press("a")
    page.wait_for_url(re.compile(r"/cases/[0-9a-f-]+\?done="))
    assert page.url.partition("?")[0] != first.partition("?")[0]


def every_page(desk: Any) -> list[str]:
    case = desk.house.paused(order_id="X399")
    return [
        "/",
        f"/cases/{case['case_id']}",
        "/unknown",
        "/audit",
        f"/audit/cases/{case['case_id']}",
        "/ops",
        "/cases/none",
    ]


def test_every_page_fits_a_phone(desk: Any) -> None:
    pages = every_page(desk)
    page = desk.visitor("demo-operator", width=360, height=740)
    specialist = desk.visitor("demo-specialist", width=360, height=740)
    for who in (page, specialist):
        for at in pages:
            who.goto(desk.house.desk_url + at)
            assert who.evaluate("document.documentElement.scrollWidth") <= 360, at


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core here: npm ci --prefix tests/browser brings it")
def test_the_checker_of_accessibility_finds_nothing_serious(desk: Any) -> None:
    pages = every_page(desk)
    for who in (desk.visitor("demo-operator"), desk.visitor("demo-specialist")):
        for at in pages:
            who.goto(desk.house.desk_url + at)
            serious = found_by_axe(who)
            assert serious == [], (at, serious)
        who.goto(f"{desk.house.desk_url}{pages[1]}")
        for dialog in ("reject", "edit", "hand"):
            if who.locator(f"#{dialog}").count():
                who.evaluate("name => document.getElementById(name).showModal()", dialog)
                assert found_by_axe(who) == [], dialog
                who.keyboard.press("Escape")
    page = desk.browser.new_page()
    page.goto(desk.house.desk_url + "/sign-in")
    assert found_by_axe(page) == []
    page.close()


def found_by_axe(page: Page) -> list[str]:
    """Serious and critical violations, with where they stand."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{found['id']}: {found['nodes'][0]['html'][:160]}"
        for found in result["violations"]
        if found["impact"] in {"serious", "critical"}
    ]


def test_what_customers_write_does_nothing(desk: Any) -> None:
    texts = list(SCRIPTS)
    if SHARED.exists():
        texts += [json.loads(line)["text"] for line in SHARED.read_text(encoding="utf-8").splitlines()[::140]]
    cases = [
        desk.house.submit(order_id="X400", question=f"My tablet is cracked, refund! {text}"[:7_900])
        for text in texts
    ]
    for case_id in cases:
        until(lambda name=case_id: status(desk.house, name) != "received", "read")  # type: ignore[misc]
    page, auditor = desk.visitor(), desk.visitor("demo-auditor")
    for who, at in ((page, "/cases/{}"), (auditor, "/audit/cases/{}")):
        for case_id, text in zip(cases, texts, strict=True):
            who.goto(desk.house.desk_url + at.format(case_id))
            assert who.evaluate("window.pwned") is None
            assert text.strip()[:200].split("\n")[0] in who.inner_text("main").replace("\u00a0", " ")
            assert (
                who.locator("main .words a, main .words form, main .words img, main .words [hx-post]").count()
                == 0
            )
    assert desk.house.sql("select 1 from books.flags") == []
