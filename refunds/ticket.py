"""The ticket as it comes in, and the one reading of it. Text in it is data, whatever it says."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from refunds.canonical import BadJson, digest, read_json
from refunds.vocabulary import Intent, Priority, Route, Tier

QUESTION_LIMIT = 8_000
"""Characters; longer than any ticket a person writes, short enough to read before deciding."""

ITEM_LIMIT = 100
MESSAGE_LIMIT = 20
"""Texts of one conversation that come with a ticket; the shop's own among them."""

LINE_LIMIT_BYTES = 256_000
"""A line of JSONL above this is refused before it is parsed."""

# Visible ASCII: an identifier is shown, logged and compared, and must not look like another.
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")]


def said_small(message: str) -> str:
    """A library's message in the middle of a sentence: its first letter is small, every other one as it is."""
    return message[:1].lower() + message[1:]


class BadTicket(ValueError):
    """A ticket breaks the contract; the message names the field."""


class TicketMessage(BaseModel):
    """One text of a conversation that a help desk had before it sent the ticket."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    at: Annotated[AwareDatetime, Field(strict=False)]
    sender: Literal["customer", "shop"] = Field(alias="from")
    text: Annotated[str, StringConstraints(min_length=1, max_length=QUESTION_LIMIT)]


class Ticket(BaseModel):
    """A ticket with its intake; `bundle_version`, `route` and `intake` are absent on a raw one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    ticket_id: Identifier
    tenant: Identifier
    customer_id: Identifier
    order_id: Identifier | None = None
    question: Annotated[str, StringConstraints(min_length=1, max_length=QUESTION_LIMIT)] = Field(
        validation_alias=AliasChoices("question", "text")
    )
    intent: Intent | None = None
    items: tuple[Identifier, ...] | None = Field(default=None, max_length=ITEM_LIMIT)
    messages: tuple[TicketMessage, ...] | None = Field(default=None, max_length=MESSAGE_LIMIT)
    """What was written after the question, in its order."""

    priority: Priority | None = None
    """What the help desk says of it: `urgent` stands before everything else in the queue."""

    due_at: Annotated[AwareDatetime, Field(strict=False)] | None = None
    """Until when the help desk wants it answered: what has such a time stands before what has none."""

    tier: Tier | None = None
    """How the shop ranks the customer."""

    bundle_version: Identifier | None = None
    route: Route | None = None
    intake: Annotated[str, StringConstraints(max_length=8_192)] | None = None

    @classmethod
    def read(cls, value: object) -> Self:
        """The ticket in a parsed JSON value; BadTicket with the field's name where it breaks the contract."""
        if not isinstance(value, Mapping):
            raise BadTicket("ticket: not a JSON object")
        if "question" in value and "text" in value:
            raise BadTicket("text: given beside question")
        fields = dict(value)
        for several in ("items", "messages"):
            if isinstance(fields.get(several), list):
                fields[several] = tuple(fields[several])
        try:
            ticket = cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "ticket"
            raise BadTicket(f"{field}: {said_small(first['msg'])}") from None
        if not ticket.question.strip():
            raise BadTicket("question: empty")
        return ticket

    @classmethod
    def parse(cls, line: str) -> Self:
        """The ticket in one line of JSON; BadTicket where it is not one."""
        if len(line.encode("utf-8", "surrogatepass")) > LINE_LIMIT_BYTES:
            raise BadTicket(f"ticket: longer than {LINE_LIMIT_BYTES} bytes")
        try:
            return cls.read(read_json(line))
        except BadJson as error:
            raise BadTicket(f"ticket: {error}") from None

    @property
    def texts(self) -> tuple[str, ...]:
        """What the customer wrote, in its order."""
        later = sorted(self.messages or (), key=lambda message: message.at)
        return (self.question, *(message.text for message in later if message.sender == "customer"))

    def body(self) -> dict[str, object]:
        """Everything but the signature, as JSON: what the intake's SHA-256 is taken over."""
        return self.model_dump(mode="json", by_alias=True, exclude={"intake"}, exclude_none=True)

    def body_sha256(self) -> str:
        """SHA-256 over the canonical JSON of the body."""
        return digest(self.body())

    def question_sha256(self) -> str:
        """Names what was asked, whichever bundle classified it: an altered repeat differs here."""
        asked = self.body()
        for classified in ("bundle_version", "route", "intent"):
            asked.pop(classified, None)
        return digest(asked)

    def to_json(self) -> dict[str, object]:
        """The whole ticket as JSON, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
