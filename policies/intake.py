"""The intake bundle: classify a raw ticket, sign what was classified, verify what was signed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from policies.reading import trained_reader
from policies.reading.order_numbers import key_of
from policies.request import intent_of, order_of
from policies.signature import PublicKeys, SigningKey
from refunds.canonical import canonical
from refunds.ids import OrderId
from refunds.order import CustomerOrder
from refunds.ticket import Ticket
from refunds.vocabulary import IntakeVerdict, Intent, Route

ISSUER = "countersign-intake"

LIFETIME_SECONDS = 15 * 60
"""From signing to arrival; a queue that is slower than this is asked to sign again."""

CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class IntakeCheck:
    """What verification found; `jti` only where a trusted signature carried one."""

    verdict: IntakeVerdict
    jti: str | None


@dataclass(frozen=True, slots=True)
class Filed:
    """A ticket as the intake files it."""

    ticket: Ticket
    """With its bundle and route; what the submitter stated is kept, and nothing is stated for them."""

    intent: Intent
    order_id: OrderId | None
    """The customer's own order that it is about, as the books name it."""


def classify(ticket: Ticket, bundle_version: str, orders: Sequence[CustomerOrder] = ()) -> Filed:
    """What a ticket is, by its words and by what the books know of its customer's orders."""
    stated = own_order(ticket.order_id, orders)
    reading = trained_reader().read(ticket.texts, orders, stated, stated=ticket.intent is not None)
    route: Route = ticket.route or ("human_review_now" if reading.urgent else "guarded_agent")
    return Filed(
        ticket.model_copy(update={"bundle_version": ticket.bundle_version or bundle_version, "route": route}),
        ticket.intent or intent_of(reading),
        order_of(reading, orders, stated),
    )


def own_order(stated: str | None, orders: Sequence[CustomerOrder]) -> OrderId | None:
    """The customer's order of a number as people write it; the number itself where they have none of it."""
    if stated is None:
        return None
    own = [order.order_id for order in orders if key_of(order.order_id) == key_of(stated)]
    exact = [order_id for order_id in own if order_id == stated]
    return exact[0] if exact else own[0] if len(own) == 1 else OrderId(stated)


def is_raw(ticket: Ticket) -> bool:
    """Whether the intake has still to classify and sign it."""
    return ticket.intake is None and ticket.bundle_version is None and ticket.route is None


def sign(ticket: Ticket, key: SigningKey, now: datetime) -> Ticket:
    """The ticket with a fresh signature over its body as it stands."""
    issued = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "jti": str(uuid4()),
        "iat": issued,
        "exp": issued + LIFETIME_SECONDS,
        "kid": key.kid,
        "body_sha256": ticket.body_sha256(),
    }
    return ticket.model_copy(update={"intake": key.sign(canonical(claims))})


def verify_intake(ticket: Ticket, keys: PublicKeys, now: datetime) -> IntakeCheck:
    """The verdict on a ticket's signature. Whether its jti was used before, the books say."""
    read = keys.read(ticket.intake) if ticket.intake else None
    if read is None:
        return IntakeCheck("unsigned_intake", None)
    text, kid = read
    try:
        claims = json.loads(text)
    except ValueError:
        return IntakeCheck("unsigned_intake", None)
    jti = claims.get("jti") if isinstance(claims, dict) else None
    if (
        not isinstance(jti, str)
        or not re.fullmatch(r"[\w:.-]{8,128}", jti)
        or claims.get("iss") != ISSUER
        or claims.get("kid") != kid
        or claims.get("body_sha256") != ticket.body_sha256()
        or type(claims.get("iat")) is not int
        or type(claims.get("exp")) is not int
    ):
        return IntakeCheck("unsigned_intake", None)
    moment = now.timestamp()
    fresh = claims["iat"] - CLOCK_SKEW_SECONDS <= moment < claims["exp"]
    if not fresh or claims["exp"] - claims["iat"] > LIFETIME_SECONDS:
        return IntakeCheck("expired_intake", jti)
    if not keys.speaks_for(kid, ticket.tenant):
        return IntakeCheck("wrong_tenant", jti)
    return IntakeCheck("verified", jti)
