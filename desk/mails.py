"""Mails into tickets: a conversation becomes one, of the customer whose address it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.reading.plain import plain_of
from records.books import Transaction
from refunds.canonical import sha256
from refunds.ids import TenantId
from refunds.mail import BadMail, CustomerMail, conversations, mail_of
from refunds.ticket import MESSAGE_LIMIT, QUESTION_LIMIT, BadTicket, Ticket

MAILS = 5_000
"""Of one folder at most."""


@dataclass(frozen=True, slots=True)
class UnreadMail:
    """A file that is no mail, or one from nobody whom the books know."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class MailTicket:
    """A conversation as a ticket, with the names of the files that it came from."""

    names: tuple[str, ...]
    ticket: Ticket


def mails_in(source: Path) -> tuple[dict[str, CustomerMail], list[UnreadMail]]:
    """The mails of a file or a folder, by the name of their file. BadMail for a folder with none, or too many."""
    files = sorted(source.glob("*.eml")) if source.is_dir() else [source]
    if not files:
        raise BadMail(f"{source}: no .eml in it")
    if len(files) > MAILS:
        raise BadMail(f"{source}: {len(files)} mails, and at most {MAILS} at once")
    mails: dict[str, CustomerMail] = {}
    unread: list[UnreadMail] = []
    for file in files:
        try:
            mails[file.name] = mail_of(file.read_bytes())
        except (BadMail, OSError) as error:
            unread.append(UnreadMail(file.name, str(error)))
    return mails, unread


async def tickets_of_mails(
    tx: Transaction, tenant: TenantId, mails: dict[str, CustomerMail]
) -> tuple[list[MailTicket], list[UnreadMail]]:
    """The tickets of mails of a tenant; the transaction is in it. Nothing is left out without a word."""
    names: dict[str, str] = {}
    for name, mail in mails.items():
        names.setdefault(mail.message_id, name)
    tickets: list[MailTicket] = []
    unread = [
        UnreadMail(name, f"the same mail as {names[mail.message_id]}")
        for name, mail in mails.items()
        if names[mail.message_id] != name
    ]
    for some in conversations(mail for name, mail in mails.items() if names[mail.message_id] == name):
        files = tuple(names[mail.message_id] for mail in some)
        customers = {mail.sender: await customer_of(tx, mail.sender) for mail in some}
        own = next((mail for mail in some if customers[mail.sender] is not None), None)
        if own is None:
            why = f"from {some[0].sender}: no one customer of {tenant} has this address"
            unread += [UnreadMail(name, why) for name in files]
            continue
        later = [mail for mail in some if mail is not own]
        customer_id = customers[own.sender]
        strange = [mail for mail in later if customers[mail.sender] not in {None, customer_id}]
        if strange or len(later) > MESSAGE_LIMIT:
            why = "two customers in one conversation" if strange else f"more than {MESSAGE_LIMIT} answers"
            unread += [UnreadMail(name, why) for name in files]
            continue
        try:
            tickets.append(MailTicket(files, _ticket(tenant, str(customer_id), own, later)))
        except BadTicket as error:
            unread += [UnreadMail(name, str(error)) for name in files]
    return tickets, unread


async def customer_of(tx: Transaction, address: str) -> str | None:
    """The one customer with an address; None where there is none, or where several share it."""
    rows = await tx.rows("customers_at", email=address)
    return str(rows[0]["customer_id"]) if len(rows) == 1 else None


def _ticket(tenant: TenantId, customer_id: str, first: CustomerMail, later: Sequence[CustomerMail]) -> Ticket:
    fields: dict[str, Any] = {
        "ticket_id": f"mail-{sha256(first.message_id)[:24]}",
        "tenant": tenant,
        "customer_id": customer_id,
        "question": _fitting(f"{first.subject}\n\n{first.text}" if first.subject else first.text),
    }
    if later:
        fields["messages"] = [
            {
                "at": mail.at.isoformat(),
                "from": "customer" if mail.sender == first.sender else "shop",
                "text": _fitting(mail.text),
            }
            for mail in later
        ]
    return Ticket.read(fields)


def _fitting(text: str) -> str:
    """A text as it is; the words alone of a page that is too long with its markup."""
    return text if len(text) <= QUESTION_LIMIT else plain_of(text).text.strip()
