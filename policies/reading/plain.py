"""Plain text: a customer's text without markup, with one kind of typography, and where each letter of it stood."""

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

_MARKUP = re.compile(
    r"<(?:!doctype|/?(?:html|body|head|div|p|br|span|table|tr|td|ul|ol|li|b|i|u|em|strong|a|font|blockquote|h[1-6]|"
    r"style|script|img|hr|pre)\b)",
    re.IGNORECASE,
)
_ANGLES = re.compile(r"[<>]")
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "ul", "ol", "table", "blockquote", "hr", "pre"}) | {
    f"h{size}" for size in range(1, 7)
}
_SILENT = frozenset({"script", "style", "template", "title", "head"})
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "col", "wbr"})
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|pt|em)?\s*(?:;|$)", re.IGNORECASE
)
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080))
}
_TYPED = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛ʼ＇`´′", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–−", "-"),
        **dict.fromkeys("\u00a0\u2007\u202f\u2009\u200a\u3000\t", " "),
        "\r": "\n",
        "\u2028": "\n",
        "\u2029": "\n",
    }
)  # fmt: skip
"""One letter for one letter, so that nothing moves."""


UNCLOSED = 40
"""Tags that nobody closed, from which a text is no page: to look for each one's end takes its square."""


@dataclass(frozen=True, slots=True)
class PlainText:
    """What is read of a text; `at[n]` is where its letter n stands in the text as it was stored."""

    text: str
    at: Sequence[int]

    def where(self, start: int, end: int) -> tuple[int, int]:
        """The place in the stored text of a part of this one that is not empty."""
        return self.at[start], self.at[end - 1] + 1


def has_markup(text: str) -> bool:
    """Whether a text is a page."""
    return _MARKUP.search(text) is not None


def _is_closed(text: str) -> bool:
    """Whether what opens is closed soon: else each tag's end is looked for to the end of the text, at its square."""
    opened = 0
    for letter in _ANGLES.findall(text):
        opened = opened + 1 if letter == "<" else 0
        if opened > UNCLOSED:
            return False
    return True


def plain_of(text: str) -> PlainText:
    """The words of a text: tags, what cannot be seen and what is hidden taken out, typography made one."""
    if has_markup(text) and _is_closed(text):
        words, places = _without_tags(text)
    else:
        words, places = text, range(len(text))
    typed = words.translate(_TYPED)
    if typed.isascii():
        return PlainText(typed, places)
    letters: list[str] = []
    at: list[int] = []
    for letter, place in zip(typed, places, strict=True):
        if letter in _INVISIBLE:
            continue
        for one in letter if letter.isascii() else unicodedata.normalize("NFKC", letter):
            letters.append(one)
            at.append(place)
    return PlainText("".join(letters).translate(_TYPED), at)


def _without_tags(text: str) -> tuple[str, Sequence[int]]:
    parser = _Words(text)
    parser.feed(text.replace("<![", "   "))  # what the parser takes for a section of SGML, and stops at
    parser.close()
    return "".join(parser.letters), parser.at


class _Words(HTMLParser):
    """The words of a page with the places where they stood."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.letters: list[str] = []
        self.at: list[int] = []
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.silent: list[str] = []
        self.quoted = 0

    def here(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        hidden = any(
            name == "hidden" or (name == "style" and _HIDDEN.search(value or "")) for name, value in attrs
        )
        if tag not in _VOID and (self.silent or hidden or tag in _SILENT):
            self.silent.append(tag)
        self.quoted += tag == "blockquote"
        if tag in _BREAKS:
            self.say("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.silent:
            while self.silent and self.silent.pop() != tag:
                pass
        self.quoted = max(0, self.quoted - (tag == "blockquote"))
        if tag in _BREAKS:
            self.say("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _BREAKS:
            self.say("\n")

    def handle_data(self, data: str) -> None:
        place = self.here()
        for offset, letter in enumerate(data):
            self.say(" " if letter == "\n" else letter, place + offset)

    def handle_entityref(self, name: str) -> None:
        self.say(html.unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self.say(html.unescape(f"&#{name};"))

    def say(self, letters: str, place: int | None = None) -> None:
        """Letters that are seen; what is quoted carries the mark that mails carry."""
        if self.silent:
            return
        at = self.here() if place is None else place
        for letter in letters:
            self.letters.append(letter)
            self.at.append(at)
            if letter == "\n" and self.quoted:
                self.letters += "> "
                self.at += [at, at]
