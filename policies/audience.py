"""Audience: whom a text of a shop speaks to, and for which days. What speaks to its staff is not for customers.

Told from the words alone, so the doubt goes one way: what may be for staff counts for nobody until a person says so.
"""

import re
from datetime import date, timedelta
from itertools import pairwise

_TITLED = re.compile(r"^\W*internal\s*[:)\]–-]|[(\[]internal[)\]]", re.IGNORECASE)
"""How a title says that it is not for customers."""

_SOMEBODY = r"(?:the\s+|your\s+|a\s+)?(?:customers?|callers?|users?|clients?|buyers?|shoppers?|guests?)\b"
_ONE = r"(?:the\s+|a\s+)?(?:customers?|callers?|buyers?|shoppers?|guests?)"
_BUTTON = r"(?-i:\[[A-Z][\w&' -]{2,40}\])"
_STAFF = re.compile(
    # The name of a program that staff call, and a button that they press.
    rf"\b[a-z]+(?:_[a-z0-9]+)+_\d{{2,}}\b|\b(?:click(?:\s+on)?|using|with|in)\s+{_BUTTON}|{_BUTTON}\s*(?:option|step|$)|"
    # What somebody is told to do with a customer.
    rf"\b(?:ask|tell|inform|advise|remind|help|transfer|reassure)\s+(?:{_SOMEBODY}|them\s+(?:that|to|for|they|the|you)\b)|"
    rf"(?:^|[.!?:;>]\s*|\bthen\s+|\band\s+|,\s*)(?:apologi[sz]e|explain|offer|give)\s+(?:\w+\s+)?(?:to\s+)?{_SOMEBODY}|"
    rf"\bif\s+they\s+(?:say|said|complain|don['’]t\s+have)\b|\bget\s+the\s+customer['’]s\b|\bhave\s+the\s+(?:customer|user|caller)\b|"
    rf"\bif\s+{_ONE}\s+(?:says?|said|asks?|wants?|insists?|refuses?|forgot|is\s+(?:angry|upset)|has\s+had)\b|\bif\s+customers\s+ask\b|"
    # Who works there, and what is not to be said outside.
    r"\b(?:agents?|representatives?|associates?|employees?|staff)\s+(?:should|must\s+(?:not|follow)|may|can)\b"
    r"(?!\s+(?:review|see|help|answer))|\bmanagers?\s+approve\b|\bsupervisors?\s+must\b|\bfor\s+support\s+agents\b|\bescalate\s+(?:it\s+)?to\b|\binternal\s+use\b|\bconfidential\b|"
    r"\bdo\s+not\s+disclose\b|\bgoodwill\s+(?:code|credit)\b|\brefund\s+code\b|\bwhen\s+the\s+person\s+is\b|"
    r"\b(?:subflows?|flows?\s+(?:above|below)|oracle|fill\s+out\s+the\s+survey|for\s+the\s+survey|knowledge\s+base)\b|\bcopy/paste\b|"
    r"\b(?:enter|type|fill|submit|record|select|write)\b[^.\n]{0,60}\b(?:input\s+form|text\s*box|the\s+box|toggle)\b|"
    r"\b(?:fragen|bitten|informieren|sagen)\s+sie\s+(?:den|die|dem|der)\s+kund\w+|\bmitarbeiter(?:innen)?\s+(?:dürfen|sollen|müssen|können)\b|"
    r"\bnur\s+für\s+den\s+internen\b|\bvertraulich\b|\bkulanz\s+gewähren\b",
    re.IGNORECASE | re.MULTILINE,
)
_OFFER = re.compile(
    r"\b(?:promo\w*|promotions?|campaigns?|limited[\s-]time|introductory|sign-?up\s+bonus)\b", re.IGNORECASE
)
_DAY = r"(\d{4})-(\d{2})-(\d{2})|(\d{1,2})/(\d{1,2})/(\d{4})"
_DAYS = re.compile(_DAY)
_BETWEEN = re.compile(
    r"^[\s*_.,;–—-]*(?:to|through|thru|until|till|and|ending|end(?:ing)?\s+date)?[\s*_:.,;–—-]*"
    r"(?:(?:and\s+)?end(?:s|ing)?(?:\s+(?:date|on))?[\s*_:]*)?$",
    re.IGNORECASE,
)
"""What stands between the first and the last day of something."""


def is_titled_internal(title: str) -> bool:
    """Whether a title says that what it stands over is internal."""
    return _TITLED.search(title) is not None


def is_for_staff(text: str) -> bool:
    """Whether a text tells somebody who serves customers what to do."""
    return _STAFF.search(text) is not None


def window_of(title: str, text: str) -> tuple[date, date] | None:
    """The first day of an offer and the first day after it, where its title or text names both; else None.

    A text of several offers holds as long as the longest of them.
    """
    if not _OFFER.search(f"{title}\n{text}"):
        return None
    days = [(found, day) for found in _DAYS.finditer(text) if (day := _day(found)) is not None]
    spans = [
        (first, last)
        for (one, first), (other, last) in pairwise(days)
        if first <= last and _BETWEEN.fullmatch(text[one.end() : other.start()])
    ]
    if not spans:
        return None
    return min(first for first, _ in spans), max(last for _, last in spans) + timedelta(days=1)


def _day(found: re.Match[str]) -> date | None:
    """A day as `2026-03-31` or `03/31/2026`."""
    year, month, day, other_month, other_day, other_year = found.groups()
    try:
        return date(int(year or other_year), int(month or other_month), int(day or other_day))
    except ValueError:
        return None
