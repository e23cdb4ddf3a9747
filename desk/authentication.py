"""Authentication at the desk: a token on every route, for its audience, with its scope. Open routes are named."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from desk.people import NotSignedIn, Person, sign_in
from desk.services import DeskServices
from refunds.vocabulary import Audience, Scope

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/api/openapi.json"})
"""The routes that need no token: they name no tenant and no case."""

SignedIn = Callable[..., Awaitable[Person]]

_BEARER = HTTPBearer(auto_error=False)


def desk_services(request: Request) -> DeskServices:
    """The services behind this app."""
    services = request.app.state.services
    if not isinstance(services, DeskServices):
        raise TypeError("the app has no services")
    return services


def signed_in(scope: Scope, audience: Audience = "desk") -> SignedIn:
    """The person of the request's token, where it is for this audience and scope."""

    async def person(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> Person:
        if given is None:
            raise NotSignedIn
        address = request.client.host[:64] if request.client else None
        who = await sign_in(
            desk_services(request).books, given.credentials.strip(), audience, address=address
        )
        who.may(scope)
        return who

    return person
