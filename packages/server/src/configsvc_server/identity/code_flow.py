"""Authorization code flow with PKCE: how a person signs in at an issuer (OpenID Connect).

An attempt is kept by the browser that makes it, in a cookie, so that it can end at another server
than it began at, and nobody else's answer is accepted. Its secrets are of use to nobody but that
browser: the code of the issuer is worth nothing without the verifier, and the other way round.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import quote, urlencode

import structlog

from configsvc_server.domain.errors import UnauthenticatedError, UnavailableError
from configsvc_server.identity.claims import Claims
from configsvc_server.identity.fetching import FetchError, fetch_json
from configsvc_server.identity.identities import Identity, Issuer
from configsvc_server.identity.verification import LEEWAY, verify

__all__ = ["ATTEMPT_LIFETIME", "Attempt", "begin", "finish", "read_attempt"]

_log = structlog.stdlib.get_logger(__name__)

ATTEMPT_LIFETIME: Final = 600
"""Seconds that a person has to sign in at the issuer."""

_MAX_CODE: Final = 4096


@dataclass(frozen=True, slots=True)
class Attempt:
    """Attempt of one browser to sign in."""

    issuer: str
    state: str
    nonce: str
    verifier: str
    return_to: str
    """Path to go to afterwards."""
    started_at: int

    def encode(self) -> str:
        """Return it as the value of a cookie."""
        text = json.dumps(asdict(self), separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_attempt(cookie: str) -> Attempt:
    """Return the attempt in the value of a cookie.

    Raises:
        UnauthenticatedError: there is none, or it is too old.
    """
    unusable = UnauthenticatedError("This browser has not begun to sign in.")
    try:
        document = json.loads(base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4)))
        attempt = Attempt(**document)
        age = time.time() - attempt.started_at
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise unusable from None
    texts = [value for name, value in asdict(attempt).items() if name != "started_at"]
    if not all(isinstance(text, str) and text and text.isascii() for text in texts):
        raise unusable
    if not 0 <= age + 1 <= ATTEMPT_LIFETIME:
        raise UnauthenticatedError("It took too long to sign in.")
    return attempt


def begin(issuer: Issuer, *, redirect_uri: str, return_to: str) -> tuple[str, Attempt]:
    """Return where a browser goes to sign in, and the attempt for it to keep.

    Args:
        issuer: where.
        redirect_uri: where it comes back to.
        return_to: path to go to afterwards.

    Raises:
        UnavailableError: the issuer can't be reached.
    """
    endpoint = issuer.keys.metadata().authorization_endpoint
    if endpoint is None:
        raise UnavailableError(f"The issuer {issuer.name} names no page to sign in at.")
    attempt = Attempt(
        issuer.name,
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        return_to=return_to,
        started_at=int(time.time()),
    )
    challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest())
    query = urlencode(
        {
            "response_type": "code",
            "client_id": issuer.settings.client_id or "",
            "redirect_uri": redirect_uri,
            "scope": " ".join(issuer.settings.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }
    )
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}", attempt


def finish(
    issuer: Issuer,
    attempt: Attempt,
    *,
    state: str | None,
    code: str | None,
    answering: str | None,
    redirect_uri: str,
) -> Identity:
    """Return who has signed in.

    Args:
        issuer: where.
        attempt: what this browser has kept.
        state: as the issuer has sent it back.
        code: what the issuer gives a token for, once.
        answering: the URL of the issuer as it has sent it, if it has (RFC 9207).
        redirect_uri: as in :func:`begin`.

    Raises:
        UnauthenticatedError: it is not this browser's attempt, or the issuer refuses it.
        UnavailableError: the issuer can't be reached.
    """
    settings = issuer.settings
    is_expected = hmac.compare_digest((state or "").encode(), attempt.state.encode())
    if attempt.issuer != issuer.name or not is_expected:
        raise UnauthenticatedError("The answer is not to what this browser has begun.")
    if answering is None:
        if issuer.keys.metadata().names_itself:
            raise UnauthenticatedError("The answer does not say which issuer it is of.")
    elif answering != settings.issuer:
        raise UnauthenticatedError("The answer is of another issuer.")
    if not code or len(code) > _MAX_CODE:
        raise UnauthenticatedError("The issuer has given no code.")
    token = _exchange(issuer, code=code, verifier=attempt.verifier, redirect_uri=redirect_uri)
    client_id = settings.client_id or ""
    claims = verify(token, issuer=settings.issuer, audiences=[client_id], keys=issuer.keys)
    _require_own(claims, attempt, client_id)
    return issuer.identify(claims)


def _require_own(claims: Claims, attempt: Attempt, client_id: str) -> None:
    """Require that an ID token was made now, for this attempt and this server alone.

    OpenID Connect Core, section 3.1.3.7.
    """
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode("utf-8", "surrogatepass"), attempt.nonce.encode()
    ):
        raise UnauthenticatedError("The token was made for another attempt to sign in.")
    audience = claims["aud"]
    is_shared = isinstance(audience, list) and set(audience) != {client_id}
    if claims.get("azp", None if is_shared else client_id) != client_id:
        raise UnauthenticatedError("The token was made for another client.")
    issued_at = claims.get("iat")
    if not isinstance(issued_at, int | float):
        raise UnauthenticatedError("The token does not say when it was made.")
    # Written so that a time that is no number is refused, too.
    if not issued_at >= time.time() - ATTEMPT_LIFETIME - LEEWAY:
        raise UnauthenticatedError("The token was made too long ago.")


def _exchange(issuer: Issuer, *, code: str, verifier: str, redirect_uri: str) -> str:
    settings = issuer.settings
    metadata = issuer.keys.metadata()
    if metadata.token_endpoint is None:
        raise UnavailableError(f"The issuer {issuer.name} names no place to get tokens at.")
    client_id = settings.client_id or ""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    credentials = None
    # It is read each time, so that another secret needs no restart.
    secret = _read_secret(issuer)
    if secret is None or metadata.posts_secret:
        form["client_id"] = client_id
        if secret is not None:
            form["client_secret"] = secret
    else:
        # RFC 6749, section 2.3.1: both are encoded as in a form first.
        credentials = (quote(client_id, safe=""), quote(secret, safe=""))
    try:
        answer = fetch_json(
            metadata.token_endpoint, ca_file=settings.ca_file, form=form, credentials=credentials
        )
    except FetchError as error:
        _log.warning("no token for a code", issuer=issuer.name, error=str(error))
        if error.error == "invalid_grant":
            raise UnauthenticatedError("The issuer does not accept the code.") from None
        raise UnavailableError(f"The issuer {issuer.name} gives no token: {error}.") from None
    token = answer.get("id_token")
    if not isinstance(token, str):
        raise UnauthenticatedError("The issuer has given no ID token.")
    return token


def _read_secret(issuer: Issuer) -> str | None:
    path = issuer.settings.client_secret_file
    if path is None:
        return None
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError):
        raise UnavailableError(f"The client secret of {issuer.name} can't be read.") from None
