"""Authentication: who has sent a request, by token, by a JWT of an issuer, or by a cookie.

Credentials are taken from the header ``Authorization: Bearer`` (RFC 6750) and from a cookie, never
from a URL, which ends up in logs.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import falcon

from configsvc_server.domain.access.principals import Principal, anonymous
from configsvc_server.domain.access.token_secrets import TOKEN_PREFIX, is_token
from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.http import PREFIX
from configsvc_server.http.context import IS_FORWARDED, set_principal
from configsvc_server.http.errors import CsrfError
from configsvc_server.http.peers import peer_of
from configsvc_server.http.rate_limits import RateLimits

__all__ = [
    "Authentication",
    "JwtAuthenticator",
    "SessionAuthenticator",
    "SessionPrincipal",
    "TokenAuthenticator",
]

_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)", re.ASCII)
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_TOKEN: Final = 8192


class TokenAuthenticator(Protocol):
    """Finds the principal of an API token."""

    def authenticate(
        self, secret: str, *, address: str = "", client: str | None = None
    ) -> Principal:
        """Return the principal, or raise UnauthenticatedError."""


class JwtAuthenticator(Protocol):
    """Finds the principal of a JWT that an issuer has signed."""

    def authenticate(self, token: str) -> Principal:
        """Return the principal, or raise UnauthenticatedError."""


class SessionPrincipal(Protocol):
    """Session of somebody who has signed in with a browser."""

    @property
    def principal(self) -> Principal:
        """Who that is."""

    @property
    def csrf_token(self) -> str:
        """What an unsafe request has to send, besides the cookie."""


class SessionAuthenticator(Protocol):
    """Finds the session of a cookie."""

    def authenticate(
        self, secret: str, *, address: str | None = None, user_agent: str | None = None
    ) -> SessionPrincipal:
        """Return the session, or raise UnauthenticatedError."""


@dataclass(frozen=True, slots=True)
class _Issuers:
    jwts: JwtAuthenticator | None
    sessions: SessionAuthenticator | None
    cookie: str


class Authentication:
    """Middleware that finds out who has sent a request, and refuses those that nobody knows."""

    def __init__(
        self,
        *,
        is_required: bool,
        tokens: TokenAuthenticator,
        jwts: JwtAuthenticator | None = None,
        sessions: SessionAuthenticator | None = None,
        cookie: str = "configsvc-session",
        public_origin: Callable[[falcon.Request], str] = lambda req: req.prefix,
        limits: RateLimits,
        refuses_proxies: bool = False,
    ) -> None:
        """Create the middleware.

        Args:
            is_required: whether the API is only for those who show who they are. Otherwise
                everybody may do everything.
            tokens: finds the principals of API tokens.
            jwts: finds the principals of JWTs; ``None`` where there is no issuer.
            sessions: finds the sessions of cookies; ``None`` where there are none.
            cookie: name of the cookie.
            public_origin: returns the origin that browsers know this server by.
            limits: bounds how often one principal may ask.
            refuses_proxies: without authentication, whether to refuse what came through a proxy:
                the server is meant for this machine alone.
        """
        self._is_required = is_required
        self._tokens = tokens
        self._issuers = _Issuers(jwts, sessions, cookie)
        self._public_origin = public_origin
        self._limits = limits
        self._refuses_proxies = refuses_proxies
        self._anonymous = lru_cache(maxsize=4096)(lambda address: anonymous(peer_of(address)))

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Find out who has sent a request.

        Raises:
            UnauthenticatedError: nobody that is known.
            CsrfError: a page of another site may have made the browser send it.
            TooManyRequestsError: somebody who asks more often than it may.
        """
        if not self._is_required:
            self._require_no_proxy(req)
            set_principal(req, self._anonymous(req.remote_addr))
            if not _sends_token(req):
                return
        if req.method == "OPTIONS" or not req.path.startswith(PREFIX):
            return
        try:
            principal = self._principal(req)
        except UnauthenticatedError as error:
            if error.was_given:
                self._limits.failed(peer_of(req.remote_addr))
            raise
        set_principal(req, principal)
        self._limits.hit(resp, principal.fair_key)

    def _principal(self, req: falcon.Request) -> Principal:
        header = req.get_header("Authorization")
        if header is None:
            return self._session_principal(req)
        found = _BEARER.fullmatch(header.strip()) if len(header) <= _MAX_TOKEN else None
        if found is None:
            raise UnauthenticatedError("Authorization must be 'Bearer' and a token.")
        token = found[1]
        if token.startswith(TOKEN_PREFIX):
            return self._tokens.authenticate(
                token, address=req.remote_addr, client=req.get_header("User-Agent")
            )
        if self._issuers.jwts is not None and _JWT.fullmatch(token):
            return self._issuers.jwts.authenticate(token)
        raise UnauthenticatedError("The token is not one of this service, nor of an issuer.")

    def _session_principal(self, req: falcon.Request) -> Principal:
        cookies = req.get_cookie_values(self._issuers.cookie)
        if self._issuers.sessions is None or not cookies:
            raise UnauthenticatedError(
                "Show who you are: send the header Authorization with 'Bearer' and a token.",
                was_given=False,
            )
        if len(cookies) > 1:
            raise UnauthenticatedError("There are two cookies of a session.")
        session = self._issuers.sessions.authenticate(
            cookies[0], address=req.remote_addr, user_agent=req.get_header("User-Agent")
        )
        if req.method not in _SAFE:
            self._require_same_site(req, session.csrf_token)
        req.context.csrf_token = session.csrf_token
        return session.principal

    def _require_same_site(self, req: falcon.Request, csrf_token: str) -> None:
        origin = req.get_header("Origin")
        if origin is not None and origin != self._public_origin(req):
            raise CsrfError("The request comes from a page of another site.")
        given = req.get_header("X-CSRF-Token") or ""
        if not hmac.compare_digest(given.encode(), csrf_token.encode()):
            raise CsrfError(
                "The header X-CSRF-Token must be the csrf_token that GET /me tells this session."
            )

    def _require_no_proxy(self, req: falcon.Request) -> None:
        if self._refuses_proxies and req.env.get(IS_FORWARDED):
            raise UnauthenticatedError(
                "This server runs without authentication, for this machine alone, and the request "
                "came through a proxy. Start it with --auth required, or with --auth off if "
                "everybody who reaches the proxy may do everything.",
                was_given=False,
            )


def _sends_token(req: falcon.Request) -> bool:
    """Return whether a request that need not show who it is does so nevertheless.

    Then it is bound by what that one may do, and its writes have that author. Other values, which
    may be meant for a proxy, count for nothing.
    """
    found = _BEARER.fullmatch((req.get_header("Authorization") or "").strip())
    return found is not None and is_token(found[1])
