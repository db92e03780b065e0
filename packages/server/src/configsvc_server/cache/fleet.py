"""Fleet in memory: the instances that poll this server, and what of it others are to know.

A poll that tells nothing new costs a look into a dictionary. What is new is put together until it
is taken, as a batch, and written for all servers.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Final, NamedTuple, TypeAlias

from configsvc_server.cache.snapshots import SnapshotKey
from configsvc_server.domain.fleet import About, Rejection

__all__ = ["Batch", "Fleet", "InstanceKey", "Report", "Seen"]

InstanceKey: TypeAlias = tuple[str, str, str]
"""Application id, environment, and id of the instance."""

_DAY: Final = 86400.0


class _Sighting:
    """One instance, as this server has seen it; times are those of the monotonic clock."""

    __slots__ = (
        "about",
        "address",
        "changed_at",
        "confirmed_at",
        "epoch",
        "first_seen_at",
        "gone_after",
        "is_gone",
        "is_stored",
        "last_seen_at",
        "principal",
        "serves",
    )

    def __init__(self, about: About, now: float) -> None:
        self.about = about
        self.serves: str | None = None
        self.first_seen_at = self.last_seen_at = self.changed_at = self.confirmed_at = now
        self.gone_after = about.gone_after
        self.is_gone = False
        self.is_stored = False
        """Whether it is known to others."""
        self.epoch = 0
        """How often the environment had changed when it was confirmed."""
        self.address = ""
        self.principal: str | None = None

    def take(self) -> "Seen":
        """Return it as it is now, and take it for known to others."""
        self.is_stored = True
        return Seen(
            self.about,
            self.serves,
            self.changed_at,
            self.confirmed_at,
            self.first_seen_at,
            self.last_seen_at,
            self.gone_after,
            self.is_gone,
            self.address,
            self.principal,
        )


class Report(NamedTuple):
    """What an instance has rejected."""

    version: str
    rejections: Sequence[Rejection]
    reported_at: float


class Seen(NamedTuple):
    """One instance as it was when it was taken (see above)."""

    about: About
    serves: str | None
    changed_at: float
    confirmed_at: float
    first_seen_at: float
    last_seen_at: float
    gone_after: int
    is_gone: bool
    address: str
    principal: str | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What others are to know."""

    seen: dict[InstanceKey, Seen] = field(default_factory=dict)
    forgotten: Sequence[InstanceKey] = ()
    """Instances that others are to forget, too."""
    reports: dict[InstanceKey, Report] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.seen or self.forgotten or self.reports)


class Fleet:
    """Instances that poll this server; of too many, the longest unseen are forgotten."""

    MAX_INSTANCES = 50_000
    """Instances that are kept, about 1 KiB each."""

    MAX_REPORTS = 2_000
    """Reports of rejections that may wait to be written."""

    KEPT = _DAY
    """Seconds that an instance is kept after it has gone."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        """Create an empty fleet.

        Args:
            now: returns the time, in seconds.
        """
        self.now = now
        """Returns the time of this clock, in seconds."""
        self._lock = threading.Lock()
        # The longest unseen first.
        self._sightings: OrderedDict[InstanceKey, _Sighting] = OrderedDict()
        self._changed: dict[InstanceKey, _Sighting] = {}
        self._forgotten: set[InstanceKey] = set()
        self._reports: dict[InstanceKey, Report] = {}
        self._epochs: dict[SnapshotKey, int] = {}
        self._heard_from = -math.inf
        self.has_peers = False
        """Whether other servers may see the same instances."""
        self.is_unsure = True
        """Whether the database may not know this server, nor what others were told."""
        self.ignored_headers = 0
        """Headers that said nothing of an instance that could be understood."""

    def __len__(self) -> int:
        return len(self._sightings)

    @property
    def has_news(self) -> bool:
        """Whether there is anything that others are to know."""
        return bool(self._changed or self._forgotten or self._reports)

    def saw(
        self,
        environment: SnapshotKey,
        about: About,
        serves: str | None,
        *,
        address: str,
        principal: str | None,
    ) -> None:
        """Record a poll.

        Args:
            environment: application id and environment that it polls.
            about: what it says of itself.
            serves: tag of the snapshot that it has; ``None`` where it does not say so.
            address: where it polls from.
            principal: who it is to the API; ``None`` for nobody.
        """
        now = self.now()
        key = (*environment, about.id)
        with self._lock:
            sighting = self._sightings.get(key)
            epoch = self._epochs.get(environment, 0)
            if sighting is None:
                key, sighting = self._add(environment, about, now)
            else:
                self._sightings.move_to_end(key)
            sighting.last_seen_at = now
            sighting.address = address
            # Who asks without a condition may have a snapshot all the same.
            has_changed = serves is not None and serves != sighting.serves
            if has_changed:
                sighting.serves = serves
                sighting.changed_at = now
            is_news = (
                has_changed
                or sighting.is_gone
                or not sighting.is_stored
                # Another server may have seen it since, serving something else.
                or (self.has_peers and sighting.epoch != epoch)
                or sighting.principal != principal
                or (about is not sighting.about and _says_more(about, sighting))
            )
            if is_news:
                sighting.confirmed_at = now
                sighting.is_gone = False
                sighting.epoch = epoch
                sighting.about = about
                sighting.principal = principal
                sighting.gone_after = max(sighting.gone_after, about.gone_after)
                self._changed[key] = sighting

    def reported(self, key: InstanceKey, version: str, rejections: Sequence[Rejection]) -> bool:
        """Record what an instance has rejected.

        Args:
            key: the instance.
            version: tag of the snapshot.
            rejections: what of it; empty if nothing any more.

        Returns:
            Whether it was recorded: it is not where too many reports wait to be written.
        """
        with self._lock:
            if len(self._reports) >= self.MAX_REPORTS and key not in self._reports:
                return False
            self._reports[key] = Report(version, rejections, self.now())
            return True

    def environments_changed(self, environments: Iterable[SnapshotKey]) -> None:
        """Record that environments serve something else."""
        with self._lock:
            for environment in environments:
                if environment in self._epochs:
                    self._epochs[environment] += 1

    def all_changed(self) -> None:
        """Record that any environment may serve something else."""
        with self._lock:
            self._epochs = {key: epoch + 1 for key, epoch in self._epochs.items()}
        self.is_unsure = True

    def last_seen(self, key: InstanceKey) -> float | None:
        """Return when this server has seen an instance, by its clock."""
        sighting = self._sightings.get(key)
        return None if sighting is None else sighting.last_seen_at

    def is_deaf(self) -> None:
        """Record that polls can't be answered now: nobody is gone because of that."""
        self._heard_from = self.now()

    def sweep(self) -> None:
        """Find out which instances have gone, and forget those that have for long."""
        now = self.now()
        with self._lock:
            for key, sighting in list(self._sightings.items()):
                unseen = now - max(sighting.last_seen_at, self._heard_from)
                if unseen <= sighting.gone_after:
                    continue
                if not sighting.is_gone and not sighting.about.is_anonymous:
                    sighting.is_gone = True
                    self._changed[key] = sighting
                elif sighting.about.is_anonymous or unseen > self.KEPT:
                    self._forget(key)
            polled = {key[:2] for key in self._sightings}
            self._epochs = {key: epoch for key, epoch in self._epochs.items() if key in polled}

    def take(self, limit: int) -> Batch:
        """Return what others are to know, and take it for told.

        Args:
            limit: how many instances at most.
        """
        with self._lock:
            keys = list(self._changed)[:limit]
            taken = {key: self._changed.pop(key).take() for key in keys}
            forgotten, self._forgotten = tuple(self._forgotten), set()
            reports, self._reports = self._reports, {}
        return Batch(taken, forgotten, reports)

    def give_back(self, batch: Batch) -> None:
        """Take back a batch that others could not be told of."""
        with self._lock:
            for key in batch.seen:
                sighting = self._sightings.get(key)
                if sighting is not None:
                    self._changed[key] = sighting
            self._forgotten.update(key for key in batch.forgotten if key not in self._sightings)
            self._reports = {**batch.reports, **self._reports}

    def nothing_is_stored(self) -> None:
        """Record that others know nothing any more."""
        with self._lock:
            self._changed = dict(self._sightings)

    def _add(
        self, environment: SnapshotKey, about: About, now: float
    ) -> tuple[InstanceKey, _Sighting]:
        if len(self._sightings) >= self.MAX_INSTANCES:
            self._forget(next(iter(self._sightings)))
        key = (intern(environment[0]), intern(environment[1]), about.id)
        sighting = _Sighting(about, now)
        self._sightings[key] = sighting
        self._forgotten.discard(key)
        self._epochs.setdefault(key[:2], 0)
        return key, sighting

    def _forget(self, key: InstanceKey) -> None:
        sighting = self._sightings.pop(key)
        self._changed.pop(key, None)
        if sighting.is_stored:
            self._forgotten.add(key)


def _says_more(about: About, sighting: _Sighting) -> bool:
    """Return whether an instance says of itself what is not known; its interval may vary."""
    known = sighting.about
    return (
        about.gone_after > sighting.gone_after
        or about.service != known.service
        or about.version != known.version
        or about.sdk != known.sdk
        or about.host != known.host
        or about.processes != known.processes
        or about.rejects != known.rejects
    )
