"""Another house vouches for people: a real OpenID provider, its code flow with PKCE, its claims and what they may not do."""

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from desk_kit import SECRET, DeskStage
from pydantic import SecretStr
from stage import Stage

from desk.app import create_app
from desk.oidc import Issuer
from desk.settings import DeskSettings

BROWSER = Path(__file__).parents[1] / "browser"
BACK = "http://desk/sign-in/issuer/back"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (BROWSER / "node_modules/oidc-provider").exists(),
    reason="no OpenID provider here: npm ci --prefix tests/browser brings one",
)

ANN = {
    "sub": "s-1",
    "name": "Ann Example",
    "preferred_username": "ann@shop.example",
    "countersign": {"demo": ["reviewer"], "nowhere": ["operator"]},
}


@dataclass(frozen=True)
class Provider:
    """The provider's process."""

    url: str

    def vouch(self, **claims: Any) -> None:
        assert httpx.post(f"{self.url}/people", json={**ANN, **claims}, trust_env=False).text == "ok"


@pytest.fixture(scope="module", name="provider")
def _provider() -> Iterator[Provider]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(shutil.which("node")), "issuer.mjs", str(port), BACK],
        cwd=BROWSER,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    yield Provider(f"http://127.0.0.1:{port}")
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.fixture(name="vouched")
async def _vouched(desk: DeskStage, provider: Provider) -> AsyncIterator[DeskStage]:
    settings = DeskSettings(
        database_url=SecretStr(desk.stage.desk_url),
        key_file=Path("none"),
        intake_keys=Path("none"),
        session_secret=SecretStr(SECRET),
        oidc_issuer=provider.url,
        oidc_client_id="countersign",
        oidc_client_secret=SecretStr("a-secret-of-tests"),
    )
    services = replace(desk.services, issuer=Issuer.of(settings, desk.stage.house.desk_books))
    yield replace(desk, services=services, app=create_app(services))


class Browser:
    """A visitor that follows redirects between the desk and the provider, each with its own cookies."""

    def __init__(self, desk: DeskStage) -> None:
        transport = httpx.ASGITransport(app=desk.app, raise_app_exceptions=False)
        self.desk = httpx.AsyncClient(transport=transport, base_url="http://desk")
        self.outside = httpx.AsyncClient(trust_env=False)

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.desk.aclose()
        await self.outside.aclose()

    async def go(self, address: str) -> httpx.Response:
        for _ in range(12):
            at_desk = address.startswith(("/", "http://desk"))
            answer = await (self.desk if at_desk else self.outside).get(address)
            if answer.status_code not in {302, 303}:
                return answer
            address = str(answer.url.join(answer.headers["location"]))
        raise AssertionError("sent in circles")

    async def way(self) -> str:
        """The address at the provider that the desk sends its visitor to."""
        return str((await self.desk.get("/sign-in/issuer")).headers["location"])


async def test_a_person_signs_in_with_the_roles_of_their_claims_and_decides(
    vouched: DeskStage, provider: Provider
) -> None:
    provider.vouch()
    case, _ = await vouched.stage.paused()
    async with Browser(vouched) as browser:
        asked = parse_qs(urlsplit(await browser.way()).query)
        assert (
            asked["code_challenge_method"] == ["S256"]
            and asked["response_type"] == ["code"]
            and asked["state"]
            and asked["nonce"]
        )
        page = await browser.go("/sign-in/issuer")
        assert page.status_code == 200 and "ann@shop.example" in page.text and case.ticket_id in page.text
        from desk_kit import Visitor

        assert (await Visitor(browser.desk).decide(case.case_id, "approve")).status_code == 200
    [vote] = await vouched.stage.sql("select person from books.votes")
    assert vote["person"] == "ann@shop.example"
    rows = await vouched.stage.sql(
        "select tenant, role::text from books.memberships where person = 'ann@shop.example'"
    )
    assert [(row["tenant"], row["role"]) for row in rows] == [("demo", "reviewer")]


async def test_roles_follow_the_claims_of_the_newest_sign_in(vouched: DeskStage, provider: Provider) -> None:
    for roles, held in (
        (["specialist", "operator"], ["operator", "specialist"]),
        (["auditor", "service", "king"], ["auditor"]),
    ):
        provider.vouch(countersign={"demo": roles})
        async with Browser(vouched) as browser:
            assert (await browser.go("/sign-in/issuer")).status_code == 200
        rows = await vouched.stage.sql(
            "select role::text from books.memberships where person = 'ann@shop.example' order by role::text"
        )
        assert [row["role"] for row in rows] == held
    provider.vouch(countersign={"demo": []})
    async with Browser(vouched) as browser:
        refused = await browser.go("/sign-in/issuer")
        assert (refused.status_code, "has no role here" in refused.text) == (403, True)
    assert await vouched.stage.sql("select 1 from books.memberships where person = 'ann@shop.example'") == []
    provider.vouch(sub="s-stranger", preferred_username="stranger", countersign={})
    async with Browser(vouched) as browser:
        assert (await browser.go("/sign-in/issuer")).status_code == 403
    assert await vouched.stage.sql("select 1 from books.people where person = 'stranger'") == []


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": "demo-reviewer"},
        {"preferred_username": "two words"},
        {"preferred_username": ""},
        {"countersign": "demo:reviewer"},
        {"countersign": {"demo": "reviewer"}},
    ],
)
async def test_an_issuer_speaks_for_its_own_people_and_says_who_they_are(
    vouched: DeskStage, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.vouch(sub="s-2", **claims)
    async with Browser(vouched) as browser:
        assert (await browser.go("/sign-in/issuer")).status_code in {401, 403}
        assert (await browser.desk.get("/")).status_code == 303
    assert await vouched.stage.count("sessions") == 0


async def test_a_name_that_changes_hands_is_not_the_person(vouched: DeskStage, provider: Provider) -> None:
    provider.vouch()
    async with Browser(vouched) as browser:
        assert (await browser.go("/sign-in/issuer")).status_code == 200
    provider.vouch(sub="s-other")
    async with Browser(vouched) as browser:
        assert (await browser.go("/sign-in/issuer")).status_code == 403
    provider.vouch(preferred_username="ann.married@shop.example")
    async with Browser(vouched) as browser:
        assert "ann@shop.example" in (await browser.go("/sign-in/issuer")).text
    await vouched.stage.sql("update books.people set active = false where person = 'ann@shop.example'")
    async with Browser(vouched) as browser:
        assert (await browser.go("/sign-in/issuer")).status_code == 403


async def test_an_answer_that_was_not_asked_for_signs_nobody_in(
    vouched: DeskStage, provider: Provider
) -> None:
    """A code of somebody else's sign-in, a state of another visitor, the same code twice."""
    provider.vouch()
    async with Browser(vouched) as one, Browser(vouched) as other:
        answer = await one.outside.get(await one.way())
        while not answer.headers["location"].startswith(BACK):
            answer = await one.outside.get(str(answer.url.join(answer.headers["location"])))
        back = answer.headers["location"]
        assert (await other.desk.get(back)).status_code == 401
        assert (await other.desk.get("/sign-in/issuer/back?code=x&state=y")).status_code == 401
        assert (await one.desk.get(back)).status_code == 303
        assert (await one.desk.get(back)).status_code == 401
        assert (await one.desk.get("/sign-in/issuer/back?error=access_denied")).status_code == 401


async def test_without_an_issuer_there_is_none(desk: DeskStage) -> None:
    async with desk.client(None) as client:
        assert (await client.get("/sign-in/issuer")).status_code == 404
        assert "Sign in with" not in (await client.get("/sign-in")).text


async def test_an_issuer_that_is_away_is_said(stage: Stage, desk: DeskStage) -> None:
    settings = DeskSettings(
        database_url=SecretStr(stage.desk_url), key_file=Path("none"), intake_keys=Path("none"),
        session_secret=SecretStr(SECRET), oidc_issuer="http://127.0.0.1:9", oidc_client_id="x",
    )  # fmt: skip
    services = replace(desk.services, issuer=Issuer.of(settings, stage.house.desk_books))
    async with replace(desk, services=services, app=create_app(services)).client(None) as client:
        answer = await client.get("/sign-in/issuer")
        assert (answer.status_code, "cannot be reached" in answer.text) == (503, True)
