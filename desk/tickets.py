"""Tickets in a text: one JSON object, or one a line."""

import json
from collections.abc import Iterator

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


def _is_one_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
