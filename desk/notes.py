"""Notes: what a person types beside a decision, and the one way to say what is wrong with it."""

from desk.catalogue import _

NOTE_LIMIT = 2_000


class BadDecision(ValueError):
    """The decision itself is wrong; the message names the field."""


def clean_text(text: str) -> str:
    """What a form sends, with plain line ends, no tabs and nothing around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").strip()


def storable(text: str | None, field: str) -> str | None:
    """Give a text back that the books can be asked for; BadDecision where they cannot."""
    check_note(text or "", field)
    return text


def check_note(text: str, field: str = "reason") -> None:
    """BadDecision where a note is too long or holds what the books cannot."""
    if len(text) > NOTE_LIMIT:
        raise BadDecision(_("%(field)s: at most %(most)s characters", field=field, most=NOTE_LIMIT))
    if "\x00" in text or (not text.isascii() and text != text.encode("utf-8", "replace").decode("utf-8")):
        raise BadDecision(_("%(field)s: a NUL or half a pair of surrogates in it", field=field))
