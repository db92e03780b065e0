"""Fleet census: how many instances are in which state, for whoever scrapes metrics."""

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
from configsvc_server.services.periodic_reader import PeriodicReader
from configsvc_server.services.snapshots import SnapshotService
from configsvc_server.telemetry.readings import EnvironmentReading, FleetReading

__all__ = ["FleetCensus"]

_SCRAPER: Final[Principal] = operator("metrics")
_STATES: Final = ("current", "behind", "rejecting", "gone")


class FleetCensus(PeriodicReader[tuple[EnvironmentReading, ...]]):
    """Counts the instances of all servers."""

    MAX_AGE = PeriodicReader.INTERVAL
    """Seconds after which a count is shown no more: what nobody can count is not told as if it
    were so."""

    MAX_ENVIRONMENTS = 200
    """Environments that are told of: each is a few series of Prometheus."""

    def __init__(self, database: Database, fleet: Fleet, *, snapshots: SnapshotService) -> None:
        """Create it.

        Args:
            database: where the instances of all servers are.
            fleet: those that poll this server.
            snapshots: what environments serve.
        """
        super().__init__(())
        self._database = database
        self._fleet = fleet
        self._snapshots = snapshots
        self._unconverged_since: dict[SnapshotKey, float] = {}

    @property
    def reading(self) -> FleetReading:
        """State of the fleet, as it was counted last."""
        return FleetReading(len(self._fleet), self._fleet.ignored_headers, self.latest)

    def _read(self) -> tuple[EnvironmentReading, ...]:
        now = time.monotonic()
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
