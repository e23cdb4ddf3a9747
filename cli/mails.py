"""A folder of mails on the command line: each becomes a ticket, is followed to where it waits, and is counted."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.terminal import CommandFailed

if TYPE_CHECKING:
    from app.house import Office
    from desk.people import Person
    from records.cases import Case
    from refunds.ids import TenantId
    from refunds.vocabulary import TicketEnd

POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class MailEnd:
    """What became of a mail."""

    mail: str
    end: "TicketEnd"
    why: str
    ticket_id: str = ""
    case_id: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "mail": self.mail,
            "end": self.end,
            "why": self.why,
            "ticket_id": self.ticket_id or None,
            "case_id": self.case_id or None,
        }


def is_mail(source: str) -> bool:
    """Whether a source is a folder of mails, or one."""
    return source != "-" and (Path(source).is_dir() or source.lower().endswith(".eml"))


async def send_mails(
    opened: "Office",
    who: "Person",
    source: str,
    tenant: "TenantId",
    shop: Sequence[str],
    wait_seconds: int,
    said: Callable[[int, int], None],
    run: "Callable[[Case], Awaitable[object]] | None" = None,
) -> list[MailEnd]:
    """The end of every mail of a source, in the order of their names. Raises CommandFailed for a source without any.

    `run` brings a case to its pause in this process; without it the house's own runners do.
    """
    from desk.intake import TicketRefused
    from desk.mails import mails_in, tickets_of_mails
    from refunds.mail import BadMail

    try:
        mails, unread = mails_in(Path(source))
    except BadMail as error:
        raise CommandFailed(str(error)) from None
    async with opened.desk_books.transaction(tenant) as tx:
        tickets, strangers = await tickets_of_mails(tx, tenant, mails, {one.lower() for one in shop})
    ends = [MailEnd(one.name, "failed", one.why) for one in (*unread, *strangers)]
    cases: dict[str, Case] = {}
    for one in tickets:
        try:
            case = await opened.intake.submit(one.ticket, who)
        except TicketRefused as refused:
            ends += [MailEnd(name, "failed", str(refused)) for name in one.names]
            continue
        cases |= dict.fromkeys(one.names, case)
        if run is not None:
            await run(case)
        said(len(cases), len(mails))
    total, until = len(ends) + len(cases), time.monotonic() + wait_seconds
    settled: dict[str, MailEnd] = {}
    while True:
        for name in cases.keys() - settled.keys():
            now = await _end(opened, name, cases[name])
            if now.end != "under_way" or time.monotonic() >= until:
                settled[name] = now
        said(len(ends) + len(settled), total)
        if len(settled) == len(cases):
            return sorted((*ends, *settled.values()), key=lambda end: end.mail)
        await asyncio.sleep(POLL_SECONDS)


async def _end(opened: "Office", name: str, case: "Case") -> MailEnd:
    from refunds.ticket_end import ticket_end
    from refunds.vocabulary import CaseStatus, one_of

    state = await opened.state(case)
    end = ticket_end(one_of(CaseStatus, state["status"]), str(state["reason"]))
    return MailEnd(name, end, f"{state['status']}: {state['reason']}", case.ticket_id, str(case.case_id))


def counted_line(ends: list[MailEnd]) -> str:
    """How many mails came to which end; all of them."""
    count = Counter(one.end for one in ends)
    return ", ".join(f"{number} {end.replace('_', ' ')}" for end, number in sorted(count.items()))
