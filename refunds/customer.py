"""A customer as a shop's export writes them, one JSON object a line, and the one reading of it.

    {"customer_id": "C7", "email": "jo@shop.example", "name": "Jo Doe", "address": "1 High Street", "language": "en"}

Nothing but the id has to be there. A reply goes to `email` and nowhere else; name and address are masked in every text
that leaves the house.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from refunds.canonical import BadJson, read_json
from refunds.ids import CustomerId
from refunds.ticket import LINE_LIMIT_BYTES, Identifier, said_small


class BadCustomer(ValueError):
    """A line is not a customer; the message names the field."""


class _CustomerLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    customer_id: Identifier
    email: (
        Annotated[str, StringConstraints(max_length=254, pattern=r'^[^\s@<>",;:]+@[^\s@<>",;:]+$')] | None
    ) = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    address: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """What a shop knows of a customer; None where it does not say."""

    customer_id: CustomerId
    email: str | None = None
    name: str | None = None
    address: str | None = None
    language: str | None = None


def read_customer_line(line: str) -> Customer:
    """The customer of a line of JSON; BadCustomer names the field where it is none."""
    if len(line.encode("utf-8", "surrogatepass")) > LINE_LIMIT_BYTES:
        raise BadCustomer(f"longer than {LINE_LIMIT_BYTES} bytes")
    try:
        read = _CustomerLine.model_validate(read_json(line))
    except BadJson as error:
        raise BadCustomer(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "customer"
        raise BadCustomer(f"{field}: {said_small(first['msg'])}") from None
    for field, text in (("email", read.email), ("name", read.name), ("address", read.address)):
        if not all(letter.isprintable() or (letter == "\n" and field == "address") for letter in text or ""):
            raise BadCustomer(f"{field}: a control character in it")
    return Customer(CustomerId(read.customer_id), read.email, read.name, read.address, read.language)
