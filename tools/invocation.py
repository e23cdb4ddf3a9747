"""The invocation context: for whom a tool is called, signed, so that a service beside the house trusts nobody's word.

A compact JWS (Ed25519) over canonical JSON with case, tenant, customer, release, step, tool and the hash of the
arguments. It lasts a minute and is made by the gateway from the case row: never from what a planner said.
"""

import json
from dataclasses import dataclass
from uuid import uuid4

from policies.signature import PublicKeys, SigningKey
from refunds.canonical import canonical, digest
from refunds.ids import CaseId, CustomerId, TenantId

ISSUER = "countersign"
LASTS_SECONDS = 60
SKEW_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a token says."""

    case_id: CaseId
    tenant: TenantId
    customer_id: CustomerId
    release: str
    step: int
    tool: str
    arguments: dict[str, object]

    def token(self, key: SigningKey, now: float) -> str:
        """The token, for a minute from `now`, in seconds since 1970."""
        return key.sign(
            canonical(
                {
                    "iss": ISSUER,
                    "aud": self.tool,
                    "jti": uuid4().hex,
                    "iat": int(now),
                    "exp": int(now) + LASTS_SECONDS,
                    "case": str(self.case_id),
                    "tenant": self.tenant,
                    "customer": self.customer_id,
                    "release": self.release,
                    "step": self.step,
                    "arguments_sha256": digest(self.arguments),
                }
            )
        )


class BadInvocation(Exception):
    """A token is not one of the house for this call; the message says why."""


def verified(
    token: str, keys: PublicKeys, now: float, *, tool: str, arguments: dict[str, object]
) -> dict[str, object]:
    """What a token says, where it is the house's, of now, and for this very call. Raises BadInvocation.

    For a service in Python: what it checks is what any service has to check.
    """
    found = keys.read(token)
    if found is None:
        raise BadInvocation("no key of the house signed it")
    text, kid = found
    try:
        said: dict[str, object] = json.loads(text)
        issued, expires = int(str(said["iat"])), int(str(said["exp"]))
        tenant = str(said["tenant"])
    except (ValueError, KeyError, TypeError):
        raise BadInvocation("it says nothing that can be read") from None
    if said.get("iss") != ISSUER or said.get("aud") != tool:
        raise BadInvocation("it is for something else")
    if not issued - SKEW_SECONDS <= now < expires or expires - issued > LASTS_SECONDS:
        raise BadInvocation("it is not of now")
    if not keys.speaks_for(kid, tenant):
        raise BadInvocation("its key does not speak for this tenant")
    if said.get("arguments_sha256") != digest(arguments):
        raise BadInvocation("it is for other arguments")
    return said
