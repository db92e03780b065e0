"""Cookies of browsers, and what shows that a write is meant by who sends them.

A browser sends cookies with every request to this server, whichever page has caused it. Writes
must therefore show a token that pages of other sites can't know, and come from this origin.
"""

import hmac
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import falcon

from configsvc_server.domain.access.sessions import Session
from configsvc_server.http.errors import CsrfError

__all__ = [
    "CSRF_HEADER",
    "CookieJar",
    "is_from_this_origin",
    "require_csrf_token",
    "safe_path",
]

CSRF_HEADER: Final = "X-CSRF-Token"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_COOKIE: Final = 3000
_PAST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_MAX_PATH: Final = 500


class CookieJar:
    """Names and attributes of the cookies, by the URL that browsers reach this server at.

    Over https the name has the prefix ``__Host-``: browsers then take the cookie from this host
    alone, never from another one below the same domain, or over http.
    """

    def __init__(self, public_url: str) -> None:
        """Prepare the cookies.

        Args:
            public_url: where browsers reach this server, such as ``https://config.example.com``.
        """
        parts = urlsplit(public_url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        """Of this server, as browsers write it."""
        self.is_secure = parts.scheme == "https"
        prefix = "__Host-" if self.is_secure else ""
        self.session_name: Final = f"{prefix}configsvc-session"
        self.attempt_name: Final = f"{prefix}configsvc-sign-in"

    def session_of(self, req: falcon.Request) -> str | None:
        """Return the secret of the session that a browser has sent."""
        return _only(req, self.session_name)

    def attempt_of(self, req: falcon.Request) -> str | None:
        """Return the attempt to sign in that a browser has sent."""
        return _only(req, self.attempt_name)

    def set_session(self, resp: falcon.Response, secret: str, *, lifetime: int) -> None:
        """Have a browser keep the secret of its session."""
        self._set(resp, self.session_name, secret, lifetime)

    def set_attempt(self, resp: falcon.Response, attempt: str, *, lifetime: int) -> None:
        """Have a browser keep its attempt to sign in."""
        self._set(resp, self.attempt_name, attempt, lifetime)

    def forget_session(self, resp: falcon.Response) -> None:
        """Have a browser forget its session."""
        self._set(resp, self.session_name, "", 0)

    def forget_attempt(self, resp: falcon.Response) -> None:
        """Have a browser forget its attempt to sign in."""
        self._set(resp, self.attempt_name, "", 0)

    def _set(self, resp: falcon.Response, name: str, value: str, lifetime: int) -> None:
        # Lax and not Strict: whoever follows a link from a chat is signed in, and comes back from
        # the issuer with the attempt. Writes need more than the cookie anyway.
        resp.set_cookie(
            name,
            value,
            max_age=lifetime or None,
            # The framework sends no lifetime of zero.
            expires=None if lifetime else _PAST,
            path="/",
            secure=self.is_secure,
            http_only=True,
            same_site="Lax",
        )


def require_csrf_token(req: falcon.Request, session: Session, origin: str) -> None:
    """Require of a write with a cookie that a page of this server has sent it.

    Args:
        req: the request.
        session: the session that the cookie is of.
        origin: the origin of this server.

    Raises:
        CsrfError: it does not show it.
    """
    if req.method in _SAFE_METHODS:
        return
    given = req.get_header(CSRF_HEADER) or ""
    if not hmac.compare_digest(given.encode("utf-8", "replace"), session.csrf_token.encode()):
        raise CsrfError(
            f"A write with the cookie of a session needs the header {CSRF_HEADER}, with the "
            "csrf_token that GET /api/v1/me tells."
        )
    if not is_from_this_origin(req, origin, needs_origin=False):
        raise CsrfError("The request comes from a page of another origin.")


def is_from_this_origin(req: falcon.Request, origin: str, *, needs_origin: bool) -> bool:
    """Return whether a page of this server has sent a request, as far as the browser tells.

    Args:
        req: the request.
        origin: the origin of this server.
        needs_origin: whether the browser has to tell.
    """
    site = req.get_header("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    given = req.get_header("Origin")
    if given is not None:
        return given == origin
    return site is not None or not needs_origin


def safe_path(text: str | None) -> str:
    """Return a path of this server to go to, ``/`` for whatever is none.

    Browsers take ``//host``, and a backslash for a slash, for another server, and drop control
    characters in between.
    """
    if not text or len(text) > _MAX_PATH or not text.startswith("/"):
        return "/"
    if text.startswith("//") or "\\" in text or not text.isascii() or not text.isprintable():
        return "/"
    return "/" if " " in text else text


def _only(req: falcon.Request, name: str) -> str | None:
    values = req.get_cookie_values(name) or []
    # Two of one name: one of them was planted.
    return values[0] if len(values) == 1 and 0 < len(values[0]) <= _MAX_COOKIE else None
