"""Serve: bring the house up in order, say when it works, keep the books running, and stop all of it cleanly."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import honcho.manager
import httpx
import psycopg
from honcho.environ import parse_procfile
from honcho.manager import Manager

from app.shop import PEOPLE, demo_passwords, demo_tokens, on_server
from deploy.console import Console, LogForm, printer_of
from deploy.environment import ROOT, Addresses, environments
from graph.settings import STUDIO, RunnerKind
from records.books import BooksAway
from records.connection import connection_string
from runtime.embedded import EmbeddedPostgres
from runtime.home import Home

HOUSE_LOCK = 4_071_776_004
READY_SECONDS = 90.0
LOOK_SECONDS = 0.25
MODELS = ("language", "meaning")
"""Processes of the Procfile that serve models of this machine."""

STOP_SECONDS = 25
"""From being told to stop to being stopped by force: longer than anything that a process may have in hand."""


class CannotServe(Exception):
    """The house cannot come up; the message says why and how to go on."""


@dataclass(frozen=True, slots=True)
class ServePlan:
    """What is to run."""

    home: Home
    admin_url: str
    addresses: Addresses
    runner: RunnerKind = "server"
    workers: int = 2
    logs: LogForm = "auto"
    origins: tuple[str, ...] = ()
    """Of pages that may call the server API."""

    models: bool = False
    """Whether models of this machine run beside it."""


class HouseLock:
    """The lock of the only house on a database; it ends with this process, however that ends."""

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url
        self._connection = self._take()

    def _take(self) -> psycopg.Connection:
        try:
            connection = psycopg.connect(connection_string(self._url), autocommit=True)
        except psycopg.OperationalError as error:
            raise BooksAway(str(error).strip().splitlines()[-1]) from None
        row = connection.execute("select pg_try_advisory_lock(%s)", (HOUSE_LOCK,)).fetchone()
        if row != (True,):
            connection.close()
            raise CannotServe(
                "another house works on this database: stop it,"
                " or set COUNTERSIGN_HOME or DATABASE_URL to one of your own"
            )
        return connection

    def keep(self) -> None:
        """Hold it still; taken anew where the books were away. Raises BooksAway, CannotServe."""
        try:
            self._connection.execute("select 1")
        except psycopg.Error:
            self._connection.close()
            self._connection = self._take()

    def release(self) -> None:
        """Let another house in."""
        self._connection.close()


@contextmanager
def only_house(admin_url: str) -> Iterator[HouseLock]:
    """Be the only house on a database for as long as the block takes. Raises CannotServe."""
    lock = HouseLock(admin_url)
    try:
        yield lock
    finally:
        lock.release()


def check_ports(addresses: Addresses) -> None:
    """CannotServe where somebody listens already."""
    for port, option in ((addresses.graph_port, "--graph-port"), (addresses.desk_port, "--desk-port")):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise CannotServe(
                    f"port {port} is in use: stop what listens there, or choose another with {option}"
                ) from None


def processes(procfile: str, runner: RunnerKind, workers: int, *, models: bool = False) -> dict[str, str]:
    """The commands of the Procfile by the name of each process; workers and models of the house only where wanted."""
    listed: Mapping[str, str] = parse_procfile(procfile).processes
    left_out = {"worker"} if models else {"worker", *MODELS}
    found = {name: command for name, command in listed.items() if name not in left_out}
    if runner == "workers":
        found |= {f"worker-{number}": listed["worker"] for number in range(1, workers + 1)}
    return found


def serve(
    plan: ServePlan, lock: HouseLock, environment: Mapping[str, str], say: Callable[[str], None]
) -> int:
    """Run until told to stop; 0 after a clean stop, 1 where a process ended by itself."""
    honcho.manager.KILL_WAIT = STOP_SECONDS
    told = environments(plan.home, plan.admin_url, plan.addresses, plan.runner, environment)
    printer = printer_of(plan.logs, plan.home.folder)
    manager = Manager(printer)
    workplace = plan.home.folder / "graph"
    workplace.mkdir(parents=True, exist_ok=True)
    procfile = (ROOT / "Procfile").read_text(encoding="utf-8")
    listed = processes(procfile, plan.runner, plan.workers, models=plan.models)
    for name, command in listed.items():
        cwd = workplace if name == "graph" else ROOT
        manager.add_process(name, command, env=told[name.partition("-")[0]], cwd=str(cwd))
    over = threading.Event()
    watchers = [
        threading.Thread(
            target=_announce,
            args=(plan, manager, say, over, printer if isinstance(printer, Console) else None),
            daemon=True,
        ),
        threading.Thread(target=_keep_books, args=(plan.home, manager, lock, say, over), daemon=True),
    ]
    for watcher in watchers:
        watcher.start()
    try:
        manager.loop()
    finally:
        over.set()
        for watcher in watchers:
            watcher.join(timeout=10)
    signalled = manager.returncode in {130, 143}
    return 0 if signalled else 1


def _announce(
    plan: ServePlan,
    manager: Manager,
    say: Callable[[str], None],
    over: threading.Event,
    console: Console | None,
) -> None:
    """Wait until the house answers a real request, and say so once; stop it where it does not in time."""
    deadline, began = time.monotonic() + READY_SECONDS, time.monotonic()
    ready: list[str] = []
    with httpx.Client(timeout=2.0, trust_env=False) as asker:
        while not over.wait(LOOK_SECONDS):
            why, working = not_ready(plan, asker)
            for name in working if console is not None else ():
                if name not in ready:
                    ready.append(name)
                    say(f"  {name:<14} ready after {time.monotonic() - began:.1f} s")
            if not why:
                say(welcome(plan))
                if console is not None:
                    say(f"Warnings and errors follow here; everything else is in {console.file.name}.\n")
                return
            if time.monotonic() > deadline:
                say(f"countersign: the house did not come up in {READY_SECONDS:.0f} s: {why}")
                manager.terminate()
                return


def not_ready(plan: ServePlan, asker: httpx.Client) -> tuple[str, list[str]]:
    """What does not work yet, and what does; nothing is missing where a person can sign in everywhere and every
    process was heard from."""
    token = demo_tokens(plan.home)[on_server("demo-auditor")]
    try:
        desk = asker.get(f"{plan.addresses.desk}/readyz")
        parts = desk.json().get("parts", {})
        working = [*(part for part, said in parts.items() if said == "ok"), "desk"]
        if desk.status_code != 200:
            missing = ", ".join(f"{part}: {said}" for part, said in parts.items() if said != "ok")
            return missing or "the desk is not ready", working
        graph = asker.post(
            f"{plan.addresses.graph}/threads/search",
            json={"limit": 1},
            headers={"authorization": f"Bearer {token}"},
        )
    except (httpx.HTTPError, ValueError) as error:
        return f"{type(error).__name__}", []
    return "" if graph.status_code == 200 else f"graph: {graph.status_code}", working


def welcome(plan: ServePlan) -> str:
    """The addresses and the sign-ins; Studio's, where its origin is let in."""
    tokens, passwords = demo_tokens(plan.home), demo_passwords(plan.home)
    books = plan.admin_url.rpartition("@")[2]
    lines = [
        "",
        "The house is open.",
        f"  desk    {plan.addresses.desk}   (the page; its API under /api, OpenAPI at /api/openapi.json)",
        f"  graph   {plan.addresses.graph}   (LangGraph server API, graph id refund_agent; runner: {plan.runner})",
        *([f"  studio  {STUDIO}/studio/?baseUrl={plan.addresses.graph}"] if STUDIO in plan.origins else []),
        f"  books   postgresql://{books}",
        "",
        "Sign-ins of the demo shop: a name and a password at the page; Authorization: Bearer <token> for the APIs",
    ]
    for person, role in PEOPLE.items():
        password = passwords.get(person, "-")
        lines.append(
            f"  {person:<18} {role:<10} page {password:<16}  desk {tokens[person]}  graph {tokens[on_server(person)]}"
        )
    lines += ["", "Ctrl-C stops all of it."]
    return "\n".join(lines)


def _keep_books(
    home: Home, manager: Manager, lock: HouseLock, say: Callable[[str], None], over: threading.Event
) -> None:
    """Start the embedded Postgres again where it has died, on its own port, and stay the only house on it."""
    postgres = EmbeddedPostgres(home.folder)
    while not over.wait(1.0):
        try:
            if home.database_url is None and not postgres.answers() and not over.is_set():
                postgres.start()
            lock.keep()
        except BooksAway:
            continue
        except CannotServe as error:
            say(f"countersign: {error}")
            manager.terminate()
            return
