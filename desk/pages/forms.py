"""Forms: what a page sends, read by name. A form counts only from a page of the same session."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import FormData

from desk.authentication import desk_services
from desk.catalogue import _
from desk.notes import BadDecision
from desk.services import DeskServices
from desk.sessions import Visit, check_csrf, visit_of
from refunds.vocabulary import Scope

FIELDS = 200
Opened = Annotated[DeskServices, Depends(desk_services)]


@dataclass(frozen=True, slots=True)
class SentForm:
    """A person who sends a form."""

    visit: Visit
    form: FormData

    def text(self, name: str) -> str:
        """A field, empty where it is not there."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """A field that may stand more than once."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def one_of(self, name: str, allowed: tuple[str, ...]) -> Any:  # noqa: ANN401  (a member of a closed set)
        """A field that has one of these values. BadDecision lists them."""
        value = self.text(name)
        if value not in allowed:
            raise BadDecision(_("%(name)s: one of %(allowed)s", name=name, allowed=", ".join(allowed)))
        return value


async def read_form(request: Request) -> FormData:
    """The fields of a form. BadDecision where they are no text that the books could hold."""
    try:
        form = await request.form(max_fields=FIELDS, max_files=0)
        for _name, value in form.multi_items():
            str(value).encode("utf-8")
    except (UnicodeError, LookupError):
        raise BadDecision(_("form: not text in UTF-8")) from None
    return form


def visitor(scope: Scope) -> Callable[..., Awaitable[Visit]]:
    """Who visits, where they may use this page. Raises NotSignedIn, NoAuthority."""

    async def visit(request: Request, services: Opened) -> Visit:
        found = await visit_of(services.books, request)
        found.person.may(scope)
        return found

    return visit


def actor(scope: Scope) -> Callable[..., Awaitable[SentForm]]:
    """Who sends a form, where they may. Raises NotSignedIn, NoAuthority, BadToken."""

    async def act(request: Request, services: Opened) -> SentForm:
        found = await visit_of(services.books, request)
        form = await read_form(request)
        check_csrf(found, form.get("csrf"))
        found.person.may(scope)
        return SentForm(found, form)

    return act
