"""The books of a house and the processes beside them: keys, versions, a Postgres of one's own, a full disk, a death."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
from house_kit import ROOT, TICKET, CommandLine, lines

from runtime.embedded import EmbeddedPostgres, binaries, copied_out
from runtime.home import Home, make_database, with_database


def test_a_missing_or_wrong_key_is_named(command_line: CommandLine) -> None:
    assert command_line("db", "up").returncode == 0
    key = command_line.folder / "keys/desk.private.json"
    held = key.read_text()
    try:
        key.write_text("{}")
        done = command_line("queue")
        assert done.returncode == 1
        assert "not an Ed25519 key" in done.stderr
    finally:
        key.write_text(held)


def test_a_database_that_is_newer_or_a_test_database_is_refused(command_line: CommandLine) -> None:
    url = with_database(EmbeddedPostgres(command_line.folder).start(), "other")
    make_database(url)
    environment = {"DATABASE_URL": url}
    assert "countersign db migrate" in command_line("queue", **environment).stderr
    assert command_line("db", "migrate", **environment).returncode == 0
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create table books.test_clock (shift interval)")
        assert "test database" in command_line("queue", **environment).stderr
        owner.execute("drop table books.test_clock")
        owner.execute(
            "insert into public.countersign_migrations (number, name, sha256) values (999, 'x', 'x')"
        )
    for command in ("queue", "db migrate"):
        done = command_line(*command.split(), **environment)
        assert done.returncode == 1
        assert "newer than this program" in done.stderr


def test_a_postgres_of_ones_own_serves_many_homes_and_keeps_its_databases(
    command_line: CommandLine, tmp_path: Path
) -> None:
    """The demo drops what it made and nothing else; a second home with the owner's URL works at once."""
    with tempfile.TemporaryDirectory(prefix="countersign-") as name:
        Path(name).chmod(0o755)
        server = EmbeddedPostgres(Path(name))
        url = with_database(server.start(), "countersign_demo")
        make_database(url)
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("create table precious (n int)")
        for home in ("one", "two"):
            environment = {"DATABASE_URL": url, "COUNTERSIGN_HOME": str(tmp_path / home)}
            assert command_line.states("demo", "--yes", **environment)[-1]["status"] == "refunded"
        with psycopg.connect(url) as owner:
            assert owner.execute("select count(*) from precious").fetchone() == (0,)
            names = [row[0] for row in owner.execute("select datname from pg_database").fetchall()]
            owner.execute("alter role desk password 'changed by hand'")
        assert [name for name in names if name.startswith("countersign_demo_")] == []
        done = command_line("demo", "--yes", DATABASE_URL=url, COUNTERSIGN_HOME=str(tmp_path / "one"))
        assert done.returncode == 1
        assert "countersign db migrate" in done.stderr
        server.stop()


def test_a_full_disk_loses_nothing(command_line: CommandLine) -> None:
    """What Postgres says of a full disk is one line, and no case is half written."""
    url = Home(command_line.folder).admin_url()
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(
            "create function books.full_disk() returns trigger language plpgsql as $$ begin raise exception using"
            " errcode = '53100', message = 'could not extend file: No space left on device'; end $$;"
            " create trigger zz_full_disk after insert on books.case_events execute function books.full_disk()"
        )
        try:
            done = command_line("run", "-", stdin=lines(TICKET | {"ticket_id": "full"}))
        finally:
            owner.execute("drop function books.full_disk() cascade")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert command_line("show", "full").returncode == 1


def test_the_embedded_server_survives_its_parent_and_its_own_death(command_line: CommandLine) -> None:
    assert command_line.process("submit", "-", stdin=lines(TICKET | {"ticket_id": "kept"})).returncode == 0
    data = EmbeddedPostgres(command_line.folder).data
    pid = int((data / "postmaster.pid").read_text().split()[0])
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)
    before = {state["case_id"] for state in command_line.states("queue", "--all")}
    assert before
    assert int((data / "postmaster.pid").read_text().split()[0]) != pid


def test_two_commands_at_once_share_a_fresh_home() -> None:
    with tempfile.TemporaryDirectory(prefix="countersign-") as name:
        folder = Path(name)  # stays 0700: root's home is closed to others, and it must work all the same
        both = [
            subprocess.Popen(
                [sys.executable, str(ROOT / "countersign.py"), "queue", "--json"],
                env=os.environ | {"COUNTERSIGN_HOME": str(folder)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        said = [process.communicate(timeout=120)[1] for process in both]
        EmbeddedPostgres(folder).stop()
        shutil.rmtree(EmbeddedPostgres(folder).folder)
        assert [process.returncode for process in both] == [0, 0], said


def test_the_cashier_is_a_process_that_stops_when_told(command_line: CommandLine) -> None:
    command_line.states("queue")
    home = Home(command_line.folder)
    environment = os.environ | {
        "CASHIER_DATABASE_URL": home.role_url("cashier", home.admin_url()),
        "CASHIER_DESK_KEYS": str(home.public_keys_file("desk")),
        "CASHIER_PROVIDER_FILE": str(home.provider_file),
    }
    once = subprocess.run(
        [sys.executable, "-m", "cashier", "--once"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert once.returncode == 0, once.stderr
    with subprocess.Popen(
        [sys.executable, "-m", "cashier"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as cashier:
        assert cashier.stderr is not None
        assert "the cashier is open" in cashier.stderr.readline()
        cashier.send_signal(signal.SIGTERM)
        assert cashier.wait(timeout=20) == 0
    bare = {name: value for name, value in environment.items() if not name.startswith("CASHIER")}
    missing = subprocess.run(
        [sys.executable, "-m", "cashier"], cwd=ROOT, env=bare, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 1
    assert "CASHIER_DATABASE_URL" in missing.stderr
    assert len(missing.stderr.strip().splitlines()) == 1


def test_binaries_that_were_copied_out_of_a_closed_folder_run(tmp_path: Path) -> None:
    """As root the server runs as another user, who may not enter every checkout."""
    copied = copied_out(binaries(), tmp_path / "state")
    for program in ("postgres", "initdb", "pg_ctl"):
        done = subprocess.run(
            [str(copied / "bin" / program), "--version"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert copied_out(binaries(), tmp_path / "state") == copied
