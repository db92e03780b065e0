"""Metrics of one server: a registry, what is observed while it works, and what is read later."""

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from configsvc_server.telemetry.exposition import Exposition, render
from configsvc_server.telemetry.instruments import Counter, Histogram, Sample, families
from configsvc_server.telemetry.requests import RequestMetrics

__all__ = ["Metrics"]

_log = structlog.stdlib.get_logger(__name__)

# They acquire the write lock within the one statement that they are.
_WRITE_STATEMENTS: Final = frozenset({"configurations.insert", "configurations.update"})
_OUTCOMES: Final = ("passed", "violated", "killed", "refused", "failed")

_ACQUIRE: Final = "changes.acquire_write_lock"


class Metrics:
    """Everything that one server exports.

    A process may have several servers, so nothing of this is global.
    """

    def __init__(self, *, version: str) -> None:
        """Create a registry with nothing observed yet.

        Args:
            version: of the server.
        """
        self.requests = RequestMetrics()
        self.wake_delay = Histogram("configsvc_wake_delay_seconds")
        self.notification_lag = Histogram("configsvc_notification_lag_seconds")
        self._queries = Histogram("configsvc_query_duration_seconds")
        self._write_lock = Histogram("configsvc_write_lock_wait_seconds")
        self._check_duration = Histogram("configsvc_schema_check_duration_seconds")
        self._checks = Counter(
            "configsvc_schema_checks_total", known=[(outcome,) for outcome in _OUTCOMES]
        )
        self._changes = Counter("configsvc_changes_total")
        self._migration_seconds = 0.0
        self._sources: list[tuple[str, Callable[[], Iterable[Sample]]]] = []
        self._errors = Counter("configsvc_scrape_errors_total")
        self._started_at = time.time()
        self._build = (version, platform.python_version())
        self.registry: Final = CollectorRegistry(auto_describe=False)
        """What a scrape shows."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(
            _Scrape(
                [self._read_self, self._checks.samples, self._changes.samples],
                self._sources,
                [
                    self.wake_delay,
                    self.notification_lag,
                    self._queries,
                    self._write_lock,
                    self._check_duration,
                ],
                self.requests,
                self._errors,
            )
        )

    def watch(self, source: str, read: Callable[[], Iterable[Sample]]) -> None:
        """Have something read whenever somebody scrapes.

        Args:
            source: name of it, for the error that it may raise.
            read: returns its samples; what it raises costs those of its own that were to come
                and nothing else.
        """
        self._sources.append((source, read))
        self._errors.add(source, amount=0)

    def render(self, *, accept: str = "", compressed: bool = False) -> Exposition:
        """Return all that there is, for a scraper (see :func:`render`)."""
        return render(self.registry, accept=accept, compressed=compressed)

    def query_done(self, query: str, seconds: float) -> None:
        """Record a call of a function of the repositories."""
        self._queries.observe(seconds, query)
        if query == _ACQUIRE:
            self._write_lock.observe(seconds, "acquire")
        elif query in _WRITE_STATEMENTS:
            self._write_lock.observe(seconds, "write")

    def change_seen(self, entity: str, action: str, lag: float | None) -> None:
        """Record a change that this server was told of.

        Args:
            entity: what was changed.
            action: how.
            lag: how long ago, in seconds; ``None`` where that is not known.
        """
        self._changes.add(entity, action)
        if lag is not None:
            self.notification_lag.observe(lag)

    def schema_checked(self, outcome: str, place: str, seconds: float) -> None:
        """Record a check of a schema or of values by one."""
        self._checks.add(outcome)
        self._check_duration.observe(seconds, place)

    def migrated(self, seconds: float) -> None:
        """Record that a migration was applied."""
        self._migration_seconds += seconds

    def _read_self(self) -> Iterator[Sample]:
        yield "configsvc_build_info", self._build, 1
        yield "configsvc_start_time_seconds", (), self._started_at
        yield "configsvc_migration_seconds", (), self._migration_seconds


class _Scrape(Collector):
    """Everything at one moment, as ``prometheus_client`` wants it."""

    def __init__(
        self,
        own: list[Callable[[], Iterable[Sample]]],
        sources: list[tuple[str, Callable[[], Iterable[Sample]]]],
        histograms: list[Histogram],
        requests: RequestMetrics,
        errors: Counter,
    ) -> None:
        self._own = own
        self._sources = sources
        self._histograms = [*histograms, *requests.histograms]
        self._requests = requests
        self._errors = errors
        self._lock = threading.Lock()
        self._failing: set[str] = set()

    def describe(self) -> Iterable[Family]:
        """Return nothing: the registry need not look for duplicates by a scrape."""
        return []

    def collect(self) -> Iterator[Family]:
        """Yield the families; never raises."""
        samples: list[Sample] = []
        for read_own in self._own:
            samples += read_own()
        for source, read in list(self._sources):
            samples += self._read(source, read)
        samples += self._requests.samples()
        samples += self._errors.samples()
        yield from families(samples)
        for histogram in self._histograms:
            yield histogram.family()

    def _read(self, source: str, read: Callable[[], Iterable[Sample]]) -> list[Sample]:
        found: list[Sample] = []
        try:
            # One by one, so that those before an error are kept.
            found.extend(read())
        except Exception as error:  # noqa: BLE001 - a scrape shows what there is
            self._errors.add(source)
            with self._lock:
                is_new = source not in self._failing
                self._failing.add(source)
            if is_new:
                _log.warning("metrics can't be read", source=source, error=str(error).strip())
            return found
        with self._lock:
            self._failing.discard(source)
        return found
