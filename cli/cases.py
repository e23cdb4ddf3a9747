"""The commands of a case: submit it, run it, look at it, decide it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.mails import MailEnd, counted_line, is_mail, send_mails
from cli.terminal import (
    CommandFailed,
    Json,
    Most,
    Yes,
    command,
    find,
    group,
    home,
    house,
    office,
    person,
    report,
    show_state,
    tell,
    tenant_id,
)

if TYPE_CHECKING:
    from app.house import Office
    from desk.decisions import DecisionRequest
    from desk.people import Person
    from records.cases import Case
    from records.states import State
    from refunds.ticket import Ticket

cases_app = group("Cases, from the ticket to the decision.")

Tickets = Annotated[
    str, typer.Argument(metavar="FILE|-", help="Tickets, JSON or JSONL; - is standard input.")
]
TicketsOrMails = Annotated[
    str,
    typer.Argument(
        metavar="FILE|FOLDER|-",
        help="Tickets, JSON or JSONL; a mail (.eml), or a folder of mails; - is standard input.",
    ),
]
MailTenant = Annotated[str, typer.Option(help="With mails: whose customers wrote them.")]
ShopAddresses = Annotated[
    list[str],
    typer.Option("--shop", help="With mails: an address of the shop's own; more than once for several."),
]
CaseName = Annotated[str, typer.Argument(metavar="CASE", help="A case id, or the ticket id of one.")]
Amount = Annotated[
    int | None, typer.Option(min=0, help="In minor units: a revision, pays nothing by itself.")
]
NoRefund = Annotated[bool, typer.Option("--no-refund", help="Approve the reply without the refund.")]
Note = Annotated[str | None, typer.Option(help="A note that stays in the books.")]
Code = Annotated[
    str, typer.Option(help="not_eligible, outside_window, wrong_order, … (a wrong one lists them all).")
]


def tickets_of_file(source: str) -> "list[Ticket]":
    """The tickets of a file or of standard input, all of them or none."""
    from desk.tickets import read_tickets

    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise CommandFailed(f"{source}: {error.strerror}") from None
    return list(read_tickets(raw, source))


@command(cases_app, "demo", "countersign demo --yes --json")
async def demo(yes: Yes = False, as_json: Json = False) -> None:
    """The seed's question to its reply, then a refund request to its refund, on a database of its own."""
    from app.demo import demo_house

    def approve(state: "State") -> bool:
        return yes or typer.confirm(f"Countersign this ({state['reason']})?", err=True)

    status = None
    async for state in demo_house(home(), approve):
        show_state(state, as_json)
        status = state["status"]
    if status != "refunded":
        raise CommandFailed("the demo ended before the refund: nobody countersigned it")


@command(cases_app, "submit", "countersign submit mails/ --tenant demo")
async def submit(
    source: TicketsOrMails,
    tenant: MailTenant = "demo",
    shop: ShopAddresses = [],  # noqa: B006  (typer's own way to say none)
    wait: Annotated[
        int,
        typer.Option(min=0, max=3600, help="With mails: seconds to follow them until each waits or ended."),
    ] = 60,
    as_json: Json = False,
) -> None:
    """Tickets, raw or signed, into the books; prints case ids. Mails: a table of what became of each."""
    from cli.printing import progress, progress_of

    if is_mail(source):
        async with office() as opened:
            who = await person(opened, "demo-helpdesk")
            with progress_of("following the mails") as said:
                ends = await send_mails(opened, who, source, tenant_id(tenant), shop, wait, said)
        tell_mails(ends, as_json)
        return
    tickets = tickets_of_file(source)
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


def tell_mails(ends: "list[MailEnd]", as_json: bool) -> None:
    """What became of mails: a table, and a line that counts all of them. Raises CommandFailed where some failed."""
    from cli.printing import mails_table

    tell([one.to_json() for one in ends], as_json, mails_table)
    sys.stderr.write(f"countersign: {len(ends)} mails: {counted_line(ends)}\n")
    if any(one.end == "failed" for one in ends):
        raise CommandFailed("some mails failed: the table says why")


@command(cases_app, "run", "countersign run tickets.jsonl --json")
async def run_tickets(
    source: TicketsOrMails,
    tenant: MailTenant = "demo",
    shop: ShopAddresses = [],  # noqa: B006  (typer's own way to say none)
    as_json: Json = False,
) -> None:
    """Tickets into the books and, in this process, to the pause; prints each state. Mails: what became of each."""
    from cli.printing import progress_of

    if is_mail(source):
        async with house() as opened:
            who = await person(opened, "demo-helpdesk")
            with progress_of("reading the mails") as said:
                ends = await send_mails(opened, who, source, tenant_id(tenant), shop, 0, said, opened.go_on)
            await opened.anchor()
        tell_mails(ends, as_json)
        return
    tickets = tickets_of_file(source)
    async with house() as opened:
        who = await person(opened, "demo-helpdesk")
        submitted = 0
        for ticket in tickets:
            case = await take_in(opened, ticket, who)
            if case is not None:
                submitted += 1
                show_state(await opened.go_on(case), as_json)
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
        raise CommandFailed(f"{len(tickets) - submitted} of {len(tickets)} tickets refused")


@command(cases_app, "queue", "countersign queue --all")
async def queue(
    every: Annotated[bool, typer.Option("--all", help="Also cases that wait for nobody.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Instead: jobs that died.")] = False,
    replay: Annotated[int | None, typer.Option(help="Put this dead job back into its queue.")] = None,
    most: Most = 50,
    as_json: Json = False,
) -> None:
    """What waits for a person, the longest waiting first; or, with --dead, the jobs that died."""
    from cli.printing import dead_table, queue_table
    from desk.jobs import jobs_that_died, replay_job
    from desk.queue import cases_waiting

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
        tell(await cases_waiting(opened.desk_books, who, every=every, most=most), as_json, queue_table)


@command(cases_app, "show", "countersign show r-104")
async def show_case(case: CaseName, as_json: Json = False) -> None:
    """One case as the books hold it."""
    async with office() as opened:
        _, found = await find(opened, case)
        show_state(await opened.state(found), as_json)


@command(cases_app, "approve", "COUNTERSIGN_TOKEN=… countersign approve r-105")
async def approve(
    case: CaseName,
    amount: Amount = None,
    no_refund: NoRefund = False,
    reason: Note = None,
    as_json: Json = False,
) -> None:
    """Countersign what the case proposes, as the person of COUNTERSIGN_TOKEN."""
    from desk.decisions import DecisionRequest

    if amount is not None and no_refund:
        raise typer.BadParameter("--amount and --no-refund: one of the two")
    async with house() as opened:
        who, found = await find(opened, case, None)
        if amount is not None:
            await say_decision(
                opened, who, found, DecisionRequest("revise", revised_amount_minor=amount, note=reason)
            )
        else:
            if no_refund:
                await say_decision(
                    opened, who, found, DecisionRequest("revise", revised_amount_minor=0, note=reason)
                )
                offered = (await opened.go_on(found))["proposal"]
                if not isinstance(offered, dict) or offered["kind"] != "reply":
                    raise CommandFailed("no reply without a refund came of it: look at the case again")
            await say_decision(opened, who, found, DecisionRequest("approve", note=reason))
        state = await opened.go_on(found)
        show_state(state, as_json)
        await opened.anchor()
    if state["status"] == "refund_failed" or str(state["reason"]).startswith("blocked:"):
        raise CommandFailed(f"approved and not refunded: {state['status']} {state['reason']}")


@command(cases_app, "reject", "COUNTERSIGN_TOKEN=… countersign reject r-105 --code outside_window")
async def reject(case: CaseName, code: Code, reason: Note = None, as_json: Json = False) -> None:
    """Turn down what the case proposes, as the person of COUNTERSIGN_TOKEN."""
    from desk.decisions import DecisionRequest, reject_code
    from desk.notes import BadDecision

    try:
        word = DecisionRequest("reject", reject_code(code), note=reason)
    except BadDecision as error:
        raise typer.BadParameter(str(error)) from None
    async with house() as opened:
        who, found = await find(opened, case, None)
        await say_decision(opened, who, found, word)
        show_state(await opened.go_on(found), as_json)
        await opened.anchor()


async def say_decision(opened: "Office", who: "Person", case: "Case", word: "DecisionRequest") -> None:
    """Say a word on the proposal that the case shows now."""
    state = await opened.state(case)
    proposal = state["proposal"]
    if not isinstance(proposal, dict):
        raise CommandFailed(
            f"case {case.case_id} has nothing to decide: it is {state['status']} {state['reason']}"
        )
    said = await opened.desk.decide(who, case.tenant, case.case_id, str(proposal["digest"]), word)
    if said.decision is None:
        sys.stderr.write(f"countersign: recorded; {said.more_people} more must agree\n")
