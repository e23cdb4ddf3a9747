"""People of other shops and signed tickets, for the server API."""

from datetime import UTC, datetime
from typing import Any

from running import RunningHouse

from app.house import home_private_key
from policies.intake import sign
from refunds.canonical import sha256
from refunds.ticket import Ticket
from runtime.home import Home


def other_shop(house: RunningHouse) -> str:
    """A token of a person of another tenant."""
    return _person(house, "other-reviewer", ["other"])


def two_shops(house: RunningHouse) -> str:
    """A token of a person of both tenants."""
    return _person(house, "both-reviewer", ["other", "demo"])


def _person(house: RunningHouse, person: str, tenants: list[str]) -> str:
    token = f"cs_of_{person}"
    house.sql("insert into books.tenants (tenant, name) values ('other', 'Other') on conflict do nothing")
    house.sql("insert into books.people (person, name) values (%s, 'x') on conflict do nothing", person)
    for tenant in tenants:
        house.sql(
            "insert into books.memberships (tenant, person, role) values (%s, %s, 'reviewer') on conflict do nothing",
            tenant, person,
        )  # fmt: skip
    house.sql(
        "insert into books.tokens (token_sha256, person, audience, scopes, ceiling_minor, expires_at)"
        " values (%s, %s, 'server', '{tickets:write,cases:read,cases:decide}', 100, now() + interval '1 day')"
        " on conflict do nothing",
        sha256(token), person,
    )  # fmt: skip
    return token


def signed_ticket(house: RunningHouse, **fields: object) -> dict[str, Any]:
    """A ticket with its intake signature, as the bundle makes it."""
    raw = house.ticket(bundle_version="intake_bundle_v2", route="guarded_agent", **fields)
    return dict(
        sign(Ticket.read(raw), home_private_key(Home(house.folder), "intake"), datetime.now(UTC)).to_json()
    )
