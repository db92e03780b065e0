"""Verification of tokens (JWT): signature by the issuer's keys, issuer, audience and time.

The cryptography is joserfc's. What is decided here is what it is given: asymmetric algorithms
alone, one key of the right type at a time, and never a key that the token itself brings or names.
"""

import base64
import json
from collections.abc import Collection
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.identity.claims import Claims
from configsvc_server.identity.keys import IssuerKeys

__all__ = ["LEEWAY", "MAX_TOKEN", "unverified_issuer", "verify"]

MAX_TOKEN: Final = 12 * 1024
"""Characters that a token may have. The head of a request has 16 KiB in all, so that no larger one
could be sent; issuers that list 200 groups by their ids need more than eight."""

LEEWAY: Final = 30
"""Seconds that the clocks of issuers may differ from ours."""

_KEY_TYPES: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519", "Ed448"), "OKP"),
}

_REFUSED_HEADERS: Final = frozenset({"jku", "jwk", "x5u", "crit", "b64", "enc", "zip"})
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class _Registry(JWSRegistry):
    max_header_length = 4 * 1024
    max_payload_length = MAX_TOKEN
    max_signature_length = 2 * 1024

    def get_alg(self, name: str) -> Any:
        # Without the warning about EdDSA, which is another name for Ed25519 that issuers use.
        if name not in _KEY_TYPES:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRY: Final = _Registry(strict_check_header=False)


def unverified_issuer(token: str) -> str:
    """Return which issuer a token claims to be of.

    Raises:
        UnauthenticatedError: it is no token.
    """
    issuer = _part(token, 1).get("iss")
    if not isinstance(issuer, str):
        raise UnauthenticatedError("The token names no issuer.")
    return issuer


def verify(token: str, *, issuer: str, audiences: Collection[str], keys: IssuerKeys) -> Claims:
    """Return the claims of a token that is authentic, for us, and in force.

    Args:
        token: the token.
        issuer: who must have issued it.
        audiences: for whom it must be, one of these.
        keys: the keys of that issuer.

    Raises:
        UnauthenticatedError: it is not; the message says why, for people.
        UnavailableError: the keys are not known.
    """
    header = _part(token, 0)
    algorithm, kid = header.get("alg"), header.get("kid")
    key_type = _KEY_TYPES.get(algorithm) if isinstance(algorithm, str) else None
    if key_type is None:
        raise UnauthenticatedError("The algorithm of the token is not accepted.")
    if not _REFUSED_HEADERS.isdisjoint(header):
        raise UnauthenticatedError("The header of the token has members that are not accepted.")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise UnauthenticatedError("The token is of a type that is not accepted.")
    if kid is not None and not isinstance(kid, str):
        raise UnauthenticatedError("The key id of the token is no text.")
    for key in keys.candidates(kid):
        if key.key_type == key_type and key.get("alg") in {None, algorithm}:
            claims = _decoded(token, key)
            if claims is not None:
                _check(claims, issuer, audiences)
                return claims
    raise UnauthenticatedError("The token is not signed by a known key of its issuer.")


def _decoded(token: str, key: Key) -> dict[str, Any] | None:
    try:
        return jwt.decode(token, key, registry=_REGISTRY).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


def _check(claims: dict[str, Any], issuer: str, audiences: Collection[str]) -> None:
    expected = jwt.JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": issuer},
        sub={"essential": True},
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
    )
    if claims.get("iss") != issuer or not audiences:
        raise UnauthenticatedError("The token is of another issuer, or for somebody else.")
    try:
        expected.validate(claims)
    except JoseError as error:
        # Such as "expired_token: The token is expired"; it quotes names of claims, no values.
        raise UnauthenticatedError(f"The token is not accepted: {error.description}.") from None
    if "cnf" in claims:
        # Whoever else shows it must not profit from our not asking for the proof.
        raise UnauthenticatedError("The token needs a proof of possession.")


def _part(token: str, index: int) -> dict[str, Any]:
    parts = token.split(".")
    if len(token) > MAX_TOKEN or len(parts) != 3 or not token.isascii():  # noqa: PLR2004
        raise UnauthenticatedError("The token is malformed.")
    text = parts[index]
    try:
        document = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UnauthenticatedError("The token is malformed.")
    return document
