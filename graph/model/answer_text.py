"""The text of an answer: the one JSON object in it, whatever a server or a model has put around it.

Seen of servers of small models: a byte order mark, `<think>` with or without its beginning, a fence of code, a
sentence before or after. What is inside the object is not touched.
"""

import json
import re
from typing import Any

from refunds.canonical import BadJson, read_json

OBJECTS = 8
"""Beginnings of an object that are tried in a text at most."""

_THOUGHT = re.compile(r"\A.*?</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
_OPEN_THOUGHT = re.compile(r"<(?:think|thinking|thought|reasoning)>", re.IGNORECASE)


class NoObject(ValueError):
    """A text has no whole JSON object in it; the message says why in words that a model can follow."""


def object_in(text: str) -> dict[str, Any]:
    """The first whole JSON object of a text, behind what was thought aloud. Raises NoObject."""
    bare = _said(text)
    try:
        whole = read_json(bare)
    except BadJson as error:
        why = str(error)
    else:
        if isinstance(whole, dict):
            return whole
        why = "it was no object"
    decoder, at = json.JSONDecoder(), bare.find("{")
    for _ in range(OBJECTS):
        if at < 0:
            break
        try:
            _, end = decoder.raw_decode(bare, at)
        except (ValueError, RecursionError):
            at = bare.find("{", at + 1)
            continue
        # Read again by the house's own rules: no key twice, no number that is none.
        try:
            found = read_json(bare[at:end])
        except BadJson as error:
            raise NoObject(str(error)) from None
        if isinstance(found, dict):
            return found
    raise NoObject(why)


def has_object(text: str) -> bool:
    """Whether a text has a whole JSON object in it: then it was not cut before the end of it."""
    try:
        object_in(text)
    except NoObject:
        return False
    return True


def _said(text: str) -> str:
    """A text without what stands before the answer: a byte order mark, thoughts, or the end of them."""
    bare = text.lstrip("\ufeff\u200b \t\r\n")
    ended = _THOUGHT.match(bare)
    if ended:
        return bare[ended.end() :].strip()
    return "" if _OPEN_THOUGHT.match(bare) else bare.strip()
