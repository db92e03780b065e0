"""Token use cases: create, list, rotate and revoke API tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission, decide
from configsvc_server.domain.access.grants import INSTALLATION, Grant, Role, StoredGrant
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.access.token_secrets import hash_secret, hint_of, new_secret
from configsvc_server.domain.access.tokens import (
    DEFAULT_OVERLAP,
    MAX_TOKENS,
    ShownGrant,
    Token,
)
from configsvc_server.domain.errors import FieldError, InvalidError, NotFoundError, StateError
from configsvc_server.domain.identifiers import is_ulid, new_ulid, normalize_ulid
from configsvc_server.domain.models import Action, Change, Provenance
from configsvc_server.domain.names import require_name
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import administered_scopes, require
from configsvc_server.services.grant_requests import (
    GrantRequest,
    find_grant_field,
    grant_details,
)

__all__ = ["CreatedToken", "ShownToken", "TokenService"]


@dataclass(frozen=True, slots=True)
class ShownToken:
    """Token with its grants."""

    token: Token
    grants: tuple[ShownGrant, ...]


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """Token with its secret, which is known only now."""

    shown: ShownToken
    secret: str = field(repr=False)
    """Not for logs, nor for whatever else shows objects."""


_FIRST_TOKEN: Final = "admin"  # noqa: S105 - the beginning of its name


class TokenService:
    """Creates, lists, rotates and revokes tokens."""

    def __init__(self, database: Database, cache: ResponseCache) -> None:
        """Create the service.

        Args:
            database: where they are stored.
            cache: what every write evicts before it returns.
        """
        self._database = database
        self._cache = cache

    def create(
        self,
        name: str,
        grants: Sequence[GrantRequest],
        *,
        expires_at: datetime | None = None,
        provenance: Provenance,
    ) -> CreatedToken:
        """Add a token.

        Args:
            name: a name of its own.
            grants: what it may do; at least one.
            expires_at: when it ceases to work; ``None`` for never.
            provenance: author, request and message.

        Raises:
            InvalidError: an application or environment does not exist, or the time is over.
            ForbiddenError: the principal is no admin of what is granted.
            ConflictError: the name is taken.
            StateError: there are too many tokens.
        """
        require_name(name, "")
        with self._database.transaction() as connection:
            store = Repositories(connection)
            wanted = [
                find_grant_field(store, provenance.principal, request, pointer=f"/grants/{index}")
                for index, request in enumerate(grants)
            ]
            timestamp = store.changes.acquire_write_lock()
            _require_future(expires_at, timestamp)
            if store.tokens.count() >= MAX_TOKENS:
                message = f"There are at most {MAX_TOKENS} tokens. Revoke some first."
                raise StateError("too-many-tokens", message)
            created = _insert(
                store,
                name,
                list(dict.fromkeys(wanted)),
                expires_at=expires_at,
                provenance=provenance,
                timestamp=timestamp,
            )
        self._cache.evict_access(wake=False)
        return created

    def create_first(self, provenance: Provenance) -> CreatedToken | None:
        """Add a token for everything if nobody is an admin yet; otherwise return ``None``."""
        with self._database.autocommit() as connection:
            if Repositories(connection).tokens.has_admin():
                return None
        with self._database.transaction() as connection:
            store = Repositories(connection)
            timestamp = store.changes.acquire_write_lock()
            # Another server that starts on the same database may have been faster.
            if store.tokens.has_admin():
                return None
            created = _insert(
                store,
                f"{_FIRST_TOKEN}-{new_ulid()[-6:].lower()}",
                [Grant(Role.ADMIN)],
                provenance=provenance,
                timestamp=timestamp,
            )
        self._cache.evict_access(wake=False)
        return created

    def get(self, principal: Principal, token_id: str) -> ShownToken:
        """Return one token; each may read itself.

        Raises:
            NotFoundError: there is none, or it is not for the principal to see.
        """
        with self._database.autocommit() as connection:
            return _find(Repositories(connection), principal, token_id)

    def list(self, principal: Principal, request: PageRequest) -> Page[ShownToken]:
        """Return one page of the tokens that the principal administers, and of itself."""
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            page = store.tokens.page(
                request, only=principal.token_id, scopes=administered_scopes(principal)
            )
            stored = store.grants.all_of([token.principal for token in page.items])
            names = store.grants.names_of([item.grant for item in stored])
        grants: dict[str, list[ShownGrant]] = {}
        for item, shown in zip(stored, names, strict=True):
            grants.setdefault(item.principal, []).append(shown)
        return page.of(
            [ShownToken(token, tuple(grants.get(token.principal, ()))) for token in page.items]
        )

    def rotate(
        self,
        token_id: str,
        *,
        overlap: timedelta = DEFAULT_OVERLAP,
        expires_at: datetime | None = None,
        provenance: Provenance,
    ) -> CreatedToken:
        """Give a token a new secret; the one before works on for a while.

        Args:
            token_id: its id.
            overlap: how long the secret before works on.
            expires_at: when it ceases to work; ``None`` leaves that as it is.
            provenance: author, request and message.

        Raises:
            NotFoundError: there is none, or it is not for the principal to see.
            InvalidError: the time is over.
        """
        secret = new_secret()
        with self._database.transaction() as connection:
            store = Repositories(connection)
            timestamp = store.changes.acquire_write_lock()
            current = _find(store, provenance.principal, token_id)
            _require_future(expires_at, timestamp)
            if expires_at is not None and provenance.principal.token_id == current.token.id:
                _require_admin(provenance.principal, current)
            token = store.tokens.rotate(
                current.token.id,
                secret_hash=hash_secret(secret),
                hint=hint_of(secret),
                previous_expires_at=timestamp + overlap,
                expires_at=expires_at or current.token.expires_at,
                timestamp=timestamp,
            )
            shown = ShownToken(token, current.grants)
            store.changes.append([_change("rotate", shown, provenance)], timestamp=timestamp)
        self._cache.evict_access()
        return CreatedToken(shown, secret)

    def delete(self, token_id: str, *, provenance: Provenance) -> None:
        """Revoke a token, at once and on every server.

        Raises:
            NotFoundError: there is none, or it is not for the principal to see.
        """
        with self._database.transaction() as connection:
            store = Repositories(connection)
            timestamp = store.changes.acquire_write_lock()
            current = _find(store, provenance.principal, token_id)
            store.tokens.delete(current.token.id)
            store.grants.delete_of(current.token.principal)
            store.changes.append([_change("delete", current, provenance)], timestamp=timestamp)
        self._cache.evict_access()


def _insert(
    store: Repositories,
    name: str,
    grants: Sequence[Grant],
    *,
    expires_at: datetime | None = None,
    provenance: Provenance,
    timestamp: datetime,
) -> CreatedToken:
    secret = new_secret()
    token = store.tokens.insert(
        token_id=new_ulid(),
        name=name,
        secret_hash=hash_secret(secret),
        hint=hint_of(secret),
        expires_at=expires_at,
        created_by=provenance.actor,
        timestamp=timestamp,
    )
    store.grants.insert(
        [
            StoredGrant(new_ulid(), token.principal, grant, timestamp, provenance.actor)
            for grant in grants
        ]
    )
    shown = ShownToken(token, tuple(store.grants.names_of(grants)))
    store.changes.append([_change("create", shown, provenance)], timestamp=timestamp)
    return CreatedToken(shown, secret)


def _find(store: Repositories, principal: Principal, token_id: str) -> ShownToken:
    token = store.tokens.find(normalize_ulid(token_id)) if is_ulid(token_id) else None
    if token is None:
        raise NotFoundError("token", token_id)
    grants = [stored.grant for stored in store.grants.all_of([token.principal])]
    shown = ShownToken(token, tuple(store.grants.names_of(grants)))
    if principal.token_id != token.id and not _administers(principal, shown):
        raise NotFoundError("token", token_id)
    return shown


def _administers(principal: Principal, shown: ShownToken) -> bool:
    scopes = [item.grant.scope for item in shown.grants] or [INSTALLATION]
    return all(
        decide(principal, Permission.ADMINISTER_ACCESS, scope).is_allowed for scope in scopes
    )


def _require_admin(principal: Principal, shown: ShownToken) -> None:
    for item in shown.grants:
        require(principal, Permission.ADMINISTER_ACCESS, item.grant.scope)


def _require_future(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        message = f"must be in the future; it is {now.isoformat()} now"
        raise InvalidError([FieldError("/expires_at", message)])


def _change(action: Action, shown: ShownToken, provenance: Provenance) -> Change:
    applications = {item.grant.scope.application_id for item in shown.grants}
    return Change(
        action,
        "token",
        applications.pop() if len(applications) == 1 else None,
        None,
        shown.token.name,
        None,
        provenance,
        details=grant_details(shown.token.principal, shown.grants),
    )
