"""Sign-in with a browser: the page, the way to an issuer and back, and the sign-out.

The page works without scripts, and its policy allows none. Forms need no token against forged
requests: a forged sign-in or sign-out is refused by its origin, which browsers send with forms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, quote

import falcon
import structlog

from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.errors import UnauthenticatedError, UnavailableError
from configsvc_server.http.context import request_id_of
from configsvc_server.http.cookies import CookieJar, is_from_this_origin, safe_path
from configsvc_server.http.errors import CsrfError
from configsvc_server.identity.code_flow import ATTEMPT_LIFETIME, begin, finish, read_attempt
from configsvc_server.identity.identities import Identities, Identity, Issuer
from configsvc_server.services.sessions import SessionService

__all__ = [
    "CallbackResource",
    "SignIn",
    "SignInResource",
    "SignOutResource",
    "StartResource",
    "StyleResource",
    "TokenSignInResource",
    "sign_in_routes",
]

_log = structlog.stdlib.get_logger(__name__)

_MAX_FORM: Final = 4096

_STYLE: Final = """\
body { font-family: system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem; }
a.issuer, button { display: block; box-sizing: border-box; width: 100%; margin: .6rem 0;
  padding: .6rem; border: 1px solid #888; border-radius: .3rem; background: #f4f4f4;
  color: #111; font: inherit; text-align: center; text-decoration: none; cursor: pointer; }
input { box-sizing: border-box; width: 100%; padding: .6rem; font: inherit; }
[role=alert] { border-left: .3rem solid #b00; padding-left: .7rem; }
"""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · configsvc</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/auth/style.css">
<h1>Sign in to configsvc</h1>
{message}{issuers}<form method="post" action="/auth/token">
<p><label for="token">API token</label>
<input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required>
<input name="return_to" type="hidden" value="{return_to}">
<button>Sign in with a token</button>
</form>
</html>
"""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the routes have in common."""

    identities: Identities
    sessions: SessionService
    cookies: CookieJar
    public_url: str
    """Where browsers reach this server; without a slash at the end."""
    authenticate_token: Callable[[str, falcon.Request], Principal]
    """Returns whom an API token stands for, or raises ``UnauthenticatedError``."""

    def issuer(self, name: str) -> Issuer:
        """Return an issuer to sign in at."""
        issuer = self.identities.issuers.get(name)
        if issuer is None or not issuer.settings.client_id:
            raise falcon.HTTPNotFound
        return issuer

    def redirect_uri(self, issuer: Issuer) -> str:
        """Return where the issuer sends browsers back to."""
        return f"{self.public_url}/auth/{issuer.name}/callback"

    def open(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        who: Identity | Principal,
        path: str,
        *,
        token: str | None = None,
    ) -> None:
        """Begin a session, and go on to a path.

        Args:
            req: the request.
            resp: its answer.
            who: whom the session is of.
            path: where to go on.
            token: the secret of the API token that was shown, if one was.
        """
        opened = self.sessions.open(
            who,
            address=req.remote_addr,
            user_agent=req.user_agent,
            token=token,
            previous=self.cookies.session_of(req),
            request_id=request_id_of(req),
        )
        self.cookies.set_session(resp, opened.secret, lifetime=opened.lifetime)
        _go(resp, safe_path(path))

    def show_page(
        self,
        resp: falcon.Response,
        *,
        return_to: str,
        message: str = "",
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        """Answer with the page to sign in at."""
        query = quote(return_to, safe="/")
        links = [
            f'<a class="issuer" href="/auth/{issuer.name}/start?return_to={query}">'
            f"Sign in with {escape(issuer.name)}</a>\n"
            for issuer in self.identities.sign_in_issuers
        ]
        resp.status = status
        resp.content_type = falcon.MEDIA_HTML
        _protect(resp)
        resp.text = _PAGE.format(
            message=f'<p role="alert">{escape(message)}</p>\n' if message else "",
            issuers="".join(links),
            return_to=escape(return_to),
        )

    def require_own_form(self, req: falcon.Request) -> None:
        """Require that a form was sent from a page of this server.

        Raises:
            CsrfError: another page has sent it.
        """
        if not is_from_this_origin(req, self.cookies.origin, needs_origin=True):
            raise CsrfError(
                f"The form does not come from a page of this server, {self.cookies.origin}. "
                "If it does, --public-url must say where browsers reach it."
            )


class SignInResource:
    """Page to sign in at."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Get the page."""
        self._sign_in.show_page(resp, return_to=safe_path(req.get_param("return_to")))

    on_head = on_get


class StyleResource:
    """Style of the page."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Get the style."""
        resp.content_type = "text/css; charset=utf-8"
        resp.set_header("Cache-Control", "no-cache")
        resp.text = _STYLE

    on_head = on_get


class StartResource:
    """Way to an issuer."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    def on_get(self, req: falcon.Request, resp: falcon.Response, issuer: str) -> None:
        """Send a browser to the issuer."""
        found = self._sign_in.issuer(issuer)
        return_to = safe_path(req.get_param("return_to"))
        try:
            url, attempt = begin(
                found, redirect_uri=self._sign_in.redirect_uri(found), return_to=return_to
            )
        except UnavailableError as error:
            self._sign_in.show_page(
                resp,
                return_to=return_to,
                message=str(error),
                status=HTTPStatus.SERVICE_UNAVAILABLE,
            )
            return
        self._sign_in.cookies.set_attempt(resp, attempt.encode(), lifetime=ATTEMPT_LIFETIME)
        _go(resp, url)


class CallbackResource:
    """Way back from an issuer."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    def on_get(self, req: falcon.Request, resp: falcon.Response, issuer: str) -> None:
        """Begin a session for whom the issuer vouches for."""
        sign_in = self._sign_in
        found = sign_in.issuer(issuer)
        # An attempt is for one answer, whatever that is.
        sign_in.cookies.forget_attempt(resp)
        return_to = "/"
        try:
            attempt = read_attempt(sign_in.cookies.attempt_of(req) or "")
            return_to = safe_path(attempt.return_to)
            identity = finish(
                found,
                attempt,
                state=_single(req, "state"),
                code=_single(req, "code"),
                answering=_single(req, "iss"),
                redirect_uri=sign_in.redirect_uri(found),
            )
            principal = sign_in.identities.principal_of(identity)
        except (UnauthenticatedError, UnavailableError) as error:
            _log.warning("sign-in failed", issuer=found.name, error=str(error))
            is_outage = isinstance(error, UnavailableError)
            sign_in.show_page(
                resp,
                return_to=return_to,
                message=str(error),
                status=HTTPStatus.SERVICE_UNAVAILABLE if is_outage else HTTPStatus.UNAUTHORIZED,
            )
            return
        if not principal.grants:
            # Whoever has an account at a public issuer can come this far.
            _log.warning("sign-in without a role", issuer=found.name, principal=principal.name)
            sign_in.show_page(
                resp,
                return_to=return_to,
                message=f"{principal.name} has no role here. An administrator has to grant one.",
                status=HTTPStatus.FORBIDDEN,
            )
            return
        sign_in.open(req, resp, identity, return_to)


class TokenSignInResource:
    """Sign-in with an API token, for persons without an issuer."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Begin a session for the principal of a token."""
        sign_in = self._sign_in
        sign_in.require_own_form(req)
        form = _read_form(req)
        return_to = safe_path(form.get("return_to"))
        token = form.get("token", "").strip()
        try:
            principal = sign_in.authenticate_token(token, req)
        except UnauthenticatedError as error:
            _log.warning("sign-in failed", issuer=None, error=str(error))
            sign_in.show_page(
                resp, return_to=return_to, message=str(error), status=HTTPStatus.UNAUTHORIZED
            )
            return
        sign_in.open(req, resp, principal, return_to, token=token)


class SignOutResource:
    """Sign-out."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """End the session of the browser."""
        self._sign_in.require_own_form(req)
        secret = self._sign_in.cookies.session_of(req)
        if secret is not None:
            self._sign_in.sessions.close(secret, request_id=request_id_of(req))
        self._sign_in.cookies.forget_session(resp)
        _go(resp, "/auth/sign-in")


def sign_in_routes(sign_in: SignIn) -> dict[str, object]:
    """Return the resources to sign in and out with, by path."""
    return {
        "/auth/sign-in": SignInResource(sign_in),
        "/auth/style.css": StyleResource(),
        "/auth/token": TokenSignInResource(sign_in),
        "/auth/sign-out": SignOutResource(sign_in),
        "/auth/{issuer}/start": StartResource(sign_in),
        "/auth/{issuer}/callback": CallbackResource(sign_in),
    }


def _go(resp: falcon.Response, location: str) -> None:
    resp.status = HTTPStatus.SEE_OTHER
    resp.set_header("Location", location)
    _protect(resp)


def _protect(resp: falcon.Response) -> None:
    """Forbid what these pages need not: scripts, frames, copies, and telling where one was."""
    resp.set_header("Cache-Control", "no-store")
    resp.set_header("Referrer-Policy", "no-referrer")
    resp.set_header("X-Content-Type-Options", "nosniff")
    resp.set_header(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
    )


def _single(req: falcon.Request, name: str) -> str | None:
    values = req.get_param_as_list(name) or []
    return values[0] if len(values) == 1 else None


def _read_form(req: falcon.Request) -> dict[str, str]:
    media_type, _ = falcon.parse_header(req.content_type or "")
    if media_type.lower() != falcon.MEDIA_URLENCODED:
        raise falcon.HTTPUnsupportedMediaType
    body = req.bounded_stream.read(_MAX_FORM + 1)
    if len(body) > _MAX_FORM:
        raise falcon.HTTPContentTooLarge
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=10)
    except ValueError:
        raise falcon.HTTPBadRequest from None
    return {name: values[0] for name, values in fields.items() if len(values) == 1}
