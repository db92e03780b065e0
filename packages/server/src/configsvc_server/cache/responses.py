"""What a server keeps in memory, what makes it forget, and who is woken then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from configsvc_server.cache.single_flight import ReadCache
from configsvc_server.cache.waiters import ChangeSignal

__all__ = ["ANYTHING", "Reads", "Rendered", "SnapshotKey"]

SnapshotKey: TypeAlias = tuple[str, str]
"""Application id and environment name."""

ANYTHING = ""
"""What those subscribe to who want to hear of every change; others subscribe to the id of an
application, or to a :data:`SnapshotKey`."""

# What an entry takes beside its body: objects, key, and its place in the order of use.
_OVERHEAD = 500


@dataclass(frozen=True, slots=True)
class Rendered:
    """A ready-made answer."""

    etag: str
    """Strong, without quotes."""
    body: bytes

    @property
    def size(self) -> int:
        """How much memory it takes, in bytes."""
        return len(self.body) + _OVERHEAD


class Reads:
    """The memory of one server; hears of changes as a ``ChangeObserver``."""

    MAX_NAMES = 10_000
    """Application names whose ids are kept."""

    def __init__(self, *, max_bytes: int, is_fresh: Callable[[], bool]) -> None:
        """Share ``max_bytes`` between single configurations and snapshots.

        Args:
            max_bytes: how much may be kept in memory.
            is_fresh: whether news of changes is sure to arrive.
        """
        self.is_fresh = is_fresh
        self.configurations: ReadCache[str, Rendered] = ReadCache(
            max_size=max_bytes // 2, size_of=lambda answer: answer.size, is_fresh=is_fresh
        )
        self.snapshots: ReadCache[SnapshotKey, Rendered] = ReadCache(
            max_size=max_bytes // 2, size_of=lambda answer: answer.size, is_fresh=is_fresh
        )
        self.application_ids: ReadCache[str, str] = ReadCache(
            max_size=self.MAX_NAMES, size_of=lambda _: 1, is_fresh=is_fresh
        )
        self.signal = ChangeSignal()

    def changed(
        self, application_id: str, configuration_id: str | None, environments: Sequence[str]
    ) -> None:
        """Forget what a change makes wrong, and wake those who wait for it.

        Args:
            application_id: the application.
            configuration_id: its configuration; ``None`` where the change is not of one.
            environments: those whose snapshot is another one now.
        """
        if configuration_id is None:
            # Applications change seldom, and what it was called before is not known.
            self.application_ids.clear()
        else:
            self.configurations.evict(configuration_id)
        for environment in environments:
            self.snapshots.evict((application_id, environment))
        self.signal.notify(
            ANYTHING, application_id, *((application_id, name) for name in environments)
        )

    def missed(self) -> None:
        """Forget everything: any number of changes may have gone unheard."""
        self.configurations.clear()
        self.snapshots.clear()
        self.application_ids.clear()
        self.signal.notify_all()

    def release_waiters(self) -> None:
        """Answer everybody who waits, and let nobody wait any more."""
        self.signal.close()
