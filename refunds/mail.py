"""A mail as it comes: who wrote what, when, and to which mail it answers. Attachments are counted and not opened.

Nobody has proved who sent it: the address finds the customer whose words these are, and never a payee.
"""

import email
import email.policy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

from refunds.canonical import sha256

MAIL_LIMIT_BYTES = 10_000_000
"""With its attachments."""

SUBJECT_LIMIT = 300
HEADER_LIMIT = 4_000
"""A longer header is none that a person's program wrote."""

TEXT_LIMIT = 40_000
"""Of a page with its markup; longer than any that a person writes."""

_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
_ADDRESS = re.compile(r"^[!-~]+@[!-~]+$")


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
    try:
        return _read(email.message_from_bytes(raw, policy=email.policy.default), raw)
    except RecursionError:
        raise BadMail("its parts stand in one another too deep") from None


def _read(message: EmailMessage, raw: bytes) -> CustomerMail:
    sender = _sender(message)
    text = _text(message)
    if not text.strip():
        raise BadMail("no text in it")
    if len(text) > TEXT_LIMIT:
        raise BadMail(f"a text of more than {TEXT_LIMIT} characters")
    found = _MESSAGE_ID.search(_header(message, "Message-ID"))
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


def conversations(mails: Mapping[str, CustomerMail]) -> Iterator[dict[str, CustomerMail]]:
    """The mails by conversation, each in the order in which they were written."""
    found: dict[str, dict[str, CustomerMail]] = {}
    belongs: dict[str, str] = {}
    for name, mail in sorted(mails.items(), key=lambda one: (one[1].at, one[1].message_id, one[0])):
        known = next((belongs[one] for one in mail.answers if one in belongs), mail.conversation)
        root = belongs.setdefault(mail.message_id, known)
        belongs.setdefault(mail.conversation, root)
        found.setdefault(root, {})[name] = mail
    yield from found.values()


def _header(message: EmailMessage, name: str) -> str:
    """A header as text; empty where there is none that can be read."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
    if not 0 < len(str(raw)) <= HEADER_LIMIT:
        return ""
    try:
        return str(message.get(name, "")).replace("\x00", "")
    except (ValueError, LookupError, AttributeError, RecursionError):  # what the standard parser breaks at
        return ""


def _sender(message: EmailMessage) -> str:
    """The one address of the sender. Two, or one that programs may read in two ways, are nobody's."""
    said = _header(message, "From")
    parsed = getattr(message.get("From"), "addresses", ()) if said else ()
    given = [one.addr_spec for one in parsed]
    raw = "".join(str(value) for key, value in message.raw_items() if key.lower() == "from")
    if len(given) != 1 or not _ADDRESS.match(given[0]) or said.count("@") != 1 or raw.count("@") != 1:
        raise BadMail("From: not one address")
    return str(given[0]).lower()


def _date(message: EmailMessage) -> datetime:
    try:
        at = parsedate_to_datetime(_header(message, "Date"))
    except (ValueError, TypeError, OverflowError):
        raise BadMail("Date: not there, or no date") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _text(message: EmailMessage) -> str:
    """The plain part, or the page where there is none."""
    try:
        body = message.get_body(preferencelist=("plain", "html"))
    except (ValueError, LookupError, AttributeError):
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
