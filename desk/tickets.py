"""Tickets in a text: one JSON object, or one a line."""

import json
from collections.abc import Iterator
from typing import Any

from refunds.ticket import BadTicket, Ticket


def read_tickets(raw: bytes, source: str) -> Iterator[Ticket]:
    """The tickets of a file's bytes; BadTicket names the line and the field of the first that is none."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTicket(f"{source}: not UTF-8 at byte {error.start}") from None
    lines = [text] if _is_one_object(text) else text.split("\n")
    found = 0
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found += 1
            try:
                yield Ticket.parse(line)
            except BadTicket as error:
                raise BadTicket(f"{source}:{number}: {error}") from None
    if not found:
        raise BadTicket(f"{source}: no ticket in it")


def ticket_schema() -> dict[str, Any]:
    """The JSON schema of a ticket, its parts in their places, as a document that it is put into needs it."""
    schema = Ticket.model_json_schema()
    parts = schema.pop("$defs", {})

    def placed(value: object) -> Any:  # noqa: ANN401  (JSON)
        match value:
            case {"$ref": str(ref)}:
                return placed(parts[ref.rsplit("/", 1)[1]])
            case dict():
                return {name: placed(one) for name, one in value.items()}
            case list():
                return [placed(one) for one in value]
            case _:
                return value

    return dict(placed(schema))


def _is_one_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
