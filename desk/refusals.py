"""Refusals: what each is over HTTP, at the API and at the page, in one table."""

from desk.decisions import Conflict, NothingToDecide
from desk.intake import TicketRefused
from desk.notes import BadDecision
from desk.people import NoAuthority, NotSignedIn
from desk.queue import NoSuchCase, TwoCases
from desk.ratings import NoSuchLink
from desk.sessions import BadToken
from records.books import BooksAway, Refused
from refunds.ticket import BadTicket
from runtime.jobs import NoSuchJob

STATUS: dict[type[Exception], int] = {
    BadToken: 403,
    NoSuchLink: 404,
    NotSignedIn: 401,
    NoAuthority: 403,
    NoSuchCase: 404,
    NoSuchJob: 404,
    Conflict: 409,
    NothingToDecide: 409,
    TicketRefused: 409,
    TwoCases: 409,
    Refused: 409,
    BadDecision: 422,
    BadTicket: 422,
    BooksAway: 503,
}

BESIDE_THE_FORM = (BadDecision, Conflict, NothingToDecide, Refused, NoAuthority, BooksAway)
"""Said on the page of the case beside what the person typed, which stays; the others are a page of their own."""


def status_of(error: Exception) -> int:
    """The status of a refusal, or of one that is a kind of it."""
    return next(status for kind, status in STATUS.items() if isinstance(error, kind))
