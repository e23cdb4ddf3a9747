"""Origins: the pages of other places whose scripts may call this server, as GRAPH_ALLOWED_ORIGINS lists them.

Leave to call is no leave to do: the credential is a token in a header, never a cookie, and what the allowlist of
routes refuses it refuses to a page too; the page can read the sentence.
"""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""Those that are refused here too: a page that may not even ask sees a network error in place of the reason."""

HEADERS = (
    "authorization",
    "x-api-key",
    "x-auth-scheme",
    "content-type",
    "last-event-id",
    "x-user-id",
    "x-tenant-id",
    "x-organization-id",
)
"""What LangGraph's clients send; only the first two carry a credential."""

EXPOSED = ("content-location", "location", "x-pagination-total", "x-pagination-next")
"""What their scripts read: where a run is, and how much there is."""


class AllowedOrigins:
    """The outermost layer: Starlette's own, made when the first request comes and the settings are there."""

    def __init__(self, app: ASGIApp, listed: Callable[[], Collection[str]]) -> None:
        self.app = app
        self.listed = listed
        self.cors: dict[bool, CORSMiddleware] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        listed = self.listed()
        known = Headers(scope=scope).get("origin") in listed
        if known not in self.cors:
            self.cors[known] = CORSMiddleware(
                self.app,
                allow_origins=listed,
                allow_methods=METHODS,
                allow_headers=HEADERS,
                allow_credentials=False,
                allow_private_network=known,  # a page that is listed may call a server of its reader's own machine
                expose_headers=EXPOSED,
            )
        await self.cors[known](scope, receive, send)
