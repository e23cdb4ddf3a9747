"""Channels: how a reply leaves the house. Each sends at least once, under a message id that stays the same."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

SMTP_SECONDS = 20.0
SUBJECT = "Your request"


class NotSent(Exception):
    """The channel did not take the reply; the message says why, without the text or the address."""


class Channel(Protocol):
    """Takes a reply, or raises NotSent."""

    @property
    def name(self) -> str: ...

    async def send(self, message_id: str, recipient: str, body: str, subject: str = SUBJECT) -> None: ...


def message(message_id: str, sender: str, recipient: str, body: str, subject: str) -> EmailMessage:
    """The reply as mail; NotSent where the recipient is no address."""
    mail = EmailMessage(policy=SMTP)
    mail["Message-ID"] = f"<{message_id}>"
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Auto-Submitted"] = "auto-replied"
    mail.set_content(body)
    return mail


@dataclass(frozen=True, slots=True)
class FileChannel:
    """A folder with one file a message; the same message again replaces the same file."""

    folder: Path
    sender: str

    @property
    def name(self) -> str:
        return "file"

    async def send(self, message_id: str, recipient: str, body: str, subject: str = SUBJECT) -> None:
        try:
            text = message(message_id, self.sender, recipient, body, subject).as_bytes()
            await asyncio.to_thread(self._write, message_id, text)
        except (OSError, ValueError) as error:
            raise NotSent(f"{type(error).__name__} in the outbox folder") from None

    def _write(self, message_id: str, text: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self.folder / f".{message_id}"
        half.write_bytes(text)
        half.replace(self.folder / f"{message_id}.eml")


@dataclass(frozen=True, slots=True)
class SmtpChannel:
    """A mail server."""

    host: str
    port: int
    sender: str
    username: str | None = None
    password: str | None = None
    starttls: bool = False

    @property
    def name(self) -> str:
        return "smtp"

    async def send(self, message_id: str, recipient: str, body: str, subject: str = SUBJECT) -> None:
        if "@" not in recipient:
            raise NotSent("the customer has no address in the books")
        try:
            mail = message(message_id, self.sender, recipient, body, subject)
            await asyncio.to_thread(self._send, mail)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            raise NotSent(f"{type(error).__name__} from {self.host}:{self.port}") from None

    def _send(self, mail: EmailMessage) -> None:
        with smtplib.SMTP(self.host, self.port, timeout=SMTP_SECONDS) as server:
            if self.starttls:
                server.starttls(context=ssl.create_default_context())
            if self.username and self.password:
                server.login(self.username, self.password)
            server.send_message(mail)
