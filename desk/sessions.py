"""Sessions of people at the page: a random name in a signed cookie, kept as its hash, ended at will."""

import hmac
import secrets
from dataclasses import dataclass

from starlette.requests import Request

from desk.people import NotSignedIn, Person, person_at_page
from records.books import Books
from refunds.canonical import sha256
from refunds.ids import PersonId

HOURS = 12
"""A working day; after it everybody signs in again."""

COOKIE = "countersign"
_NAME, _CSRF, _WHO = "sid", "csrf", "who"


class BadToken(Exception):
    """A form that did not come from a page of this session."""

    def __init__(self) -> None:
        super().__init__("this form is not of your session: load the page again, nothing was done")


@dataclass(frozen=True, slots=True)
class Visit:
    """A person at the page."""

    person: Person
    csrf: str


async def begin_session(books: Books, request: Request, person: PersonId) -> None:
    """A new session for a person who has just signed in; whatever the cookie held before is gone."""
    name = secrets.token_urlsafe(32)
    before = request.session.get(_NAME)
    async with books.transaction() as tx:
        if isinstance(before, str):
            await tx.rows("end_session", session_sha256=sha256(before))
        await tx.rows("insert_session", session_sha256=sha256(name), person=person, hours=HOURS)
    same = request.session.get(_WHO) == person
    csrf = request.session.get(_CSRF) if same else None
    request.session.clear()
    # The forms that the same person has open in this browser go on counting.
    request.session.update({_NAME: name, _WHO: person, _CSRF: csrf or secrets.token_urlsafe(24)})


async def end_session(books: Books, request: Request) -> None:
    """Sign out: the session is over whoever holds a copy of its cookie."""
    name = request.session.get(_NAME)
    if isinstance(name, str):
        async with books.transaction() as tx:
            await tx.rows("end_session", session_sha256=sha256(name))
    request.session.pop(_NAME, None)


async def visit_of(books: Books, request: Request) -> Visit:
    """Who visits, with their roles as they are now. Raises NotSignedIn."""
    name, csrf = request.session.get(_NAME), request.session.get(_CSRF)
    if not isinstance(name, str) or not isinstance(csrf, str):
        raise NotSignedIn
    rows = await books.reading(None).rows("person_of_session", session_sha256=sha256(name))
    if not rows:
        raise NotSignedIn
    return Visit(person_at_page(rows, address_of(request)), csrf)


def check_csrf(visit: Visit, given: object) -> None:
    """BadToken where a form does not carry the session's own token."""
    if not isinstance(given, str) or not hmac.compare_digest(
        given.encode("utf-8", "replace"), visit.csrf.encode()
    ):
        raise BadToken


def address_of(request: Request) -> str:
    """The address that the request came from, as the server sees it."""
    return request.client.host[:64] if request.client else "unknown"
