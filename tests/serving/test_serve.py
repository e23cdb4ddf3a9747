"""One command brings the house up and takes it down; what is in its way is one line that says how to go on."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from prepared import copy_home
from running import COUNTERSIGN, PATIENCE, RunningHouse, free_port, until

from runtime.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="house")
def _house(tmp_path: Path) -> RunningHouse:
    tmp_path.chmod(0o755)
    return RunningHouse(tmp_path / "h")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def left_behind(house: RunningHouse, how: signal.Signals) -> list[str]:
    """Stop a house; what of it lives on."""
    pids = {**house.pids(), "postgres": house.postmaster()}
    assert set(pids) == {"graph", "desk", "cashier", "anchorer", "postgres"}
    assert house.stop(how) == 0
    return [name for name, pid in pids.items() if alive(pid)]


def test_it_opens_and_stops_cleanly_and_nothing_is_left(house: RunningHouse) -> None:
    try:
        house.start(fresh=True)
        said = house.said()
        for address in (house.graph_url, house.desk_url, "postgresql://127.0.0.1:"):
            assert address in said
        assert said.count("The house is open.") == 1
        for person, token in house.tokens().items():
            assert said.count(token) == 1, person
        case = house.paused()
        house.decide(case)
        assert left_behind(house, signal.SIGINT) == []
        assert list(house.folder.rglob("*.pckl*")) == []
        house.start()
        house.reaches(case["case_id"], "refunded")
        assert len(house.refunds()) == 1
        assert left_behind(house, signal.SIGTERM) == []
    finally:
        house.close()


def test_no_process_knows_what_another_one_needs(running: RunningHouse) -> None:
    roles = {"graph": "graph", "desk": "desk", "cashier": "cashier", "anchorer": "anchorer"}
    passwords = json.loads((running.folder / "roles.json").read_text())
    owner = (running.folder / "postgres.password").read_text().strip()
    for name, pid in running.pids().items():
        environment = Path(f"/proc/{pid}/environ").read_text()
        assert owner not in environment
        assert passwords[roles[name]] in environment
        for other, password in passwords.items():
            assert other == roles[name] or password not in environment, (name, other)
        if name != "desk":
            assert "desk.private" not in environment


def remote_ends(pids: set[int]) -> set[str]:
    """The addresses that the sockets of these processes are connected to."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(entry.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "udp", "tcp6", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            cells = line.split()
            if cells[9] in inodes:
                found.add(cells[2].split(":")[0])
    return found


def test_no_process_is_connected_to_another_machine(running: RunningHouse) -> None:
    """0100007F is 127.0.0.1 and 00000000 is nobody."""
    assert remote_ends(set(running.pids().values())) <= {"0100007F", "00000000", "0" * 32}


def refused(house: RunningHouse) -> str:
    """What a start that cannot be says: one line, at once, and nothing is left running."""
    done = subprocess.run(
        house.command(),
        env=house.variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("which", ["--graph-port", "--desk-port"])
def test_a_port_in_use_is_one_line(house: RunningHouse, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        house.graph_port, house.desk_port = (
            (port, free_port()) if which == "--graph-port" else (free_port(), port)
        )
        said = refused(house)
    assert f"port {port} is in use" in said
    assert which in said


def test_a_second_house_on_the_same_books_is_one_line(running: RunningHouse) -> None:
    second = RunningHouse(running.folder)
    assert "another house works on this database" in refused(second)
    assert not running.over()


def test_a_key_that_is_broken_is_one_line(house: RunningHouse) -> None:
    copy_home(house.folder)
    try:
        for name in ("desk.private", "intake.public", "anchor.private"):
            file = house.folder / "keys" / f"{name}.json"
            whole = file.read_text()
            file.write_text("{}")
            said = refused(house)
            file.write_text(whole)
            assert name in said
            assert "countersign db up" in said
    finally:
        house.close()


def test_what_its_supervisor_leaves_behind_ends_by_itself_and_a_stale_lock_is_no_obstacle(
    house: RunningHouse,
) -> None:
    """The supervisor is killed alone, and its processes notice; then the books, whose lock names somebody else now."""
    try:
        house.start()
        case = house.paused()
        pids = house.pids()
        assert house.supervisor is not None
        os.killpg(house.supervisor.pid, signal.SIGKILL)
        house.supervisor.wait(timeout=PATIENCE)
        until(lambda: not [name for name, pid in pids.items() if alive(pid)], "ended")
        os.kill(house.postmaster(), signal.SIGKILL)
        lock = EmbeddedPostgres(house.folder).data / "postmaster.pid"
        lines = lock.read_text().splitlines()
        lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        house.start()
        assert house.status(case["case_id"]) == "needs_human"
    finally:
        house.close()


def test_the_desk_says_what_is_not_ready(running: RunningHouse) -> None:
    cashier = running.pids()["cashier"]
    os.kill(cashier, signal.SIGSTOP)
    with running.desk() as desk:
        try:
            until(lambda: desk.get("/readyz").status_code == 503, "not ready")
            assert desk.get("/readyz").json()["parts"]["cashier"] == "not heard from"
            assert desk.get("/healthz").status_code == 200
        finally:
            os.kill(cashier, signal.SIGCONT)
        until(lambda: desk.get("/readyz").status_code == 200, "ready again")


def test_the_numbers_are_there_and_name_nobody(running: RunningHouse) -> None:
    running.paused(order_id="X220")
    with running.desk() as desk:
        text = desk.get("/metrics", headers={"authorization": ""}).text
    for name in (
        "countersign_cases",
        "countersign_jobs",
        "countersign_heard_seconds",
        "desk_answer_seconds",
        "countersign_unsent_replies",
    ):
        assert name in text
    for word in ("demo", "C100", "X220", "tablet"):
        assert word not in text


def test_a_server_without_settings_says_in_one_line_which_are_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(COUNTERSIGN.parent / "langgraph"), "dev", "--config", str(ROOT / "langgraph.json"), "--no-browser", "--no-reload",
         "--port", str(free_port())],
        cwd=tmp_path, env={"PATH": os.environ["PATH"], "LANGGRAPH_CLI_NO_ANALYTICS": "1"}, capture_output=True, text=True,
        check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert (
        "graph: missing or wrong settings: GRAPH_DATABASE_URL, GRAPH_INTAKE_KEYS: "
        'of a house that is up, eval "$(countersign env graph)" sets them\n'
    ) in done.stderr


def test_the_settings_of_a_house_that_is_up_are_printed_for_a_shell(running: RunningHouse) -> None:
    done = subprocess.run(
        ["/bin/bash", "-c", f'set -e; said="$({COUNTERSIGN} env graph)"; eval "$said"; env'],
        env=running.variables(), capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert told["RUNNER"] == "workers"
    assert told["GRAPH_DATABASE_URL"].startswith("postgresql://graph:")
    assert Path(told["GRAPH_INTAKE_KEYS"]).is_file()
    assert (told["PATH"], "COUNTERSIGN_HELD_BY" in told) == (running.variables()["PATH"], False)


def test_an_origin_that_is_none_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(COUNTERSIGN), "serve"], capture_output=True, text=True, check=False, timeout=PATIENCE,
        env={"PATH": os.environ["PATH"], "COUNTERSIGN_HOME": str(tmp_path / "h"), "GRAPH_ALLOWED_ORIGINS": "*"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        "countersign: GRAPH_ALLOWED_ORIGINS: *: not an origin, as https://inbox.example or http://localhost:3000\n",
    )
