"""Answers at a pause, in every dialect of the field: read here, and made a decision at the desk or refused."""

from collections.abc import Mapping
from typing import Any

from graph.server.desk_call import Answer

NOTE_LIMIT = 2_000


class UnreadableAnswer(ValueError):
    """The answer is in no dialect that is understood; the case stays where it was."""


def read_answer(value: object) -> Answer | str:
    """What a person said; or the id of a decision that was made at the desk before."""
    match value:
        case {"decision_id": str(decision_id), **rest} if not rest:
            return decision_id
        case {"decisions": [Mapping() as only], **rest} if not rest:
            return _decided(only)
        case [Mapping() as only]:
            return _legacy(only)
        case _:
            raise UnreadableAnswer(
                'answer with {"decisions": [{"type": "approve" or "reject", "message"?}]}, exactly one,'
                ' with [{"type": "accept", "ignore" or "response", "args"?}], or with {"decision_id": …}'
            )


def _decided(only: Mapping[str, Any]) -> Answer:
    digest = only.get("digest")
    if digest is not None and not isinstance(digest, str):
        raise UnreadableAnswer("digest: text")
    match only.get("type"):
        case "approve":
            return Answer("approve", digest, note=_note(only))
        case "reject":
            return Answer("reject", digest, "other", _note(only))
        case other:
            raise UnreadableAnswer(
                f"{other!r}: approve or reject; a changed amount or text is made at the desk"
            )


def _legacy(only: Mapping[str, Any]) -> Answer:
    match only.get("type"):
        case "accept":
            return Answer("approve", note=None)
        case "ignore" | "response":
            return Answer("reject", None, "other", _note(only))
        case other:
            raise UnreadableAnswer(f"{other!r}: accept, ignore or response; a change is made at the desk")


def _note(only: Mapping[str, Any]) -> str | None:
    """The reason, as one interface or another sends it."""
    for key in ("message", "args"):
        if isinstance(only.get(key), str) and only[key].strip():
            return str(only[key])[:NOTE_LIMIT]
    return None
