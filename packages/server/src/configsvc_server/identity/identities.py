"""Identities: whom verified tokens are of, and what that one may do.

A verified token is remembered until it expires, so that it costs microseconds from the second
time on. What the grants give is looked up each time: a changed grant counts at once.
"""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cachetools import LRUCache

from configsvc_server.domain.access.grants import Access, Grant, Scope
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.errors import UnauthenticatedError, UnavailableError
from configsvc_server.identity.claims import Claims, claim_of, groups_of, meets, name_of
from configsvc_server.identity.keys import IssuerKeys, KeyRing, KeyStore
from configsvc_server.identity.settings import AuthSettings, IssuerSettings
from configsvc_server.identity.verification import LEEWAY, unverified_issuer, verify

__all__ = ["FindScope", "GrantsOf", "Identities", "Identity", "Issuer"]

GrantsOf = Callable[[Sequence[str]], tuple[Grant, ...]]
"""Returns what the stored grants give to any of these principals and groups."""

FindScope = Callable[[str | None, str | None], Scope | None]
"""Returns the scope of an application's id or name, and an environment; ``None`` for none."""

_MAX_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody for whom an issuer vouches."""

    issuer: str
    """The name of the issuer."""
    name: str
    """``ISSUER:NAME``."""
    groups: tuple[str, ...]
    """``group:ISSUER:NAME``, each."""
    claims: Mapping[str, Any]
    """Those that the rules of the issuer ask for."""


class Issuer:
    """One issuer: its settings, and its keys."""

    def __init__(self, settings: IssuerSettings, store: KeyStore | None = None) -> None:
        self.settings = settings
        self.keys = IssuerKeys(settings, store)

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.settings.name

    def identify(self, claims: Claims) -> Identity:
        """Return whom verified claims are of.

        Raises:
            UnauthenticatedError: they have no usable name.
        """
        settings = self.settings
        needed = {key for rule in settings.rules for key in rule.claims}
        found = {key: claim_of(claims, key) for key in sorted(needed)}
        return Identity(
            settings.name,
            f"{settings.name}:{name_of(claims, settings)}",
            tuple(f"group:{settings.name}:{group}" for group in groups_of(claims, settings)),
            {key: value for key, value in found.items() if value is not None},
        )


@dataclass(slots=True)
class _Remembered:
    identity: Identity
    expires_at: float
    ring: KeyRing | None
    """The keys that it was verified by."""
    principal: Principal | None = None


class Identities:
    """Everybody whom the configured issuers vouch for.

    A thread fetches the keys of all issuers at the start, and again from time to time.
    """

    REFRESH_INTERVAL = 300.0
    """Seconds between two fetches of the keys of an issuer."""

    RETRY_INTERVAL = 15.0
    """Seconds until they are fetched again while they are not known."""

    def __init__(
        self,
        settings: AuthSettings,
        *,
        grants_of: GrantsOf,
        find_scope: FindScope,
        key_store: KeyStore | None = None,
    ) -> None:
        """Prepare the issuers.

        Args:
            settings: all issuers.
            grants_of: looks up stored grants.
            find_scope: looks up the applications that rules name.
            key_store: keeps the keys of issuers; ``None`` for memory alone.
        """
        self.issuers: Final = {
            issuer.name: Issuer(issuer, key_store) for issuer in settings.issuers
        }
        """By name."""
        self._by_url = {issuer.settings.issuer: issuer for issuer in self.issuers.values()}
        self._grants_of = grants_of
        self._find_scope = find_scope
        self._remembered: LRUCache[bytes, _Remembered] = LRUCache(_MAX_REMEMBERED)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="configsvc-issuers", daemon=True)

    def start(self) -> None:
        """Fetch keys in the background from now on."""
        if self.issuers:
            self._thread.start()

    def stop(self) -> None:
        """Stop fetching."""
        self._stop.set()
        if self._thread.is_alive():
            # It may be in a fetch, which ends by itself; nothing depends on it.
            self._thread.join(1.0)

    @property
    def sign_in_issuers(self) -> list[Issuer]:
        """Those at which persons can sign in."""
        return [issuer for issuer in self.issuers.values() if issuer.settings.client_id]

    def authenticate(self, token: str) -> Principal:
        """Return whom a token (JWT) is of.

        Raises:
            UnauthenticatedError: it is not accepted; the message says why, for people.
            UnavailableError: the keys of its issuer are not known yet.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            known = self._remembered.get(digest)
        if known is None or not self._is_good(known):
            known = self._verified(token)
            with self._lock:
                self._remembered[digest] = known
        principal = self.principal_of(known.identity, previous=known.principal)
        known.principal = principal
        return principal

    def principal_of(self, identity: Identity, *, previous: Principal | None = None) -> Principal:
        """Return who somebody is here, with what rules and stored grants give now.

        Args:
            identity: whom an issuer vouches for.
            previous: what this returned before.
        """
        issuer = self.issuers.get(identity.issuer)
        if issuer is None:
            raise UnauthenticatedError("The issuer is no longer configured.")
        ruled = self._ruled(issuer, identity)
        stored = self._grants_of((identity.name, *identity.groups))
        grants = tuple(dict.fromkeys((*ruled, *stored)))
        if previous is not None and previous.grants == grants:
            return previous
        return Principal(
            "workload" if issuer.settings.kind == "workload" else "user",
            identity.name,
            Access.of(grants),
            grants,
            groups=identity.groups,
        )

    def _ruled(self, issuer: Issuer, identity: Identity) -> Iterable[Grant]:
        for rule in issuer.settings.rules:
            if meets(identity.claims, rule):
                # An application that is not there gives nothing, and not everything.
                scope = self._find_scope(rule.application, rule.environment)
                if scope is not None and (rule.application is None) == (
                    scope.application_id is None
                ):
                    yield Grant(rule.level, scope)

    def _verified(self, token: str) -> _Remembered:
        issuer = self._by_url.get(unverified_issuer(token))
        if issuer is None or not issuer.settings.audiences:
            raise UnauthenticatedError("The issuer of the token is not accepted.")
        # From before: whatever replaces it meanwhile has the token verified again.
        ring = issuer.keys.ring
        claims = verify(
            token,
            issuer=issuer.settings.issuer,
            audiences=issuer.settings.audiences,
            keys=issuer.keys,
        )
        return _Remembered(issuer.identify(claims), float(claims["exp"]), ring)

    def _is_good(self, known: _Remembered) -> bool:
        keys = self.issuers[known.identity.issuer].keys
        return time.time() < known.expires_at + LEEWAY and known.ring is keys.ring

    def _run(self) -> None:
        due = dict.fromkeys(self.issuers, 0.0)
        while not self._stop.is_set():
            for name, issuer in self.issuers.items():
                if due[name] <= time.monotonic() and not self._stop.is_set():
                    is_known = False
                    with contextlib.suppress(UnavailableError):
                        is_known = issuer.keys.refresh()
                    interval = self.REFRESH_INTERVAL if is_known else self.RETRY_INTERVAL
                    due[name] = time.monotonic() + interval
            self._stop.wait(max(0.1, min(due.values()) - time.monotonic()))
