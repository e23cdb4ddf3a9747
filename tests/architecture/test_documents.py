"""The documents are true: every command line in them runs, and the picture is of this graph.

A command line is a line of a page's code that begins with `$ `. Each page is played from top to bottom in one shell, in
a folder that has the project's files and a home of its own, the README in a fresh one, as a stranger would. The targets
that run the laws themselves, or for minutes, are only looked for (`make -n`).
"""

import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prepared import copy_home
from pydantic_settings import BaseSettings
from running import PATIENCE, drop_home, free_port, until
from warm import countersign

from cashier.settings import CashierSettings
from desk.settings import DeskSettings
from evals.picture import framed
from graph.settings import GraphSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SENTINEL = "\nprintf '\\n__DONE__ %s\\n' $?\n"
LONG = re.compile(
    r"^make (check|test|campaign|mutants|day|bench|exam|screenshots|interfaces|picture|lock|setup)\b"
)


def command_lines(page: Path) -> Iterator[str]:
    """The commands of a page, each with its here-document."""
    lines = iter(page.read_text().splitlines())
    for line in lines:
        said = re.match(r"^\s*\$ (.+)$", line)
        if said is None:
            continue
        command = said.group(1)
        here = re.search(r"<<'(\w+)'", command)
        if here:
            indent = len(line) - len(line.lstrip())
            for inner in lines:
                command += "\n" + inner[indent:]
                if inner.strip() == here.group(1):
                    break
        yield command


def link_all(source: Path, folder: Path, but: set[str]) -> None:
    """All entries of a folder but some, in another one."""
    folder.mkdir(exist_ok=True)
    for entry in source.iterdir():
        if entry.name not in but:
            (folder / entry.name).symlink_to(entry)


class Shell:
    """One shell, fed a command at a time."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["/bin/bash"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def close(self) -> None:
        """End the shell and what it runs in the background: a house stops cleanly then."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=PATIENCE)
        self.reader.join(timeout=PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def run(self, command: str) -> tuple[int, str]:
        """Its exit status and what it said."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + SENTINEL)
        self.process.stdin.flush()
        said: list[str] = []
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no end of {command}: {said}") from None
            if line.startswith("__DONE__"):
                return int(line.split()[1]), "".join(said)
            said.append(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    commands = list(command_lines(page))
    if not commands:
        return
    tmp_path.chmod(0o755)
    link_all(ROOT, tmp_path, {"var", ".git", ".hypothesis", ".pytest_cache", ".venv"})
    link_all(ROOT / ".venv", tmp_path / ".venv", {"bin"})
    link_all(ROOT / ".venv/bin", tmp_path / ".venv/bin", {"countersign"})
    (tmp_path / ".venv/bin/countersign").symlink_to(countersign())
    if page.name != "README.md":
        copy_home(tmp_path / "var")
    ports = {"2024": str(free_port()), "8080": str(free_port())}
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "COUNTERSIGN_HOME": str(tmp_path / "var"),
        "GRAPH_PORT": ports["2024"], "DESK_PORT": ports["8080"],
    }  # fmt: skip
    shell = Shell(tmp_path, environment)
    log = tmp_path / "serve.log"
    try:
        for command in commands:
            for written, chosen in ports.items():
                command = re.sub(rf"\b(127\.0\.0\.1:){written}\b", rf"\g<1>{chosen}", command)  # noqa: PLW2901
            command = re.sub(r"\b(GRAPH_PORT|DESK_PORT)=\d+ ", "", command)  # noqa: PLW2901
            if LONG.match(command):
                command = command.replace("make ", "make -n ")  # noqa: PLW2901
            if command == "make serve":
                log.touch()
                shell.run(f"make serve > {log} 2>&1 &")
                until(lambda: "The house is open." in log.read_text(), f"open: {log.read_text()}")
                continue
            status, said = shell.run(command)
            assert status == 0, f"{command}\n{said}"
    finally:
        shell.close()
        serving = re.findall(r"\| \S+ started \(pid=(\d+)\)", log.read_text()) if log.exists() else []
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in serving), "stopped")
        drop_home(tmp_path / "var")


def test_the_documents_have_commands() -> None:
    """Broken? The pages changed their form, and the law above plays nothing."""
    played = {str(page.relative_to(ROOT)): len(list(command_lines(page))) for page in PAGES}
    assert played["README.md"] >= 15
    assert played["docs/operations.md"] >= 6


def test_the_picture_is_of_this_graph() -> None:
    """Broken? The graph changed: make picture."""
    page = (ROOT / "docs/how-it-is-built.md").read_text()
    assert framed(page) == page


def test_every_name_in_the_example_of_an_environment_is_read_somewhere() -> None:
    """A setting that was renamed would be ignored in silence."""
    prefixes: dict[str, type[BaseSettings]] = {
        "GRAPH_": GraphSettings,
        "DESK_": DeskSettings,
        "CASHIER_": CashierSettings,
    }
    settings = {f"{prefix}{name}".upper() for prefix, one in prefixes.items() for name in one.model_fields}
    source = "\n".join(
        file.read_text()
        for folder in ("app", "cli", "deploy", "evals", "graph", "policies", "runtime")
        for file in sorted((ROOT / folder).rglob("*.py"))
    ) + (ROOT / "Makefile").read_text() + (ROOT / "Procfile").read_text()  # fmt: skip
    named = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(named) > 40
    assert [name for name in named if name not in settings and f'"{name}"' not in source] == []
