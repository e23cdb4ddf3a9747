"""Every page asks who it is: no sign-in, the wrong role, the wrong tenant and a form from elsewhere stay outside."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from desk_kit import DeskStage, Visitor
from fastapi.routing import APIRoute

from app.shop import demo_passwords
from desk.pages import (
    audit_page,
    case_page,
    library_page,
    memory_page,
    mine_page,
    money_page,
    operations_page,
    queue_page,
    releases_page,
    runbook_page,
    together_page,
    traces_page,
)
from desk.passwords import LOCK_MINUTES, TRIES_OF_A_NAME
from refunds.canonical import sha256

BEHIND = (
    queue_page,
    case_page,
    money_page,
    audit_page,
    operations_page,
    traces_page,
    releases_page,
    library_page,
    memory_page,
    mine_page,
    together_page,
    runbook_page,
)
WRITES_FOR_ALL = {"/views"}
"""What everybody who may look may write: their own views of the queue."""

OPEN_PAGES = {"/sign-in", "/sign-out", "/sign-in/issuer", "/sign-in/issuer/back", "/rate/{token}"}
ROUTES = sorted(
    (method, route.path)
    for module in BEHIND
    for route in module.router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)
READS_FOR_ALL = {
    "/",
    "/rows",
    "/next",
    "/live",
    "/unknown",
    "/library",
    "/library/{tenant}/{document_id}/{version}",
    "/letters",
    "/customers/{tenant}/{customer_id}",
    "/customers/{tenant}/{customer_id}/memory.json",
    "/mine",
    "/alike",
    "/releases",
    "/receipts",
    "/strip/{case_id}",
    "/cases/{case_id}",
    "/cases/{case_id}/status",
}


def concrete(path: str, case_id: object | None = None) -> str:
    return (
        path.replace("{case_id}", str(case_id or uuid.uuid4())).replace("{decision_id}", str(uuid.uuid4())).replace("{job}", "1")
        .replace("{tenant}", "demo").replace("{document_id}", "x").replace("{version}", "1").replace("{customer_id}", "C100")
    )  # fmt: skip


def test_no_page_is_outside_this_table(desk: DeskStage) -> None:
    known = {path for _, path in ROUTES} | OPEN_PAGES
    found = {
        route.path
        for router in desk.app.routes
        for route in getattr(getattr(router, "original_router", None), "routes", [router])
        if isinstance(route, APIRoute)
    }
    api = {path for path in found if path.startswith("/api/")} | {"/healthz", "/readyz", "/metrics"}
    assert found - api == known
    assert len(ROUTES) > 18


async def test_without_a_sign_in_there_is_only_the_way_to_it(desk: DeskStage) -> None:
    async with desk.client(None) as client:
        for method, path in ROUTES:
            for headers in ({}, {"cookie": "countersign=forged"}, {"authorization": "Bearer x"}):
                answer = await client.request(method, concrete(path), headers=headers)
                if method == "GET":
                    assert (answer.status_code, answer.headers["location"][:9]) == (303, "/sign-in?"), path
                else:
                    assert answer.status_code == 401, path


async def test_a_token_of_the_api_opens_no_page(desk: DeskStage) -> None:
    async with desk.client("demo-reviewer") as client:
        assert (await client.get("/")).status_code == 303


async def test_the_wrong_role_stays_outside(desk: DeskStage) -> None:
    """An auditor decides nothing and operates nothing; a reviewer reads no audit."""
    case, _ = await desk.stage.paused()
    async with desk.visit("demo-auditor") as auditor, desk.visit("demo-reviewer") as reviewer:
        for method, path in ROUTES:
            if method == "POST" and path not in WRITES_FOR_ALL:
                answer = await auditor.post(concrete(path, case.case_id), act="approve", name="kill_switch")
                assert answer.status_code == 403, (path, answer.status_code)
            elif method == "GET" and path not in READS_FOR_ALL:
                answer = await reviewer.get(concrete(path, case.case_id))
                assert answer.status_code == 403, (path, answer.status_code)
    assert await desk.status(case.case_id) == "needs_human"
    assert await desk.stage.count("flags") == await desk.stage.count("votes") == 0


async def test_the_wrong_tenant_finds_nothing(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(
        question="a word that nobody else may read: xyzzy, cracked tablet refund"
    )
    await desk.stage.sql("insert into books.tenants (tenant, name) values ('other', 'Other')")
    await desk.stage.sql(
        "update books.memberships set tenant = 'other' where person in ('demo-operator', 'demo-specialist')"
    )
    await desk.stage.sql("insert into books.memberships values ('other', 'demo-specialist', 'auditor')")
    async with desk.visit("demo-operator") as operator, desk.visit("demo-specialist") as specialist:
        for who in (operator, specialist):
            for method, path in ROUTES:
                if path in {"/live", "/next"} or (who is operator and "{case_id}" not in path):
                    continue
                at = concrete(path, case.case_id)
                answer = await (
                    who.get(at) if method == "GET" else who.post(at, act="approve", digest="0" * 64)
                )
                assert "xyzzy" not in answer.text and case.ticket_id not in answer.text, path
                if "{case_id}" in path:
                    assert answer.status_code in {403, 404}, (path, answer.status_code)
        for path in ("/?tenant=demo", "/rows?tenant=demo"):
            assert (await specialist.get(path)).status_code == 404
        assert (await specialist.get("/audit/export?tenant=demo")).status_code == 403
        for whose in ("demo", "*"):
            answer = await operator.post(
                "/ops/flags", name="kill_switch", value="on", reason="x", tenant=whose
            )
            assert answer.status_code == 403
    assert await desk.stage.count("flags") == 0


async def test_a_form_from_elsewhere_does_nothing(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    async with desk.visit("demo-reviewer") as visitor, desk.visit("demo-operator") as operator:
        digest = await visitor.digest(case.case_id)
        theirs = await operator.csrf()
        for method, path in ROUTES:
            if method == "POST":
                who = operator if path.startswith("/ops") else visitor
                for token in ({}, {"csrf": ""}, {"csrf": theirs[::-1]}, {"csrf": "ü"}):
                    fields = {
                        "act": "approve",
                        "digest": digest,
                        "name": "kill_switch",
                        "value": "on",
                        "reason": "x",
                        **token,
                    }
                    answer = await who.client.post(concrete(path, case.case_id), data=fields)
                    assert answer.status_code == 403, (path, answer.status_code)
    assert await desk.status(case.case_id) == "needs_human"
    assert await desk.stage.count("claims") == await desk.stage.count("flags") == 0


async def sign_in(client: httpx.AsyncClient, name: str, password: str, **query: str) -> httpx.Response:
    return await client.post("/sign-in", data={"name": name, "password": password}, params=query)


async def test_the_cookie_is_signed_closed_to_scripts_and_to_other_sites(desk: DeskStage) -> None:
    async with desk.client(None) as client:
        password = demo_passwords(desk.stage.house.home)["demo-reviewer"]
        answer = await sign_in(client, "demo-reviewer", password)
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie and "max-age=43200" in cookie
        name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
        flipped = value[:-6] + ("A" if value[-6] != "A" else "B") + value[-5:]
        client.cookies.clear()
        assert (await client.get("/", headers={"cookie": f"{name}={flipped}"})).status_code == 303
        assert (await client.get("/", headers={"cookie": f"{name}={value}"})).status_code == 200
    rows = await desk.stage.sql("select session_sha256 from books.sessions")
    assert len(rows) == 1 and value not in str(rows)


async def test_signing_out_ends_the_session_whoever_kept_its_cookie(desk: DeskStage) -> None:
    async with desk.visit() as visitor:
        kept = "; ".join(f"{name}={value}" for name, value in visitor.client.cookies.items())
        await visitor.post("/sign-out")
        async with desk.client(None) as thief:
            assert (await thief.get("/", headers={"cookie": kept})).status_code == 303


async def test_who_leaves_is_out_at_once_and_a_session_ends_by_itself(desk: DeskStage) -> None:
    async with desk.visit() as visitor, desk.visit("demo-auditor") as auditor:
        await desk.stage.sql("update books.people set active = false where person = 'demo-reviewer'")
        assert (await visitor.get("/")).status_code == 303
        await desk.stage.move_clock(hours=13)
        assert (await auditor.get("/")).status_code == 303


async def test_a_wrong_password_says_no_more_than_that_and_locks_in_the_end(desk: DeskStage) -> None:
    right = demo_passwords(desk.stage.house.home)["demo-reviewer"]
    async with desk.client(None) as client:
        said = {
            (await sign_in(client, name, "wrong wrong wrong")).text.replace(name, "")
            for name in ("demo-reviewer", "nobody-here")
        }
        assert len(said) == 1
        for _ in range(TRIES_OF_A_NAME - 1):
            assert (await sign_in(client, "demo-reviewer", "wrong wrong wrong")).status_code == 401
        locked = await sign_in(client, "demo-reviewer", right)
        assert (locked.status_code, "too many" in locked.text) == (429, True)
        other = demo_passwords(desk.stage.house.home)["demo-auditor"]
        assert (await sign_in(client, "demo-auditor", other)).status_code == 303
        await desk.stage.move_clock(minutes=LOCK_MINUTES + 1)
        assert (await sign_in(client, "demo-reviewer", right)).status_code == 303


async def test_many_tries_at_once_slip_past_no_lock(desk: DeskStage) -> None:
    async with desk.client(None) as client:
        answers = await asyncio.gather(
            *(sign_in(client, "demo-reviewer", f"guess number {n}") for n in range(12))
        )
    assert sorted(answer.status_code for answer in answers) == [401] * TRIES_OF_A_NAME + [429] * (
        12 - TRIES_OF_A_NAME
    )


async def test_a_name_that_is_typed_is_kept_as_its_hash(desk: DeskStage) -> None:
    async with desk.client(None) as client:
        await sign_in(client, "my secret password", "demo-reviewer")
    [row] = await desk.stage.sql("select * from books.sign_ins")
    assert row["name_sha256"] == sha256("my secret password")
    [kept] = await desk.stage.sql("select hash from books.passwords where person = 'demo-reviewer'")
    assert kept["hash"].startswith("$argon2id$")


@pytest.mark.parametrize(
    "bad",
    [
        "//evil.example/x",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/x\r\nset-cookie: a=b",
    ],
)
async def test_after_the_sign_in_nobody_is_sent_to_another_house(desk: DeskStage, bad: str) -> None:
    password = demo_passwords(desk.stage.house.home)["demo-reviewer"]
    async with desk.client(None) as client:
        answer = await sign_in(client, "demo-reviewer", password, next=bad)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        good = await sign_in(client, "demo-reviewer", password, next="/unknown")
        assert good.headers["location"] == "/unknown"


async def test_every_answer_says_what_a_browser_may_not_do_with_it(desk: DeskStage) -> None:
    async with desk.visit() as visitor:
        for path in (
            "/",
            "/unknown",
            "/cases/none",
            "/static/desk.js",
            "/sign-in",
            "/api/openapi.json",
            "/nowhere",
        ):
            answer = await visitor.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy, path
            assert answer.headers["x-content-type-options"] == "nosniff"
        page = (await visitor.get("/")).text
        assert "<style" not in page and " style=" not in page and "onclick" not in page
        assert "http://" not in page.replace("http://desk", "") and "https://" not in page


async def visible(visitor: Visitor) -> str:
    return (await visitor.get("/")).text


async def test_the_desk_knows_its_newest_roles(desk: DeskStage) -> None:
    """A role that was taken away is gone with the next request."""
    case, _ = await desk.stage.paused()
    async with desk.visit() as visitor:
        digest = await visitor.digest(case.case_id)
        await desk.stage.sql("update books.memberships set role = 'auditor' where person = 'demo-reviewer'")
        assert (await visitor.decide(case.case_id, "approve", digest=digest)).status_code == 403
        assert "Audit" in await visible(visitor)


async def test_no_form_however_odd_breaks_a_page(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    odd = ["", "a b", "é", "x\x00", "n" * 300, "-1", "9" * 30]
    async with desk.visit("demo-specialist") as visitor:
        digest = await visitor.digest(case.case_id)
        for method, path in ROUTES:
            if method != "POST":
                continue
            for value in odd:
                fields: dict[str, Any] = dict.fromkeys(
                    (
                        "to",
                        "act",
                        "code",
                        "amount",
                        "reply",
                        "note",
                        "letter",
                        "refund_id",
                        "author",
                        "text",
                        "verdict",
                        "items",
                        "asks",
                    ),
                    value,
                )
                for act in ("settle", "edit", "reject", "propose", value):
                    answer = await visitor.post(
                        concrete(path, case.case_id), **{**fields, "act": act, "digest": digest}
                    )
                    assert answer.status_code < 500, (path, act, value, answer.text)
        csrf = await visitor.csrf()
        for charset, body in (("undefined", b"x"), ("utf-7", b"+2AA-")):
            parts = (
                b'--b\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n'
                + csrf.encode()
                + b'\r\n--b\r\ncontent-disposition: form-data; name="note"\r\n\r\n'
                + body
                + b"\r\n--b--\r\n"
            )
            headers = {"content-type": f"multipart/form-data; boundary=b; charset={charset}"}
            answer = await visitor.client.post(
                f"/cases/{case.case_id}/decide", content=parts, headers=headers
            )
            assert answer.status_code in {403, 422}, answer.text
        for path in (
            "/",
            "/rows",
            "/audit",
            "/unknown",
            "/next",
            "/strip/x",
            "/cases/%00",
            "/cases/%ff/status",
        ):
            for query in (
                "?page=99999999999",
                "?search=%00",
                "?least=%ff",
                "?after=%00",
                "?done=%3Cscript%3E",
                "?case=x&since=%00",
            ):
                assert (await visitor.get(path + query)).status_code < 500, path + query


async def test_signing_in_again_in_another_window_keeps_the_forms_of_the_same_person(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    passwords = demo_passwords(desk.stage.house.home)
    async with desk.visit() as visitor:
        csrf, digest = await visitor.csrf(), await visitor.digest(case.case_id)
        await desk.stage.move_clock(hours=13)
        out = await visitor.client.get(f"/cases/{case.case_id}/status", headers={"hx-request": "true"})
        assert (out.status_code, "hx-redirect" in out.headers) == (401, False)
        await sign_in(visitor.client, "demo-reviewer", passwords["demo-reviewer"])
        said = {"act": "approve", "digest": digest, "csrf": csrf}
        assert (await visitor.client.post(f"/cases/{case.case_id}/decide", data=said)).status_code == 303
        await sign_in(visitor.client, "demo-auditor", passwords["demo-auditor"])
        visitor.known.clear()
        assert await visitor.csrf() != csrf


async def test_nobody_is_signed_in_by_another_site(desk: DeskStage) -> None:
    form = {"name": "demo-reviewer", "password": demo_passwords(desk.stage.house.home)["demo-reviewer"]}
    async with desk.client(None) as client:
        answer = await client.post("/sign-in", data=form, headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
