"""People: who speaks, for which tenants, with which roles. Tokens are kept as hashes."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from desk.catalogue import _
from records.books import Books, Row, Transaction
from refunds.canonical import sha256
from refunds.ids import PersonId, TenantId
from refunds.vocabulary import Audience, Role, Scope, Via

TOKEN_DAYS = 90

DECIDERS: frozenset[Role] = frozenset({"reviewer", "specialist"})
_SEE: frozenset[Role] = frozenset({"reviewer", "specialist", "operator", "auditor", "service"})
_SUBMIT: frozenset[Role] = frozenset({"service", "reviewer", "specialist", "operator"})
OPERATORS: frozenset[Role] = frozenset({"operator"})
ASKERS: frozenset[Role] = frozenset({"specialist", "operator"})
AUDITORS: frozenset[Role] = frozenset({"auditor", "operator"})


_SCOPES: dict[Scope, frozenset[Role]] = {
    "tickets:write": _SUBMIT,
    "cases:read": _SEE,
    "cases:decide": DECIDERS,
    "messages:write": _SUBMIT,
    "flags:write": OPERATORS,
    "jobs:write": OPERATORS,
    "audit:read": AUDITORS,
    "money:ask": ASKERS,
}
SERVER_SCOPES: frozenset[Scope] = frozenset({"tickets:write", "cases:read", "cases:decide"})

SERVER_CEILING_MINOR = 200_000
"""What a token of the server API approves at most: stock interfaces show less than the desk does."""


class NotSignedIn(Exception):
    """No valid token: set COUNTERSIGN_TOKEN to the token of a person of the desk."""

    def __init__(self) -> None:
        super().__init__((self.__doc__ or "").strip())


class NoAuthority(Exception):
    """This person may not do this; the message says what it takes."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    person: PersonId
    name: str
    audience: Audience
    scopes: frozenset[Scope]
    ceiling_minor: int | None
    """What a token of the server API approves at most."""

    roles: dict[TenantId, frozenset[Role]] = field(repr=False)
    via: Via = "api"
    address: str | None = None
    """From where they act; it stands beside what they decide."""

    def roles_in(self, tenant: TenantId) -> frozenset[Role]:
        return self.roles.get(tenant, frozenset())

    def _need(self, tenant: TenantId, allowed: frozenset[Role], act: str) -> None:
        if not self.roles_in(tenant) & allowed:
            raise NoAuthority(
                _(
                    "%(person)s may not %(act)s for %(tenant)s: needs %(allowed)s",
                    person=self.person,
                    act=act,
                    tenant=tenant,
                    allowed=" or ".join(sorted(allowed)),
                )
            )

    def may(self, scope: Scope) -> None:
        """NoAuthority where the token is not for this."""
        if scope not in self.scopes:
            raise NoAuthority(
                _("the token of %(person)s is not for %(scope)s", person=self.person, scope=scope)
            )

    def may_see(self, tenant: TenantId) -> None:
        self._need(tenant, _SEE, "see cases")

    def may_submit(self, tenant: TenantId) -> None:
        self._need(tenant, _SUBMIT, "submit tickets")

    def may_decide(self, tenant: TenantId) -> None:
        self._need(tenant, DECIDERS, "decide")

    def may_operate(self, tenant: TenantId) -> None:
        self._need(tenant, OPERATORS, "set flags")

    def may_ask_provider(self, tenant: TenantId) -> None:
        self._need(tenant, ASKERS, "ask the provider")

    def may_audit(self, tenant: TenantId) -> None:
        self._need(tenant, AUDITORS, "read the audit")

    def where(self, allowed: frozenset[Role]) -> list[TenantId]:
        """The tenants in which this person has one of these roles."""
        return [tenant for tenant in self.tenants if self.roles_in(tenant) & allowed]

    @property
    def tenants(self) -> list[TenantId]:
        """The tenants this person has any role in."""
        return sorted(self.roles)


async def sign_in(
    books: Books,
    token: str,
    audience: Audience = "desk",
    *,
    via: Via | None = None,
    address: str | None = None,
) -> Person:
    """The person of a token; NotSignedIn where it is unknown, ended or for another audience."""
    if not token:
        raise NotSignedIn
    async with books.transaction() as tx:
        rows = await tx.rows("person_of_token", token_sha256=sha256(token))
    if not rows or rows[0]["audience"] != audience:
        raise NotSignedIn
    return Person(
        person=PersonId(rows[0]["person"]),
        name=rows[0]["name"],
        audience=audience,
        scopes=frozenset(rows[0]["scopes"]),
        ceiling_minor=rows[0]["ceiling_minor"],
        roles=roles_of_rows(rows),
        via=via or ("server" if audience == "server" else "api"),
        address=address,
    )


def roles_of_rows(rows: Iterable[Row]) -> dict[TenantId, frozenset[Role]]:
    """The roles in rows of memberships, by tenant."""
    roles: dict[TenantId, frozenset[Role]] = {}
    for row in rows:
        tenant = TenantId(row["tenant"])
        role: Role = row["role"]
        roles[tenant] = roles.get(tenant, frozenset()) | {role}
    return roles


def person_at_page(rows: Sequence[Row], address: str | None) -> Person:
    """The person in rows of memberships, as they act at the page: with all that their roles are for, and no ceiling."""
    roles = roles_of_rows(rows)
    return Person(
        person=PersonId(rows[0]["person"]),
        name=rows[0]["name"],
        audience="desk",
        scopes=scopes_of(frozenset(role for held in roles.values() for role in held)),
        ceiling_minor=None,
        roles=roles,
        via="page",
        address=address,
    )


def new_token() -> str:
    """A fresh token; shown once, kept as its hash."""
    return f"cs_{secrets.token_urlsafe(24)}"


async def register(
    tx: Transaction,
    person: PersonId,
    name: str,
    roles: dict[TenantId, frozenset[Role]],
    token: str,
) -> None:
    """Enter a person with roles and a token for the desk, in a transaction of the owner: no process may do this."""
    await tx.rows("insert_person", person=person, name=name)
    for tenant, held in roles.items():
        await tx.rows("enter_tenant", tenant=tenant)
        for role in sorted(held):
            await tx.rows("insert_membership", tenant=tenant, person=person, role=role)
    await issue(tx, person, token, scopes_of(frozenset(role for held in roles.values() for role in held)))


async def issue_for_server(tx: Transaction, person: PersonId, roles: frozenset[Role], token: str) -> None:
    """Give a person a token for the server API: fewer scopes, and a ceiling. In a transaction of the owner."""
    scopes = scopes_of(roles) & SERVER_SCOPES
    await issue(tx, person, token, scopes, audience="server", ceiling_minor=SERVER_CEILING_MINOR)


async def issue(
    tx: Transaction,
    person: PersonId,
    token: str,
    scopes: frozenset[Scope],
    *,
    audience: Audience = "desk",
    ceiling_minor: int | None = None,
    days: int = TOKEN_DAYS,
) -> None:
    """Give a person a token for an audience, with its scopes. In a transaction of the owner."""
    await tx.rows(
        "insert_token",
        token_sha256=sha256(token),
        person=person,
        audience=audience,
        scopes=sorted(scopes),
        ceiling_minor=ceiling_minor,
        days=days,
    )


def scopes_of(roles: frozenset[Role]) -> frozenset[Scope]:
    """What a token of somebody with these roles is for."""
    return frozenset(scope for scope, allowed in _SCOPES.items() if roles & allowed)
