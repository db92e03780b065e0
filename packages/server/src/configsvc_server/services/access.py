"""Access use cases: who a token belongs to, what grants give, and the check before every act."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from configsvc_server.cache.responses import KnownToken, ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission, decide
from configsvc_server.domain.access.grants import INSTALLATION, Access, Grant, Role, Scope
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.access.token_secrets import hash_secret, is_token
from configsvc_server.domain.access.tokens import TokenUse
from configsvc_server.domain.errors import (
    ConfigSvcError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from configsvc_server.domain.identifiers import is_storable, is_ulid, normalize_ulid
from configsvc_server.repositories import Repositories
from configsvc_server.services.guards import find_application_id

__all__ = [
    "AccessService",
    "UseRecorder",
    "administered_scopes",
    "require",
    "require_application",
    "require_configuration",
    "require_environment",
]

_MAX_PENDING_USES: Final = 10_000
_MAX_CLIENT: Final = 200


def require(
    principal: Principal,
    permission: Permission,
    scope: Scope = INSTALLATION,
    *,
    hidden: ConfigSvcError | None = None,
    application: str | None = None,
) -> None:
    """Check that a principal may do something.

    Args:
        principal: who wants to.
        permission: what.
        scope: what to.
        hidden: raised where the principal may not even know that there is such a thing: the same
            as if there were none.
        application: the name or id of the application that the caller gave, to be shown.

    Raises:
        ForbiddenError: it may read it, but not do this.
    """
    decision = decide(principal, permission, scope)
    if decision.is_allowed:
        return
    if not decision.is_visible and hidden is not None:
        raise hidden
    raise ForbiddenError(
        principal.name,
        decision.missing.label,
        application_id=decision.scope.application_id,
        application=application,
        environment=decision.scope.environment,
    )


def require_application(
    principal: Principal, permission: Permission, application_id: str, key: str
) -> None:
    """Check that a principal may do something to an application that exists.

    Args:
        principal: who wants to.
        permission: what.
        application_id: the id of the application.
        key: the id or name that the caller gave.

    Raises:
        NotFoundError: it may not even know that there is such an application.
        ForbiddenError: it may read it, but not do this.
    """
    if not principal.access.reads_part_of(application_id):
        raise NotFoundError("application", key)
    require(principal, permission, Scope(application_id), application=key)


def require_environment(
    principal: Principal,
    permission: Permission,
    application_id: str,
    environment: str,
    *,
    key: str | None = None,
) -> None:
    """Check that a principal may do something to an environment (see above).

    Args:
        principal: who wants to.
        permission: what.
        application_id: the id of the application.
        environment: the name of the environment.
        key: the id or name of the application that the caller gave.
    """
    sees_application = principal.access.reads_part_of(application_id)
    hidden = (
        NotFoundError("environment", environment)
        if sees_application
        else NotFoundError("application", key or application_id)
    )
    require(
        principal,
        permission,
        Scope(application_id, environment),
        hidden=hidden,
        application=key,
    )


def require_configuration(
    principal: Principal, permission: Permission, application_id: str, configuration_id: str
) -> None:
    """Check that a principal may do something to a configuration of an application (see above)."""
    require(
        principal,
        permission,
        Scope(application_id),
        hidden=NotFoundError("configuration", configuration_id),
    )


def administered_scopes(principal: Principal) -> list[Scope] | None:
    """Return the scopes whose admin a principal is; ``None`` for everything."""
    if decide(principal, Permission.ADMINISTER_ACCESS, INSTALLATION).is_allowed:
        return None
    return [grant.scope for grant in principal.grants if grant.role >= Role.ADMIN]


class AccessService:
    """Knows tokens and grants from memory, and keeps when tokens were last used."""

    USES_INTERVAL = 60.0
    """Seconds between two records of the last use of a token."""

    def __init__(
        self,
        database: Database,
        cache: ResponseCache,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Create the service.

        Args:
            database: where tokens and grants are stored.
            cache: keeps them, until a change of any of them.
            now: returns the time.
        """
        self._database = database
        self._cache = cache
        self._now = now
        self._lock = threading.Lock()
        self._uses: dict[str, TokenUse] = {}

    def authenticate(
        self, secret: str, *, address: str = "", client: str | None = None
    ) -> Principal:
        """Return the principal that an API token stands for.

        Args:
            secret: what was sent.
            address: where from.
            client: the program that sent it, as it calls itself.

        Raises:
            UnauthenticatedError: there is no such token, or it has expired.
        """
        known = self._known(hash_secret(secret), secret)
        token_id = known.principal.token_id
        assert token_id is not None  # noqa: S101 - it is the principal of a token
        self._used(token_id, self._now(), address, client)
        return known.principal

    def principal_of_secret(self, secret_hash: bytes) -> Principal | None:
        """Return the principal of the token whose secret a session was begun with.

        Args:
            secret_hash: hash of that secret.

        Returns:
            ``None`` if the token was revoked or has expired, or was rotated and the overlap is
            over.
        """
        try:
            return self._known(secret_hash).principal
        except UnauthenticatedError:
            return None

    def grants_of(self, names: Sequence[str]) -> tuple[Grant, ...]:
        """Return what the stored grants give to any of some principals and groups.

        Args:
            names: as grants name them.
        """
        key = tuple(sorted({name for name in names if is_storable(name)}))

        def load() -> tuple[Grant, ...]:
            with self._database.autocommit() as connection:
                stored = Repositories(connection).grants.all_of(key)
            return tuple(item.grant for item in stored)

        return self._cache.grants.get(key, load)

    def find_scope(self, application: str | None, environment: str | None = None) -> Scope | None:
        """Return the scope that an id or name of an application stands for, if there is one."""
        if application is None:
            return INSTALLATION
        if is_ulid(application):
            return Scope(normalize_ulid(application), environment)

        def load() -> str:
            with self._database.autocommit() as connection:
                return find_application_id(Repositories(connection), application)

        try:
            return Scope(self._cache.application_ids.get(application, load), environment)
        except NotFoundError:
            return None

    def record_uses(self) -> None:
        """Write when tokens were last used; to be called about once a minute."""
        with self._lock:
            uses, self._uses = self._uses, {}
        if uses:
            with self._database.transaction() as connection:
                Repositories(connection).tokens.record_uses(list(uses.values()))

    def _known(self, secret_hash: bytes, secret: str | None = None) -> KnownToken:
        # Looked up by a hash of 256 bits: how long that takes says nothing about another secret.
        known = self._cache.tokens.get(secret_hash, lambda: self._load(secret_hash, secret))
        if known.expires_at is not None and known.expires_at <= self._now():
            raise UnauthenticatedError("The token has expired, or was rotated.")
        return known

    def _load(self, secret_hash: bytes, secret: str | None) -> KnownToken:
        # Only here: what is in memory was well-formed.
        if secret is not None and not is_token(secret):
            raise UnauthenticatedError("The token is not one of this service: it is mistyped.")
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            known = store.tokens.find_by_hash(secret_hash)
            if known is None:
                raise UnauthenticatedError("There is no such token: it may have been revoked.")
            token = known.token
            grants = tuple(stored.grant for stored in store.grants.all_of([token.principal]))
        principal = Principal(
            "token", f"token:{token.name}", Access.of(grants), grants, token_id=token.id
        )
        overlap_ends = token.previous_expires_at if known.is_previous else None
        ends = [end for end in (token.expires_at, overlap_ends) if end is not None]
        return KnownToken(principal, min(ends, default=None))

    def _used(self, token_id: str, now: datetime, address: str, client: str | None) -> None:
        if token_id in self._uses:
            return
        shown = None if client is None else client[:_MAX_CLIENT].replace("\0", "")
        # Whoever writes them down takes all of them away at some moment.
        with self._lock:
            if len(self._uses) < _MAX_PENDING_USES:
                self._uses[token_id] = TokenUse(token_id, now, address, shown)


class UseRecorder:
    """Thread that writes the last uses of tokens once a minute."""

    def __init__(self, access: AccessService) -> None:
        self._access = access
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="configsvc-token-uses", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end the thread."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(AccessService.USES_INTERVAL):
            self._record()
        self._record()

    def _record(self) -> None:
        # The database may be away; a token that is in use is used again.
        with contextlib.suppress(ConfigSvcError):
            self._access.record_uses()
