"""Keys of an issuer: found by discovery, kept in memory, and fetched again when others are needed.

Keys that were fetched once stay in use while the issuer can't be reached, and those that are kept
elsewhere come into use if it can't be reached from the start. An unknown key id has
them fetched again, but at most once in ten seconds, so that made-up ids are no way to have this
server send requests.
"""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from configsvc_server.domain.errors import ConfigSvcError, UnavailableError
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.identity.fetching import FetchError, fetch_json
from configsvc_server.identity.settings import IssuerSettings, is_safe_url

__all__ = ["IssuerKeys", "KeyRing", "KeyStore", "Metadata"]

_log = structlog.stdlib.get_logger(__name__)

_MAX_KEYS: Final = 100
_DISCOVERED: Final = frozenset(
    {
        "issuer",
        "jwks_uri",
        "authorization_endpoint",
        "token_endpoint",
        "token_endpoint_auth_methods_supported",
        "authorization_response_iss_parameter_supported",
    }
)
# Of the modulus, of which each character of base64 has six.
_MIN_RSA_BITS: Final = 2048


class KeyStore(Protocol):
    """Keeps what issuers have published last beyond the end of the server."""

    def load(self, issuer: str) -> JsonObject | None:
        """Return that of an issuer, by its URL, unless it is too old; or ConfigSvcError."""

    def save(self, issuer: str, document: JsonObject, fetched_at: datetime) -> None:
        """Keep that of an issuer, or raise ConfigSvcError."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an issuer tells about itself (OpenID Connect Discovery)."""

    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    posts_secret: bool = False
    """Whether it takes the secret of a client in the body alone."""
    names_itself: bool = False
    """Whether each of its answers says which issuer it is of (RFC 9207)."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Public keys of an issuer at one time."""

    keys: tuple[Key, ...]
    source: str
    """What they were read from."""

    def candidates(self, kid: str | None) -> Sequence[Key]:
        """Return the keys that a token may be signed with.

        Args:
            kid: the id of the key, if the token names one.
        """
        if kid is None:
            return self.keys
        return [key for key in self.keys if key.get("kid") == kid]


class IssuerKeys:
    """Keys and metadata of one issuer; they are fetched when they are needed first."""

    COOLDOWN = 10.0
    """Seconds between two fetches, at least."""

    MAX_WAITING = 4
    """Requests that may wait for a fetch, each in a thread."""

    WAIT_TIMEOUT = 10.0
    """Seconds that each of them waits."""

    SAVE_INTERVAL = 3600.0
    """Seconds after which keys that have not changed are kept again, as still published."""

    def __init__(self, issuer: IssuerSettings, store: KeyStore | None = None) -> None:
        """Prepare the keys.

        Args:
            issuer: of whom.
            store: keeps them; ``None`` for memory alone.
        """
        self._issuer = issuer
        self._store = None if issuer.jwks_file is not None else store
        self._saved: tuple[str, float] = ("", 0.0)
        self._condition = threading.Condition()
        self._ring: KeyRing | None = None
        self._metadata: Metadata | None = None
        self._is_fetching = False
        self._waiting = 0
        self._fetched_at = float("-inf")

    @property
    def ring(self) -> KeyRing | None:
        """The keys as they are known; ``None`` before they were fetched."""
        return self._ring

    def candidates(self, kid: str | None) -> Sequence[Key]:
        """Return the keys that a token may be signed with, fetching them if there is none.

        Raises:
            UnavailableError: the issuer could not be reached yet.
        """
        ring = self._ring
        found = () if ring is None else ring.candidates(kid)
        if found:
            return found
        self._fetch_soon()
        ring = self._ring
        if ring is None:
            raise self._unavailable()
        return ring.candidates(kid)

    def metadata(self) -> Metadata:
        """Return what the issuer tells about itself.

        Raises:
            UnavailableError: it could not be reached yet.
        """
        if self._metadata is None:
            self._fetch_soon()
        if self._metadata is None:
            raise self._unavailable()
        return self._metadata

    def refresh(self) -> bool:
        """Fetch them, unless that is under way; return whether they are known now."""
        with self._condition:
            if self._is_fetching:
                return self._ring is not None
            self._is_fetching = True
        self._fetch()
        return self._ring is not None

    def _fetch_soon(self) -> None:
        """Fetch them, or wait for who does, or return at once where that was just tried."""
        with self._condition:
            if self._is_fetching:
                if self._waiting >= self.MAX_WAITING:
                    raise UnavailableError("The keys of the issuer are being fetched.")
                self._waiting += 1
                try:
                    self._condition.wait_for(lambda: not self._is_fetching, self.WAIT_TIMEOUT)
                finally:
                    self._waiting -= 1
                return
            if time.monotonic() - self._fetched_at < self.COOLDOWN:
                return
            self._is_fetching = True
        self._fetch()

    def _fetch(self) -> None:
        discovery: dict[str, Any] | None = None
        try:
            discovery, document = self._load()
            self._replace(self._metadata_of(discovery), document)
        except (FetchError, OSError, ValueError) as error:
            _log.warning(
                "issuer unavailable",
                issuer=self._issuer.name,
                error=str(error),
                has_keys=self._ring is not None,
            )
            if self._ring is None:
                self._restore()
        finally:
            with self._condition:
                self._fetched_at = time.monotonic()
                self._is_fetching = False
                self._condition.notify_all()
        if discovery is not None:
            # Nobody waits for the database.
            self._save(discovery)

    def _replace(self, metadata: Metadata, document: dict[str, Any]) -> None:
        source = json.dumps(document, sort_keys=True)
        self._metadata = metadata
        # The same object tells that what was verified by it still counts.
        if self._ring is None or self._ring.source != source:
            self._ring = KeyRing(_read_keys(document), source)

    def _save(self, discovery: dict[str, Any]) -> None:
        """Keep what was fetched, if it has changed, or was not kept for a while."""
        ring, (source, saved_at) = self._ring, self._saved
        if self._store is None or ring is None or not ring.keys:
            return
        if ring.source == source and time.monotonic() - saved_at < self.SAVE_INTERVAL:
            return
        named = {name: value for name, value in discovery.items() if name in _DISCOVERED}
        keys = [dict(key.as_dict(private=False)) for key in ring.keys]
        document = {"jwks_uri": self._issuer.jwks_uri, "discovery": named, "keys": keys}
        try:
            self._store.save(self._issuer.issuer, document, datetime.now(UTC))
        except ConfigSvcError as error:
            _log.warning("keys not kept", issuer=self._issuer.name, error=str(error))
        else:
            self._saved = (ring.source, time.monotonic())

    def _restore(self) -> None:
        """Take what is kept into use; settings may have changed since, so it is checked anew."""
        if self._store is None:
            return
        try:
            kept: Any = self._store.load(self._issuer.issuer)
            if kept is None or kept.get("jwks_uri") != self._issuer.jwks_uri:
                return
            self._replace(self._metadata_of(kept["discovery"]), {"keys": kept["keys"]})
        except (ConfigSvcError, FetchError, KeyError, AttributeError) as error:
            _log.warning("no kept keys", issuer=self._issuer.name, error=str(error))
        else:
            _log.warning("kept keys in use", issuer=self._issuer.name)

    def _load(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the discovery document, empty where the settings stand for it, and the keys."""
        issuer = self._issuer
        if issuer.jwks_file is not None:
            document = json.loads(issuer.jwks_file.read_bytes())
            if not isinstance(document, dict):
                raise FetchError(f"{issuer.jwks_file} has no JSON object")
            return {}, document
        discovery: dict[str, Any] = {}
        if not issuer.jwks_uri:
            url = issuer.issuer.rstrip("/") + "/.well-known/openid-configuration"
            discovery = fetch_json(url, ca_file=issuer.ca_file)
        jwks_uri = self._metadata_of(discovery).jwks_uri
        return discovery, fetch_json(jwks_uri, ca_file=issuer.ca_file)

    def _metadata_of(self, document: dict[str, Any]) -> Metadata:
        issuer = self._issuer
        if issuer.jwks_uri or issuer.jwks_file is not None:
            return Metadata(issuer.jwks_uri or "")
        if document.get("issuer") != issuer.issuer:
            found = str(document.get("issuer"))[:200]
            raise FetchError(f"the discovery of {issuer.issuer} is of the issuer {found!r}")
        methods = document.get("token_endpoint_auth_methods_supported")
        methods = methods if isinstance(methods, list) else ["client_secret_basic"]
        return Metadata(
            _url(document, "jwks_uri") or "",
            _url(document, "authorization_endpoint"),
            _url(document, "token_endpoint"),
            "client_secret_post" in methods and "client_secret_basic" not in methods,
            document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _unavailable(self) -> UnavailableError:
        return UnavailableError(
            f"The issuer {self._issuer.name} can't be reached, and its keys are not known yet.",
            retry_after=self.COOLDOWN,
        )


def _url(document: dict[str, Any], name: str) -> str | None:
    url = document.get(name)
    # An authorization endpoint may have a query of its own.
    if not isinstance(url, str) or not is_safe_url(url.partition("?")[0]):
        return None
    return url


def _read_keys(document: dict[str, Any]) -> tuple[Key, ...]:
    """Return the public keys for signatures; others and broken ones are left out."""
    given = document.get("keys")
    if not isinstance(given, list):
        raise FetchError("a set of keys has no keys")
    keys: list[Key] = []
    for entry in given[:_MAX_KEYS]:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        # Never a symmetric one: what is published is no secret.
        if entry.get("kty") not in {"RSA", "EC", "OKP"}:
            continue
        if entry["kty"] == "RSA" and 6 * len(str(entry.get("n"))) < _MIN_RSA_BITS:
            continue
        try:
            key = JWKRegistry.import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, ECKey | OKPKey | RSAKey):
            keys.append(key)
    return tuple(keys)
