"""The fixtures: one server a test process, one database a test, a whole house on it."""

import os

# Read by LangGraph when it is imported, so said before anything imports it.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
os.environ.setdefault("LANGSMITH_TRACING", "false")

import asyncio
import inspect
import shutil
import tempfile

# Databases and homes of tests live in memory where the machine has room for them there.
if os.access("/dev/shm", os.W_OK):  # noqa: S108
    tempfile.tempdir = "/dev/shm"  # noqa: S108

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import hypothesis
import prepared
import psycopg
import pytest
import warm
from kept import KEPT, KEPT_TEMPLATE, REMEMBER, SEEDS, Kept
from psycopg import sql
from running import INBOX, RunningHouse
from stage import Cluster, Stage, open_stage, prepare_template

from graph.drive import Durability
from graph.planner import Planner
from runtime.embedded import EmbeddedPostgres
from runtime.home import Home, make_database, with_database

# What starts processes takes longest, so it goes first; the rest fills the gaps. What shares a house is one group.
LONGEST_FIRST = (
    "browser/", "server/", "serving/test_kill", "architecture/test_documents", "crash/", "serving/",
    "release/test_rehearsals", "house/", "money/test_postgres_restarts", "page/test_contract", "architecture/", "exam/",
)  # fmt: skip
RUNNING = "running house"
GROUPS = {
    "browser/": RUNNING, "server/": RUNNING, "house/": "command line", "release/test_rehearsals": "rehearsals",
    "exam/test_exam": "exam", "page/test_issuer": "issuer",
}  # fmt: skip

# No law is timed: how long one takes says how busy the machine is.
hypothesis.settings.register_profile("laws", deadline=None)
hypothesis.settings.load_profile("laws")

CAMPAIGN = bool(os.environ.get("COUNTERSIGN_CAMPAIGN"))

# Nothing here outlives the machine, so nothing waits for its disk.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "scram_iterations": "1",
}
"""And what a sign-in of a role costs is no test's subject: a test opens eight connections."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest first, and what shares something dear together."""

    def place(item: pytest.Item) -> int:
        path = item.nodeid.removeprefix("tests/")
        return next(
            (place for place, start in enumerate(LONGEST_FIRST) if path.startswith(start)), len(LONGEST_FIRST)
        )

    items.sort(key=place)
    for item in items:
        path = item.nodeid.removeprefix("tests/")
        groups = {group for start, group in GROUPS.items() if path.startswith(start)}
        if "running" in getattr(item, "fixturenames", ()):
            groups = {RUNNING}
        for group in groups:
            item.add_marker(pytest.mark.xdist_group(group))


def open_to_the_server(*folders: Path) -> None:
    """Postgres runs as a user of its own; the machine's own folder for temporary files stays everybody's."""
    for folder in folders:
        if Path(tempfile.gettempdir()).is_relative_to(folder):
            continue
        folder.chmod(0o755)


@pytest.fixture(scope="session", autouse=True)
def _prepared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[None]:
    """One prepared home for all processes of a run, a warm command line, and passwords that cost next to nothing."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if hasattr(request.config, "workerinput") else base
    open_to_the_server(base, root, *root.parents[:2])
    prepared.ROOTS[:] = [root]
    prepared.cheapen_passwords()
    yield
    warm.end()


@pytest.fixture(scope="session", name="cluster")
def _cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="countersign-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder, FAST)
    admin = postgres.start()
    home = Home(folder)
    password = (folder / "postgres.password").read_text(encoding="utf-8").strip()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("alter role postgres password {}").format(sql.Literal(password)))
    template = with_database(admin, "template_books")
    make_database(template)
    asyncio.run(prepare_template(home, template))
    cluster = Cluster(home, admin)
    kept = cluster.clone(name=KEPT_TEMPLATE)
    with psycopg.connect(kept, autocommit=True) as connection:
        connection.execute(SEEDS)
    yield cluster
    postgres.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", name="running")
def _running(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[RunningHouse]:
    """A house that really runs, shared by all laws that ask for one; each works on cases of its own."""
    if getattr(request.config.option, "loadgroup", False):
        grouped = [item.nodeid for item in request.session.items if item.nodeid.endswith(f"@{RUNNING}")]
        assert grouped, "the groups are not kept together: this pytest-xdist does not work with this pytest"
    folder = tmp_path_factory.mktemp("house")
    open_to_the_server(folder, *folder.parents[:3])
    house = RunningHouse(folder, environment={"GRAPH_ALLOWED_ORIGINS": f"studio, {INBOX}"})
    try:
        house.start()
        house.many_orders(600)
        yield house
    finally:
        house.close()


@pytest.fixture(name="url")
async def _url(cluster: Cluster, request: pytest.FixtureRequest, _sessions_end: None) -> AsyncIterator[str]:
    """A database as good as new: a fresh one where that is the subject, or where nobody could keep its sessions."""
    asynchronous = inspect.iscoroutinefunction(request.node.function)
    if not asynchronous or request.node.get_closest_marker("fresh_database") is not None:
        url = cluster.clone()
        yield url
        cluster.drop(url)
        return
    if not KEPT:
        KEPT.append(Kept(cluster.clone(KEPT_TEMPLATE)))
        await (await KEPT[0].session()).execute(REMEMBER)
    [kept] = KEPT
    yield kept.url
    if not await kept.put_back():
        KEPT.clear()
        await kept.close()
        cluster.drop(kept.url)


@pytest.fixture(scope="session")
async def _sessions_end() -> AsyncIterator[None]:
    """What is kept ends with the run, on the loop that it lives on."""
    yield
    while KEPT:
        await KEPT.pop().close()


class Stages(Protocol):
    """Opens a stage with a planner or a durability of the test's choice."""

    def __call__(
        self, *, planner: Planner | None = None, durability: Durability = "exit"
    ) -> AbstractAsyncContextManager[Stage]: ...


@pytest.fixture(name="stages")
def _stages(cluster: Cluster, url: str, tmp_path: Path) -> Stages:
    def opened(
        *, planner: Planner | None = None, durability: Durability = "exit"
    ) -> AbstractAsyncContextManager[Stage]:
        return open_stage(cluster.home, url, tmp_path, planner=planner, durability=durability)

    return opened


@pytest.fixture(name="stage")
async def _stage(stages: Stages) -> AsyncIterator[Stage]:
    async with stages() as opened:
        yield opened
