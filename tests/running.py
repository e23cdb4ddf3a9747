"""A house that really runs: `countersign serve` in a process of its own, with its real processes and its real ports."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient
from prepared import copy_home
from psycopg.rows import dict_row
from stage import MANY_ORDERS, MANY_PAYMENTS

from runtime.embedded import EmbeddedPostgres
from runtime.home import DATABASE

Found = TypeVar("Found")

COUNTERSIGN = Path(sys.executable).parent / "countersign"
CERTIFICATES = ssl.create_default_context()
"""Read once: no client here speaks TLS, and each would spend forty milliseconds on reading them."""

INBOX = "https://inbox.example"
"""An origin of a page that the shared house lets in, beside Studio's."""

PATIENCE = 90.0
"""For what takes a second on an idle machine; a limit, never a measure."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(look: Callable[[], Found], what: str, patience: float = PATIENCE) -> Found:
    """Look again and again until there is something."""
    deadline = time.monotonic() + patience
    seen: Found
    while not (seen := look()):
        assert time.monotonic() < deadline, f"never {what}"
        time.sleep(0.05)
    return seen


def drop_home(folder: Path) -> None:
    """Stop the Postgres of a home and remove its data, wherever it was put."""
    postgres = EmbeddedPostgres(folder)
    postgres.stop()
    shutil.rmtree(postgres.folder, ignore_errors=True)


@dataclass
class RunningHouse:
    """One home and the processes on it."""

    folder: Path
    runner: str = "server"
    workers: int = 2
    environment: dict[str, str] = field(default_factory=dict)
    graph_port: int = field(default_factory=free_port)
    desk_port: int = field(default_factory=free_port)
    supervisor: subprocess.Popen[bytes] | None = None
    clients: dict[str, SyncLangGraphClient] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "serve.log"

    @property
    def graph_url(self) -> str:
        return f"http://127.0.0.1:{self.graph_port}"

    @property
    def desk_url(self) -> str:
        return f"http://127.0.0.1:{self.desk_port}"

    def command(self) -> list[str]:
        return [
            str(COUNTERSIGN), "serve", "--graph-port", str(self.graph_port), "--desk-port", str(self.desk_port),
            "--runner", self.runner, "--workers", str(self.workers),
        ]  # fmt: skip

    def variables(self) -> dict[str, str]:
        at_once = {"DESK_TAKE_BACK_SECONDS": "0"}  # where it is the subject it is said otherwise
        return {
            "PATH": os.environ["PATH"],
            "COUNTERSIGN_HOME": str(self.folder),
            **at_once,
            **self.environment,
        }

    def start(self, *, fresh: bool = False) -> "RunningHouse":
        """Bring it up; on a copy of the prepared home where there is none yet and none is to be made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not fresh and not (self.folder / "postgres.folder").exists():
            copy_home(self.folder)
        with self.log.open("wb") as log:
            self.supervisor = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.variables(),
                start_new_session=True,
            )
        until(lambda: "The house is open." in self.said() or self.over(), "open")
        assert not self.over(), self.said()[-4_000:]
        return self

    def over(self) -> bool:
        return self.supervisor is not None and self.supervisor.poll() is not None

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def pids(self) -> dict[str, int]:
        """The processes of the Procfile by name."""
        return {name: int(pid) for name, pid in re.findall(r"\| (\S+) started \(pid=(\d+)\)", self.said())}

    def postmaster(self) -> int:
        postgres = EmbeddedPostgres(self.folder)
        return int((postgres.data / "postmaster.pid").read_text().split()[0])

    def kill(self, *names: str) -> None:
        """kill -9 of these at once; the house then stops as a whole, unless it was Postgres."""
        pids = self.pids()
        for name in names:
            os.kill(self.postmaster() if name == "postgres" else pids[name], signal.SIGKILL)

    def kill_all(self) -> None:
        """kill -9 of everything at once: the supervisor first, so that nobody tidies up."""
        victims = [*self.pids().values()]
        with suppress(OSError, IndexError):  # one that was killed a moment ago is being started again
            victims.append(self.postmaster())
        assert self.supervisor is not None
        os.killpg(self.supervisor.pid, signal.SIGKILL)
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.supervisor.wait(timeout=PATIENCE)

    def wait(self) -> int:
        assert self.supervisor is not None
        return self.supervisor.wait(timeout=PATIENCE)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        assert self.supervisor is not None
        if not self.over():
            self.supervisor.send_signal(how)
        return self.wait()

    def close(self) -> None:
        """Whatever is left is ended."""
        for client in self.clients.values():
            client.close()
        if self.supervisor is not None:
            with suppress(subprocess.TimeoutExpired):
                self.stop()
            if not self.over():
                self.kill_all()
        drop_home(self.folder)

    def tokens(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in ("demo-tokens.json", "demo-server-tokens.json"):
            found |= json.loads((self.folder / name).read_text())
        return found

    def desk(self, person: str = "demo-helpdesk") -> httpx.Client:
        token = self.tokens()[person]
        return httpx.Client(
            base_url=self.desk_url,
            headers={"authorization": f"Bearer {token}"},
            timeout=60.0,
            verify=CERTIFICATES,
        )

    def graph(self, person: str | None = "demo-reviewer", **headers: str) -> httpx.Client:
        """The server API without a client library."""
        if person is not None:
            headers = {"authorization": f"Bearer {self.tokens()[f'{person}@server']}", **headers}
        return httpx.Client(base_url=self.graph_url, headers=headers, timeout=60.0, verify=CERTIFICATES)

    def sdk(self, person: str = "demo-reviewer") -> SyncLangGraphClient:
        if person not in self.clients:
            token = self.tokens()[f"{person}@server"]
            headers = {"authorization": f"Bearer {token}"}
            self.clients[person] = get_sync_client(url=self.graph_url, headers=headers)
        return self.clients[person]

    def admin_url(self) -> str:
        return EmbeddedPostgres(self.folder).url(DATABASE)

    def sql(self, text: str, *values: object) -> list[dict[str, Any]]:
        """As the superuser, past every wall."""
        with psycopg.connect(self.admin_url(), autocommit=True, row_factory=dict_row) as connection:
            connection.execute("set search_path = books, jobs")
            cursor = connection.execute(text.encode(), values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def many_orders(self, most: int, letter: str = "X") -> None:
        """Orders X0 to X<most> of customer C100, 79.00 USD each, as D300."""
        with psycopg.connect(self.admin_url(), autocommit=True) as connection:
            connection.execute(MANY_ORDERS, {"most": most, "letter": letter})
            connection.execute(MANY_PAYMENTS, {"most": most, "letter": letter})

    def ticket(self, **fields: object) -> dict[str, object]:
        ticket: dict[str, object] = {
            "ticket_id": f"t-{uuid.uuid4().hex[:12]}",
            "tenant": "demo",
            "customer_id": "C100",
            "order_id": "D300",
            "question": "My tablet arrived cracked. I want a refund, please.",
            "intent": "refund_request",
        }
        return {name: value for name, value in (ticket | fields).items() if value is not None}

    def submit(self, **fields: object) -> str:
        """A ticket at the desk; its case id."""
        with self.desk() as desk:
            answer = desk.post("/api/tickets", json=self.ticket(**fields))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["case_id"])

    def case(self, case_id: str) -> dict[str, Any]:
        with self.desk("demo-auditor") as desk:
            answer = desk.get(f"/api/cases/{case_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def status(self, case_id: str) -> str:
        return str(self.case(case_id)["state"]["status"])

    def reaches(self, case_id: str, *statuses: str) -> dict[str, Any]:
        """The case once it stands at one of these."""
        until(lambda: self.status(case_id) in statuses, f"{case_id} at {statuses}: {self.status(case_id)}")
        return self.case(case_id)

    def paused(self, **fields: object) -> dict[str, Any]:
        """A case at the pause."""
        return self.reaches(self.submit(**fields), "needs_human")

    def decide(self, case: dict[str, Any], who: str = "demo-reviewer", **body: object) -> httpx.Response:
        said = {"word": "approve", "digest": case["state"]["proposal"]["digest"], **body}
        with self.desk(who) as desk:
            return desk.post(f"/api/cases/{case['case_id']}/decisions", json=said)

    def refunds(self) -> list[dict[str, Any]]:
        """The provider's own list."""
        with sqlite3.connect(f"file:{self.folder / 'provider.sqlite'}?mode=ro", uri=True) as provider:
            provider.row_factory = sqlite3.Row
            return [dict(row) for row in provider.execute("select * from refunds")]
