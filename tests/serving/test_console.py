"""What `serve` says: quiet and readable on a terminal, whole in the file, and never a word of a library on standard output."""

import contextlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from prepared import copy_home
from running import PATIENCE, RunningHouse, until

from deploy.console import Console, Plain

Message = namedtuple("Message", "type data time name colour")


def message(data: str, name: str = "desk") -> Message:
    return Message("line", data.encode(), None, name, None)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"level": "info", "event": "Started server process"}', ""),
        (
            '{"level": "warning", "event": "slow", "at": "2026-11-01T10:11:12Z"}',
            "10:11:12 desk      warning: slow\n",
        ),
        (
            '{"level": "ERROR", "event": "it broke", "at": "2026-11-01T10:11:12Z", "exception": "Traceback\\nOops"}',
            "10:11:12 desk      error: it broke\nTraceback\nOops\n",
        ),
        ("- Studio UI: https://smith.langchain.com/studio/?baseUrl=http://127.0.0.1:2024", ""),
        ('{"level": "warning", "event": "Custom checkpointer missing adelete_for_runs: …"}', ""),
        ("a line that is no JSON", ""),
        ("[1, 2]", ""),
        ("\x1b[31mred\x1b[0m", ""),
    ],
)
def test_a_person_reads_warnings_and_errors_and_the_file_has_everything(
    tmp_path: Path, line: str, shown: str
) -> None:
    output = io.StringIO()
    console = Console(tmp_path / "serve.jsonl", output)
    console.write(message(line))
    console.file.close()
    assert output.getvalue() == shown
    [kept] = (tmp_path / "serve.jsonl").read_text().splitlines()
    event = json.loads(kept)
    assert event["process"] == "desk" and event["event"] and event["at"]


def test_no_address_is_advertised_that_the_allowlist_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Plain(sys.stdout, prefix=False)
    for line in ("- Studio UI: https://smith.langchain.com/studio/", '{"event": "kept"}'):
        plain.write(message(line))
    assert capsys.readouterr().out == '{"event": "kept"}\n'


def test_on_a_terminal_it_says_who_is_ready_where_it_is_and_no_more(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    house = RunningHouse(tmp_path / "h")
    copy_home(house.folder)
    reader, writer = pty.openpty()
    said = b""
    process = subprocess.Popen(
        house.command(), stdout=writer, stderr=writer, env=house.variables(), start_new_session=True
    )
    os.close(writer)
    os.set_blocking(reader, False)

    def looked(until_text: str) -> bool:
        nonlocal said
        with contextlib.suppress(OSError):  # nothing more was said yet
            said += os.read(reader, 65_536)
        return until_text in said.decode(errors="replace")

    try:
        until(lambda: looked("Warnings and errors follow here"), "open", PATIENCE)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
        house.supervisor = process
        house.close()
        os.close(reader)
    text = said.decode()
    for name in ("database", "graph", "cashier", "anchorer", "desk"):
        assert re.search(rf"^  {name} +ready after \d+\.\d s", text, re.MULTILINE), text
    assert text.index("ready after") < text.index("The house is open.")
    assert "smith.langchain.com" not in text
    assert "{" not in text.split("The house is open.")[0]


SPEAKS = """
import sys
sys.argv = ["countersign", "queue", "--json"]
import cli.terminal, records.books
import stamina, structlog, countersign
from app import house
real = house.books_of_owner
async def loud(home):
    structlog.get_logger("stamina").warning("stamina.retry_scheduled")
    structlog.get_logger().warning("a library speaks")
    return await real(home)
house.books_of_owner = loud
countersign.main()
"""


def test_under_json_standard_output_is_the_commands_own(tmp_path: Path) -> None:
    """A library that speaks structlog prints to standard output, where nobody tells it otherwise."""
    tmp_path.chmod(0o755)
    copy_home(tmp_path / "h")
    house = RunningHouse(tmp_path / "h")
    try:
        done = subprocess.run(
            [sys.executable, "-c", SPEAKS],
            env=house.variables() | {"LANGGRAPH_STRICT_MSGPACK": "true"},
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        assert done.returncode == 0, done.stderr
        for line in done.stdout.splitlines():
            json.loads(line)
        assert "a library speaks" in done.stderr
    finally:
        house.supervisor = subprocess.Popen([sys.executable, "-c", ""])
        house.supervisor.wait()
        house.close()
