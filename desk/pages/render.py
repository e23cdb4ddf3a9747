"""Rendering: templates that escape everything, and the few ways in which a page says a time or an amount."""

import hashlib
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from desk.catalogue import clock, day, language_now, locale_now, shown_value, span, translations, when
from desk.people import AUDITORS, DECIDERS, OPERATORS
from desk.plain_words import plain_word, reason_word, stands
from desk.sessions import Visit
from refunds.money import Currency, Money
from refunds.order import method_as_said

HERE = Path(__file__).parent
STATIC = HERE / "static"


def bare(amount: Money | str) -> str:
    """An amount without its currency, under a heading that names it; empty where there is none."""
    return amount.bare(locale_now()) if isinstance(amount, Money) else ""


def money(amount_minor: int | None, currency: str | None) -> Money | str:
    """An amount; a dash where there is none."""
    return Money(amount_minor, Currency(currency)) if amount_minor and currency else "—"


def written(value: object) -> object:
    """Whatever a template shows: amounts as whoever reads it writes them."""
    return value.shown(locale_now()) if isinstance(value, Money) else value


def aligned(amount: Money | str) -> Markup:
    """An amount in a column: what follows its decimal point stands apart, so that the points are below one another."""
    said = str(written(amount))
    cut = (
        re.search(r"[.,]\d{1,4}(?!.*[.,]\d)", said)
        if isinstance(amount, Money) and amount.has_minor
        else None
    )
    whole, part = (said[: cut.start()], said[cut.start() :]) if cut else (said, "")
    return Markup('{}<span class="part">{}</span>').format(whole, part)


def text(said: str, /, **values: object) -> Markup:
    """A text of the catalogue with its values; what stands in them is text, whatever it says."""
    translated = translations(language_now()).gettext(said)
    return escape(translated) % {name: shown_value(value) for name, value in values.items()}


def texts(one: str, many: str, count: int, /, **values: object) -> Markup:
    """A text of one or of many."""
    translated = translations(language_now()).ngettext(one, many, count)
    return escape(translated) % {
        "count": count,
        **{name: shown_value(value) for name, value in values.items()},
    }


@cache
def environment() -> Environment:
    """The templates. Undefined names are errors; nothing that anybody wrote is ever marked safe."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=written,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "span": span, "when": when, "day": day, "clock": clock, "plain": plain_word, "because": reason_word,
        "card": method_as_said,
        "bare": bare, "aligned": aligned,
    }  # fmt: skip
    made.globals |= {
        "money": money,
        "asset": asset,
        "query": urlencode,
        "_": text,
        "ngettext": texts,
        "stands": stands,
    }
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
        "language": language_now(),
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
        line = environment().get_template("_said.html").render(message=message, code=status)
        return HTMLResponse(line, status)
    return page(request, "refused.html", visit, status, message=message, code=status)
