"""The front door: one command line. Each command opens the house, asks one room, and prints what it said."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from desk.decisions import Word
    from desk.people import Person
    from evals.house import House
    from records.books import Row
    from records.cases import Case
    from records.home import Home
    from records.states import State
    from refunds.ticket import Ticket

app = typer.Typer(
    help="Countersign: a support agent that drafts, a person who countersigns, money that moves once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
intake_app = typer.Typer(help="The intake bundle.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit chains and their signed anchors.", no_args_is_help=True)
db_app = typer.Typer(help="The books.", no_args_is_help=True)
policies_app = typer.Typer(help="The policy library.", no_args_is_help=True)
for name, sub in (("intake", intake_app), ("audit", audit_app), ("db", db_app), ("policies", policies_app)):
    app.add_typer(sub, name=name)

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Tickets = Annotated[
    str, typer.Argument(metavar="FILE|-", help="Tickets as JSON or JSONL; - reads standard input.")
]
Amount = Annotated[
    int | None,
    typer.Option(min=0, help="Another amount, in minor units: a revision, pays nothing by itself."),
]
NoRefund = Annotated[bool, typer.Option("--no-refund", help="Approve the reply without the refund.")]
Note = Annotated[str | None, typer.Option(help="A note that stays in the books.")]
Code = Annotated[
    str, typer.Option(help="not_eligible, outside_window, wrong_order, … (a wrong one lists them all).")
]
Most = Annotated[int, typer.Option(min=1, max=100_000, help="Rows of a tenant at most.")]
CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="A case id, or the ticket id of one.")]


class Failed(Exception):
    """The command did not do what was asked; the message is the one line that says why."""


def say(line: str) -> None:
    """One line to standard output."""
    sys.stdout.write(line + "\n")


def show(value: "State", as_json: bool) -> None:
    """A state, as JSON or for the eye."""
    from evals.printing import state_lines

    say(json.dumps(value, default=str) if as_json else "\n".join(state_lines(value)))


def tell(rows: "Sequence[Row]", as_json: bool, table: "Callable[[Sequence[Row]], str]") -> None:
    """Rows, one JSON object a line or as a table."""
    for row in rows if as_json else ():
        say(json.dumps(dict(row), default=str))
    if not as_json:
        say(table(rows))


def home() -> "Home":
    """The home that the environment names."""
    from records.home import Home

    return Home.of_environment(os.environ)


@asynccontextmanager
async def house(ready: bool = True) -> "AsyncIterator[House]":
    """The house on its database; brought up first where it is the embedded one."""
    from evals.house import open_house, prepare

    at = home()
    url = at.admin_url()
    if ready and at.database_url is None:
        await prepare(at, url)
    async with open_house(at, url) as opened:
        yield opened


async def person(opened: "House", otherwise: str | None = None) -> "Person":
    """Who speaks: the person of COUNTERSIGN_TOKEN; on the embedded books a demo person where nobody has to sign."""
    from desk.people import sign_in
    from evals.shop import demo_tokens

    token = os.environ.get("COUNTERSIGN_TOKEN", "")
    if not token and otherwise and opened.home.database_url is None:
        token = demo_tokens(opened.home)[otherwise]
    return await sign_in(opened.desk_books, token)


async def find(opened: "House", name: str, otherwise: str | None = "demo-auditor") -> "tuple[Person, Case]":
    """Who speaks, and the case of an id or a ticket id that they may see."""
    from desk.queue import find_case

    who = await person(opened, otherwise)
    return who, await find_case(opened.desk_books, who, name)


def read_tickets(source: str) -> "list[Ticket]":
    """The tickets of a file or of standard input, all of them or none."""
    from desk.tickets import read_tickets

    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise Failed(f"{source}: {error.strerror}") from None
    return list(read_tickets(raw, source))


@app.command(epilog="Example: countersign demo --yes --json")
def demo(
    yes: Annotated[bool, typer.Option("--yes", help="Answer the approvals with yes.")] = False,
    as_json: Json = False,
) -> None:
    """The seed's question to its reply, then a refund request to its refund, on a database of its own."""
    from evals.demo import DATABASE, play
    from records.home import drop_database

    at = home()

    def approve(state: "State") -> bool:
        return yes or typer.confirm(f"Countersign this ({state['reason']})?", err=True)

    async def run() -> None:
        url = at.admin_url(DATABASE)
        drop_database(url)
        at.admin_url(DATABASE)
        twin = at.folder / "demo-twin.sqlite"
        for file in at.folder.glob("demo-twin.sqlite*"):
            if file.is_file():
                file.unlink()
        status = ""
        async for state in play(at, url, approve, twin):
            show(state, as_json)
            status = str(state["status"])
        drop_database(url)
        if status != "refunded":
            raise Failed("the demo ended before the refund: nobody countersigned it")

    finish(run())


@app.command(epilog="Example: countersign submit tickets.jsonl")
def submit(source: Tickets, as_json: Json = False) -> None:
    """Tickets, raw or signed, into the books; prints case ids."""

    async def run() -> None:
        from evals.printing import progress

        tickets = read_tickets(source)
        async with house() as opened:
            who = await person(opened, "demo-helpdesk")
            for ticket in progress(tickets, "submitting"):
                case = await opened.intake.submit(ticket, who)
                line = {"ticket_id": case.ticket_id, "case_id": str(case.case_id)}
                say(json.dumps(line) if as_json else line["case_id"])

    finish(run())


@app.command(epilog="Example: countersign run tickets.jsonl --json")
def run(source: Tickets, as_json: Json = False) -> None:
    """Tickets into the books and, in this process, to the pause; prints each state."""

    async def run_all() -> None:
        tickets = read_tickets(source)
        async with house() as opened:
            who = await person(opened, "demo-helpdesk")
            for ticket in tickets:
                case = await opened.intake.submit(ticket, who)
                show(await opened.go_on(case), as_json)
            await opened.anchor()

    finish(run_all())


@app.command(epilog="Example: countersign queue --all")
def queue(
    every: Annotated[bool, typer.Option("--all", help="Also cases that wait for nobody.")] = False,
    most: Most = 50,
    as_json: Json = False,
) -> None:
    """What waits for a person, the longest waiting first."""

    async def run() -> None:
        from desk.queue import waiting
        from evals.printing import queue_table

        async with house() as opened:
            rows = await waiting(
                opened.desk_books, await person(opened, "demo-auditor"), every=every, most=most
            )
        tell(rows, as_json, queue_table)

    finish(run())


@app.command("show", epilog="Example: countersign show r-104")
def show_case(case: CaseArgument, as_json: Json = False) -> None:
    """One case as the books hold it."""

    async def run() -> None:
        async with house() as opened:
            _, found = await find(opened, case)
            show(await opened.state(found), as_json)

    finish(run())


@app.command(epilog="Example: COUNTERSIGN_TOKEN=… countersign approve r-105")
def approve(
    case: CaseArgument,
    amount: Amount = None,
    no_refund: NoRefund = False,
    reason: Note = None,
    as_json: Json = False,
) -> None:
    """Countersign what the case proposes, as the person of COUNTERSIGN_TOKEN."""

    async def run() -> None:
        from desk.decisions import Word

        if amount is not None and no_refund:
            raise Failed("--amount and --no-refund: one of the two")
        async with house() as opened:
            who, found = await find(opened, case, None)
            if amount is not None:
                await decide(opened, who, found, Word("revise", None, amount, reason))
            elif no_refund:
                await decide(opened, who, found, Word("revise", None, 0, reason))
                await opened.go_on(found)
                await decide(opened, who, found, Word("approve", note=reason))
            else:
                await decide(opened, who, found, Word("approve", note=reason))
            show(await opened.go_on(found), as_json)
            await opened.anchor()

    finish(run())


@app.command(epilog="Example: COUNTERSIGN_TOKEN=… countersign reject r-105 --code outside_window")
def reject(
    case: CaseArgument,
    code: Code,
    reason: Note = None,
    as_json: Json = False,
) -> None:
    """Turn down what the case proposes, as the person of COUNTERSIGN_TOKEN."""
    from desk.decisions import Word, reject_code

    async def run() -> None:
        async with house() as opened:
            who, found = await find(opened, case, None)
            await decide(opened, who, found, Word("reject", reject_code(code), None, reason))
            show(await opened.go_on(found), as_json)
            await opened.anchor()

    finish(run())


async def decide(opened: "House", who: "Person", case: "Case", word: "Word") -> None:
    """Say a word on the proposal that the case shows now."""
    state = await opened.state(case)
    proposal = state["proposal"]
    if not isinstance(proposal, dict):
        raise Failed(f"case {case.case_id} has nothing to decide: it is {state['status']} {state['reason']}")
    said = await opened.desk.decide(who, case.tenant, case.case_id, str(proposal["digest"]), word)
    if said.decision is None:
        sys.stderr.write(f"countersign: recorded; {said.more_people} more must agree\n")


@intake_app.command("sign", epilog="Example: countersign intake sign < ticket.json")
def intake_sign() -> None:
    """Sign a ticket's bundle_version and route as they stand, with the development key."""

    async def run() -> None:
        from datetime import UTC, datetime

        from evals.house import make_keys, private_key
        from policies.intake import sign
        from refunds.canonical import canonical

        make_keys(home())
        for ticket in read_tickets("-"):
            say(canonical(sign(ticket, private_key(home(), "intake"), datetime.now(UTC)).to_json()))

    finish(run())


@app.command(epilog="Example: countersign trace r-104")
def trace(case: CaseArgument, as_json: Json = False) -> None:
    """What the agent asked for and was given, with the budget audit."""

    async def run() -> None:
        from evals.printing import trace_table

        async with house() as opened:
            _, found = await find(opened, case)
            state = await opened.state(found)
        tell(state["trace"] if isinstance(state["trace"], list) else [], as_json, trace_table)
        audit = state["budget_audit"]
        say(json.dumps({"budget_audit": audit}) if as_json else f"budget audit: {audit}")

    finish(run())


@app.command(epilog="Example: countersign ledger --json")
def ledger(
    most: Most = 200,
    as_json: Json = False,
) -> None:
    """Every order of money, what was sent and how it was settled."""

    async def run() -> None:
        from desk.queue import ledger
        from evals.printing import ledger_table

        async with house() as opened:
            rows = await ledger(opened.desk_books, await person(opened, "demo-auditor"), most=most)
        tell(rows, as_json, ledger_table)

    finish(run())


@audit_app.command("verify", epilog="Example: countersign audit verify /backup/anchors.jsonl")
def audit_verify(
    copy: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The anchors' copy outside the database.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Every chain against the rows it speaks of and against the signed anchors."""

    async def run() -> None:
        from evals.house import trusted_keys
        from records.audit import verify

        if copy is not None and not copy.exists():
            raise Failed(f"{copy}: no such file")
        async with house() as opened:
            keys = trusted_keys(opened.home, "anchor")
            findings, events = await verify(opened.desk_books, keys.read, copy or opened.home.anchors_file)
        for finding in findings:
            say(json.dumps({"finding": str(finding)}) if as_json else str(finding))
        if findings:
            raise Failed(
                f"{len(findings)} findings in {events} events: the books are not as they were written"
            )
        say(
            json.dumps({"events": events, "findings": 0})
            if as_json
            else f"{events} events, as they were written"
        )

    finish(run())


@audit_app.command("anchor", epilog="Example: countersign audit anchor")
def audit_anchor() -> None:
    """Sign the heads that moved, and copy the signature out of the database."""

    async def run() -> None:
        async with house() as opened:
            made = await opened.anchor()
        say(f"anchor {made.anchor_no}" if made else "nothing moved")

    finish(run())


@app.command(epilog="Example: countersign kill on --reason 'provider incident'")
def kill(
    state: Annotated[str, typer.Argument(metavar="on|off")],
    reason: Annotated[str, typer.Option(help="Why; it stays in the books.")],
    tenant: Annotated[str, typer.Option(help="One tenant, or * for everybody.")] = "*",
) -> None:
    """The kill switch: no new case runs and no money is ordered or sent while it is on."""
    if state not in {"on", "off"}:
        raise typer.BadParameter("on or off")

    async def run() -> None:
        from desk.flags import set_kill_switch

        async with house() as opened:
            who = await person(opened)
            await set_kill_switch(opened.desk_books, who, on=state == "on", reason=reason, tenant=tenant)
            moved = await opened.driver.sweep() if state == "off" else 0
        say(f"kill switch {state} for {tenant}" + (f"; {moved} parked cases went on" if moved else ""))

    finish(run())


@app.command(epilog="Example: countersign flags --json")
def flags(as_json: Json = False) -> None:
    """The run-time flags in force, who set them and why."""

    async def run() -> None:
        from desk.flags import current_flags
        from evals.printing import flags_table

        async with house() as opened:
            rows = await current_flags(opened.desk_books, await person(opened, "demo-operator"))
        tell(rows, as_json, flags_table)

    finish(run())


@db_app.command("up", epilog="Example: countersign db up")
def db_up() -> None:
    """Start the embedded Postgres, migrate, make keys and the demo shop; prints the sign-ins' file."""

    async def run() -> None:
        from evals.house import prepare

        await prepare(home(), home().admin_url())
        say(f"the books are up; the demo sign-ins are in {home().token_file}")

    finish(run())


@db_app.command("migrate", epilog="Example: DATABASE_URL=postgresql://… countersign db migrate")
def db_migrate() -> None:
    """Bring the schema up to this program's, with the roles and their passwords, and nothing else."""
    from evals.house import make_keys
    from graph.checkpointer import install_checkpoints
    from records.migrate import migrate

    async def run() -> None:
        url = home().admin_url()
        applied = migrate(url, home().passwords())
        install_checkpoints(url)
        make_keys(home())
        say("\n".join(applied) or "nothing to do")

    finish(run())


@db_app.command("down", epilog="Example: countersign db down")
def db_down() -> None:
    """Stop the embedded Postgres; the data stays."""
    from records.embedded import EmbeddedPostgres

    async def run() -> None:
        EmbeddedPostgres(home().folder).stop()
        say("stopped")

    finish(run())


@db_app.command("reset", epilog="Example: countersign db reset --yes")
def db_reset(yes: Annotated[bool, typer.Option("--yes", help="Really.")] = False) -> None:
    """Drop the embedded books with everything in them. A Postgres of your own is never dropped."""
    from records.home import drop_database

    async def run() -> None:
        at = home()
        if at.database_url is not None:
            raise Failed("DATABASE_URL is set: drop that database yourself")
        if not yes:
            raise Failed("this deletes every case and every refund on record: say --yes")
        drop_database(at.admin_url())
        for file in [at.anchors_file, *at.folder.glob("twin.sqlite*")]:
            if file.is_file():
                file.unlink()
        say("the books are gone")

    finish(run())


@policies_app.command(
    "import", epilog="Example: countersign policies import policies/corpus/demo --tenant demo"
)
def policies_import(folder: Path, tenant: Annotated[str, typer.Option(help="Whose library.")]) -> None:
    """Policy documents (Markdown with a header) into a tenant's library; safe to repeat."""

    async def run() -> None:
        from evals.shop import import_corpus
        from policies.documents import read_corpus
        from records.books import Books
        from refunds.ids import TenantId

        documents = read_corpus(folder)
        async with house() as opened, Books.open(opened.home.admin_url(), size=2) as owner:
            if tenant not in await owner.tenants():
                raise Failed(f"tenant {tenant} is not in the books")
            async with owner.transaction(TenantId(tenant)) as page:
                new = await import_corpus(page, TenantId(tenant), documents)
        say(f"{len(documents)} documents read, {new} new")

    finish(run())


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run a command; what goes wrong in a known way is one line on standard error and exit status 1."""
    from evals.printing import known_error

    try:
        asyncio.run(work)
    except Exception as error:
        line = str(error) if isinstance(error, Failed) else known_error(error)
        if line is None:
            raise
        sys.stderr.write(f"countersign: {line}\n")
        raise typer.Exit(1) from None


def main() -> None:
    """The console script."""
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    os.environ.setdefault("LANGSMITH_TRACING", "false")
    app()


if __name__ == "__main__":
    main()
