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


class BadJson(ValueError):
    """A text is not one JSON value with each key once; the message says where."""


def read_json(text: str) -> object:
    """The value of a JSON text from outside; BadJson where a key is given twice, which two readers would read apart."""
    try:
        value: object = json.loads(text, object_pairs_hook=_each_key_once)
    except RecursionError:
        raise BadJson("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadJson(f"not JSON ({error.msg} at column {error.colno})") from None
    except BadJson:
        raise
    except ValueError:
        raise BadJson("a number in it is too long") from None
    return value


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for key, value in pairs:
        if key in fields:
            plain = key.isascii() and key.isprintable() and len(key) <= 60
            raise BadJson(f"{key if plain else 'a key'}: given twice")
        fields[key] = value
    return fields


def sha256(text: str) -> str:
    """SHA-256 over the text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def digest(value: object) -> str:
    """SHA-256 over the canonical JSON of a value."""
    return sha256(canonical(value))


def first_difference(one: object, other: object, at: str = "") -> str | None:
    """Where two values differ first, as a path; None where they do not."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted({*one, *other}):
            if name not in one or name not in other:
                return f"{at}.{name}".lstrip(".")
            found = first_difference(one[name], other[name], f"{at}.{name}")
            if found is not None:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list):
        for number, (left, right) in enumerate(zip(one, other, strict=False)):
            found = first_difference(left, right, f"{at}[{number}]")
            if found is not None:
                return found
        return None if len(one) == len(other) else f"{at}[{min(len(one), len(other))}]"
    return None if one == other else at.lstrip(".") or "."
