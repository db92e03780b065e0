"""Readings: what components know of themselves anyway, read when somebody scrapes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from configsvc_server.telemetry.instruments import Sample

__all__ = [
    "CacheReading",
    "EnvironmentReading",
    "FleetReading",
    "LaneReading",
    "ListenerReading",
    "Sample",
    "ServingReading",
    "StoredReading",
    "WaiterReading",
    "cache_samples",
    "checker_samples",
    "embedded_samples",
    "fleet_samples",
    "listener_samples",
    "pool_samples",
    "serving_samples",
    "stored_samples",
    "waiter_samples",
]


@dataclass(frozen=True, slots=True)
class CacheReading:
    """State of one cache."""

    name: str
    entries: int
    hits: int
    misses: int
    changed: int
    """Values that were removed because something changed."""
    displaced: int
    """Values that were removed to make room."""
    size: int | None = None
    """Bytes; ``None`` where entries are counted instead."""
    limit: int | None = None
    """How many there may be."""


@dataclass(frozen=True, slots=True)
class WaiterReading:
    """State of the slots to wait in."""

    waiting: int
    limit: int
    refused_full: int
    refused_not_listening: int


@dataclass(frozen=True, slots=True)
class ListenerReading:
    """State of the connection that changes are heard over."""

    is_listening: bool
    heartbeat_age: float | None
    """Seconds since the last heartbeat; ``None`` where none has arrived yet."""
    connects: int
    lag: float | None = None
    """Seconds that the last heartbeat took from here to the database and back."""


@dataclass(frozen=True, slots=True)
class LaneReading:
    """State of the threads for one kind of request."""

    name: str
    queued: int
    threads: int
    limit: int
    busy: int


@dataclass(frozen=True, slots=True)
class ServingReading:
    """State of the connections and threads of a server."""

    phases: Mapping[str, int]
    """How many connections there are, by what they are doing."""
    limit: int
    accepted: int
    closed: Mapping[str, int]
    """How many were refused or closed, by reason."""
    shed: int
    refused: Mapping[tuple[str, str], int]
    """How many requests the application has not seen, by method and status."""
    input_bytes: int
    output_bytes: int
    lanes: Iterable[LaneReading]


@dataclass(frozen=True, slots=True)
class StoredReading:
    """State of the database, as it was read some seconds ago at most."""

    entities: Mapping[str, int] = field(default_factory=dict)
    write_lock_waiting: int | None = None
    migrations: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnvironmentReading:
    """Instances of one environment."""

    application: str
    environment: str
    states: Mapping[str, int]
    """How many there are, by state."""
    unconverged_seconds: float
    """For how long some of them have not served what they should."""


@dataclass(frozen=True, slots=True)
class FleetReading:
    """State of the fleet, as it was read some seconds ago at most."""

    known: int
    """Instances that this server has in memory."""
    ignored_headers: int
    environments: Iterable[EnvironmentReading] = ()


def cache_samples(readings: Iterable[CacheReading]) -> Iterator[Sample]:
    """Yield the samples of caches."""
    for reading in readings:
        labels = (reading.name,)
        yield "configsvc_cache_hits_total", labels, reading.hits
        yield "configsvc_cache_misses_total", labels, reading.misses
        yield "configsvc_cache_evictions_total", (reading.name, "changed"), reading.changed
        yield "configsvc_cache_evictions_total", (reading.name, "room"), reading.displaced
        yield "configsvc_cache_entries", labels, reading.entries
        if reading.size is not None:
            yield "configsvc_cache_bytes", labels, reading.size
        if reading.limit is not None:
            yield "configsvc_cache_limit_bytes", labels, reading.limit


def waiter_samples(reading: WaiterReading) -> Iterator[Sample]:
    """Yield the samples of the slots to wait in."""
    yield "configsvc_waiters", (), reading.waiting
    yield "configsvc_waiters_limit", (), reading.limit
    yield "configsvc_waits_refused_total", ("full",), reading.refused_full
    yield "configsvc_waits_refused_total", ("not_listening",), reading.refused_not_listening


def listener_samples(reading: ListenerReading) -> Iterator[Sample]:
    """Yield the samples of the listener."""
    yield "configsvc_listener_up", (), reading.is_listening
    yield "configsvc_listener_connects_total", (), reading.connects
    if reading.heartbeat_age is not None:
        yield "configsvc_listener_heartbeat_age_seconds", (), reading.heartbeat_age


def pool_samples(*, is_up: bool, pools: Mapping[str, Mapping[str, int]]) -> Iterator[Sample]:
    """Yield the samples of the pools of connections.

    Args:
        is_up: whether the database answered the last time.
        pools: what ``psycopg_pool`` tells of each; it leaves out what is 0.
    """
    yield "configsvc_database_up", (), is_up
    for name, stats in pools.items():
        labels = (name,)
        size, available = stats.get("pool_size", 0), stats.get("pool_available", 0)
        yield "configsvc_pool_connections", labels, size
        yield "configsvc_pool_connections_limit", labels, stats.get("pool_max", 0)
        yield "configsvc_pool_connections_in_use", labels, max(0, size - available)
        yield "configsvc_pool_waiting_requests", labels, stats.get("requests_waiting", 0)
        yield "configsvc_pool_requests_total", labels, stats.get("requests_num", 0)
        yield "configsvc_pool_queued_requests_total", labels, stats.get("requests_queued", 0)
        for metric, key in (("wait", "requests_wait_ms"), ("usage", "usage_ms")):
            yield f"configsvc_pool_{metric}_seconds_total", labels, stats.get(key, 0) / 1000
        for kind, key in (
            ("request", "requests_errors"),
            ("connect", "connections_errors"),
            ("lost", "connections_lost"),
        ):
            yield "configsvc_pool_errors_total", (name, kind), stats.get(key, 0)


def serving_samples(reading: ServingReading) -> Iterator[Sample]:
    """Yield the samples of connections, threads, and requests that were refused."""
    for phase, count in reading.phases.items():
        yield "configsvc_connections", (phase,), count
    yield "configsvc_connections_limit", (), reading.limit
    yield "configsvc_connections_accepted_total", (), reading.accepted
    for reason, count in reading.closed.items():
        yield "configsvc_connections_closed_total", (reason,), count
    yield "configsvc_requests_shed_total", (), reading.shed
    for (method, status), count in reading.refused.items():
        yield "configsvc_http_requests_total", ("refused", method, status), count
    yield "configsvc_buffered_bytes", ("in",), reading.input_bytes
    yield "configsvc_buffered_bytes", ("out",), reading.output_bytes
    lanes = list(reading.lanes)
    yield "configsvc_http_requests_in_flight", (), sum(lane.busy for lane in lanes)
    for lane in lanes:
        yield "configsvc_lane_queued_requests", (lane.name,), lane.queued
        yield "configsvc_lane_threads", (lane.name,), lane.threads
        yield "configsvc_lane_threads_limit", (lane.name,), lane.limit
        yield "configsvc_lane_busy_threads", (lane.name,), lane.busy


def stored_samples(reading: StoredReading) -> Iterator[Sample]:
    """Yield the samples of what is in the database."""
    for entity, count in reading.entities.items():
        yield "configsvc_entities", (entity,), count
    if reading.write_lock_waiting is not None:
        yield "configsvc_write_lock_waiting", (), reading.write_lock_waiting
    for state, count in reading.migrations.items():
        yield "configsvc_migrations", (state,), count


def fleet_samples(reading: FleetReading) -> Iterator[Sample]:
    """Yield the samples of the fleet."""
    yield "configsvc_fleet_known_instances", (), reading.known
    yield "configsvc_fleet_ignored_headers_total", (), reading.ignored_headers
    for found in reading.environments:
        labels = (found.application, found.environment)
        for state, count in found.states.items():
            yield "configsvc_fleet_instances", (*labels, state), count
        yield "configsvc_fleet_unconverged_seconds", labels, found.unconverged_seconds


def checker_samples(waiting: int) -> Iterator[Sample]:
    """Yield the samples of what checks schemas."""
    yield "configsvc_schema_checks_waiting", (), waiting


def embedded_samples(
    outage: Callable[[], str | None], crashes: Callable[[], int]
) -> Iterator[Sample]:
    """Yield the samples of the embedded PostgreSQL."""
    yield "configsvc_embedded_postgres_up", (), outage() is None
    yield "configsvc_embedded_postgres_crashes_total", (), crashes()
