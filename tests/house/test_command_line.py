"""The command line as a stranger uses it: a home of its own, bad input of every kind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from house_kit import ROOT, TICKET, CommandLine, lines


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
    assert states[-1]["refund"] == {
        "result": "refund_created",
        "amount_minor": 7_900,
        "currency": "USD",
        "legs": [{"payment_id": "pay_D300", "amount_minor": 7_900, "outcome": "succeeded"}],
    }
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


GROUPS = (
    "intake",
    "audit",
    "db",
    "tenant",
    "people",
    "authority",
    "policies",
    "orders",
    "customers",
    "eval",
    "trace",
    "release",
)


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


def test_a_currency_is_let_in_by_a_command(command_line: CommandLine, tmp_path: Path) -> None:
    """Nobody may approve a currency without rules, so its orders stay out until it has some."""
    file = tmp_path / "orders.jsonl"
    order = {
        "order_id": "Y1", "customer_id": "CY", "status": "delivered", "currency": "KRW",
        "items": [{"sku": "CUP", "name": "Cup", "price_minor": 5_800}],
        "payments": [{"payment_id": "pay_Y1", "method": "card_1114", "amount_minor": 5_800}],
    }  # fmt: skip
    file.write_text(lines(order))
    refused = command_line("orders", "import", str(file), "--tenant", "demo")
    assert refused.returncode == 1
    assert "countersign authority set --tenant demo --currency KRW" in refused.stderr
    for limits in (("--specialist-from", "60000"), ("--specialist-from", "100", "--two-people-from", "100")):
        above = command_line("authority", "set", "--tenant", "demo", "--currency", "KRW", *limits)
        assert above.returncode == 1 and "none is above the house's own" in above.stderr
    assert command_line("authority", "set", "--tenant", "nobody", "--currency", "KRW").returncode == 1
    assert command_line("authority", "set", "--tenant", "demo", "--currency", "yen").returncode == 2
    added = ("authority", "set", "--tenant", "demo", "--currency", "KRW", "--specialist-from")
    assert command_line(*added, "7000").returncode == 0
    assert command_line(*added, "5000").returncode == 0, "it takes the place of the one before"
    rules = command_line.states("authority", "list", "--tenant", "demo")
    assert [(rule["from"], rule["approvals"], rule["specialists"]) for rule in rules if rule["currency"] == "KRW"] == [
        ("0 KRW", 1, 0), ("5000 KRW", 1, 1), ("200000 KRW", 2, 1),
    ]  # fmt: skip
    assert command_line("orders", "import", str(file), "--tenant", "demo").returncode == 0
    many = tmp_path / "authority.jsonl"
    many.write_text(lines({"currency": "SEK", "specialist_from": "400.00"}) + lines({"currency": "NOK"}))
    assert (
        "SEK, NOK can be approved"
        in command_line("authority", "import", str(many), "--tenant", "demo").stdout
    )
    many.write_text(lines({"currency": "DKK"}) + lines({"currency": "DKK"}))
    refused = command_line("authority", "import", str(many), "--tenant", "demo")
    assert refused.returncode == 1 and "a currency is given twice" in refused.stderr
    many.write_text(lines({"currency": "DKK", "specialist_from": "900.00"}))
    refused = command_line("authority", "import", str(many), "--tenant", "demo")
    assert refused.returncode == 1 and "line 1: limits rise" in refused.stderr
    assert not {row["currency"] for row in command_line.states("authority", "list", "--tenant", "demo")} & {
        "DKK"
    }


def test_a_tenant_that_was_added_has_no_people_of_the_demo(command_line: CommandLine, tmp_path: Path) -> None:
    assert "nobody works for it yet" in command_line("tenant", "add", "lamps", "--name", "Lamps").stdout
    again = command_line("tenant", "add", "lamps")
    assert again.returncode == 1 and "lamps is there already" in again.stderr
    file = tmp_path / "orders.jsonl"
    order = {
        "order_id": "L1", "customer_id": "CL", "status": "pending",
        "items": [{"sku": "LAMP", "name": "Lamp", "price_minor": 4_900}],
        "payments": [{"payment_id": "pay_L1", "method": "card_4242", "amount_minor": 4_900}],
    }  # fmt: skip
    file.write_text(lines(order))
    assert command_line("orders", "import", str(file), "--tenant", "lamps").returncode == 0
    assert command_line("orders", "import", str(file), "--tenant", "shades").returncode == 0
    assert {"lamps", "shades"} <= {row["tenant"] for row in command_line.states("tenant", "list")}
    working = {tenant for row in command_line.states("people", "list") for tenant in row["roles"]}
    assert "shades" in working and "lamps" not in working


def test_a_folder_of_mails_ends_with_every_mail_counted(command_line: CommandLine, tmp_path: Path) -> None:
    texts = {
        "cracked": "My tablet arrived cracked. I want a refund for order D300.",
        "which": "I want to return one of the items.",
        "angry": "My lawyer will write to you.",
        "stranger": "I want a refund.",
    }
    for number, (name, text) in enumerate(texts.items()):
        sender = "x@else.example" if name == "stranger" else "c100@demo.example"
        head = f"From: {sender}\nDate: Mon, 23 Nov 2026 10:00:00 +0100\nMessage-ID: <folder-{number}@c>\nSubject: D300\n\n"
        (tmp_path / f"{name}.eml").write_text(head + text)
    done = command_line("run", str(tmp_path), "--json")
    assert done.returncode == 1, "a mail from nobody failed"
    rows = {row["mail"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert {name: row["end"] for name, row in rows.items()} == {
        "cracked.eml": "waiting_for_person",
        "which.eml": "waiting_for_person",
        "angry.eml": "waiting_for_person",
        "stranger.eml": "failed",
    }
    assert "4 mails: 1 failed, 3 waiting for person" in done.stderr
    table = command_line("submit", str(tmp_path), "--wait", "0")
    assert "stranger.eml" in table.stdout
    assert "4 mails: 1 failed, 3 waiting for person" in table.stderr
    assert command_line("submit", str(tmp_path / "cracked.eml")).returncode == 0
