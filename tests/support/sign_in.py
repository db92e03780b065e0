"""Server of sign-ins and sessions over a database, as the whole server wires it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import falcon

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.db.listener import ChangeListener, Heartbeat
from configsvc_server.domain.access.grants import Access, Grant, Role, Scope
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.http import errors
from configsvc_server.http.authentication import Authentication
from configsvc_server.http.cookies import CookieJar
from configsvc_server.http.errors import WsgiApp
from configsvc_server.http.rate_limits import RateLimits
from configsvc_server.http.resources.sessions import SessionResource, SessionsResource
from configsvc_server.http.resources.sign_in import SignIn, sign_in_routes
from configsvc_server.identity.identities import Identities
from configsvc_server.identity.settings import AuthSettings
from configsvc_server.services.sessions import SessionService

TOKEN = "configsvc_of_the_test"
TOKEN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@dataclass
class SignInServer:
    """Application, and what it is made of."""

    app: WsgiApp
    identities: Identities
    sessions: SessionService
    cache: ResponseCache
    heartbeat: Heartbeat
    grants: dict[str, tuple[Grant, ...]]
    """What is granted to whom."""
    tokens: dict[str, Principal] = field(default_factory=dict)
    """By id."""


class _Tokens:
    """API tokens that the server knows."""

    def __init__(self, principals: dict[str, Principal]) -> None:
        self._principals = principals

    def authenticate(
        self, secret: str, *, address: str = "", client: str | None = None
    ) -> Principal:
        if secret != TOKEN:
            raise UnauthenticatedError("The token is not known.")
        return self._principals[TOKEN_ID]


class _MeResource:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        principal: Principal = req.context.principal
        resp.media = {
            "name": principal.name,
            "groups": list(principal.groups),
            "roles": [grant.role.label for grant in principal.grants],
            "csrf_token": getattr(req.context, "csrf_token", None),
        }


@contextmanager
def sign_in_server(
    database_url: str,
    issuers: Sequence[dict[str, Any]] = (),
    *,
    public_url: str = "http://localhost",
    **settings: Any,
) -> Iterator[SignInServer]:
    """Yield the application while the block runs."""
    with ExitStack() as stack:
        database = stack.enter_context(Database(database_url, pool_size=4))
        database.open()
        heartbeat = Heartbeat()
        cache = ResponseCache(max_bytes=1024 * 1024, heartbeat=heartbeat)
        listener = ChangeListener(database_url, cache, heartbeat=heartbeat)
        listener.start()
        stack.callback(listener.stop)
        grants: dict[str, tuple[Grant, ...]] = {}
        identities = Identities(
            AuthSettings.model_validate({"issuers": list(issuers)}),
            grants_of=lambda names: tuple(g for name in names for g in grants.get(name, ())),
            find_scope=Scope,
        )
        tokens = {TOKEN_ID: _token_principal()}
        sessions = SessionService(
            database,
            cache,
            identities,
            token_principal=lambda _secret_hash: tokens.get(TOKEN_ID),
            **settings,
        )
        cookies = CookieJar(public_url)

        app = falcon.App()
        server = SignInServer(app, identities, sessions, cache, heartbeat, grants, tokens)
        known = _Tokens(tokens)
        app.add_middleware(
            Authentication(
                is_required=True,
                tokens=known,
                identities=identities,
                sessions=sessions,
                cookies=cookies,
                limits=RateLimits(None),
            )
        )
        errors.register(app)
        app.add_error_handler(UnauthenticatedError, _refuse)
        for path, resource in sign_in_routes(
            SignIn(
                identities,
                sessions,
                cookies,
                public_url,
                lambda secret, _req: known.authenticate(secret),
            )
        ).items():
            app.add_route(path, resource)
        app.add_route("/api/v1/sessions", SessionsResource(sessions))
        app.add_route("/api/v1/sessions/{id}", SessionResource(sessions))
        app.add_route("/api/v1/me", _MeResource())
        yield server


def _token_principal() -> Principal:
    grants = (Grant(Role.READER),)
    return Principal("token", "token:ci", Access.of(grants), grants, token_id=TOKEN_ID)


def _refuse(
    _req: falcon.Request, resp: falcon.Response, _error: Exception, _params: dict[str, Any]
) -> None:
    resp.status = HTTPStatus.UNAUTHORIZED
