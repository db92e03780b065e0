"""Fleet census: how many instances are in which state, for whoever scrapes metrics."""

import threading
import time
from collections import Counter, defaultdict
from typing import Final

from configsvc_server.cache.fleet import Fleet
from configsvc_server.cache.snapshots import SnapshotKey
from configsvc_server.db.database import Database
from configsvc_server.domain.access.principals import Principal, operator
from configsvc_server.domain.errors import NotFoundError
from configsvc_server.domain.fleet import FleetCount
from configsvc_server.repositories import Repositories
from configsvc_server.services.snapshots import SnapshotService
from configsvc_server.telemetry.readings import EnvironmentReading, FleetReading

__all__ = ["FleetCensus"]

_SCRAPER: Final[Principal] = operator("metrics")
_STATES: Final = ("current", "behind", "rejecting", "gone")


class FleetCensus:
    """Counts the instances of all servers, at most every few seconds, however often one scrapes."""

    INTERVAL = 10.0
    """Seconds for which a count is good, also one that has failed."""

    MAX_ENVIRONMENTS = 200
    """Environments that are told of: each is a few series of Prometheus."""

    def __init__(self, database: Database, fleet: Fleet, *, snapshots: SnapshotService) -> None:
        """Create it.

        Args:
            database: where the instances of all servers are.
            fleet: those that poll this server.
            snapshots: what environments serve.
        """
        self._database = database
        self._fleet = fleet
        self._snapshots = snapshots
        self._lock = threading.Lock()
        self._tried_at = float("-inf")
        self._environments: tuple[EnvironmentReading, ...] = ()
        self._unconverged_since: dict[SnapshotKey, float] = {}

    @property
    def reading(self) -> FleetReading:
        """State of the fleet, as it was counted last."""
        return FleetReading(len(self._fleet), self._fleet.ignored_headers, self._environments)

    def refresh(self) -> Exception | None:
        """Count, unless that was tried a moment ago; return what failed.

        Who comes while another thread counts does not wait for it.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            now = time.monotonic()
            if now - self._tried_at >= self.INTERVAL:
                self._tried_at = now
                # What nobody can count any more is not told as if it were so.
                self._environments = ()
                self._environments = self._count(now)
        except Exception as error:  # noqa: BLE001 - whatever it is, others go on
            return error
        finally:
            self._lock.release()
        return None

    def _count(self, now: float) -> tuple[EnvironmentReading, ...]:
        with self._database.monitoring() as connection:
            counts = Repositories(connection).instances.census(limit=self.MAX_ENVIRONMENTS)
        environments: defaultdict[SnapshotKey, list[FleetCount]] = defaultdict(list)
        for count in counts:
            environments[count.application_id, count.environment].append(count)
        found = {key: self._states(key, members) for key, members in environments.items()}
        late = {key for key, states in found.items() if states["behind"] or states["rejecting"]}
        self._unconverged_since = {key: self._unconverged_since.get(key, now) for key in late}
        return tuple(
            EnvironmentReading(
                environments[key][0].application,
                key[1],
                states,
                now - self._unconverged_since.get(key, now),
            )
            for key, states in found.items()
        )

    def _states(self, key: SnapshotKey, counts: list[FleetCount]) -> Counter[str]:
        try:
            served = self._snapshots.get(_SCRAPER, *key).etag
        except NotFoundError:
            served = None
        states = Counter(dict.fromkeys(_STATES, 0))
        for count in counts:
            states[count.state(served)] += count.amount
        return states
