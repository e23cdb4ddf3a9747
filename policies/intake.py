"""The intake bundle: classify a raw ticket, sign what was classified, verify what was signed."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from policies.signature import PublicKeys, SigningKey
from refunds.canonical import canonical
from refunds.ticket import Ticket
from refunds.vocabulary import IntakeVerdict, Intent, Route

ISSUER = "countersign-intake"

LIFETIME_SECONDS = 15 * 60
"""From signing to arrival; a queue that is slower than this is asked to sign again."""

CLOCK_SKEW_SECONDS = 60

# What a person must see at once, whatever else the ticket says.
_URGENT = re.compile(
    r"\b(lawyer|attorney|legal action|sue|court|police|injur\w*|burn(?:ed|t)|fire|smoke|shock|hospital|"
    r"chargeback|fraud|stolen|identity theft|kill|suicide)\b",
    re.IGNORECASE,
)
_INTENTS: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    (
        "account_access",
        re.compile(r"\b(password|log ?in|sign ?in|locked out|two-factor|my account)\b", re.IGNORECASE),
    ),
    (
        "refund_request",
        re.compile(
            r"\b((want|like|need|request\w*|get|give|process|issue)\b.{0,40}\b(refund|money back|return it)|"
            r"refund (me|my|this|the)|cancel (my|this|the) order)",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
    (
        "policy_question",
        re.compile(r"\b(policy|allowed|eligible|how long|can i return|warranty|rules?)\b", re.IGNORECASE),
    ),
    (
        "order_question",
        re.compile(r"\b(order|package|parcel|deliver\w*|shipping|tracking|where is)\b", re.IGNORECASE),
    ),
)


@dataclass(frozen=True, slots=True)
class IntakeCheck:
    """What verification found; `jti` only where a trusted signature carried one."""

    verdict: IntakeVerdict
    jti: str | None


def classify(ticket: Ticket, bundle_version: str) -> Ticket:
    """The ticket with its bundle, route and intent; what the submitter stated is kept."""
    guessed: Iterator[Intent] = (name for name, pattern in _INTENTS if pattern.search(ticket.question))
    intent: Intent = ticket.intent if ticket.intent is not None else next(guessed, "other")
    route: Route = ticket.route or (
        "human_review_now" if _URGENT.search(ticket.question) else "guarded_agent"
    )
    return ticket.model_copy(
        update={"bundle_version": ticket.bundle_version or bundle_version, "route": route, "intent": intent}
    )


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
