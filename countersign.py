"""The front door: one command line. Each command opens the house, asks one room, and prints what it said."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evals import policy_commands
from evals.audit_commands import audit_app
from evals.exam_commands import exam_app
from evals.people_commands import people_app
from evals.release_commands import release_app
from evals.shop_commands import orders_app, policies_app
from evals.terminal import (
    Failed,
    Json,
    command,
    find,
    group,
    home,
    house,
    office,
    person,
    report,
    say,
    show,
    tell,
)
from evals.trace_commands import trace_app

if TYPE_CHECKING:
    from desk.decisions import Word
    from desk.people import Person
    from evals.house import Office
    from records.cases import Case
    from records.states import State
    from refunds.ticket import Ticket

app = group("Countersign: a support agent that drafts, a person who countersigns, money that moves once.")
intake_app = group("The intake bundle.")
db_app = group("The books.")
for name, sub in (
    ("intake", intake_app),
    ("audit", audit_app),
    ("db", db_app),
    ("people", people_app),
    ("policies", policies_app),
    ("orders", orders_app),
    ("eval", exam_app),
    ("trace", trace_app),
    ("release", release_app),
):
    app.add_typer(sub, name=name)
_ = policy_commands  # registers what policies_app offers besides the import

Yes = Annotated[bool, typer.Option("--yes", help="Answer yes.")]
Tickets = Annotated[
    str, typer.Argument(metavar="FILE|-", help="Tickets, JSON or JSONL; - is standard input.")
]
CaseName = Annotated[str, typer.Argument(metavar="CASE", help="A case id, or the ticket id of one.")]
Amount = Annotated[
    int | None, typer.Option(min=0, help="In minor units: a revision, pays nothing by itself.")
]
NoRefund = Annotated[bool, typer.Option("--no-refund", help="Approve the reply without the refund.")]
Note = Annotated[str | None, typer.Option(help="A note that stays in the books.")]
Why = Annotated[str, typer.Option(help="Why; it stays in the books.")]
Code = Annotated[
    str, typer.Option(help="not_eligible, outside_window, wrong_order, … (a wrong one lists them all).")
]
Most = Annotated[int, typer.Option(min=1, max=100_000, help="Rows of a tenant at most.")]


def read_tickets(source: str) -> "list[Ticket]":
    """The tickets of a file or of standard input, all of them or none."""
    from desk.tickets import read_tickets

    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise Failed(f"{source}: {error.strerror}") from None
    return list(read_tickets(raw, source))


@command(app, "demo", "countersign demo --yes --json")
async def demo(yes: Yes = False, as_json: Json = False) -> None:
    """The seed's question to its reply, then a refund request to its refund, on a database of its own."""
    from evals.demo import demo_house

    def approve(state: "State") -> bool:
        return yes or typer.confirm(f"Countersign this ({state['reason']})?", err=True)

    status = None
    async for state in demo_house(home(), approve):
        show(state, as_json)
        status = state["status"]
    if status != "refunded":
        raise Failed("the demo ended before the refund: nobody countersigned it")


@command(app, "submit", "countersign submit tickets.jsonl")
async def submit(source: Tickets, as_json: Json = False) -> None:
    """Tickets, raw or signed, into the books; prints case ids."""
    from evals.printing import progress

    tickets = read_tickets(source)
    async with office() as opened:
        who = await person(opened, "demo-helpdesk")
        submitted = 0
        for ticket in progress(tickets, "submitting"):
            case = await take_in(opened, ticket, who)
            if case is not None:
                submitted += 1
                report(
                    {"ticket_id": case.ticket_id, "case_id": str(case.case_id)}, as_json, str(case.case_id)
                )
    all_or_failed(submitted, tickets)


@command(app, "run", "countersign run tickets.jsonl --json")
async def run_tickets(source: Tickets, as_json: Json = False) -> None:
    """Tickets into the books and, in this process, to the pause; prints each state."""
    tickets = read_tickets(source)
    async with house() as opened:
        who = await person(opened, "demo-helpdesk")
        submitted = 0
        for ticket in tickets:
            case = await take_in(opened, ticket, who)
            if case is not None:
                submitted += 1
                show(await opened.go_on(case), as_json)
        await opened.anchor()
    all_or_failed(submitted, tickets)


async def take_in(opened: "Office", ticket: "Ticket", who: "Person") -> "Case | None":
    """The case of a ticket; None, and a line on standard error, where it is refused: the others go on."""
    from desk.intake import TicketRefused

    try:
        return await opened.intake.submit(ticket, who)
    except TicketRefused as refused:
        sys.stderr.write(f"countersign: {refused}\n")
        return None


def all_or_failed(submitted: int, tickets: "list[Ticket]") -> None:
    """Failed where some were refused; each has had its line."""
    if submitted < len(tickets):
        raise Failed(f"{len(tickets) - submitted} of {len(tickets)} tickets refused")


@command(app, "queue", "countersign queue --all")
async def queue(
    every: Annotated[bool, typer.Option("--all", help="Also cases that wait for nobody.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Instead: jobs that died.")] = False,
    replay: Annotated[int | None, typer.Option(help="Put this dead job back into its queue.")] = None,
    most: Most = 50,
    as_json: Json = False,
) -> None:
    """What waits for a person, the longest waiting first; or, with --dead, the jobs that died."""
    from desk.jobs import jobs_that_died, replay_job
    from desk.queue import waiting
    from evals.printing import dead_table, queue_table

    async with office() as opened:
        if dead or replay is not None:
            operator = await person(opened, "demo-operator")
            if replay is not None:
                await replay_job(opened.desk_books, operator, replay)
                report({"replayed": replay}, as_json, f"job {replay} is in its queue again")
            else:
                tell(await jobs_that_died(opened.desk_books, operator, most=most), as_json, dead_table)
            return
        who = await person(opened, "demo-auditor")
        tell(await waiting(opened.desk_books, who, every=every, most=most), as_json, queue_table)


@command(app, "show", "countersign show r-104")
async def show_case(case: CaseName, as_json: Json = False) -> None:
    """One case as the books hold it."""
    async with office() as opened:
        _, found = await find(opened, case)
        show(await opened.state(found), as_json)


@command(app, "approve", "COUNTERSIGN_TOKEN=… countersign approve r-105")
async def approve(
    case: CaseName,
    amount: Amount = None,
    no_refund: NoRefund = False,
    reason: Note = None,
    as_json: Json = False,
) -> None:
    """Countersign what the case proposes, as the person of COUNTERSIGN_TOKEN."""
    from desk.decisions import Word

    if amount is not None and no_refund:
        raise typer.BadParameter("--amount and --no-refund: one of the two")
    async with house() as opened:
        who, found = await find(opened, case, None)
        if amount is not None:
            await decide(opened, who, found, Word("revise", revised_amount_minor=amount, note=reason))
        else:
            if no_refund:
                await decide(opened, who, found, Word("revise", revised_amount_minor=0, note=reason))
                offered = (await opened.go_on(found))["proposal"]
                if not isinstance(offered, dict) or offered["kind"] != "reply":
                    raise Failed("no reply without a refund came of it: look at the case again")
            await decide(opened, who, found, Word("approve", note=reason))
        state = await opened.go_on(found)
        show(state, as_json)
        await opened.anchor()
    if state["status"] == "refund_failed" or str(state["reason"]).startswith("blocked:"):
        raise Failed(f"approved and not refunded: {state['status']} {state['reason']}")


@command(app, "reject", "COUNTERSIGN_TOKEN=… countersign reject r-105 --code outside_window")
async def reject(case: CaseName, code: Code, reason: Note = None, as_json: Json = False) -> None:
    """Turn down what the case proposes, as the person of COUNTERSIGN_TOKEN."""
    from desk.decisions import Word, reject_code
    from desk.notes import BadDecision

    try:
        word = Word("reject", reject_code(code), note=reason)
    except BadDecision as error:
        raise typer.BadParameter(str(error)) from None
    async with house() as opened:
        who, found = await find(opened, case, None)
        await decide(opened, who, found, word)
        show(await opened.go_on(found), as_json)
        await opened.anchor()


async def decide(opened: "Office", who: "Person", case: "Case", word: "Word") -> None:
    """Say a word on the proposal that the case shows now."""
    state = await opened.state(case)
    proposal = state["proposal"]
    if not isinstance(proposal, dict):
        raise Failed(f"case {case.case_id} has nothing to decide: it is {state['status']} {state['reason']}")
    said = await opened.desk.decide(who, case.tenant, case.case_id, str(proposal["digest"]), word)
    if said.decision is None:
        sys.stderr.write(f"countersign: recorded; {said.more_people} more must agree\n")


@command(intake_app, "sign", "countersign intake sign < ticket.json")
async def intake_sign(as_json: Json = True) -> None:
    """Sign a ticket's bundle_version and route as they stand, with the development key."""
    from datetime import UTC, datetime

    from evals.house import make_keys, private_key
    from policies.intake import sign
    from refunds.canonical import canonical

    del as_json  # a signed ticket is JSON in any case
    make_keys(home())
    for ticket in read_tickets("-"):
        say(canonical(sign(ticket, private_key(home(), "intake"), datetime.now(UTC)).to_json()))


@command(app, "ledger", "countersign ledger --json")
async def ledger(most: Most = 200, as_json: Json = False) -> None:
    """Every order of money, what was sent and how it was settled."""
    from desk.queue import ledger
    from evals.printing import ledger_table

    async with office() as opened:
        who = await person(opened, "demo-auditor")
        tell(await ledger(opened.desk_books, who, most=most), as_json, ledger_table)


@command(app, "kill", "countersign kill on --reason 'provider incident'")
async def kill(
    switch: Annotated[str, typer.Argument(metavar="on|off")],
    reason: Why,
    tenant: Annotated[str, typer.Option(help="One tenant, or * for everybody.")] = "*",
    as_json: Json = False,
) -> None:
    """The kill switch: no new case runs and no money is ordered or sent while it is on."""
    from desk.flags import set_kill_switch

    if switch not in {"on", "off"}:
        raise typer.BadParameter("on or off")
    moved = 0
    async with office() as opened:
        who = await person(opened)
        await set_kill_switch(opened.desk_books, who, on=switch == "on", reason=reason, tenant=tenant)
    if switch == "off":
        async with house() as whole:
            moved = await whole.driver.sweep()
    line = f"kill switch {switch} for {tenant}" + (f"; {moved} parked cases went on" if moved else "")
    report({"kill_switch": switch, "tenant": tenant, "went_on": moved}, as_json, line)


@command(app, "flags", "countersign flags --set step_cap=3 --reason 'a loop was seen'")
async def flags(
    setting: Annotated[str | None, typer.Option("--set", help="NAME=VALUE; off takes it away.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it stays in the books.")] = "",
    tenant: Annotated[str, typer.Option(help="One tenant, or * for everybody.")] = "*",
    as_json: Json = False,
) -> None:
    """The run-time flags in force, who set them and why; or, with --set, one more."""
    from desk.flags import current_flags, set_flag
    from evals.printing import flags_table

    async with office() as opened:
        if setting is not None:
            flag, _, value = setting.partition("=")
            if flag == "kill_switch":
                raise typer.BadParameter("--set: countersign kill turns the kill switch")
            operator = await person(opened)
            await set_flag(opened.desk_books, operator, name=flag, value=value, reason=reason, tenant=tenant)
        who = await person(opened, "demo-operator")
        tell(await current_flags(opened.desk_books, who), as_json, flags_table)


@command(app, "serve", "countersign serve --desk-port 8081")
async def serve_house(
    graph_port: Annotated[
        int, typer.Option(min=1, max=65_535, envvar="GRAPH_PORT", help="The LangGraph server API.")
    ] = 2024,
    desk_port: Annotated[int, typer.Option(min=1, max=65_535, envvar="DESK_PORT", help="The desk.")] = 8080,
    runner: Annotated[
        str, typer.Option(envvar="RUNNER", help="server or workers: who drives the cases.")
    ] = "server",
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many, where workers drive.")] = 2,
    logs: Annotated[
        str, typer.Option(help="json, plain, or auto: plain on a terminal, with the rest in a file.")
    ] = "auto",
) -> None:
    """The whole house: books, graph, desk and till, until Ctrl-C."""
    from typing import get_args

    from deploy.console import LogForm
    from deploy.environment import Addresses
    from deploy.serve import CannotServe, Plan, check_ports, only_house, serve
    from evals.house import check_keys, check_models, prepare
    from records.embedded import EmbeddedPostgres

    if runner not in {"server", "workers"}:
        raise typer.BadParameter("--runner: server or workers")
    if logs not in get_args(LogForm):
        raise typer.BadParameter(f"--logs: {', '.join(get_args(LogForm))}")
    form: LogForm = logs  # type: ignore[assignment]
    at = home()
    addresses = Addresses(graph_port, desk_port)
    try:
        check_ports(addresses)
        url = at.admin_url()
        with only_house(url) as lock:
            await prepare(at, url, page=True)
            check_keys(at)
            check_models(at)
            plan = Plan(at, url, addresses, "workers" if runner == "workers" else "server", workers, form)
            # The process manager takes the signals and this thread; nothing else runs on this loop.
            status = serve(plan, lock, os.environ, say)
    except CannotServe as error:
        raise Failed(str(error)) from None
    if at.database_url is None:
        EmbeddedPostgres(at.folder).stop()
    if status:
        raise Failed(
            "a process of the house ended by itself, so all of it was stopped: its last lines say why"
        )


@command(db_app, "up", "countersign db up")
async def db_up(as_json: Json = False) -> None:
    """Start the embedded Postgres, migrate, make keys and the demo shop; prints the sign-ins' file."""
    from evals.house import prepare

    await prepare(home(), home().admin_url(), page=True)
    file = str(home().token_file)
    report({"tokens": file}, as_json, f"the books are up; the demo sign-ins are in {file}")


@command(db_app, "migrate", "DATABASE_URL=postgresql://… countersign db migrate")
async def db_migrate(as_json: Json = False) -> None:
    """Bring the schema up to this program's, with the roles and their passwords, and nothing else."""
    from evals.house import make_keys, migrate_books

    applied = migrate_books(home(), home().admin_url(), set_passwords=True)
    make_keys(home())
    report({"applied": applied}, as_json, "\n".join(applied) or "nothing to do")


@command(db_app, "down", "countersign db down")
async def db_down(as_json: Json = False) -> None:
    """Stop the embedded Postgres; the data stays."""
    from records.embedded import EmbeddedPostgres

    EmbeddedPostgres(home().folder).stop()
    report({"stopped": True}, as_json, "stopped")


@command(db_app, "reset", "countersign db reset --yes")
async def db_reset(yes: Yes = False, as_json: Json = False) -> None:
    """Drop the embedded books with everything in them. A Postgres of your own is never dropped."""
    from records.home import drop_books

    if home().database_url is not None:
        raise Failed("DATABASE_URL is set: drop that database yourself")
    if not yes:
        raise Failed("this deletes every case and every refund on record: say --yes")
    drop_books(home())
    report({"reset": True}, as_json, "the books are gone")


def main() -> None:
    """The console script."""
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    os.environ.setdefault("LANGSMITH_TRACING", "false")
    app()


if __name__ == "__main__":
    main()
