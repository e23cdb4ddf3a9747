"""The one HTTP call: the graph's process holds no grant and no key that decides, so it asks the desk, as the caller."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import httpx

from refunds.canonical import sha256
from refunds.ids import CaseId, PersonId, TenantId, ThreadId
from refunds.vocabulary import RejectCode, VoteWord

KNOWN_SECONDS = 3.0
"""For so long a caller need not be asked for again; a decision always is."""

KNOWN_MOST = 1_000


class DeskSaysNo(Exception):
    """The desk refused, or is away; with the HTTP status that says which."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks on the server API."""

    person: PersonId
    tenants: frozenset[TenantId]
    submits: frozenset[TenantId]
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class PersonsAnswer:
    """What a person said of a pause."""

    word: VoteWord
    digest: str | None = None
    code: RejectCode | None = None
    note: str | None = None


@dataclass(frozen=True)
class DeskCall:
    """The desk, as this process reaches it."""

    client: httpx.AsyncClient
    known: OrderedDict[str, tuple[float, Caller]] = field(default_factory=OrderedDict)

    async def who(self, token: str) -> Caller:
        """The person of a token of the server API. DeskSaysNo with 401 or 503."""
        name = sha256(token)
        if name in self.known and self.known[name][0] > time.monotonic():
            return self.known[name][1]
        said = await self._ask("GET", "/api/server/me", token)
        roles = {TenantId(tenant): set(held) for tenant, held in said["roles"].items()}
        caller = Caller(
            person=PersonId(said["person"]),
            tenants=frozenset(roles),
            submits=frozenset(tenant for tenant, held in roles.items() if held - {"auditor"}),
            scopes=frozenset(said["scopes"]),
        )
        self.known[name] = (time.monotonic() + KNOWN_SECONDS, caller)
        while len(self.known) > KNOWN_MOST:
            self.known.popitem(last=False)
        return caller

    async def decide(self, token: str, case_id: CaseId, thread_id: ThreadId, answer: PersonsAnswer) -> None:
        """Make an answer its person's decision. DeskSaysNo with 403, 409 or 503, and nothing was written."""
        body: dict[str, Any] = {"thread_id": str(thread_id), "word": answer.word}
        optional = {"digest": answer.digest, "code": answer.code, "note": answer.note}
        body |= {name: value for name, value in optional.items() if value is not None}
        await self._ask("POST", f"/api/server/cases/{case_id}/decisions", token, body)

    async def note_unread(self, token: str, case_id: CaseId, thread_id: ThreadId, why: str) -> None:
        """Have it written down that an answer could not be read. DeskSaysNo."""
        body = {"thread_id": str(thread_id), "why": why[:300]}
        await self._ask("POST", f"/api/server/cases/{case_id}/unread", token, body)

    async def _ask(
        self, method: str, path: str, token: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            answer = await self.client.request(
                method, path, json=body, headers={"authorization": f"Bearer {token}"}
            )
        except httpx.TransportError as error:
            asked = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            known = (
                "the case stays as it is, try again" if asked else "look at the case before you answer again"
            )
            raise DeskSaysNo(503, f"the desk is away: {known}") from None
        except ValueError:
            raise DeskSaysNo(401, "no token of the server API") from None
        try:
            said = answer.json()
        except ValueError:
            said = None
        if answer.status_code == 200 and isinstance(said, dict):
            return said
        detail = said.get("detail") if isinstance(said, dict) else None
        link = said.get("case") if isinstance(said, dict) else None
        status = answer.status_code if answer.status_code in {401, 403, 409, 422} else 503
        words = str(detail or "the desk gave no answer that can be read")
        raise DeskSaysNo(status, f"{words} ({link})" if link else words)
