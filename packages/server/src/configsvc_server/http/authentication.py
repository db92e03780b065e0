"""Authentication: who has sent a request, by token, by a JWT of an issuer, or by a cookie.

Credentials are taken from the header ``Authorization: Bearer`` (RFC 6750) and from a cookie, never
from a URL, which ends up in logs.
"""

import re
from functools import lru_cache
from typing import Final, Protocol

import falcon

from configsvc_server.domain.access.principals import Principal, anonymous
from configsvc_server.domain.access.token_secrets import TOKEN_PREFIX, is_token
from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.http import PREFIX
from configsvc_server.http.context import IS_FORWARDED, parking_of, set_principal
from configsvc_server.http.cookies import CookieJar, require_csrf_token
from configsvc_server.http.peers import peer_of
from configsvc_server.http.rate_limits import RateLimits
from configsvc_server.identity.identities import Identities
from configsvc_server.identity.verification import MAX_TOKEN
from configsvc_server.services.sessions import SessionService

__all__ = ["Authentication", "TokenAuthenticator"]

_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)", re.ASCII)
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
_MAX_HEADER: Final = len("Bearer ") + MAX_TOKEN


class TokenAuthenticator(Protocol):
    """Finds the principal of an API token."""

    def authenticate(
        self, secret: str, *, address: str = "", client: str | None = None
    ) -> Principal:
        """Return the principal, or raise UnauthenticatedError."""


class Authentication:
    """Middleware that finds out who has sent a request, and refuses those that nobody knows."""

    def __init__(
        self,
        *,
        is_required: bool,
        tokens: TokenAuthenticator,
        identities: Identities,
        sessions: SessionService,
        cookies: CookieJar,
        limits: RateLimits,
        refuses_proxies: bool = False,
    ) -> None:
        """Create the middleware.

        Args:
            is_required: whether the API is only for those who show who they are. Otherwise
                everybody may do everything.
            tokens: finds the principals of API tokens.
            identities: finds the principals of JWTs.
            sessions: finds the sessions of cookies.
            cookies: has the names of the cookies, and the origin that browsers know this server by.
            limits: bounds how often one principal may ask.
            refuses_proxies: without authentication, whether to refuse what came through a proxy:
                the server is meant for this machine alone.
        """
        self._is_required = is_required
        self._tokens = tokens
        self._identities = identities
        self._sessions = sessions
        self._cookies = cookies
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
        self._count(req, resp, principal)

    def _principal(self, req: falcon.Request) -> Principal:
        header = req.get_header("Authorization")
        if header is None:
            return self._session_principal(req)
        found = _BEARER.fullmatch(header.strip()) if len(header) <= _MAX_HEADER else None
        if found is None:
            raise UnauthenticatedError("Authorization must be 'Bearer' and a token.")
        token = found[1]
        if token.startswith(TOKEN_PREFIX):
            return self._tokens.authenticate(
                token, address=req.remote_addr, client=req.get_header("User-Agent")
            )
        if _JWT.fullmatch(token):
            return self._identities.authenticate(token)
        raise UnauthenticatedError("The token is not one of this service, nor of an issuer.")

    def _count(self, req: falcon.Request, resp: falcon.Response, principal: Principal) -> None:
        parking = parking_of(req)
        is_counted = parking is not None and parking.is_counted
        self._limits.hit(resp, principal.fair_key, is_counted=is_counted)
        if parking is not None:
            parking.is_counted = True

    def _session_principal(self, req: falcon.Request) -> Principal:
        secret = self._cookies.session_of(req)
        if secret is None:
            raise UnauthenticatedError(
                "Show who you are: send the header Authorization with 'Bearer' and a token.",
                was_given=False,
            )
        session = self._sessions.authenticate(
            secret, address=req.remote_addr, user_agent=req.get_header("User-Agent")
        )
        require_csrf_token(req, session, self._cookies.origin)
        req.context.csrf_token = session.csrf_token
        return session.principal

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
