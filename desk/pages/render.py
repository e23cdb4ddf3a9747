"""Rendering: templates that escape everything, and the few ways in which a page says a time or an amount."""

import hashlib
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from babel.core import negotiate_locale
from babel.localedata import locale_identifiers
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from desk.people import AUDITORS, DECIDERS, OPERATORS
from desk.sessions import Visit
from policies.languages import DEFAULT
from refunds.money import Currency, Money
from refunds.order import method_as_said

HERE = Path(__file__).parent
STATIC = HERE / "static"


@pass_context
def bare(context: Context, amount: Money | str) -> str:
    """An amount without its currency, under a heading that names it; empty where there is none."""
    return amount.bare(context["language"]) if isinstance(amount, Money) else ""


def money(amount_minor: int | None, currency: str | None) -> Money | str:
    """An amount; a dash where there is none."""
    return Money(amount_minor, Currency(currency)) if amount_minor and currency else "—"


@pass_context
def written(context: Context, value: object) -> object:
    """Whatever a template shows: amounts as whoever reads it writes them."""
    return value.shown(context["language"]) if isinstance(value, Money) else value


def reads(request: Request) -> str:
    """The language that the browser asks for first of those whose amounts are known; English where it asks for none."""
    asked = [
        one.partition(";")[0].strip() for one in request.headers.get("accept-language", "")[:200].split(",")
    ]
    return negotiate_locale(asked, locale_identifiers(), sep="-") or DEFAULT


def span(length: timedelta) -> str:
    """A length of time, roughly."""
    seconds = abs(int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min"
    if seconds < 172_800:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    return f"{seconds // 86_400} d"


def when(at: datetime | None) -> str:
    """A moment, to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "—"


def plain_word(word: str) -> str:
    """A word of the vocabulary for the eye."""
    return word.replace("_", " ").replace("blocked:", "blocked: ")


@cache
def environment() -> Environment:
    """The templates. Undefined names are errors; nothing is ever marked safe."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=written,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"span": span, "when": when, "plain": plain_word, "card": method_as_said, "bare": bare}
    made.globals |= {"money": money, "asset": asset, "query": urlencode}
    return made


@cache
def asset(name: str) -> str:
    """The address of a file, which changes with its content."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def is_fragment(request: Request) -> bool:
    """Whether a part of a page is asked for."""
    return request.headers.get("hx-request") == "true"


def page(
    request: Request, template: str, visit: Visit | None = None, status: int = 200, **shown: object
) -> HTMLResponse:
    """A page for a visitor, or for nobody in particular."""
    held = {role for roles in visit.person.roles.values() for role in roles} if visit else set()
    context = {
        "visit": visit,
        "csrf": visit.csrf if visit else "",
        "path": request.url.path,
        "language": reads(request),
        "decides": bool(held & DECIDERS),
        "audits": bool(held & AUDITORS),
        "operates": bool(held & OPERATORS),
        "done": None,
        **shown,
    }
    return HTMLResponse(environment().get_template(template).render(context), status)


def go(request: Request, address: str) -> Response:
    """Open another page, whether a form or a part of a page asked."""
    if is_fragment(request):
        return Response(status_code=200, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def said(request: Request, message: str, status: int, visit: Visit | None = None) -> Response:
    """A refusal: a line in the page where a part of it asked, a page of its own otherwise."""
    if is_fragment(request):
        text = environment().get_template("_said.html").render(message=message, code=status, language=DEFAULT)
        return HTMLResponse(text, status)
    return page(request, "refused.html", visit, status, message=message, code=status)
