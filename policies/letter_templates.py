"""Letter templates: the sentences that customers are written, by language, and where a shop has its own, by shop.

`letters/<language>.json` has every sentence; `letters/<shop>/<language>.json` has those that a shop says otherwise. A
sentence has the same `{values}` in each, so that no letter lacks an amount or says one that was not decided.
"""

import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from babel.dates import format_date

from policies.languages import DEFAULT
from refunds.evidence import Citation
from refunds.ids import TenantId
from refunds.reading import TicketAsk

LETTERS = Path(__file__).parent / "letters"
NAME_LIMIT = 60
"""A longer name is not one that a letter begins with."""

_FIELD = string.Formatter()
_CODE = re.compile(r"[a-z]{2}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class BadLetters(ValueError):
    """A file of letters is not what the letters need; the message names the file and the sentence."""


@dataclass(frozen=True, slots=True)
class Because:
    """A reason for a customer: the key of its sentence, and its values; amounts and days as they are."""

    key: str
    values: tuple[tuple[str, object], ...] = ()

    @classmethod
    def of(cls, key: str, **values: object) -> "Because":
        return cls(key, tuple(values.items()))


@dataclass(frozen=True)
class LetterTemplates:
    """The sentences of one language as one shop says them."""

    language: str
    sentences: Mapping[str, str]

    def says(self, key: str, **values: object) -> str:
        """A sentence with its values."""
        return self.sentences[key].format(**values)

    def because(self, reason: Because, amounts_in: str) -> str:
        """A reason as a sentence; amounts as people of `amounts_in` write them."""
        return self.says(
            reason.key, **{name: self._value(name, value, amounts_in) for name, value in reason.values}
        )

    def _value(self, name: str, value: object, amounts_in: str) -> object:
        if name == "status":
            return self.says(f"status.{value}")
        if isinstance(value, datetime):
            return self.day(value)
        shown = getattr(value, "shown", None)
        return shown(amounts_in) if callable(shown) else value

    def day(self, at: datetime) -> str:
        """A day as a letter writes it: `October 2, 2026`."""
        return format_date(at.date(), "long", locale=self.language)

    def listed(self, parts: Sequence[str]) -> str:
        """Several parts in one sentence: `a, b and c`."""
        if len(parts) < 2:
            return "".join(parts)
        return self.says("and", first=", ".join(parts[:-1]), last=parts[-1])

    def quote(self, citation: Citation) -> str:
        """A clause word for word, with its ids for who countersigns it; `without_ids` is what the customer gets."""
        return f"{self.says('quote', quote=citation.quote)}{_ids(citation)}"

    def letter(self, *paragraphs: str, name: str | None = None) -> str:
        """A whole letter: the greeting, the paragraphs, the end."""
        return "\n\n".join((self.greeting(name), *filter(None, paragraphs), self.sentences["sign_off"]))

    def greeting(self, name: str | None) -> str:
        """The first line; without a name where none is known that can stand there."""
        fits = name is not None and 0 < len(name.strip()) <= NAME_LIMIT and name.isprintable()
        return (
            self.says("greeting", name=name.strip()) if fits and name else self.sentences["greeting.unnamed"]
        )

    def addressed(self, letter: str, name: str | None) -> str:
        """A letter that greets nobody in particular, to somebody by name; any other stays as it is."""
        unnamed = self.sentences["greeting.unnamed"]
        return (
            letter.replace(unnamed, self.greeting(name), 1) if letter.startswith(f"{unnamed}\n") else letter
        )

    def after_greeting(self, letter: str, paragraph: str) -> str:
        """A letter with a paragraph in the first place, behind its greeting where it has one."""
        first, gap, rest = letter.partition("\n\n")
        greets = gap and first.endswith(",") and len(first) <= NAME_LIMIT + 20
        return f"{first}\n\n{paragraph}\n\n{rest}" if greets else f"{paragraph}\n\n{letter}"

    def with_left(self, letter: str, left: Sequence[TicketAsk]) -> str:
        """A letter that also says what becomes of the asks that it does not decide, before it ends."""
        said = self.left(left)
        if not said or said in letter:
            return letter
        before, end, last = letter.rpartition("\n\n")
        return f"{before}{end}{said}\n\n{last}" if end else f"{letter}\n\n{said}"

    def left(self, asks: Sequence[TicketAsk]) -> str:
        """What a letter says to the asks that it does not decide; nothing where there are none."""
        if not asks:
            return ""
        named = []
        for ask in asks:
            called = self.sentences[f"left.{ask.ask}"]
            about = ask.order_id if ask.money == "wanted" else None
            named.append(self.says("left.for_order", ask=called, order=about) if about else called)
        return self.says("left", asks=self.listed(named))


def _ids(citation: Citation) -> str:
    return f" ({citation.citation_id}, clause {citation.clause})"


def without_ids(letter: str, citations: Sequence[Citation]) -> str:
    """A letter as its customer gets it: without the ids of the clauses that it quotes."""
    for one in citations:
        letter = letter.replace(_ids(one), "")
    return letter


def templates(tenant: TenantId | None = None, language: str = DEFAULT) -> LetterTemplates:
    """The sentences for a shop's customers in a language; in English where the letters are not written in it.

    Raises BadLetters.
    """
    return _templates(tenant if tenant is not None and _TENANT.fullmatch(tenant) else None, language, LETTERS)


def says_goods_first(letter: str, tenant: TenantId) -> bool:
    """Whether a letter says that the goods come back first; without it money would be promised for nothing."""
    return any(templates(tenant, language).says("first") in letter for language in languages_of_letters())


def languages_of_letters() -> tuple[str, ...]:
    """The languages that letters are written in."""
    return tuple(sorted(file.stem for file in LETTERS.glob("*.json")))


@cache
def _templates(tenant: str | None, language: str, folder: Path) -> LetterTemplates:
    written_in = language if _CODE.fullmatch(language) and (folder / f"{language}.json").exists() else DEFAULT
    english = _read(folder / f"{DEFAULT}.json")
    sentences = _checked(folder / f"{written_in}.json", english, whole=True)
    own = folder / tenant / f"{written_in}.json" if tenant else None
    if own is not None and own.is_file():
        sentences = {**sentences, **_checked(own, english, whole=False)}
    return LetterTemplates(written_in, sentences)


def _read(file: Path) -> dict[str, str]:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadLetters(f"{file.name}: {error}") from None
    if not isinstance(said, dict) or not all(isinstance(text, str) for text in said.values()):
        raise BadLetters(f"{file.name}: one object of sentences")
    return said


def _checked(file: Path, english: Mapping[str, str], *, whole: bool) -> dict[str, str]:
    """The sentences of a file, each with the values that it has in English."""
    said = _read(file)
    for key, text in said.items():
        if key not in english:
            raise BadLetters(f"{file.parent.name}/{file.name}: {key} is no sentence of a letter")
        if _values(text) != _values(english[key]):
            raise BadLetters(
                f"{file.parent.name}/{file.name}: {key} needs the values {sorted(_values(english[key]))}"
            )
    missing = sorted(set(english) - set(said))
    if whole and missing:
        raise BadLetters(f"{file.name}: {missing[0]} is missing")
    return said


def _values(text: str) -> set[str]:
    try:
        return {
            name
            for _, name, spec, conversion in _FIELD.parse(text)
            if name is not None and not spec and not conversion
        }
    except ValueError:
        return {"?"}
