"""Answers at a pause, in each format that LangGraph's interfaces send: read here, decided or refused at the desk."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from graph.server.desk_call import PersonsAnswer

NOTE_LIMIT = 2_000


class UnreadableAnswer(ValueError):
    """The answer is in no dialect that is understood; the case stays where it was."""


@dataclass(frozen=True, slots=True)
class Read:
    """An answer as it was read."""

    answer: PersonsAnswer | None
    """None where a decision that was made at the desk is named."""

    decision_id: str | None = None
    pause_id: str | None = None
    """The pause that it says it answers."""

    shown: Mapping[str, Any] | None = None
    """What it says was on the screen; it must be what is there."""


def read_persons_answer(value: object) -> Read:
    """What a person said, also where it is given under the id of the pause."""
    match value:
        case {"decision_id": str(decision_id), **rest} if not rest:
            return Read(None, decision_id)
        case {"decisions": [{"type": "approve", "args": Mapping() as shown, **rest}], **more} if not (
            rest or more
        ):
            # What was on the screen is said back; it must be what is there.
            return Read(PersonsAnswer("approve"), shown=shown)
        case {"decisions": [Mapping() as only], **rest} if not rest:
            return Read(_decided(only))
        case [Mapping() as only]:
            return _legacy(only)
        case Mapping() if len(value) == 1 and not {"decisions", "decision_id"} & set(value):
            name, inner = next(iter(value.items()))
            if (isinstance(inner, Mapping) and set(inner) <= {"decisions", "decision_id"}) or isinstance(
                inner, list
            ):
                return replace(read_persons_answer(inner), pause_id=str(name))
    raise UnreadableAnswer(
        'answer with {"decisions": [{"type": "approve" or "reject", "message"?}]}, exactly one,'
        ' with [{"type": "accept", "ignore" or "response", "args"?}], or with {"decision_id": …}'
    )


def _decided(only: Mapping[str, Any]) -> PersonsAnswer:
    digest = only.get("digest")
    if digest is not None and not isinstance(digest, str):
        raise UnreadableAnswer("digest: text")
    unknown = set(only) - {"type", "message", "args", "digest"}
    if unknown or not isinstance(only.get("args"), str | None):
        raise UnreadableAnswer(f"{', '.join(sorted(unknown)) or 'args'}: a change is made at the desk")
    match only.get("type"):
        case "approve":
            return PersonsAnswer("approve", digest, note=_note(only))
        case "reject":
            return PersonsAnswer("reject", digest, "other", _note(only))
        case other:
            raise UnreadableAnswer(
                f"{str(other)[:40]}: approve or reject; a changed amount or text is made at the desk"
            )


def _legacy(only: Mapping[str, Any]) -> Read:
    if set(only) - {"type", "args"}:
        raise UnreadableAnswer("type and args, and nothing else")
    match only.get("type"), only.get("args"):
        case "accept", None | str():
            return Read(PersonsAnswer("approve"))
        case "accept", Mapping() as args:
            return Read(PersonsAnswer("approve"), shown=args)
        case (("ignore" | "response"), None | str()):
            return Read(PersonsAnswer("reject", None, "other", _note(only)))
        case other, _:
            raise UnreadableAnswer(
                f"{str(other)[:40]}: accept, ignore or response; a change is made at the desk"
            )


def _note(only: Mapping[str, Any]) -> str | None:
    """The reason, as one interface or another sends it."""
    for key in ("message", "args"):
        if isinstance(only.get(key), str) and only[key].strip():
            return str(only[key])[:NOTE_LIMIT]
    return None
