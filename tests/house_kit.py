"""The command line on a home of its own.

A command runs in this process, as the console script runs it, but for those of `process`: a process of its own costs a
hundred times as much, and is there where that is the subject.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prepared import copy_home
from typer.testing import CliRunner

from countersign import app
from runtime.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[1]


TICKET: dict[str, Any] = {
    "ticket_id": "r-1",
    "tenant": "demo",
    "customer_id": "C100",
    "order_id": "D300",
    "question": "My tablet arrived cracked. I want a refund, please.",
}


@dataclass
class CommandLine:
    """A home and the command line on it."""

    folder: Path

    def __call__(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """The command line in this process; a defect shows itself."""
        others = dict.fromkeys(name for name in os.environ if name.startswith(("COUNTERSIGN", "DATABASE")))
        variables = others | {"COUNTERSIGN_HOME": str(self.folder)} | environment
        done = CliRunner().invoke(app, arguments, input=stdin, env=variables)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def process(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """The same in a process of its own."""
        base = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COUNTERSIGN", "DATABASE"))
        }
        return subprocess.run(
            [sys.executable, str(ROOT / "countersign.py"), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=base | {"COUNTERSIGN_HOME": str(self.folder)} | environment,
            timeout=120,
        )

    def token(self, person: str) -> dict[str, str]:
        return {"COUNTERSIGN_TOKEN": json.loads((self.folder / "demo-tokens.json").read_text())[person]}

    def states(self, *arguments: str, stdin: str = "", **environment: str) -> list[dict[str, Any]]:
        done = self(*arguments, "--json", stdin=stdin, **environment)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session", name="command_line")
def command_line_fixture() -> Iterator[CommandLine]:
    with tempfile.TemporaryDirectory(prefix="countersign-") as name:
        Path(name).chmod(0o755)
        copy_home(Path(name))
        yield CommandLine(Path(name))
        EmbeddedPostgres(Path(name)).stop()


def lines(*tickets: dict[str, Any]) -> str:
    return "\n".join(json.dumps(ticket) for ticket in tickets) + "\n"
