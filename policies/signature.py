"""Signatures: Ed25519 over canonical JSON, as a compact JWS. Keys are found by `kid` and belong to tenants."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
_ALGORITHMS = [ALGORITHM]
EVERY_TENANT = "*"


class BadKey(ValueError):
    """A key file holds no Ed25519 key with a kid; the message says which."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the name it goes by."""

    kid: str
    _key: OKPKey

    def sign(self, text: str) -> str:
        """The compact JWS of a text."""
        header = {"alg": ALGORITHM, "kid": self.kid}
        return jws.serialize_compact(header, text.encode("utf-8"), self._key, algorithms=_ALGORITHMS)

    def public(self) -> dict[str, object]:
        """The public half, as a JWK."""
        return dict(self._key.as_dict(private=False))

    def private(self) -> dict[str, object]:
        """The private half, as a JWK: for a key file of mode 0600 and nothing else."""
        return dict(self._key.as_dict(private=True))

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The keys that a verifier trusts, by kid, each for the tenants it may speak for."""

    _keys: Mapping[str, tuple[OKPKey, frozenset[str]]]

    def read(self, signed: str) -> tuple[str, str] | None:
        """The text in a JWS and the kid that signed it; None where no trusted key did."""
        if len(signed) > 16_384:
            return None
        try:
            kid = jws.extract_compact(signed.encode("ascii")).headers().get("kid")
            if not isinstance(kid, str) or kid not in self._keys:
                return None
            found = jws.deserialize_compact(signed, self._keys[kid][0], algorithms=_ALGORITHMS)
            return found.payload.decode("utf-8"), kid
        except (JoseError, ValueError):
            return None

    def knows(self, kid: str) -> bool:
        """Whether the key is among the trusted ones."""
        return kid in self._keys

    def speaks_for(self, kid: str, tenant: str) -> bool:
        """Whether the key may sign for the tenant."""
        tenants = self._keys[kid][1] if kid in self._keys else frozenset[str]()
        return tenant in tenants or EVERY_TENANT in tenants


def new_key(signer: str) -> SigningKey:
    """A fresh private key of a signer, named after itself: a key that was lost never has its name again.

    What was signed with the lost one is then signed with a key that nobody knows, and waits; it is not a forgery.
    """
    made = OKPKey.generate_key("Ed25519")
    kid = f"{signer}-{made.thumbprint()[:16]}"
    return signing_key({**made.as_dict(private=True), "kid": kid, "alg": ALGORITHM})


def signing_key(jwk: Mapping[str, object]) -> SigningKey:
    """The private key in a JWK."""
    key = _okp(jwk)
    if not key.is_private:
        raise BadKey(f"{jwk.get('kid')}: not a private key")
    return SigningKey(str(jwk["kid"]), key)


def public_keys(jwks: Iterable[Mapping[str, object]]) -> PublicKeys:
    """The public keys in JWKs; a key without `tenants` speaks for every tenant."""
    keys: dict[str, tuple[OKPKey, frozenset[str]]] = {}
    for jwk in jwks:
        tenants = jwk.get("tenants", [EVERY_TENANT])
        if not isinstance(tenants, list):
            raise BadKey(f"{jwk.get('kid')}: tenants is a list")
        keys[str(jwk.get("kid"))] = (_okp(jwk), frozenset(str(tenant) for tenant in tenants))
    return PublicKeys(keys)


def parse_signing_key(text: str, source: str) -> SigningKey:
    """The private key in a key file's text; BadKey names the file."""
    try:
        return signing_key(json.loads(text))
    except (ValueError, AttributeError, TypeError) as error:
        raise BadKey(f"{source}: {_why(error)}: restore it, or remove it and run countersign db up") from None


def parse_public_keys(text: str, source: str) -> PublicKeys:
    """The public keys in a key file's text; BadKey names the file."""
    try:
        return public_keys(json.loads(text)["keys"])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadKey(f"{source}: {_why(error)}: restore it, or remove it and run countersign db up") from None


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, BadKey) else "no key in it"


def _okp(jwk: Mapping[str, object]) -> OKPKey:
    if not jwk.get("kid") or jwk.get("crv") != "Ed25519":
        raise BadKey(f"{jwk.get('kid') or 'a key without kid'}: not an Ed25519 key")
    fields: dict[str, str | list[str]] = {
        name: str(value) for name, value in jwk.items() if name in {"kty", "crv", "x", "d", "kid", "alg"}
    }
    try:
        return OKPKey.import_key(fields)
    except (JoseError, ValueError) as error:
        raise BadKey(f"{jwk['kid']}: {error}") from None
