"""Pages of other origins: those that are listed may ask, and are answered like any program; all others may not."""

import httpx
import pytest
from pydantic import ValidationError
from running import INBOX, RunningHouse
from starlette.responses import PlainTextResponse

from graph.server.origins import AllowedOrigins
from graph.settings import STUDIO, GraphSettings

ASKED = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, x-api-key, x-auth-scheme, content-type",
    "access-control-request-private-network": "true",
}
STRANGE = (
    "https://evil.example",
    "null",
    "http://smith.langchain.com",
    "https://smith.langchain.com:444",
    "https://smith.langchain.com.evil.example",
    "https://evil.example/https://smith.langchain.com",
    "http://inbox.example",
    "https://inbox.example:3001",
    "https://sub.inbox.example",
    "http://127.0.0.1:3000",
    "",
)


@pytest.mark.parametrize("origin", [STUDIO, INBOX])
def test_a_listed_origin_may_ask_as_its_clients_do(running: RunningHouse, origin: str) -> None:
    with running.graph(None, origin=origin) as page:
        leave = page.options("/threads/search", headers=ASKED)
        assert leave.status_code == 200, leave.text
        told = leave.headers
        assert told["access-control-allow-origin"] == origin
        assert told["access-control-allow-private-network"] == "true"
        assert {"GET", "POST", "PATCH", "DELETE"} <= set(told["access-control-allow-methods"].split(", "))
        assert {"authorization", "x-api-key", "x-auth-scheme", "last-event-id"} <= set(
            told["access-control-allow-headers"].split(", ")
        )
        assert "access-control-allow-credentials" not in told
        token = running.tokens()["demo-reviewer@server"]
        for credential in ({"authorization": f"Bearer {token}"}, {"x-api-key": token}):
            found = page.post("/threads/search", json={"limit": 1}, headers=credential)
            assert found.status_code == 200
            assert found.headers["access-control-allow-origin"] == origin
            assert "content-location" in found.headers["access-control-expose-headers"]
        # A cookie is no credential, and a header that no client sends gets no leave.
        assert page.post("/threads/search", json={}, headers={"cookie": f"token={token}"}).status_code == 401
        assert page.options(
            "/threads", headers={**ASKED, "access-control-request-headers": "x-evil"}
        ).is_error


@pytest.mark.parametrize("origin", STRANGE)
def test_no_other_origin_gets_leave(running: RunningHouse, origin: str) -> None:
    token = running.tokens()["demo-reviewer@server"]
    with running.graph(None, origin=origin) as page:
        for path in ("/threads/search", "/ok", "/threads", "/nowhere"):
            leave = page.options(path, headers=ASKED)
            assert leave.is_error
            for name in ("access-control-allow-origin", "access-control-allow-private-network"):
                assert name not in leave.headers
        answer = page.post("/threads/search", json={"limit": 1}, headers={"authorization": f"Bearer {token}"})
        assert "access-control-allow-origin" not in answer.headers


async def test_without_a_list_no_page_gets_leave() -> None:
    transport = httpx.ASGITransport(AllowedOrigins(PlainTextResponse("here"), listed=tuple))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as page:
        for origin in (STUDIO, INBOX, *STRANGE):
            leave = await page.options("/ok", headers={**ASKED, "origin": origin})
            assert leave.is_error and "access-control-allow-origin" not in leave.headers
            answer = await page.get("/ok", headers={"origin": origin})
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        ("", ()),
        ("studio", (STUDIO,)),
        ("studio, HTTPS://Inbox.example/", (STUDIO, INBOX)),
        ("https://inbox.example:443, http://localhost:80", (INBOX, "http://localhost")),
        ("https://[::1]:8443 http://localhost:3000", ("https://[::1]:8443", "http://localhost:3000")),
    ],
)
def test_the_setting_lists_origins(
    monkeypatch: pytest.MonkeyPatch, said: str, listed: tuple[str, ...]
) -> None:
    monkeypatch.setenv("GRAPH_ALLOWED_ORIGINS", said)
    assert GraphSettings(database_url="x", intake_keys="k").allowed_origins == listed


@pytest.mark.parametrize(
    "said",
    [
        "*",
        "null",
        "https://*.example",
        "inbox.example",
        "https://a.example/path",
        "file://x",
        "https://..",
        "https://-.x",
    ],
)
def test_a_pattern_is_no_origin(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("GRAPH_ALLOWED_ORIGINS", said)
    with pytest.raises(ValidationError, match="not an origin"):
        GraphSettings(database_url="x", intake_keys="k")


def test_studios_address_is_said_where_its_page_is_let_in(running: RunningHouse) -> None:
    assert f"  studio  {STUDIO}/studio/?baseUrl={running.graph_url}\n" in running.said()
