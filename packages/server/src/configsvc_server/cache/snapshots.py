"""Cached snapshots, and the history by which one is told apart from those before."""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from configsvc_server.domain.entity_tags import EntityTags

__all__ = ["CachedSnapshot", "EntryText", "SnapshotHistory", "SnapshotKey", "Superseded"]

SnapshotKey: TypeAlias = tuple[str, str]
"""Application id and environment name."""

# What a snapshot and each of its entries take beside the text: objects, keys, digests.
_OVERHEAD: Final = 500
_ENTRY_OVERHEAD: Final = 400


class EntryText(NamedTuple):
    """Text of one configuration within a snapshot."""

    digest: bytes
    start: int
    """Where the member begins in the body: its name, a colon, and the object."""
    end: int


@dataclass(frozen=True, slots=True)
class CachedSnapshot:
    """Ready-made snapshot: a body with its entity tag, and where each configuration is in it."""

    key: SnapshotKey
    etag: str
    """Strong, without quotes."""
    head: bytes
    """Members before the configurations."""
    body: bytes
    entries: Mapping[str, EntryText]

    @property
    def size(self) -> int:
        """How much memory it takes, in bytes."""
        return len(self.body) + _OVERHEAD + _ENTRY_OVERHEAD * len(self.entries)

    def member(self, name: str) -> bytes:
        """Return the text of one configuration with its name."""
        entry = self.entries[name]
        return self.body[entry.start : entry.end]


class Superseded(NamedTuple):
    """Snapshot that somebody still has."""

    etag: str
    changed: frozenset[str]
    """Names of all configurations that differ from it, and maybe of some that do not."""


class SnapshotHistory:
    """Names of what has changed between the snapshots of each environment.

    The texts of earlier snapshots are not needed, nor kept: a snapshot is the earlier one with
    what has changed since, and that is in the newer one. The order in which snapshots are recorded
    is without importance: between any two, only what changed on the way can differ.
    """

    MAX_STEPS: Final = 1000
    """Snapshots of one environment that are remembered."""

    def __init__(self, *, max_bytes: int) -> None:
        """Create an empty history.

        Args:
            max_bytes: how much may be kept in memory, about.
        """
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._lines: OrderedDict[SnapshotKey, _Line] = OrderedDict()

    def record(self, snapshot: CachedSnapshot) -> None:
        """Remember a snapshot as the newest of its environment."""
        with self._lock:
            line = self._lines.pop(snapshot.key, None)
            self._bytes -= 0 if line is None else line.size
            if line is None:
                line = _Line(snapshot)
            else:
                line.add(snapshot, self.MAX_STEPS)
            self._lines[snapshot.key] = line
            self._bytes += line.size
            while self._bytes > self._max_bytes:
                _, oldest = self._lines.popitem(last=False)
                self._bytes -= oldest.size

    def find(self, snapshot: CachedSnapshot, known: EntityTags) -> Superseded | None:
        """Return the snapshot that the caller knows, and what ``snapshot`` changes in it.

        Returns:
            ``None`` where none of those that it knows is remembered.
        """
        with self._lock:
            line = self._lines.get(snapshot.key)
            return None if line is None else line.find(snapshot.etag, known)


class _Line:
    """Snapshots of one environment, one after the other."""

    def __init__(self, snapshot: CachedSnapshot) -> None:
        self._etag = snapshot.etag
        self._entries = snapshot.entries
        # The tag of each snapshot before, and the names of what the next one changed.
        self._steps: deque[tuple[str, tuple[str, ...]]] = deque()
        self._changes = 0

    @property
    def size(self) -> int:
        """How much memory it takes, in bytes; names are those of entries, mostly."""
        return (
            _OVERHEAD * (1 + len(self._steps))
            + _ENTRY_OVERHEAD * len(self._entries)
            + 100 * self._changes
        )

    def add(self, snapshot: CachedSnapshot, max_steps: int) -> None:
        if snapshot.etag != self._etag:
            changed = tuple(_changed(self._entries, snapshot.entries))
            self._steps.append((self._etag, changed))
            self._changes += len(changed)
            # Who would need more than half of everything is better sent the whole.
            most = max(100, len(snapshot.entries))
            while self._changes > most or len(self._steps) > max_steps:
                self._changes -= len(self._steps.popleft()[1])
        self._etag, self._entries = snapshot.etag, snapshot.entries

    def find(self, target: str, known: EntityTags) -> Superseded | None:
        tags = [etag for etag, _ in self._steps] + [self._etag]
        last = len(tags) - 1
        found = (last - back for back, etag in enumerate(reversed(tags)) if etag == target)
        end = next(found, None)
        if end is None:
            return None
        wanted = known.strong | known.weak
        start = next((index for index in range(last, -1, -1) if tags[index] in wanted), None)
        if start is None:
            return None
        first, final = sorted((start, end))
        names = (name for _, step in islice(self._steps, first, final) for name in step)
        return Superseded(tags[start], frozenset(names))


def _changed(old: Mapping[str, EntryText], new: Mapping[str, EntryText]) -> Iterable[str]:
    for name, entry in new.items():
        before = old.get(name)
        if before is None or before.digest != entry.digest:
            yield name
    yield from (name for name in old if name not in new)
