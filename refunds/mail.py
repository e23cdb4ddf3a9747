"""A mail as it comes: who wrote what, when, and to which mail it answers. Attachments are counted and not opened.

Nobody has proved who sent it: the address finds the customer whose words these are, and never a payee.
"""

import email
import email.policy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

from refunds.canonical import sha256

MAIL_LIMIT_BYTES = 10_000_000
"""With its attachments."""

SUBJECT_LIMIT = 300
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
_ADDRESS = re.compile(r"^[^\s@<>\",;:]+@[^\s@<>\",;:]+$")


class BadMail(ValueError):
    """A file is no mail that a customer wrote; the message says why."""


@dataclass(frozen=True, slots=True)
class CustomerMail:
    """One mail."""

    message_id: str
    sender: str
    """The address, in small letters."""

    subject: str
    text: str
    at: datetime
    answers: tuple[str, ...] = ()
    """The ids of the mails that it follows, the first of the conversation first."""

    attachments: int = 0

    @property
    def conversation(self) -> str:
        """The id of the mail that the conversation began with, as far as this one says."""
        return self.answers[0] if self.answers else self.message_id


def mail_of(raw: bytes) -> CustomerMail:
    """The mail in the bytes of its file. Raises BadMail."""
    if len(raw) > MAIL_LIMIT_BYTES:
        raise BadMail(f"longer than {MAIL_LIMIT_BYTES} bytes")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    sender = _sender(message)
    text = _text(message)
    if not text.strip():
        raise BadMail("no text in it")
    given = _header(message, "Message-ID")
    found = _MESSAGE_ID.search(given)
    answers = _MESSAGE_ID.findall(f"{_header(message, 'References')} {_header(message, 'In-Reply-To')}")
    return CustomerMail(
        message_id=found[0] if found else f"<{sha256(raw.decode('latin-1'))}>",
        sender=sender,
        subject=" ".join(_header(message, "Subject").split())[:SUBJECT_LIMIT],
        text=text,
        at=_date(message),
        answers=tuple(dict.fromkeys(answers)),
        attachments=sum(1 for _ in message.iter_attachments()) if message.is_multipart() else 0,
    )


def conversations(mails: Iterable[CustomerMail]) -> Iterator[list[CustomerMail]]:
    """The mails by conversation, each in the order in which they were written."""
    found: dict[str, list[CustomerMail]] = {}
    belongs: dict[str, str] = {}
    for mail in sorted(mails, key=lambda one: (one.at, one.message_id)):
        known = next((belongs[one] for one in mail.answers if one in belongs), mail.conversation)
        root = belongs.setdefault(mail.message_id, known)
        belongs.setdefault(mail.conversation, root)
        found.setdefault(root, []).append(mail)
    yield from found.values()


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name, ""))
    except (
        ValueError,
        LookupError,
        AttributeError,
        IndexError,
    ):  # a header that the standard parser breaks at
        return ""


def _sender(message: EmailMessage) -> str:
    _, address = email.utils.parseaddr(_header(message, "From"))
    if not _ADDRESS.match(address):
        raise BadMail("From: no address in it")
    return address.lower()


def _date(message: EmailMessage) -> datetime:
    try:
        at = parsedate_to_datetime(_header(message, "Date"))
    except (ValueError, TypeError):
        raise BadMail("Date: not there, or no date") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _text(message: EmailMessage) -> str:
    """The plain part, or the page where there is none."""
    try:
        body = message.get_body(preferencelist=("plain", "html"))
    except (ValueError, LookupError, AttributeError, KeyError):
        body = None
    if body is None:
        return ""
    try:
        content = body.get_content()
    except (LookupError, ValueError, AttributeError):  # a charset or an encoding that nobody knows
        payload = body.get_payload(decode=True)
        content = payload.decode("latin-1") if isinstance(payload, bytes) else ""
    text = content if isinstance(content, str) else ""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return plain.encode("utf-8", "replace").decode("utf-8").strip()
