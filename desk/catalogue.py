"""The catalogue: what the desk says, in the language of whoever reads it.

A text is English where it stands in the code and in a template; `locale/<language>.po` has it in the others. Who asks
for none of them reads English, and so does a program. A law holds that each catalogue has every text.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.core import Locale, negotiate_locale
from babel.dates import format_date, format_datetime, format_time
from babel.localedata import locale_identifiers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from policies.languages import DEFAULT
from refunds.money import Money

LOCALE = Path(__file__).parent / "locale"
LANGUAGES = ("en", "de")
"""What the desk is written in; English is the code's own."""

ASKED_LIMIT = 200

_READS: ContextVar[str | None] = ContextVar("reads", default=None)
"""None where no person reads: a program is told amounts and times in one form."""


def locale_asked(accept_language: str) -> str:
    """The locale that a browser asks for first, of those whose dates and amounts are known; English for none."""
    asked = [one.partition(";")[0].strip() for one in accept_language[:ASKED_LIMIT].split(",")]
    return negotiate_locale(asked, locale_identifiers(), sep="-") or DEFAULT


@contextmanager
def read_in(locale: str) -> Iterator[None]:
    """Whatever is said within is said to a reader of this locale."""
    token = _READS.set(locale)
    try:
        yield
    finally:
        _READS.reset(token)


def locale_now() -> str:
    """The locale of who reads now, as `de_AT`."""
    return _READS.get() or DEFAULT


def language_now() -> str:
    """The language of the texts for who reads now: one of LANGUAGES."""
    language = locale_now().partition("_")[0]
    return language if language in LANGUAGES else DEFAULT


@cache
def translations(language: str) -> NullTranslations:
    """The texts of a language; English says them as they stand."""
    if language == DEFAULT:
        return NullTranslations()
    compiled = BytesIO()
    with (LOCALE / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def _(text: str, /, **values: object) -> str:
    """A text with its values, as `%(name)s`; amounts and times as the reader writes them."""
    said = translations(language_now()).gettext(text)
    return said % {name: shown_value(value) for name, value in values.items()}


def counted_text(one: str, many: str, count: int, /, **values: object) -> str:
    """A text of one or of many; `%(count)s` is how many."""
    said = translations(language_now()).ngettext(one, many, count)
    return said % {"count": count, **{name: shown_value(value) for name, value in values.items()}}


def N_(text: str) -> str:  # noqa: N802  (gettext's own name for it)
    """A text that is said somewhere else: it is only marked here."""
    return text


def shown_value(value: object) -> object:
    """A value as the reader writes it."""
    match value:
        case Money():
            return value.shown(locale_now()) if _READS.get() else str(value)
        case datetime():
            return when(value)
        case date():
            return day(value)
        case _:
            return value


def when(at: datetime | None) -> str:
    """A moment, to the second, in UTC."""
    if at is None or _READS.get() is None:
        return f"{at:%Y-%m-%d %H:%M:%S}" if at else "—"
    return format_datetime(at, "medium", locale=_dates())


def clock(at: datetime) -> str:
    """A time of the day, to the second, in UTC."""
    return format_time(at, "medium", locale=_dates()) if _READS.get() else f"{at:%H:%M:%S}"


def day(on: date | None) -> str:
    """A day."""
    if on is None or _READS.get() is None:
        return f"{on:%Y-%m-%d}" if on else "—"
    return format_date(on, "medium", locale=_dates())


def _dates() -> Locale:
    """Dates are written as the texts are: half a German date in an English sentence is nobody's."""
    locale = Locale.parse(locale_now())
    return locale if locale.language in LANGUAGES else Locale.parse(DEFAULT)


def span(length: timedelta) -> str:
    """A length of time, roughly."""
    seconds = abs(int(length.total_seconds()))
    if seconds < 60:
        return _("%(n)s s", n=seconds)
    if seconds < 3_600:
        return _("%(n)s min", n=seconds // 60)
    if seconds < 172_800:
        return _("%(h)s h %(min)s min", h=seconds // 3_600, min=seconds % 3_600 // 60)
    return _("%(n)s d", n=seconds // 86_400)
