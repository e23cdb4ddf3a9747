"""The desk's door: a token on every route, for its audience, with its scope. What is open says so by name."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from desk.people import NotSignedIn, Person, sign_in
from desk.room import Room
from refunds.words import Audience, Scope

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/api/openapi.json"})
"""The routes that need no token: they name no tenant and no case."""

SignedIn = Callable[[Request], Awaitable[Person]]


def room_of(request: Request) -> Room:
    """The room that this app serves."""
    room = request.app.state.room
    if not isinstance(room, Room):
        raise TypeError("the app has no room")
    return room


def signed_in(scope: Scope, audience: Audience = "desk") -> SignedIn:
    """The person of the request's token, where it is for this audience and scope."""

    async def person(request: Request) -> Person:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedIn
        who = await sign_in(room_of(request).books, token.strip(), audience)
        who.may(scope)
        return who

    return person
