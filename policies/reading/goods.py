"""NamedGoods: which lines of a customer's orders a text names, and how many of each, as people say it.

A name is found by its own words, whole or from its last noun on; by its options ("the blue ones"); by its price
("the dearer one"); and with a slip of the keyboard in it. What fits two lines that are not alike is left open.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import OSA

from refunds.ids import OrderId
from refunds.order import CustomerOrder, Line, Units

_TOKEN = re.compile(r"[a-z0-9\u00df-\u024f]+", re.IGNORECASE)
_UNITS = frozenset(
    "inch inches in cm mm m km kg g gr l ml oz lb lbs gb tb mah w v pack packs pcs pc piece pieces x size".split()  # noqa: SIM905
)
_HOLDERS = frozenset({"set", "kit", "puzzle", "cleaner", "pair", "pack", "bundle", "box"})
"""Last words of a name that people leave out: the luggage, the jigsaw."""

NUMBERS = {
    word: n
    for n, words in enumerate(
        ("", "one a an single", "two couple", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
    for word in words.split()
}
_ALL = frozenset({"all", "every", "each"})
_FEW = frozenset({"some", "several", "few", "part", "half"})
"""So many as nobody can count."""

_BETWEEN = frozenset(
    """
    the my our these those of other damaged broken faulty new old defective brand cracked same said that this
    your his her two three four five six seven eight nine ten small large big little nice wrong second first
    more less most pair pairs bag bags box boxes set sets pack packs unit units piece pieces copy copies bottle
    bottles expensive cheap cheaper cheapest pricier pricy dearer dear only just
    """.split()  # noqa: SIM905  (a list of words reads best as one)
)
_OUT_AFTER = re.compile(
    r"\b(?:except(?:ing)?|excluding|apart from|aside from|other than|besides|save for|"
    r"but(?: for| not)?(?= the | my | one )|not(?: for| with)?(?= the | my | one | a )|without|minus|"
    r"exchang(?:e|ing)|swap(?:ping)?|replac(?:e|ing)|modify|still (?:want|need|send)|i'?ll take|leave|"
    r"keep(?:ing)?|kept)\b",
    re.IGNORECASE,
)
"""What comes after one of these stays."""

_OUT_BEFORE = re.compile(
    r"\b(?:can |to |should |will |may )?stays?\b|\b(?:is|are|was|were|'s|'re|both) (?:all )?"
    r"(?:fine|ok|okay|great|perfect|good|lovely|unaffected)\b|\b(?:fine|ok|okay|unaffected)\s*$|:\s*keep\b|"
    r"\bi(?:'d| will|'ll| want to)? (?:like to )?keep\b|\bnot needed back\b",
    re.IGNORECASE,
)
"""What comes before one of these stays, back to the comma."""

_OF_SO_MANY = re.compile(
    r"\b(?P<count>one|two|three|four|five|\d{1,3})\s+(?:\w+\s+)?(?:out\s+)?of\s+(?:the|them|those|these|my)\b",
    re.IGNORECASE,
)
_DEARER = re.compile(
    r"\b(?:more expensive|most expensive|dearer|dearest|pricier|priciest|pricey one)\b", re.IGNORECASE
)
_CHEAPER = re.compile(r"\b(?:less expensive|least expensive|cheaper|cheapest)\b", re.IGNORECASE)
_DETERMINED = frozenset({"the", "both", "all", "my", "these", "those"})
_ONES = frozenset({"one", "ones"})

LONGEST = 5
"""Words that one name is looked for in."""

SLIP_FROM, SLIPS_FROM = 5, 8
"""Letters of a word from which one slip, or two, are forgiven."""


@dataclass(frozen=True, slots=True)
class NamedThing:
    """A place in a text that names goods."""

    start: int
    end: int
    found: tuple[tuple[OrderId, Line], ...]
    """The lines that it may be, over all orders of the customer."""

    count: int | None = None
    """How many, where a number says it."""

    all_of: bool = False
    plural: bool = False
    few: bool = False
    """NamedThing of some of them, without a number."""

    out: bool = False
    """Named as what stays."""

    def of(self, order: CustomerOrder) -> tuple[Line, ...]:
        """The lines of one order among them."""
        return tuple(line for order_id, line in self.found if order_id == order.order_id)

    def units(self, order: CustomerOrder) -> tuple[Units, ...] | None:
        """How many of which lines of an order; None where the words leave it open."""
        lines = self.of(order)
        if self.few:
            return None
        total = sum(line.quantity for line in lines)
        alike = len({_kind(line) for line in lines}) == 1
        if self.count is not None and self.count < total:
            return taken(lines, self.count) if alike else None
        if self.count is not None and self.count > total:
            return None
        if self.all_of or self.plural or total in {self.count, 1}:
            return tuple(Units(line.line_id, line.quantity) for line in lines)
        return None


def _kind(line: Line) -> tuple[object, ...]:
    return line.sku.split("/")[0], line.name, line.options, line.unit_price


def taken(lines: Sequence[Line], count: int) -> tuple[Units, ...]:
    """So many units of lines, from the first on."""
    units: list[Units] = []
    for line in lines:
        part = min(count, line.quantity)
        count -= part
        if part:
            units.append(Units(line.line_id, part))
    return tuple(units)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int


class NamedGoods:
    """The goods of a customer's orders, to be found in texts."""

    def __init__(self, orders: Iterable[CustomerOrder], known_words: Mapping[str, object]) -> None:
        self._known = known_words
        self._names: dict[str, list[tuple[int, OrderId, Line]]] = {}
        self._options: dict[str, list[tuple[OrderId, Line]]] = {}
        for order in orders:
            for line in order.lines:
                for key, weight in _keys(line):
                    self._names.setdefault(key, []).append((weight, order.order_id, line))
                for word in _option_words(line):
                    self._options.setdefault(word, []).append((order.order_id, line))

    def said_in(self, text: str, start: int, end: int) -> list[NamedThing]:
        """What a part of a text names, in its order."""
        tokens = [
            _Token(match[0].lower(), match.start(), match.end())
            for match in _TOKEN.finditer(text, start, end)
        ]
        said = [self._said(text, tokens, first, last, key) for first, last, key in self._places(tokens)]
        if not any(one.found for one in said):
            said = list(self._ones(tokens))
        said = [one for one in said if one.found]
        if len(said) == 1 and (of := _OF_SO_MANY.search(text, said[0].end, end)):
            said = [replace(said[0], count=_count([of["count"].lower()]))]
        staying = [match.end() for match in _OUT_AFTER.finditer(text, start, end)]
        stayed = [
            (max(text.rfind(",", start, match.start()), start - 1), match.start())
            for match in _OUT_BEFORE.finditer(text, start, end)
        ]
        return [
            replace(
                one,
                out=any(place <= one.start for place in staying)
                or any(comma < one.start < place for comma, place in stayed),
            )
            for one in said
        ]

    def _places(self, tokens: Sequence[_Token]) -> Iterator[tuple[int, int, str]]:
        """Names in the words, the longest first at each place: from which word to which, and as which name."""
        at = 0
        while at < len(tokens):
            for wide in range(min(LONGEST, len(tokens) - at), 0, -1):
                key = "".join(_stem(token.text) for token in tokens[at : at + wide])
                name = key if key in self._names else self._slip(key) if wide == 1 else None
                if name is not None:
                    yield at, at + wide, name
                    at += wide
                    break
            else:
                at += 1

    def _slip(self, word: str) -> str | None:
        """The one name that a word is a slip of; a word that means something itself is none."""
        if len(word) < SLIP_FROM or word in self._known or f"{word}s" in self._known:
            return None
        most = 2 if len(word) >= SLIPS_FROM else 1
        near = [
            name for name in self._names if abs(len(name) - len(word)) <= most and len(name) >= SLIP_FROM - 1
        ]
        fits = [
            name
            for name in near
            if min(OSA.distance(name, word), OSA.distance(f"{name}s", word))
            <= (most if len(name) >= SLIPS_FROM else 1)
        ]
        return fits[0] if len(fits) == 1 else None

    def _said(self, text: str, tokens: Sequence[_Token], first: int, last: int, key: str) -> NamedThing:
        found = self._names[key]
        best = max(weight for weight, _, _ in found)
        lines = [(order_id, line) for weight, order_id, line in found if weight == best]
        before = _before(tokens, first)
        near = {_stem(token.text) for token in (*before, *tokens[last : last + 5])}
        lines = _of_option(lines, near)
        lines = _of_price(
            lines, text, tokens[max(0, first - 4)].start, tokens[min(len(tokens), last + 6) - 1].end
        )
        words = [token.text for token in before]
        return NamedThing(
            tokens[first].start,
            tokens[last - 1].end,
            tuple(lines),
            count=_count(words),
            all_of=bool(_ALL & set(words)) or "both" in words,
            plural=_is_plural(tokens[last - 1].text, lines),
            few=bool(_FEW & set(words)),
        )

    def _ones(self, tokens: Sequence[_Token]) -> Iterator[NamedThing]:
        """NamedGoods that only an option names: the blue ones."""
        for n, token in enumerate(tokens):
            lines = self._options.get(_stem(token.text))
            after = tokens[n + 1].text if n + 1 < len(tokens) else ""
            before = _before(tokens, n)
            if lines and (after in _ONES or _DETERMINED & {word.text for word in before}):
                words = [word.text for word in before]
                yield NamedThing(
                    token.start,
                    token.end,
                    tuple(dict.fromkeys(lines)),
                    count=_count(words),
                    all_of=bool(_ALL & set(words)) or "both" in words,
                    plural=after == "ones" or (bool(after) and after != _stem(after)),
                    few=bool(_FEW & set(words)),
                )


def _keys(line: Line) -> Iterator[tuple[str, int]]:
    """What a line may be called, and how much that says."""
    words = [_stem(word) for word in _TOKEN.findall(line.name.lower())]
    if not words:
        return
    kept = [word for word in words if word not in _UNITS and not word[0].isdigit()] or words
    for first in range(len(kept)):
        yield "".join(kept[first:]), 3
    if kept[-1] in _HOLDERS and len(kept) > 1:
        yield "".join(kept[:-1]), 3
    if len(kept) < len(words):
        yield "".join(words), 3
    for options in _option_words(line):
        yield options + kept[-1], 4
    category = "".join(_stem(word) for word in _TOKEN.findall(line.category.lower()))
    if category and category not in {"".join(kept[first:]) for first in range(len(kept))}:
        yield category, 1


def _option_words(line: Line) -> list[str]:
    return [
        _stem(word)
        for _, value in line.options
        for word in _TOKEN.findall(value.lower())
        if word not in _UNITS
    ]


def _stem(word: str) -> str:
    """A word without the endings of the plural."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith("ves"):
        return word[:-3] + "f"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _before(tokens: Sequence[_Token], first: int) -> list[_Token]:
    """The words before a name that belong to it: one of my two blue …"""
    at = first
    while at > 0 and first - at < 6:
        word = tokens[at - 1].text
        if (
            word in _BETWEEN
            or word in NUMBERS
            or word in _ALL
            or word in _FEW
            or word.isdecimal()
            or word == "both"
        ):
            at -= 1
        elif at == first or tokens[at].text in _BETWEEN:
            if first - at >= 1 and word not in _BETWEEN:
                break
            at -= 1  # one word of description may stand between
        else:
            break
    return list(tokens[at:first])


def _count(words: Sequence[str]) -> int | None:
    """The number that words before a name say, the first of "one of the two"; None where none does."""
    for n, word in enumerate(words):
        if word.isdecimal() and len(word) <= 3:
            return int(word)
        if word in NUMBERS and not (word in {"a", "an"} and n + 1 < len(words) and words[n + 1] in NUMBERS):
            return NUMBERS[word]
    return None


def _is_plural(word: str, lines: Sequence[tuple[OrderId, Line]]) -> bool:
    """Whether a name is said of more than one: as a plural, or of goods that have no other form."""
    return word != _stem(word) and bool(lines)


def _of_option(lines: list[tuple[OrderId, Line]], near: set[str]) -> list[tuple[OrderId, Line]]:
    fits = [one for one in lines if set(_option_words(one[1])) & near]
    most = max((len(set(_option_words(line)) & near) for _, line in fits), default=0)
    return [one for one in fits if len(set(_option_words(one[1])) & near) == most] or lines


def _of_price(
    lines: list[tuple[OrderId, Line]], text: str, start: int, end: int
) -> list[tuple[OrderId, Line]]:
    prices = sorted({line.unit_price.amount_minor for _, line in lines})
    if len(prices) < 2:
        return lines
    if _DEARER.search(text, start, end):
        return [one for one in lines if one[1].unit_price.amount_minor == prices[-1]]
    if _CHEAPER.search(text, start, end):
        return [one for one in lines if one[1].unit_price.amount_minor == prices[0]]
    return lines
