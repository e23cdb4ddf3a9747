"""The desk's services on the stage of a test, and a client that speaks to it as a person."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from fastapi import FastAPI
from stage import Stage

from app.shop import demo_passwords, demo_tokens
from desk.answers import Answers
from desk.app import create_app
from desk.channels import Channel, FileChannel
from desk.figures import Figures
from desk.follow_ups import FollowUps
from desk.health import Meters
from desk.held_approvals import HeldApprovals
from desk.live import Live
from desk.notices import Notices
from desk.outbox import Outbox
from desk.ratings import Ratings
from desk.releases import ReleaseStages
from desk.services import DeskServices
from desk.together import Together
from policies.countersigning import countersigning
from policies.rollout import rollout
from refunds.ids import CaseId, TenantId

SECRET = "a secret of tests that is long enough"

IDLE: list[FastAPI] = []
"""Apps that no test uses now. Each builds its routes at its first requests, which would cost every test a twentieth of a
second."""


@dataclass(frozen=True)
class DeskStage:
    """A stage with the desk's HTTP app in front of it."""

    stage: Stage
    services: DeskServices
    app: FastAPI
    outbox: Path

    def client(self, person: str | None = "demo-reviewer") -> httpx.AsyncClient:
        headers = {}
        if person is not None:
            token = demo_tokens(self.stage.house.home).get(person, person)
            headers = {"authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://desk", headers=headers)

    async def ask(
        self, method: str, path: str, body: object = None, who: str | None = "demo-reviewer", **more: Any
    ) -> httpx.Response:
        async with self.client(who) as client:
            return await client.request(method, path, json=body, **more)

    @asynccontextmanager
    async def visit(self, person: str = "demo-reviewer") -> AsyncIterator["Visitor"]:
        """A person who has signed in at the page."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
            password = demo_passwords(self.stage.house.home)[person]
            answer = await client.post("/sign-in", data={"name": person, "password": password})
            assert answer.status_code == 303, answer.text
            yield Visitor(client)

    async def newest(self, case_id: object) -> dict[str, Any]:
        """The newest proposal of a case."""
        rows = await self.stage.sql(
            "select *, body::jsonb as said from books.proposals where case_id = %s order by proposed_at desc limit 1",
            case_id,
        )
        return rows[0]

    async def view(self, case_id: object) -> dict[str, Any]:
        answer = await self.ask("GET", f"/api/cases/{case_id}", who="demo-auditor")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def status(self, case_id: object) -> str:
        return str((await self.view(case_id))["state"]["status"])

    async def decide(self, case_id: object, who: str = "demo-reviewer", **body: object) -> httpx.Response:
        proposal = (await self.view(case_id))["state"]["proposal"]
        said = {"word": "approve", "digest": proposal["digest"], **body}
        return await self.ask("POST", f"/api/cases/{case_id}/decisions", said, who)

    async def answer_customer(self, case_id: object) -> None:
        await self.services.outbox.answer(TenantId("demo"), CaseId(case_id))  # type: ignore[arg-type]

    def sent(self) -> list[str]:
        """The texts in the outbox folder."""
        return [file.read_text() for file in sorted(self.outbox.glob("*.eml"))]


@dataclass(frozen=True)
class Visitor:
    """A signed-in client; its forms carry the session's token."""

    client: httpx.AsyncClient
    known: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(path, **more)

    async def csrf(self) -> str:
        """The token of the session, read from a page once."""
        if "csrf" not in self.known:
            self.known["csrf"] = await self._csrf()
        return self.known["csrf"]

    async def _csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.get("/")).text)
        assert found is not None
        return found.group(1)

    async def post(self, path: str, *, fragment: bool = True, **fields: Any) -> httpx.Response:
        """A form of the page, as the page's own script sends it."""
        headers = {"hx-request": "true"} if fragment else {}
        return await self.client.post(path, data={"csrf": await self.csrf(), **fields}, headers=headers)

    async def digest(self, case_id: object) -> str:
        """The digest on the screen of a case."""
        found = re.search(r'name="digest" value="([0-9a-f]{64})"', (await self.get(f"/cases/{case_id}")).text)
        assert found is not None
        return found.group(1)

    async def decide(self, case_id: object, act: str, **fields: Any) -> httpx.Response:
        if "digest" not in fields:
            fields["digest"] = await self.digest(case_id)
        return await self.post(f"/cases/{case_id}/decide", act=act, **fields)


def desk_at(
    stage: Stage, folder: Path, channel: Channel | None = None, take_back_seconds: int = 0
) -> DeskStage:
    """A desk in front of a stage; its approvals count at once."""
    house = stage.house
    leaves_by = channel or FileChannel(folder / "outbox", "support@shop.example")
    held = HeldApprovals(house.desk_books, house.desk, take_back_seconds)
    services = DeskServices(
        books=house.desk_books,
        desk=house.desk,
        intake=house.intake,
        outbox=Outbox(house.desk_books, leaves_by, "shop.example", FollowUps(house.desk_books, house.intake)),
        manifest=house.manifest,
        public_url="http://desk",
        live=Live(stage.desk_url),
        notices=Notices(house.desk_books, None, None, "shop.example", "http://desk"),
        ratings=Ratings(house.desk_books, SECRET, "http://desk"),
        session_secret=SECRET,
        answers=Answers(house.desk_books, house.intake),
        held=held,
        together=Together(house.desk_books, house.manifest, house.desk, held, countersigning()),
        figures=Figures(seconds=0),
        release_stages=ReleaseStages(house.desk_books, rollout()),
    )
    app = IDLE.pop() if IDLE else create_app(services)
    app.state.services, app.state.meters = services, Meters()
    return DeskStage(stage, services, app, folder / "outbox")


class DeskStages(Protocol):
    """Opens a desk whose replies leave by a channel of the test's choice."""

    def __call__(self, channel: Channel) -> AbstractAsyncContextManager[DeskStage]: ...


@pytest.fixture(name="desk_on")
def desk_on_fixture(stage: Stage, tmp_path: Path) -> DeskStages:
    @asynccontextmanager
    async def opened(channel: Channel) -> AsyncIterator[DeskStage]:
        desk = desk_at(stage, tmp_path, channel)
        yield desk
        IDLE.append(desk.app)

    return opened


@pytest.fixture(name="desk")
async def desk_fixture(desk_on: DeskStages, tmp_path: Path) -> AsyncIterator[DeskStage]:
    async with desk_on(FileChannel(tmp_path / "outbox", "support@shop.example")) as opened:
        yield opened
