"""Partial: the reply in an answer that is still coming, for whoever watches it being written."""

import json
import re

_REPLY = re.compile(r'"reply"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)


def reply_so_far(text: str) -> str:
    """The words of the reply that have come; empty where none have."""
    match = _REPLY.search(text)
    if match is None:
        return ""
    try:
        found: str = json.loads(f'"{match[1]}"', strict=False)
    except ValueError:
        return ""  # an escape has half come
    # Half of a pair may have come, and a NUL can stand in no row.
    return found.encode("utf-8", "ignore").decode("utf-8").replace("\x00", "")
