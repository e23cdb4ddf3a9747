"""The reading: a customer's texts into asks, each field with the words that prove it. It decides nothing."""

from functools import cache

from policies.reading.bundle import bundle
from policies.reading.letter import letter_parts
from policies.reading.plain import plain_of
from policies.reading.reader import TrainedReader

__all__ = ["TrainedReader", "own_words", "trained_reader"]


@cache
def trained_reader() -> TrainedReader:
    """The reader of this release's bundle."""
    return TrainedReader(bundle())


def own_words(text: str) -> str:
    """What a text says without markup, greeting, quoted mails, signature and footer; all where nothing is left."""
    plain = plain_of(text)
    own = "".join(
        plain.text[part.start : part.end] for part in letter_parts(plain) if part.kind == "body"
    ).strip()
    return own or plain.text.strip() or text
