"""Mails into tickets: a conversation becomes one, of the customer whose address it comes from."""

from collections.abc import Collection, Mapping, Sequence
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
    files = (
        sorted(one for one in source.iterdir() if one.suffix.lower() == ".eml")
        if source.is_dir()
        else [source]
    )
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
    tx: Transaction, tenant: TenantId, mails: Mapping[str, CustomerMail], shop: Collection[str] = ()
) -> tuple[list[MailTicket], list[UnreadMail]]:
    """The tickets of mails of a tenant, one a conversation and customer; the transaction is in the tenant.

    `shop` are the shop's own addresses. A conversation in which somebody else writes whom the books do not know is read
    by a person: it may be the customer from another address. Nothing is left out without a word.
    """
    tickets: list[MailTicket] = []
    unread: list[UnreadMail] = []
    first: dict[tuple[str, str], str] = {}
    own: dict[str, CustomerMail] = {}
    for name, mail in mails.items():
        same = first.setdefault((mail.message_id, sha256(f"{mail.sender}\n{mail.text}")), name)
        if same == name:
            own[name] = mail
        else:
            unread.append(UnreadMail(name, f"the same mail as {same}"))
    for some in conversations(own):
        customers = {mail.sender: await customer_of(tx, mail.sender) for mail in some.values()}
        strange = [one for one, customer in customers.items() if customer is None and one not in shop]
        known = dict.fromkeys(customer for customer in customers.values() if customer is not None)
        if strange or not known:
            why = f"from {(strange or list(customers))[0]}: no one customer of {tenant} has this address"
            unread += [UnreadMail(name, why) for name in some]
        for customer_id in known if not strange else ():
            theirs = {
                name: mail for name, mail in some.items() if customers[mail.sender] in {customer_id, None}
            }
            try:
                tickets.append(
                    MailTicket(tuple(theirs), _ticket(tenant, customer_id, customers, list(theirs.values())))
                )
            except BadTicket as error:
                unread += [UnreadMail(name, str(error)) for name in theirs]
    return tickets, unread


async def customer_of(tx: Transaction, address: str) -> str | None:
    """The one customer with an address; None where there is none, or where several share it."""
    rows = await tx.rows("customers_at", email=address)
    return str(rows[0]["customer_id"]) if len(rows) == 1 else None


def _ticket(
    tenant: TenantId, customer_id: str, customers: Mapping[str, str | None], mails: Sequence[CustomerMail]
) -> Ticket:
    first = next(mail for mail in mails if customers[mail.sender] == customer_id)
    later = [mail for mail in mails if mail is not first]
    if len(later) > MESSAGE_LIMIT:
        raise BadTicket(f"more than {MESSAGE_LIMIT} answers")
    fields: dict[str, Any] = {
        "ticket_id": f"mail-{sha256(first.message_id + first.sender + first.text)[:24]}",
        "tenant": tenant,
        "customer_id": customer_id,
        "question": _fitting(f"{first.subject}\n\n{first.text}" if first.subject else first.text),
    }
    if later:
        fields["messages"] = [
            {
                "at": mail.at.isoformat(),
                "from": "customer" if customers[mail.sender] == customer_id else "shop",
                "text": _fitting(mail.text),
            }
            for mail in later
        ]
    return Ticket.read(fields)


def _fitting(text: str) -> str:
    """A text as it is; the words alone of a page that is too long with its markup."""
    return text if len(text) <= QUESTION_LIMIT else plain_of(text).text.strip()
