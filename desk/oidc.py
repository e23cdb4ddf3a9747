"""OpenID Connect: another house vouches for people; the code flow with PKCE, roles and tenants from its claims.

The books take what it says of its own people and of nobody else's: a local account is never met this way.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response

from desk.people import NoAuthority
from desk.settings import DeskSettings
from records.books import Books, Refused
from refunds.ids import PersonId
from refunds.vocabulary import Role

GIVEN = frozenset(get_args(Role)) - {"service"}
"""Roles that an issuer may give; a service signs in with a token."""

NAME = re.compile(r"[!-~]{1,128}")
SECONDS = 10.0


class NotVouchedFor(Exception):
    """The issuer did not say who this is, or could not be reached; the message says which."""


@dataclass(frozen=True)
class Issuer:
    """An OpenID provider."""

    books: Books
    client: Any
    """Authlib's registered client, which has no types."""

    issuer: str
    name_claim: str
    roles_claim: str
    label: str

    @classmethod
    def of(cls, settings: DeskSettings, books: Books) -> "Issuer | None":
        """The provider that the settings name; None where they name none."""
        if not settings.oidc_issuer:
            return None
        secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else None
        registry = OAuth()
        client = registry.register(
            "issuer",
            client_id=settings.oidc_client_id,
            client_secret=secret,
            server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.oidc_scopes,
                "code_challenge_method": "S256",
                "timeout": SECONDS,
                "trust_env": False,
            },
        )
        return cls(
            books,
            client,
            settings.oidc_issuer.rstrip("/"),
            settings.oidc_name_claim,
            settings.oidc_roles_claim,
            settings.oidc_label,
        )

    async def begin(self, request: Request, back: str) -> Response:
        """Send the visitor to the provider. Raises NotVouchedFor."""
        try:
            return cast("Response", await self.client.authorize_redirect(request, back))
        except (httpx2.HTTPError, AuthlibBaseError, ValueError, KeyError) as error:
            raise NotVouchedFor(f"{self.label} cannot be reached: {type(error).__name__}") from None

    async def complete(self, request: Request) -> PersonId:
        """Who came back, with the roles that the provider says they have now. Raises NotVouchedFor, NoAuthority."""
        try:
            token = await self.client.authorize_access_token(request)
        except (httpx2.HTTPError, AuthlibBaseError, JoseError, ValueError, KeyError, RuntimeError) as error:
            raise NotVouchedFor(f"{self.label} did not say who you are: {type(error).__name__}") from None
        claims = token.get("userinfo") or {}
        subject, name = str(claims.get("sub") or ""), str(claims.get(self.name_claim) or "")
        if str(claims.get("iss") or "").rstrip("/") != self.issuer or not subject:
            raise NotVouchedFor(f"{self.label} did not say who you are")
        if not NAME.fullmatch(name):
            raise NotVouchedFor(
                f"{self.label} gives no name that the books can hold: claim {self.name_claim}"
            )
        roles = roles_said(claims.get(self.roles_claim))
        known = set(await self.books.tenants())
        given = {tenant: sorted(held) for tenant, held in roles.items() if tenant in known and held}
        try:
            async with self.books.transaction() as tx:
                row = await tx.row(
                    "meet",
                    person=name,
                    name=str(claims.get("name") or name).replace("\x00", "")[:200],
                    issuer=self.issuer,
                    subject=subject[:255],
                    roles=Jsonb(given),
                )
        except Refused as refused:
            raise NoAuthority(refused.detail) from None
        # The roles are written first, so that somebody who has none any more loses the old ones and is then refused.
        if not given or row is None or row["person"] is None:
            raise NoAuthority(f"{name} has no role here: {self.label} gives none in claim {self.roles_claim}")
        return PersonId(row["person"])


def roles_said(claim: object) -> dict[str, frozenset[Role]]:
    """Roles by tenant in a claim; what is no role here is nothing."""
    if not isinstance(claim, Mapping):
        return {}
    return {
        str(tenant): frozenset(cast("Role", role) for role in said if isinstance(role, str) and role in GIVEN)
        for tenant, said in claim.items()
        if isinstance(said, list | tuple)
    }
