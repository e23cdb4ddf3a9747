"""Canonical JSON: one value, one text, one hash.

Keys sorted, no spaces, ASCII only (so control characters and lone surrogates of a customer's text
are plain escapes), no floats. What is hashed or signed is this text.
"""

import hashlib
import json
from collections.abc import Mapping

_NO_FLOATS = "a float has no canonical form; use an integer of minor units"


def _refuse_floats(value: object) -> None:
    match value:
        case float():
            raise TypeError(_NO_FLOATS)
        case Mapping():
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise TypeError("a key of canonical JSON is a string")
                _refuse_floats(inner)
        case list() | tuple():
            for inner in value:
                _refuse_floats(inner)
        case _:
            pass


def canonical(value: object) -> str:
    """The canonical text of a JSON value; TypeError for floats and anything JSON cannot say."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256(text: str) -> str:
    """SHA-256 over the text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def digest(value: object) -> str:
    """SHA-256 over the canonical JSON of a value."""
    return sha256(canonical(value))
