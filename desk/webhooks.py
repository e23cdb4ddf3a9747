"""Webhooks: a notice as JSON to another house, signed so that it can be told from a forgery and from a replay.

Headers: `Countersign-Timestamp` (Unix seconds) and `Countersign-Signature` (`v1=` and the hex of HMAC-SHA-256 over the
timestamp, a full stop and the body). `Countersign-Notice` is the same for every try: whoever has it has it.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr

from desk.channels import NotSent
from refunds.canonical import canonical

SECONDS = 5.0
TOLERANCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver and the secret that it shares with this house."""

    url: str
    secret: SecretStr
    seconds: float = SECONDS
    unix_time: Callable[[], float] = field(default=time.time)

    async def post(self, notice_id: str, facts: dict[str, object]) -> None:
        """Post a notice once. NotSent where the receiver does not say 2xx in time."""
        body = canonical(facts)
        stamp = str(int(self.unix_time()))
        headers = {
            "content-type": "application/json",
            "countersign-notice": notice_id,
            "countersign-timestamp": stamp,
            "countersign-signature": f"v1={signature(self.secret.get_secret_value(), stamp, body)}",
        }
        try:
            async with httpx.AsyncClient(timeout=self.seconds, trust_env=False) as client:
                answer = await client.post(self.url, content=body.encode(), headers=headers)
        except httpx.HTTPError as error:
            raise NotSent(f"webhook: {type(error).__name__}") from None
        if not answer.is_success:
            raise NotSent(f"webhook: HTTP {answer.status_code}")


def signature(secret: str, stamp: str, body: str) -> str:
    """The hex signature of a body at a time."""
    return hmac.new(secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()


def genuine(secret: str, stamp: str, body: str, given: str, now: float) -> bool:
    """What a receiver checks: the signature, and that it is of now."""
    fresh = stamp.isdigit() and abs(now - int(stamp)) <= TOLERANCE_SECONDS
    return fresh and hmac.compare_digest(f"v1={signature(secret, stamp, body)}", given)
