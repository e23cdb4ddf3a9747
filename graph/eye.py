"""Copies for the eye: what strangers wrote, so that a page which renders it as Markdown or HTML only shows it.

Pages of others render every text of a state, some with raw HTML: a picture in a ticket would tell its sender that it is
read, and a frame would run in the reviewer's page. A joiner that nobody sees stands in each place where a text would
begin to act: behind a `<`, between the parts of a link, in an address. The words look as they were written; what is
decided and sent comes from the books and has no joiner in it.
"""

import re
from typing import TypeVar, cast

JOINER = "\N{WORD JOINER}"

_ACTS = re.compile(
    r"(?<=<)(?=[A-Za-z/!?])"  # a tag, a comment, an address in angle brackets
    r"|(?<=\])(?=[(\[:])"  # the parts of a link or a picture
    r"|(?<=:)(?=//)"  # an address
    r"|(?<=[Ww])(?=\.)"  # one that begins with www
    r"|(?<=\w)(?=@)"  # one of a mailbox
)
_BLOCK = re.compile(r"^(?=\s*(?:[#=+>|~`*_-]|\d+[.)](?:\s|$)))|^\s+", re.MULTILINE)

Shown = TypeVar("Shown")


def inert(value: Shown) -> Shown:
    """The same value, each text of it unable to act. Names, numbers and hashes hold nothing of the kind."""
    match value:
        case str():
            return cast("Shown", _ACTS.sub(JOINER, value))
        case list():
            return cast("Shown", [inert(one) for one in value])
        case dict():
            return cast("Shown", {name: inert(one) for name, one in value.items()})
        case _:
            return value


def inert_lines(text: str) -> str:
    """The same of each line of a text that stands inside Markdown: no line of it begins a heading or a list."""
    return _BLOCK.sub(JOINER, inert(text))
