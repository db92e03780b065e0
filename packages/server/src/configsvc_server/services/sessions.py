"""Session use cases: persons who are signed in with a browser.

Whoever signs in or out is in the audit trail, with one entry for each act. A session that another
sign-in ends is named in the entry of that; one that ends by its time has none.

A session is a row, so that it can be ended; what is in memory of it is evicted by a notification,
and the database is asked while those are not sure to arrive. Who somebody is stays as the issuer
has said at the sign-in; what that one may do is looked up at each request.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

from cachetools import LRUCache
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.access.grants import INSTALLATION, Role
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.access.sessions import Session, StoredSession
from configsvc_server.domain.access.token_secrets import hash_secret
from configsvc_server.domain.errors import (
    ConfigSvcError,
    NotFoundError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from configsvc_server.domain.identifiers import is_ulid, new_ulid, normalize_ulid
from configsvc_server.domain.models import Action, Change, Provenance
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.identity.identities import Identities, Identity
from configsvc_server.repositories import Repositories

__all__ = ["OpenedSession", "SessionService", "TokenPrincipal"]

TokenPrincipal = Callable[[bytes], Principal | None]
"""Returns whom the secret of an API token stands for, by its hash; ``None`` if it has ended."""

_SECRET_LENGTH: Final = 43  # 32 bytes in base64


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """Session that has just begun."""

    secret: str
    """The value of its cookie."""
    lifetime: int
    """Seconds until it ends in any case."""


class SessionService:
    """Begins, recognises, lists and ends sessions."""

    TOUCH_INTERVAL = 60.0
    """Seconds between two records of the use of a session, at least."""

    MAX_PER_PRINCIPAL = 50
    """Sessions of one principal; the oldest ends when there is another."""

    MAX_SIGN_INS = RateLimitItemPerMinute(60)
    """Sign-ins of one principal; each server counts for itself. Each is kept for ever."""

    PURGED_AT_ONCE = 200
    """Sessions that are over of which the rows go when somebody signs in."""

    MAX_USER_AGENT = 300
    """Characters that are kept of the name of a browser."""

    def __init__(
        self,
        database: Database,
        cache: ResponseCache,
        identities: Identities,
        *,
        token_principal: TokenPrincipal,
        lifetime: float = 12 * 3600.0,
        idle_timeout: float = 2 * 3600.0,
    ) -> None:
        """Create the service.

        Args:
            database: where sessions are stored.
            cache: what knows sessions, and is told when they end.
            identities: tells what persons may do.
            token_principal: tells what API tokens may do.
            lifetime: seconds after which a session ends in any case.
            idle_timeout: seconds without a request after which it ends.
        """
        self._database = database
        self._cache = cache
        self._identities = identities
        self._token_principal = token_principal
        self._lifetime = timedelta(seconds=lifetime)
        self._idle_timeout = timedelta(seconds=idle_timeout)
        self._touched: LRUCache[str, float] = LRUCache(cache.MAX_SESSIONS)
        self._lock = Lock()
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def open(
        self,
        who: Identity | Principal,
        *,
        address: str,
        user_agent: str | None,
        token: str | None = None,
        previous: str | None = None,
        request_id: str | None = None,
    ) -> OpenedSession:
        """Begin a session; it has a secret that nobody knew before.

        Args:
            who: whom an issuer vouches for, or the principal of an API token.
            address: where from.
            user_agent: by which program.
            token: the secret of the API token; ``None`` where an issuer vouches.
            previous: the secret of the session that the browser had before, which ends.
            request_id: the request that it is begun by.

        Raises:
            TooManyRequestsError: this one signs in all the time.
        """
        if not self._limiter.hit(self.MAX_SIGN_INS, who.name):
            raise TooManyRequestsError(
                f"{who.name} has signed in {self.MAX_SIGN_INS.amount} times in a minute.",
                retry_after=self.MAX_SIGN_INS.get_expiry(),
            )
        secret, now = secrets.token_urlsafe(32), datetime.now(UTC)
        identity = who if isinstance(who, Identity) else None
        session = StoredSession(
            id=new_ulid(),
            principal=who.name,
            issuer=None if identity is None else identity.issuer,
            groups=() if identity is None else identity.groups,
            claims={} if identity is None else identity.claims,
            token_id=who.token_id if isinstance(who, Principal) else None,
            token_hash=None if token is None else hash_secret(token),
            created_at=now,
            last_seen_at=now,
            expires_at=now + self._lifetime,
            address=address,
            user_agent=self._shortened(user_agent),
        )
        with self._database.transaction() as connection:
            store = Repositories(connection)
            ended = []
            if previous is not None:
                replaced = store.sessions.delete_by_secret(_hash(previous))
                ended += [] if replaced is None else [replaced.id]
            store.sessions.insert(session, secret_hash=_hash(secret))
            ended += store.sessions.delete_surplus(session.principal, kept=self.MAX_PER_PRINCIPAL)
            store.sessions.delete_over(
                now=now, used_after=now - self._idle_timeout, limit=self.PURGED_AT_ONCE
            )
            _log_change(
                store, "create", session, Provenance(session.principal, request_id), ended=ended
            )
        if previous is not None:
            self._cache.session_ended(_hash(previous).hex())
        return OpenedSession(secret, round(self._lifetime.total_seconds()))

    def authenticate(
        self, secret: str, *, address: str | None = None, user_agent: str | None = None
    ) -> Session:
        """Return the session of a cookie, and record its use.

        Args:
            secret: the value of the cookie.
            address: where from; ``None`` where that is not known.
            user_agent: by which program.

        Raises:
            UnauthenticatedError: there is none, or it has ended.
        """
        if len(secret) != _SECRET_LENGTH or not secret.isascii():
            raise _ended()
        digest = _hash(secret)
        stored = self._cache.sessions.get(digest.hex(), lambda: self._load(digest))
        now = datetime.now(UTC)
        if stored.last_seen_at <= now - self._idle_timeout:
            # What is in memory is as old as its load; another request may have used it since.
            stored = self._cache.sessions.reload(digest.hex(), lambda: self._load(digest))
        if stored.expires_at <= now or stored.last_seen_at <= now - self._idle_timeout:
            raise _ended()
        principal = self._principal(stored)
        self._touch(stored, now, address, user_agent)
        return Session(stored.id, principal, csrf_token_of(secret), stored.expires_at)

    def close(self, secret: str, *, request_id: str | None = None) -> None:
        """End the session of a cookie, if there is one.

        Args:
            secret: the value of the cookie.
            request_id: the request that it is ended by.
        """
        digest = _hash(secret)
        with self._database.transaction() as connection:
            store = Repositories(connection)
            closed = store.sessions.delete_by_secret(digest)
            if closed is not None:
                _log_change(store, "delete", closed, Provenance(closed.principal, request_id))
        self._cache.session_ended(digest.hex())

    def list(self, principal: Principal, request: PageRequest) -> Page[StoredSession]:
        """Return sessions that have not ended: one's own, or for administrators all."""
        now = datetime.now(UTC)
        with self._database.autocommit() as connection:
            return Repositories(connection).sessions.page(
                request,
                principal=None if _is_administrator(principal) else principal.name,
                used_after=now - self._idle_timeout,
                now=now,
            )

    def revoke(self, session_id: str, *, provenance: Provenance) -> None:
        """End a session: one's own, or for administrators any.

        Args:
            session_id: its id.
            provenance: author, request and message.

        Raises:
            NotFoundError: there is no such session.
        """
        principal = provenance.principal
        owner = None if _is_administrator(principal) else principal.name
        if not is_ulid(session_id):
            raise NotFoundError("session", session_id)
        with self._database.transaction() as connection:
            store = Repositories(connection)
            found = store.sessions.delete(normalize_ulid(session_id), principal=owner)
            if found is None:
                raise NotFoundError("session", session_id)
            session, secret_hash = found
            _log_change(store, "delete", session, provenance)
        self._cache.session_ended(secret_hash.hex())

    def _principal(self, stored: StoredSession) -> Principal:
        if stored.token_hash is not None:
            principal = self._token_principal(stored.token_hash)
            if principal is None:
                raise _ended()
            return principal
        return self._identities.principal_of(
            Identity(stored.issuer or "", stored.principal, stored.groups, stored.claims)
        )

    def _load(self, digest: bytes) -> StoredSession:
        with self._database.autocommit() as connection:
            stored = Repositories(connection).sessions.find(digest)
        if stored is None:
            raise _ended()
        return stored

    def _touch(
        self, stored: StoredSession, now: datetime, address: str | None, user_agent: str | None
    ) -> None:
        tick = time.monotonic()
        with self._lock:
            before = self._touched.get(stored.id)
            if before is not None and tick - before < self.TOUCH_INTERVAL:
                return
            self._touched[stored.id] = tick
        # A record that fails is no reason to refuse the request.
        with suppress(ConfigSvcError), self._database.write_statement() as connection:
            Repositories(connection).sessions.touch(
                stored.id, at=now, address=address, user_agent=self._shortened(user_agent)
            )

    def _shortened(self, user_agent: str | None) -> str | None:
        if user_agent is None:
            return None
        return "".join(c for c in user_agent[: self.MAX_USER_AGENT] if c.isprintable())


def csrf_token_of(secret: str) -> str:
    """Return what writes with the cookie ``secret`` have to show.

    It is derived from the secret, so that it need not be kept, and does not tell it.
    """
    return hmac.new(secret.encode(), b"configsvc csrf", hashlib.sha256).hexdigest()


def _log_change(
    store: Repositories,
    action: Action,
    session: StoredSession,
    provenance: Provenance,
    *,
    ended: Sequence[str] = (),
) -> None:
    """Append an act to the audit trail; what it does to sessions is done by now.

    Args:
        store: the transaction.
        action: what was done.
        session: to which.
        provenance: by whom.
        ended: ids of the sessions that it has ended besides.
    """
    change = Change(
        action,
        "session",
        None,
        None,
        session.principal,
        None,
        provenance,
        details=_details(session, ended),
    )
    timestamp = store.changes.acquire_write_lock()
    store.changes.append([change], timestamp=timestamp)


def _details(session: StoredSession, ended: Sequence[str]) -> JsonObject:
    how: JsonObject = {
        "principal": session.principal,
        "session_id": session.id,
        "issuer": session.issuer,
        "token_id": session.token_id,
    }
    return {**how, "ended": list(ended)} if ended else how


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _is_administrator(principal: Principal) -> bool:
    return principal.access.role_on(INSTALLATION) is Role.ADMIN


def _ended() -> UnauthenticatedError:
    return UnauthenticatedError("The session has ended. Sign in again.")
