"""Response cache: ready-made responses in memory, and the signal that wakes waiters on eviction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from configsvc_server.cache.fleet import Fleet
from configsvc_server.cache.single_flight import SingleFlightCache
from configsvc_server.cache.snapshots import CachedSnapshot, SnapshotHistory, SnapshotKey
from configsvc_server.cache.waiters import ChangeSignal
from configsvc_server.db.listener import Heartbeat
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.models import Change, ChangeFilter, ChangeNotice
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.telemetry.readings import CacheReading

if TYPE_CHECKING:
    from configsvc_server.domain.access.grants import Grant
    from configsvc_server.domain.access.sessions import StoredSession
    from configsvc_server.domain.fleet import Convergence

__all__ = [
    "CachedResponse",
    "ChangePageKey",
    "FleetKey",
    "KnownToken",
    "ResponseCache",
    "SnapshotKey",
    "VariantKey",
]

VariantKey: TypeAlias = tuple[str, ...]
"""Which form of a snapshot, and the tags that it depends on."""

ChangePageKey: TypeAlias = tuple[PageRequest, ChangeFilter]
"""What a follower of the change feed asks for."""


class FleetKey(NamedTuple):
    """What those wait for who follow the instances of an environment."""

    environment: SnapshotKey


# What an entry takes beside its body: objects, key, and its position in the order of use.
_OVERHEAD: Final = 500


@dataclass(frozen=True, slots=True)
class KnownToken:
    """Principal that the secret of a token stands for."""

    principal: Principal
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """Ready-made response: a body with its entity tag."""

    etag: str
    """Strong, without quotes."""
    body: bytes
    application_id: str = ""
    """The application that a configuration belongs to."""

    @property
    def size(self) -> int:
        """How much memory it takes, in bytes."""
        return len(self.body) + _OVERHEAD


class ResponseCache:
    """Responses of one server; evicts as a :class:`~configsvc_server.db.listener.ChangeObserver`.

    Entries are evicted by this server's writes before it responds, and by notifications of
    others' writes.
    """

    MAX_NAMES = 10_000
    """Application names whose ids are kept."""

    MAX_SESSIONS = 20_000
    """Sessions that are kept."""

    MAX_PRINCIPALS = 20_000
    """Secrets of tokens, and persons and groups, whose grants are kept."""

    MAX_CONVERGENCES = 1_000
    """Counts of instances that are kept, until one of the fleet changes."""

    MAX_CHANGES = 2_000
    """Changes that are kept in pages of the feed, until the next change comes."""

    def __init__(self, *, max_bytes: int, heartbeat: Heartbeat) -> None:
        """Share ``max_bytes`` between single configurations, snapshots, and what serves those.

        Compressed snapshots with deltas have an eighth of it, and so has the history.

        Args:
            max_bytes: how much may be kept in memory.
            heartbeat: whether evictions of other servers' writes are sure to arrive.
        """
        self.configurations: SingleFlightCache[str, CachedResponse] = SingleFlightCache(
            max_size=max_bytes * 3 // 8, size_of=_size, heartbeat=heartbeat
        )
        self.snapshots: SingleFlightCache[SnapshotKey, CachedSnapshot] = SingleFlightCache(
            max_size=max_bytes * 3 // 8, size_of=_size, heartbeat=heartbeat
        )
        self.variants: SingleFlightCache[VariantKey, CachedResponse] = SingleFlightCache(
            max_size=max_bytes // 8, size_of=_size, heartbeat=None
        )
        """Compressed snapshots, and deltas. They are known by the tags of what they are made
        from, so that nothing makes them wrong."""
        self.history = SnapshotHistory(max_bytes=max_bytes // 8)
        self.application_ids: SingleFlightCache[str, str] = SingleFlightCache(
            max_size=self.MAX_NAMES, size_of=_one, heartbeat=heartbeat
        )
        self.change_pages: SingleFlightCache[ChangePageKey, Page[Change]] = SingleFlightCache(
            max_size=self.MAX_CHANGES, size_of=_changes, heartbeat=heartbeat
        )
        self.sessions: SingleFlightCache[str, StoredSession] = SingleFlightCache(
            max_size=self.MAX_SESSIONS, size_of=_one, heartbeat=heartbeat
        )
        """By the hash of the secret, in hexadecimal."""
        self.tokens: SingleFlightCache[bytes, KnownToken] = SingleFlightCache(
            max_size=self.MAX_PRINCIPALS, size_of=_one, heartbeat=heartbeat
        )
        """By the hash of the secret."""
        self.grants: SingleFlightCache[tuple[str, ...], tuple[Grant, ...]] = SingleFlightCache(
            max_size=self.MAX_PRINCIPALS, size_of=_one, heartbeat=heartbeat
        )
        """By the names of a principal and its groups."""
        self.convergences: SingleFlightCache[tuple[SnapshotKey, str], Convergence] = (
            SingleFlightCache(max_size=self.MAX_CONVERGENCES, size_of=_one, heartbeat=heartbeat)
        )
        """By the environment, and the tag that is asked for."""
        self.fleet = Fleet()
        self.signal = ChangeSignal()
        """Wakes waiters; its keys are a :data:`SnapshotKey`, a :class:`ChangeFilter` and a
        :class:`FleetKey`."""

    def changed(self, notice: ChangeNotice) -> None:
        """Remove what a change invalidates, and wake those who wait for it, also in the feed."""
        if notice.entity not in {"configuration", "release", "session"}:
            # Grants end with the application or environment that they are on.
            self.evict_access(wake=notice.entity in {"token", "grant"})
        if notice.application_id is not None:
            self.fleet.environments_changed(
                (notice.application_id, environment) for environment in notice.environments
            )
            self.evict(notice.application_id, notice.configuration_id, notice.environments)
        self.change_pages.clear()
        self.signal.notify_where(lambda key: isinstance(key, ChangeFilter) and key.may_pass(notice))

    def session_ended(self, secret_hash: str) -> None:
        """Remove a session, and have those who wait show again who they are."""
        self.sessions.evict(secret_hash)
        self.signal.notify_all()

    def evict(
        self, application_id: str, configuration_id: str | None, environments: Sequence[str]
    ) -> None:
        """Remove the entries that a change invalidates, and wake those who wait for a snapshot.

        Followers of the feed are woken by the notification, which knows more of the change.

        Args:
            application_id: the application.
            configuration_id: its configuration; ``None`` where the change is not of one.
            environments: those whose snapshot has changed.
        """
        if configuration_id is None:
            # Applications change seldom, and their former name is not known here.
            self.application_ids.clear()
        else:
            self.configurations.evict(configuration_id)
        self.evict_snapshots(application_id, environments)

    def evict_snapshots(self, application_id: str, environments: Sequence[str]) -> None:
        """Remove the snapshots of environments, and wake those who wait for a change of them."""
        keys = [(application_id, environment) for environment in environments]
        for key in keys:
            self.snapshots.evict(key)
        # Before anyone is woken: whoever reads afterwards must not get a page from before.
        self.change_pages.clear()
        self.convergences.clear()
        self.signal.notify(*keys, *map(FleetKey, keys))

    def fleet_changed(self, application_id: str, environment: str) -> None:
        """Remove what is known of the instances of an environment, and wake those who follow."""
        self.convergences.clear()
        self.signal.notify(FleetKey((application_id, environment)))

    def time_passed(self) -> None:
        """Remove what is known of all instances: some may have gone."""
        self.convergences.clear()
        self.signal.notify_where(lambda key: isinstance(key, FleetKey))

    def evict_access(self, *, wake: bool = True) -> None:
        """Remove what tokens and grants give.

        Args:
            wake: have those who wait show again who they are.
        """
        self.tokens.clear()
        self.grants.clear()
        if wake:
            self.signal.notify_all()

    def evict_all(self) -> None:
        """Remove everything: any number of changes may have been missed."""
        self.configurations.clear()
        self.snapshots.clear()
        self.application_ids.clear()
        self.change_pages.clear()
        self.sessions.clear()
        self.tokens.clear()
        self.grants.clear()
        self.convergences.clear()
        self.fleet.all_changed()
        self.signal.notify_all()

    def readings(self) -> list[CacheReading]:
        """Return what each of the caches holds, and how well it does."""
        return [
            self.configurations.reading("configurations", in_bytes=True),
            self.snapshots.reading("snapshots", in_bytes=True),
            self.variants.reading("variants", in_bytes=True),
            self.application_ids.reading("application_ids", in_bytes=False),
            self.change_pages.reading("change_pages", in_bytes=False),
            self.sessions.reading("sessions", in_bytes=False),
            self.tokens.reading("tokens", in_bytes=False),
            self.grants.reading("grants", in_bytes=False),
        ]

    def release_waiters(self) -> None:
        """Respond to all waiters, and let nobody wait any more."""
        self.signal.close()


def _size(response: CachedResponse | CachedSnapshot) -> int:
    return response.size


def _changes(page: Page[Change]) -> int:
    return 1 + len(page.items)


def _one(_entry: object) -> int:
    return 1
