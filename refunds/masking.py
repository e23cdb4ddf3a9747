"""Masking: what names or reaches a person is taken out of a text before it leaves the process.

Found by form: e-mail, IBAN, card, US social security number, IP address, secret, telephone number. Found by value: the
name, address and e-mail that the books know of the customer. Not found: a name or a street that the books do not
know, a passport or driving licence number, a date of birth, what is spelled out or drawn (docs/security.md).
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType

TEXT_LIMIT = 20_000
"""Characters that are looked through; what is beyond is left out rather than let out."""

PHONE_REGIONS = ("US", "GB", "DE")

_UNSEEN = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b-\x1f\x7f]")
_EMAIL = re.compile(
    r"[\w.+%-]{1,64}\s?(?:@|\(at\)|\[at\])\s?[\w-]{1,63}(?:\s?(?:\.|\(dot\)|\[dot\])\s?[\w-]{2,63}){1,4}",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"\b(?:sk|pk|rk|cs|lf|whsec|ghp|gho|ghs|glpat|xox[abprs]|hf)[-_][A-Za-z0-9_-]{12,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|(?<=bearer )[\w.~+/=-]{12,}|(?<=basic )[\w+/=]{12,}"
    r"|(?<=://)[^\s/:@]{1,64}:[^\s/@]{1,128}(?=@)"
    r"|(?:pass(?:word|wd|phrase)?|secret|api[ _-]?key|token|pin)\s{0,3}(?:is|=|:)\s{0,3}[^\s,;]{4,128}",
    re.IGNORECASE | re.DOTALL,
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}\b", re.IGNORECASE)
_CARD = re.compile(r"(?<![\w])\d(?:[ .-]?\d){12,40}(?![\w])")
_BETWEEN = re.compile(r"[ .-]")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}(?![\w-])")
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)")
_IP6 = re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_CALLABLE = re.compile(r"\d[\d\s().+-]{5,}\d")


@dataclass(frozen=True)
class KnownNames:
    """What the books know of the customer, to be masked, and which names of ours stay."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Each value with what it is: `name`, `address`, `email`."""

    keep: frozenset[str] = frozenset()

    @property
    def name(self) -> str | None:
        """How the customer is called; None where the books do not say."""
        return next((value for value, kind in self.values.items() if kind == "name"), None)


NOBODY = KnownNames()


def mask(text: str, known: KnownNames = NOBODY) -> str:
    """The text with `[email]`, `[phone]` and the like in place of what it finds; longer ones are cut."""
    shown = _UNSEEN.sub("", unicodedata.normalize("NFKC", text[:TEXT_LIMIT]))
    shown = _SECRET.sub("[secret]", shown)
    shown = _EMAIL.sub("[email]", shown)
    shown = _CARD.sub(_without_card, _IBAN.sub(_without_iban, shown))
    for found, word, truly in _FORMS:
        shown = found.sub(_if(word, truly, known.keep), shown)
    shown = _without_phones(shown, known.keep)
    # After the forms: a part of a name may stand within an address of mail, and would leave the rest of it.
    for pattern, word in _known_patterns(known):
        shown = pattern.sub(word, shown)
    return shown if len(text) <= TEXT_LIMIT else f"{shown} [cut]"


def private(text: str) -> tuple[str, ...]:
    """What a text holds that would be masked, by kind; empty where nothing was found."""
    masked = mask(text)
    return tuple(
        kind
        for kind in ("email", "phone", "card", "iban", "ssn", "secret", "ip")
        if masked.count(f"[{kind}]") > text.count(f"[{kind}]")
    )


def masked(value: object, known: KnownNames = NOBODY) -> object:
    """A JSON value with every text in it masked, keys too."""
    match value:
        case str():
            return mask(value, known)
        case Mapping():
            return {mask(str(key), known): masked(inner, known) for key, inner in value.items()}
        case list() | tuple():
            return [masked(inner, known) for inner in value]
        case _:
            return value


def known_of(values: Mapping[str, str | None], keep: Iterable[str | None] = ()) -> KnownNames:
    """What is known, without what is empty or too short to be looked for."""
    return KnownNames(
        {value: kind for kind, value in values.items() if value and len(value) >= 3},
        frozenset(name for name in keep if name),
    )


def _known_patterns(known: KnownNames) -> list[tuple[re.Pattern[str], str]]:
    """Each value whole, and each part of a name or an address that says enough by itself."""
    found: list[tuple[str, str]] = []
    for value, kind in known.values.items():
        plain = unicodedata.normalize("NFKC", value)
        found.append((plain, kind))
        if kind in {"name", "address"}:
            parts = re.split(r"[\s,;]+", plain)
            found += [(part, kind) for part in parts if len(part) >= 3 and not part.isdigit()]
    found = [one for one in found if one[0] not in known.keep]
    found.sort(key=lambda one: -len(one[0]))
    return [
        (
            re.compile(r"(?<!\w)" + r"\s+".join(map(re.escape, value.split())) + r"(?!\w)", re.IGNORECASE),
            f"[{kind}]",
        )
        for value, kind in found
    ]


def _if(word: str, truly: Callable[[str], bool], keep: frozenset[str]) -> Callable[[re.Match[str]], str]:
    def replaced(match: re.Match[str]) -> str:
        said = match[0]
        return said if said.strip() in keep or not truly(said) else word

    return replaced


def _without_iban(match: re.Match[str]) -> str:
    """The match with the account number in it masked, where one is there: what follows it may look like more of it."""
    said = match[0]
    for end in [*(found.start() for found in re.finditer(r"[ -]", said)), len(said)][::-1]:
        if _is_iban(said[:end]):
            return f"[iban]{said[end:]}"
    return said


def _is_iban(text: str) -> bool:
    from stdnum import iban  # noqa: PLC0415  (a table of formats that most processes never need)

    return bool(iban.is_valid(text, check_country=False))


def _without_card(match: re.Match[str]) -> str:
    """The match with each card in it masked: an expiry or another number may stand before it or behind it."""
    said = match[0]
    starts = [0, *(found.end() for found in _BETWEEN.finditer(said))]
    ends = [*(found.start() for found in _BETWEEN.finditer(said)), len(said)]
    for start in starts:
        for end in reversed(ends):
            if 13 <= sum(char.isdigit() for char in said[start:end]) <= 19 and _is_card(said[start:end]):
                rest = _CARD.sub(_without_card, said[end:])
                return f"{said[:start]}[card]{rest}"
    return said


def _is_card(text: str) -> bool:
    from stdnum import luhn  # noqa: PLC0415  (as above)

    digits = re.sub(r"\D", "", text)
    return len(set(digits)) > 1 and bool(luhn.is_valid(digits))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text != "::"


def _without_phones(text: str, keep: frozenset[str]) -> str:
    """The text with each number that can be called masked; one without a sign between its digits is an id."""
    if not _CALLABLE.search(text):
        return text  # most texts: the library of number plans is not asked
    library = _phones()
    for region in PHONE_REGIONS:
        found = [
            (match.start, match.end)
            for match in library.PhoneNumberMatcher(text, region)
            if not match.raw_string.isdigit()
            and match.raw_string not in keep
            and not _DATE.fullmatch(match.raw_string.strip())
        ]
        for start, end in reversed(found):
            text = f"{text[:start]}[phone]{text[end:]}"
    return text


@cache
def _phones() -> ModuleType:
    import phonenumbers  # noqa: PLC0415  (20 MB of number plans)

    return phonenumbers


_FORMS: tuple[tuple[re.Pattern[str], str, Callable[[str], bool]], ...] = (
    (_SSN, "[ssn]", lambda _: True),
    (_IP4, "[ip]", _is_ip),
    (_IP6, "[ip]", _is_ip),
)
