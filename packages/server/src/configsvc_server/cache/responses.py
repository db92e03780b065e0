"""Response cache: ready-made responses in memory, and the signal that wakes waiters on eviction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from configsvc_server.cache.single_flight import SingleFlightCache
from configsvc_server.cache.waiters import ChangeSignal
from configsvc_server.db.listener import Heartbeat

__all__ = ["ALL_CHANGES", "CachedResponse", "ResponseCache", "SnapshotKey"]

SnapshotKey: TypeAlias = tuple[str, str]
"""Application id and environment name."""

ALL_CHANGES: Final = ""
"""Subscription key of every change; others are the id of an application, and a
:data:`SnapshotKey`."""

# What an entry takes beside its body: objects, key, and its position in the order of use.
_OVERHEAD: Final = 500


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """Ready-made response: a body with its entity tag."""

    etag: str
    """Strong, without quotes."""
    body: bytes

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

    def __init__(self, *, max_bytes: int, heartbeat: Heartbeat) -> None:
        """Share ``max_bytes`` between single configurations and snapshots.

        Args:
            max_bytes: how much may be kept in memory.
            heartbeat: whether evictions of other servers' writes are sure to arrive.
        """
        self.configurations: SingleFlightCache[str, CachedResponse] = SingleFlightCache(
            max_size=max_bytes // 2, size_of=_size, heartbeat=heartbeat
        )
        self.snapshots: SingleFlightCache[SnapshotKey, CachedResponse] = SingleFlightCache(
            max_size=max_bytes // 2, size_of=_size, heartbeat=heartbeat
        )
        self.application_ids: SingleFlightCache[str, str] = SingleFlightCache(
            max_size=self.MAX_NAMES, size_of=_one, heartbeat=heartbeat
        )
        self.signal = ChangeSignal()

    def evict(
        self, application_id: str, configuration_id: str | None, environments: Sequence[str]
    ) -> None:
        """Remove the entries that a change invalidates, and wake those who wait for it.

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
        self.signal.notify(ALL_CHANGES, application_id, *keys)

    def evict_all(self) -> None:
        """Remove everything: any number of changes may have been missed."""
        self.configurations.clear()
        self.snapshots.clear()
        self.application_ids.clear()
        self.signal.notify_all()

    def release_waiters(self) -> None:
        """Respond to all waiters, and let nobody wait any more."""
        self.signal.close()


def _size(response: CachedResponse) -> int:
    return response.size


def _one(_application_id: str) -> int:
    return 1
