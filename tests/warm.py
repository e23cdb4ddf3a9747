"""A warm command line: one process imports the whole program once, and every command of a story is a fork of it.

What a command does is the same: its own arguments, environment, folder, standard streams and exit status, in a process
of its own. What it does not pay is a second of imports. That the console script itself starts is the subject of its own
laws, in tests/house and tests/serving; `countersign serve` is always the real one.
"""

import array
import importlib
import json
import os
import pkgutil
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import app
import cashier
import cli
import desk
import evals
import graph
import policies
import records
import refunds
import runtime
import tools

ROOT = Path(__file__).parents[1]
COUNTERSIGN = Path(sys.executable).parent / "countersign"
STREAMS = 3
MOST_BYTES = 1_000_000

CLIENT = """#!{python} -IS
import array, json, os, socket, sys
if sys.argv[1:2] == ["serve"]:
    os.execv({countersign!r}, [{countersign!r}, *sys.argv[1:]])
told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as there:
    there.connect({address!r})
    streams = array.array("i", [0, 1, 2])
    there.sendmsg([told], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    status = there.recv(16)
sys.exit(int(status) if status else 70)
"""
"""70 where the command died without a word."""


SKIPPED = ("evals.bench", "evals.browser", "evals.screenshots", "evals.tau2", "evals.day", "graph.server")
"""What no command loads, or only one that is not of these laws."""


def import_all() -> None:
    """Everything that a command loads when it is first needed."""
    for package in (app, cashier, cli, desk, evals, graph, policies, records, refunds, runtime, tools):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(SKIPPED) and not module.name.endswith("__main__"):
                importlib.import_module(module.name)


class WarmCommandLine:
    """The process that forks, and the script that stands for `countersign`."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "countersign"
        address = str(folder / "warm")
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(address)
        self._listening.listen()
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._listening.fileno())],
            pass_fds=[self._listening.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        client = CLIENT.format(python=sys.executable, countersign=str(COUNTERSIGN), address=address)
        self.script.write_text(client, encoding="utf-8")
        self.script.chmod(0o755)

    def close(self) -> None:
        """No command starts any more."""
        self._process.terminate()
        self._process.wait(timeout=30)
        self._listening.close()


STARTED: list[WarmCommandLine] = []


def countersign() -> str:
    """The command line of this run's laws; started when it is first asked for."""
    if not STARTED:
        STARTED.append(WarmCommandLine(Path(tempfile.mkdtemp(prefix="warm-"))))
    return str(STARTED[0].script)


def end() -> None:
    """At the end of a run."""
    while STARTED:
        warm = STARTED.pop()
        warm.close()
        shutil.rmtree(warm.script.parent)


def command(connection: socket.socket) -> NoReturn:
    """The fork: become the command that was asked for, and say how it ended."""
    streams = array.array("i")
    told, passed, _, _ = connection.recvmsg(MOST_BYTES, socket.CMSG_LEN(STREAMS * streams.itemsize))
    streams.frombytes(passed[0][2])
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    arguments, folder, environment = json.loads(told)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(COUNTERSIGN), *arguments]
    from countersign import main

    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  (as the interpreter does at its end)
        traceback.print_exc()
        status = 1
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    connection.send(str(status).encode())
    os._exit(0)


def main() -> None:
    os.environ.update(LANGGRAPH_STRICT_MSGPACK="true", LANGSMITH_TRACING="false")
    import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(fileno=int(sys.argv[1]))
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            command(connection)
        connection.close()


if __name__ == "__main__":
    main()
