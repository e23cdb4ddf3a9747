"""The desk's API: a token, a scope and a tenant on every route; what is refused says why; the contract is published."""

import uuid
from typing import Any

import pytest
from desk_kit import DeskStage
from fastapi.routing import APIRoute

from desk.authentication import OPEN
from refunds.canonical import sha256


def all_routes(desk: DeskStage) -> list[Any]:
    """The app's routes and those of the routers in it."""
    found: list[Any] = []
    for route in desk.app.routes:
        inner = getattr(route, "original_router", None)
        found += inner.routes if inner is not None else [route]
    # The pages have a table of their own.
    return [route for route in found if route.path.startswith("/api/") or route.path in OPEN]


def routes(desk: DeskStage) -> list[tuple[str, str]]:
    """Every route of the app with a method."""
    found = [
        (method, route.path)
        for route in all_routes(desk)
        for method in sorted(getattr(route, "methods", None) or ())
        if method != "HEAD"
    ]
    assert len(found) > 15
    return found


def concrete(path: str) -> str:
    return path.replace("{case_id}", str(uuid.uuid4())).replace("{job}", "1")


async def test_every_route_wants_a_token(desk: DeskStage) -> None:
    for method, path in routes(desk):
        for who in (None, "cs_nobody"):
            answer = await desk.ask(method, concrete(path), {}, who)
            if path in OPEN:
                assert answer.status_code in {200, 503}, (method, path)
            else:
                assert answer.status_code == 401, (method, path, answer.status_code, answer.text)


async def test_every_route_wants_a_scope(desk: DeskStage) -> None:
    """The person has every role; the token is for nothing."""
    token = "cs_for_nothing"
    for role in ("specialist", "operator", "service"):
        await desk.stage.sql(
            "insert into books.memberships values ('demo', 'demo-reviewer', %s) on conflict do nothing", role
        )
    for audience, ceiling in (("desk", None), ("server", 1)):
        await desk.stage.sql(
            "insert into books.tokens (token_sha256, person, audience, ceiling_minor, expires_at)"
            " values (%s, 'demo-reviewer', %s, %s, now() + interval '1 day')",
            sha256(token + audience), audience, ceiling,
        )  # fmt: skip
    for method, path in routes(desk):
        if path not in OPEN:
            audience = "server" if path.startswith("/api/server") else "desk"
            answer = await desk.ask(method, concrete(path), {}, token + audience)
            assert answer.status_code == 403, (method, path, answer.status_code, answer.text)
            assert "is not for" in answer.json()["detail"]


async def test_a_token_that_has_ended_or_a_person_who_left_is_nobody(desk: DeskStage) -> None:
    await desk.stage.sql("update books.people set active = false where person = 'demo-reviewer'")
    assert (await desk.ask("GET", "/api/me")).status_code == 401
    await desk.stage.sql("update books.tokens set expires_at = now() - interval '1 minute'")
    assert (await desk.ask("GET", "/api/me", who="demo-auditor")).status_code == 401


async def test_another_tenants_cases_are_not_there(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.stage.sql("insert into books.tenants (tenant, name) values ('other', 'Other')")
    await desk.stage.sql("update books.memberships set tenant = 'other' where person = 'demo-specialist'")
    for method, path, body in [
        ("GET", f"/api/cases/{case.case_id}", None),
        ("POST", f"/api/cases/{case.case_id}/decisions", {"word": "approve", "digest": "0" * 64}),
        ("POST", f"/api/cases/{case.case_id}/takeovers", {"act": "close", "note": "mine"}),
        ("POST", f"/api/cases/{case.case_id}/messages", {"text": "hello"}),
        ("POST", f"/api/cases/{case.case_id}/claim", None),
    ]:
        assert (await desk.ask(method, path, body, "demo-specialist")).status_code == 404, path
    listed = await desk.ask("GET", "/api/cases?every=true", who="demo-specialist")
    assert listed.json() == {"cases": []}
    assert (await desk.ask("GET", "/api/cases?tenant=demo", who="demo-specialist")).status_code == 403
    assert (await desk.ask("GET", "/api/ledger", who="demo-specialist")).json() == {"orders": []}


def ticket(**fields: object) -> dict[str, Any]:
    return {"ticket_id": "a-1", "tenant": "demo", "customer_id": "C100", "order_id": "D300", "question": "Where is it?"} | fields  # fmt: skip


async def test_a_ticket_becomes_a_case_once(desk: DeskStage) -> None:
    first = await desk.ask("POST", "/api/tickets", ticket(), "demo-helpdesk")
    again = await desk.ask("POST", "/api/tickets", ticket(), "demo-helpdesk")
    altered = await desk.ask("POST", "/api/tickets", ticket(question="Give me money"), "demo-helpdesk")
    assert (first.status_code, again.status_code, altered.status_code) == (201, 200, 409)
    assert first.json()["case_id"] == again.json()["case_id"]
    assert "a new ticket has an id of its own" in altered.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (ticket(amount=5), "amount"),
        (ticket(customer_id=7), "customer_id"),
        (ticket(question=""), "question"),
        (ticket(question="x" * 9_000), "question"),
        ({"tenant": "demo"}, "ticket_id"),
        ([ticket()], "ticket"),
    ],
)
async def test_a_bad_ticket_is_refused_by_its_field(desk: DeskStage, body: object, field: str) -> None:
    answer = await desk.ask("POST", "/api/tickets", body, "demo-helpdesk")
    assert answer.status_code == 422
    assert field in answer.json()["detail"]
    assert await desk.stage.count("cases") == 0


async def test_a_body_above_the_limit_is_413(desk: DeskStage) -> None:
    async with desk.client("demo-helpdesk") as client:
        assert (await client.post("/api/tickets", content=b"x" * 300_000)).status_code == 413

        async def drip() -> Any:
            for _ in range(40):
                yield b" " * 10_000

        assert (await client.post("/api/tickets", content=drip())).status_code == 413


async def test_a_stale_screen_is_409_and_says_who_and_when(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    before = await desk.view(case.case_id)
    stale = await desk.decide(case.case_id, digest="0" * 64)
    assert stale.status_code == 409
    assert stale.json()["case"] == f"http://desk/cases/{case.case_id}"
    assert await desk.view(case.case_id) == before
    assert (await desk.decide(case.case_id)).status_code == 200
    second = await desk.decide(case.case_id, "demo-reviewer-2")
    assert second.status_code == 409
    assert second.json()["detail"].startswith("demo-reviewer said approve at 20")


@pytest.mark.parametrize(
    "body",
    [
        {"word": "accept", "digest": "0" * 64},
        {"word": "approve"},
        {"word": "approve", "digest": "short"},
        {"word": "approve", "digest": "0" * 64, "person": "demo-specialist"},
        {"word": "approve", "digest": "0" * 64, "amount_minor": "5"},
        {"word": "reject", "digest": "0" * 64, "code": "because"},
        {"word": "revise", "digest": "0" * 64, "amount_minor": -1},
    ],
)
async def test_a_bad_decision_is_422(desk: DeskStage, body: dict[str, object]) -> None:
    case, state = await desk.stage.paused()
    answer = await desk.ask("POST", f"/api/cases/{case.case_id}/decisions", body)
    assert answer.status_code == 422, answer.text
    assert await desk.stage.house.state(case) == state


async def test_without_authority_it_is_403(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused(
        customer_id="C102", order_id="D302", question="My laptop arrived broken, refund please"
    )
    assert (await desk.decide(case.case_id)).status_code == 403
    assert (await desk.decide(case.case_id, "demo-auditor")).status_code == 403
    assert (await desk.decide(case.case_id, "demo-specialist")).status_code == 200


async def test_the_queue_has_owner_and_clock(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    assert (await desk.ask("POST", f"/api/cases/{case.case_id}/claim")).status_code == 200
    taken = await desk.ask("POST", f"/api/cases/{case.case_id}/claim", who="demo-reviewer-2")
    assert taken.status_code == 409
    assert taken.json()["detail"].startswith("demo-reviewer has claimed it")
    [row] = (await desk.ask("GET", "/api/cases")).json()["cases"]
    assert (row["owner"], row["kind"], row["amount_minor"]) == ("demo-reviewer", "refund", 7_900)
    assert row["due_at"] > row["at"]
    await desk.stage.move_clock(minutes=16)
    assert (
        await desk.ask("POST", f"/api/cases/{case.case_id}/claim", who="demo-reviewer-2")
    ).status_code == 200


async def test_the_queue_is_paged_and_filtered(desk: DeskStage) -> None:
    for _ in range(5):
        await desk.stage.paused(order_id=None)
    first = (await desk.ask("GET", "/api/cases?most=3")).json()["cases"]
    rest = (await desk.ask("GET", "/api/cases?most=3&skip=3")).json()["cases"]
    assert (len(first), len(rest)) == (3, 2)
    assert not {row["case_id"] for row in first} & {row["case_id"] for row in rest}
    assert (await desk.ask("GET", "/api/cases?status=rejected")).json()["cases"] == []
    assert (await desk.ask("GET", "/api/cases?status=lost")).status_code == 422


async def test_a_case_id_that_is_somebodys_ticket_id_finds_the_case(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    decoy = await desk.stage.submit(ticket_id=str(case.case_id), order_id=None)
    assert decoy.case_id != case.case_id
    assert (await desk.view(case.case_id))["case_id"] == str(case.case_id)


@pytest.mark.parametrize("name", ["%00", "a%00b", "%0a", "%ff", "x" * 2_000])
async def test_a_case_of_no_name_is_404(desk: DeskStage, name: str) -> None:
    for method, path, body in [
        ("GET", f"/api/cases/{name}", None),
        ("POST", f"/api/cases/{name}/messages", {"text": "hello"}),
        ("POST", f"/api/cases/{name}/decisions", {"word": "approve", "digest": "0" * 64}),
    ]:
        who = "demo-helpdesk" if "messages" in path else "demo-reviewer"
        assert (await desk.ask(method, path, body, who)).status_code == 404, path


async def test_a_body_above_the_limit_is_413_on_every_route(desk: DeskStage) -> None:
    async def drip() -> Any:
        for _ in range(40):
            yield b" " * 10_000

    async with desk.client() as client:
        for path in ("/api/tickets", "/api/flags/kill_switch", f"/api/cases/{uuid.uuid4()}/decisions"):
            answer = await client.post(path, content=drip(), headers={"content-type": "application/json"})
            assert answer.status_code == 413, (path, answer.text)


async def test_the_kill_switch_is_an_operators(desk: DeskStage) -> None:
    said = {"on": True, "reason": "provider incident"}
    assert (await desk.ask("POST", "/api/flags/kill_switch", said)).status_code == 403
    assert (await desk.ask("POST", "/api/flags/kill_switch", said, "demo-operator")).status_code == 200
    [flag] = (await desk.ask("GET", "/api/flags")).json()["flags"]
    assert (flag["value"], flag["set_by"], flag["reason"]) == ("on", "demo-operator", "provider incident")


async def test_the_contract_is_published_whole(desk: DeskStage) -> None:
    """Every route with what it does, what it takes, what it gives and how it refuses."""
    spec = (await desk.ask("GET", "/api/openapi.json", who=None)).json()
    for method, path in routes(desk):
        if path == "/api/openapi.json":
            continue
        operation = spec["paths"][path][method.lower()]
        assert operation["description"], (method, path)
        good = next(iter(operation["responses"]))
        assert operation["responses"][good]["content"], (method, path)
        if path not in OPEN:
            assert {"401", "403", "422", "503"} <= set(operation["responses"]), (method, path)
            assert operation["security"] == [{"HTTPBearer": []}], (method, path)
        if method == "POST" and path not in {
            "/api/cases/{case_id}/claim",
            "/api/cases/{case_id}/release",
            "/api/jobs/{job}/replay",
        }:
            content = operation["requestBody"]["content"]
            assert (content.get("application/json") or content["application/octet-stream"])["schema"], (
                method,
                path,
            )
    assert spec["components"]["securitySchemes"] == {"HTTPBearer": {"type": "http", "scheme": "bearer"}}


async def test_with_the_books_away_it_is_503(desk: DeskStage) -> None:
    case, _ = await desk.stage.paused()
    await desk.services.books.pool.close()
    for path in ("/api/me", f"/api/cases/{case.case_id}", "/readyz"):
        answer = await desk.ask("GET", path)
        assert answer.status_code == 503, (path, answer.text)
    assert (await desk.ask("GET", "/healthz")).status_code == 200


def test_no_handler_is_without_a_type(desk: DeskStage) -> None:
    typed = [route for route in all_routes(desk) if isinstance(route, APIRoute) and route.path != "/metrics"]
    assert len(typed) > 15
    for route in typed:
        assert route.response_model is not None, route.path


async def test_a_key_given_twice_is_refused_on_every_route_that_reads_a_body(desk: DeskStage) -> None:
    """Two readers of such a body read two things; `decisions` once took the last word."""
    spec = (await desk.ask("GET", "/api/openapi.json")).json()
    read = [
        (method, path)
        for method, path in routes(desk)
        if "application/json"
        in spec["paths"].get(path, {}).get(method.lower(), {}).get("requestBody", {}).get("content", {})
    ]
    assert len(read) > 12
    for method, path in read:
        async with desk.client("demo-reviewer") as client:
            answer = await client.request(
                method,
                concrete(path),
                content='{"word": "reject", "word": "approve"}',
                headers={"content-type": "application/json"},
            )
        assert (answer.status_code, "word: given twice" in answer.text) == (422, True), (path, answer.text)
    async with desk.client("demo-reviewer") as client:
        for odd in ('"\\ud800"', '"\\u0000"', f'"{"k" * 200}"'):
            body = f"{{{odd}: 1, {odd}: 2}}"
            answer = await client.post(
                concrete(read[0][1]), content=body, headers={"content-type": "application/json"}
            )
            assert (answer.status_code, "a key: given twice" in answer.text) == (422, True), (
                odd,
                answer.text,
            )
