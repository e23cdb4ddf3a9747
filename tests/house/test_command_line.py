"""The command line as a stranger uses it: a home of its own, bad input of every kind.

A command runs in this process, as the console script runs it, but for those of `process`: a process of its own costs a
hundred times as much, and is there where that is the subject.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prepared import copy_home
from typer.testing import CliRunner

from countersign import app
from runtime.embedded import EmbeddedPostgres, binaries, copied_out
from runtime.home import Home, make_database, with_database

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope="module", name="command_line")
def _command_line() -> Iterator[CommandLine]:
    with tempfile.TemporaryDirectory(prefix="countersign-") as name:
        Path(name).chmod(0o755)
        copy_home(Path(name))
        yield CommandLine(Path(name))
        EmbeddedPostgres(Path(name)).stop()


def lines(*tickets: dict[str, Any]) -> str:
    return "\n".join(json.dumps(ticket) for ticket in tickets) + "\n"


def test_a_file_of_tickets_reaches_its_refund(command_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "tickets.jsonl"
    question = TICKET | {"ticket_id": "r-2", "question": "What is the return policy for my cracked tablet?"}
    file.write_text(lines(TICKET, question))
    first, second = command_line.states("run", str(file))
    assert (first["status"], second["status"]) == ("needs_human", "needs_human")
    assert first["proposal"]["amount_minor"] == 7_900
    assert [row["ticket_id"] for row in command_line.states("queue")] == ["r-1", "r-2"]
    refunded = command_line.states("approve", "r-1", **command_line.token("demo-reviewer"))[-1]
    assert (refunded["status"], refunded["refund"]["amount_minor"]) == ("refunded", 7_900)
    rejected = command_line.states(
        "reject", "r-2", "--code", "wording", **command_line.token("demo-reviewer")
    )[-1]
    assert (rejected["status"], rejected["reason"]) == ("rejected", "wording")
    assert command_line.states("show", "r-1") == [refunded]
    (paid,) = command_line.states("ledger")
    assert (paid["outcome"], paid["approved_by"], paid["sends"]) == ("succeeded", "demo-reviewer", 1)
    trace = command_line.states("trace", "r-1")
    assert [row.get("result") for row in trace[:-1]] == [
        "grounded",
        "found",
        "cited_draft",
        "draft_ready_for_review",
    ]
    assert trace[-1] == {"budget_audit": "pass"}
    assert command_line.states("audit", "verify")[-1]["findings"] == 0


def test_a_repeat_is_the_same_case_and_an_altered_repeat_is_refused(command_line: CommandLine) -> None:
    ticket = TICKET | {"ticket_id": "r-3", "order_id": "D301", "customer_id": "C101"}
    first = command_line.states("submit", "-", stdin=lines(ticket))
    assert command_line.states("submit", "-", stdin=lines(ticket)) == first
    done = command_line("submit", "-", stdin=lines(ticket | {"question": "I want another refund."}))
    assert done.returncode == 1
    assert "ticket_id: r-3 is case" in done.stderr


def test_a_revision_pays_nothing_and_no_refund_sends_the_reply_alone(command_line: CommandLine) -> None:
    ticket = TICKET | {
        "ticket_id": "r-4",
        "order_id": "D301",
        "customer_id": "C101",
        "question": "My headphones arrived broken, I want a refund.",
    }
    command_line.states("run", "-", stdin=lines(ticket))
    me = command_line.token("demo-reviewer")
    revised = command_line.states("approve", "r-4", "--amount", "1000", **me)[-1]
    assert (revised["status"], revised["proposal"]["amount_minor"]) == ("needs_human", 1_000)
    replied = command_line.states("approve", "r-4", "--no-refund", **me)[-1]
    assert (replied["status"], replied["refund"]) == ("replied", None)


def test_the_demo_ends_refunded_without_a_server_or_a_key(command_line: CommandLine) -> None:
    done = command_line.process("demo", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    states = [json.loads(line) for line in done.stdout.splitlines()]
    assert [state["status"] for state in states] == ["needs_human", "replied", "needs_human", "refunded"]
    assert states[-1]["refund"] == {"result": "refund_created", "amount_minor": 7_900, "currency": "USD"}
    done = command_line("demo", stdin="n\n")
    assert done.returncode == 1
    assert "nobody countersigned" in done.stderr


BAD: list[tuple[str, str]] = [
    ("{", "not JSON"),
    ("not json", "not JSON"),
    ("[]", "not a JSON object"),
    ("", "no ticket"),
    (json.dumps(TICKET | {"amount": 5}), "amount"),
    (json.dumps(TICKET | {"question": ""}), "question"),
    (json.dumps(TICKET | {"question": "   "}), "question"),
    (json.dumps(TICKET | {"question": "x" * 8_001}), "question"),
    (json.dumps(TICKET | {"question": 7}), "question"),
    (json.dumps(TICKET | {"text": "twice"}), "text"),
    (json.dumps(TICKET | {"ticket_id": ""}), "ticket_id"),
    (json.dumps(TICKET | {"ticket_id": "a b"}), "ticket_id"),
    (json.dumps(TICKET | {"order_id": 300}), "order_id"),
    (json.dumps(TICKET | {"items": "SKU-1"}), "items"),
    (json.dumps(TICKET | {"intent": "steal"}), "intent"),
    (json.dumps(TICKET | {"route": "anywhere"}), "route"),
    (json.dumps({name: value for name, value in TICKET.items() if name != "tenant"}), "tenant"),
    (json.dumps(TICKET)[:-1] + ', "tenant": "other"}', "tenant: given twice"),
    (json.dumps(TICKET | {"question": "half a pair: \ud800"}), "question"),
    ("[" * 100_000, "ticket"),
]


@pytest.mark.parametrize(("line", "field"), BAD, ids=[f"{number}" for number in range(len(BAD))])
def test_a_bad_ticket_is_one_line_with_its_line_number_and_field(
    command_line: CommandLine, line: str, field: str
) -> None:
    good = json.dumps(TICKET | {"ticket_id": "never"})
    text = f"{good}\n{line}\n" if line else "\n\n"
    done = command_line("submit", "-", stdin=text)
    assert done.returncode == 1
    assert field in done.stderr
    assert "-:2:" in done.stderr or not line
    assert len(done.stderr.strip().splitlines()) == 1
    assert command_line("show", "never").returncode == 1  # all of a file or none of it


def test_a_process_says_what_a_command_says(command_line: CommandLine) -> None:
    """Broken? What the other laws run in their own process is not what a person's shell runs."""
    for arguments, stdin in (
        (("submit", "-"), f"{json.dumps(TICKET)}\nnot json\n"),
        (("show", "nobody"), ""),
        (("nonsense",), ""),
        (("queue", "--json"), ""),
    ):
        one, other = command_line(*arguments, stdin=stdin), command_line.process(*arguments, stdin=stdin)
        assert (one.returncode, one.stdout, one.stderr.splitlines()[-1:]) == (
            other.returncode,
            other.stdout,
            other.stderr.splitlines()[-1:],
        )


def test_odd_text_is_data(command_line: CommandLine) -> None:
    odd = "<script>alert(1)</script> \u0000 \u202e \x1b[31m ' ; drop table cases; -- my cracked tablet return policy"
    state = command_line.states("run", "-", stdin=json.dumps(TICKET | {"ticket_id": "odd", "question": odd}))[
        -1
    ]
    assert state["status"] == "needs_human"
    assert "\x1b" not in command_line("show", "odd").stdout
    assert "script" not in str(state["draft"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"intake": "a.b.c"}, "unsigned_intake"),
        ({}, "unsigned_intake"),
        ({"question": "What is the return policy for my other tablet?"}, "unsigned_intake"),
    ],
)
def test_a_forged_or_altered_intake_is_turned_away(
    command_line: CommandLine, change: dict[str, str], reason: str
) -> None:
    name = f"forged-{abs(hash(json.dumps(change)))}"
    ticket = TICKET | {"ticket_id": name, "bundle_version": "intake_bundle_v2", "route": "guarded_agent"}
    signed = json.loads(command_line("intake", "sign", stdin=json.dumps(ticket)).stdout)
    forged = signed | change if change else {key: value for key, value in signed.items() if key != "intake"}
    state = command_line.states("run", "-", stdin=lines(forged))[-1]
    assert (state["status"], state["reason"]) == ("bypassed", reason)


def test_a_signature_admits_one_ticket_once(command_line: CommandLine) -> None:
    ticket = TICKET | {"ticket_id": "once", "bundle_version": "intake_bundle_v2", "route": "guarded_agent"}
    signed = json.loads(command_line("intake", "sign", stdin=json.dumps(ticket)).stdout)
    assert command_line.states("run", "-", stdin=lines(signed))[-1]["status"] == "needs_human"
    again = signed | {"ticket_id": "twice"}
    state = command_line.states("run", "-", stdin=lines(again))[-1]
    assert state["reason"] in {"unsigned_intake", "replayed_intake"}


@pytest.mark.parametrize(
    ("arguments", "environment", "said", "status"),
    [
        (("approve", "r-1"), {}, "COUNTERSIGN_TOKEN", 1),
        (("approve", "r-1"), {"COUNTERSIGN_TOKEN": "cs_wrong"}, "COUNTERSIGN_TOKEN", 1),
        (("show", "nobody"), {}, "no case nobody", 1),
        (("run", "/nowhere.jsonl"), {}, "/nowhere.jsonl", 1),
        (
            ("queue",),
            {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
            "the database is away or takes no writes",
            1,
        ),
        (("nonsense",), {}, "No such command", 2),
        (("approve",), {}, "Missing argument", 2),
        (("audit", "verify", "/nowhere"), {}, "no such file", 1),
        (("audit", "verify", "/etc/passwd"), {}, "not an anchor", 1),
        (("audit", "verify", "/"), {}, "directory", 1),
        (("approve", "r-1", "--amount", "1", "--no-refund"), {}, "one of the two", 2),
        (("reject", "r-1", "--code", "because"), {}, "because is none of", 2),
        (("queue",), {"DATABASE_URL": "not-a-url"}, "DATABASE_URL: not of the form", 1),
        (("db", "up"), {"DATABASE_URL": "mysql://x:secret@y/z"}, "DATABASE_URL: not of the form", 1),
        (("queue",), {"COUNTERSIGN_HOME": "/etc/passwd/x"}, "COUNTERSIGN_HOME", 1),
        (("policies", "import", "/nowhere", "--tenant", "demo"), {}, "no .md file", 1),
    ],
)
def test_what_cannot_be_done_is_one_line_and_the_right_status(
    command_line: CommandLine, arguments: tuple[str, ...], environment: dict[str, str], said: str, status: int
) -> None:
    done = command_line(*arguments, **environment)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("who", "arguments", "said"),
    [
        ("demo-auditor", ("approve", "w-1"), "may not decide"),
        ("demo-helpdesk", ("reject", "w-1", "--code", "other"), "may not decide"),
        ("demo-reviewer", ("approve", "w-1", "--amount", "7901"), "more than"),
        ("demo-reviewer", ("kill", "on", "--reason", "x"), "may not set flags"),
    ],
)
def test_a_person_without_the_right_is_told_what_it_takes(
    command_line: CommandLine, who: str, arguments: tuple[str, ...], said: str
) -> None:
    command_line.states(
        "run", "-", stdin=lines(TICKET | {"ticket_id": "w-1", "order_id": "D304", "customer_id": "C104"})
    )
    done = command_line(*arguments, **command_line.token(who))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_kill_switch_from_the_terminal(command_line: CommandLine) -> None:
    operator = command_line.token("demo-operator")
    assert command_line("kill", "on", "--reason", "drill", **operator).returncode == 0
    ticket = TICKET | {
        "ticket_id": "k-1",
        "order_id": "D305",
        "customer_id": "C105",
        "question": "Can I return my desk lamp I no longer want? What is the return policy for items?",
    }
    state = command_line.states("run", "-", stdin=lines(ticket))[-1]
    assert (state["status"], state["reason"]) == ("bypassed", "kill_switch")
    assert command_line.states("flags")[-1]["value"] == "on"
    assert command_line("kill", "off", "--reason", "over", **operator).returncode == 0
    assert command_line.states("show", "k-1")[-1]["status"] == "needs_human"


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


GROUPS = ("intake", "audit", "db", "people", "policies", "orders", "eval", "trace", "release")


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_every_group_has_an_example(command_line: CommandLine, group: str) -> None:
    assert "Example: countersign " in command_line(*filter(None, [group]), "--help").stdout


def test_a_reader_that_has_read_enough_is_no_error(command_line: CommandLine) -> None:
    """`countersign policies list | head -1` says nothing on standard error."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, str(ROOT / "countersign.py"), "policies", "list", "--tenant", "demo", "--json"],
            stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
            env={"PATH": os.environ["PATH"], "COUNTERSIGN_HOME": str(command_line.folder)},
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
