"""Catalogue: every metric of the server, with its type, its help text and its labels.

``docs/observability.md`` has the same table for people; a test holds the two together. What a
label may say is bounded by the code: routes, methods, names of functions, never a name of a user.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["BY_NAME", "CATALOGUE", "Kind", "Metric"]

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """Definition of a metric."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets of a histogram, ascending, without that of infinity."""


_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_QUERY_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
_WAIT_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BYTES: Final = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0)

CATALOGUE: Final = (
    # Requests.
    Metric(
        "configsvc_http_requests_total",
        "counter",
        "Requests that were answered, by route template. Those that the server refused before the "
        "application saw them have the route refused, those to no known path unmatched.",
        ("route", "method", "status"),
    ),
    Metric(
        "configsvc_http_request_duration_seconds",
        "histogram",
        "Time from the start of a request in a thread to its response. Requests that were put "
        "aside to wait for a change are left out.",
        ("route", "method"),
        _REQUEST_SECONDS,
    ),
    Metric(
        "configsvc_http_requests_in_flight",
        "gauge",
        "Requests that a thread works on. Those that wait for a change are not among them.",
    ),
    Metric(
        "configsvc_http_request_size_bytes",
        "histogram",
        "Size of the bodies of requests; those without a body are left out.",
        ("route",),
        _BYTES,
    ),
    Metric(
        "configsvc_http_response_size_bytes",
        "histogram",
        "Size of the bodies of responses, as sent; those without a body are left out.",
        ("route",),
        _BYTES,
    ),
    Metric(
        "configsvc_authentications_total",
        "counter",
        "Requests to the API by what they showed (token, jwt, session, other, none) and what came "
        "of it (accepted, refused, limited, unavailable).",
        ("kind", "outcome"),
    ),
    Metric(
        "configsvc_rate_limited_requests_total",
        "counter",
        "Requests that were refused with 429, by the limit: that of a principal, or that of "
        "failures of an address.",
        ("limit",),
    ),
    Metric(
        "configsvc_sign_ins_total",
        "counter",
        "Attempts to sign in with a browser, by way (issuer, token) and outcome (accepted, "
        "refused, unavailable).",
        ("kind", "outcome"),
    ),
    # Connections and threads.
    Metric(
        "configsvc_connections",
        "gauge",
        "Open connections of clients by what they are doing.",
        ("phase",),
    ),
    Metric("configsvc_connections_limit", "gauge", "Connections of clients that there may be."),
    Metric("configsvc_connections_accepted_total", "counter", "Connections that were accepted."),
    Metric(
        "configsvc_connections_closed_total",
        "counter",
        "Connections that were refused because there were too many (refused), or closed: to make "
        "room (room), because what they kept in memory was needed (memory), because they took "
        "their response too slowly (slow_response), or because they sent nothing (idle).",
        ("reason",),
    ),
    Metric(
        "configsvc_requests_shed_total",
        "counter",
        "Requests that were refused with 503 because no thread became free in time, or no memory.",
    ),
    Metric(
        "configsvc_buffered_bytes",
        "gauge",
        "Memory of request bodies and of responses that clients have yet to take.",
        ("direction",),
    ),
    Metric(
        "configsvc_lane_queued_requests", "gauge", "Requests that wait for a thread.", ("lane",)
    ),
    Metric("configsvc_lane_threads", "gauge", "Threads that were started.", ("lane",)),
    Metric("configsvc_lane_threads_limit", "gauge", "Threads that there may be.", ("lane",)),
    Metric("configsvc_lane_busy_threads", "gauge", "Threads that work on a request.", ("lane",)),
    # What is in memory, and who waits for it to change.
    Metric(
        "configsvc_cache_hits_total", "counter", "Lookups that found a value in memory.", ("cache",)
    ),
    Metric(
        "configsvc_cache_misses_total",
        "counter",
        "Lookups that loaded a value, or shared a load that was under way.",
        ("cache",),
    ),
    Metric(
        "configsvc_cache_evictions_total",
        "counter",
        "Values that were removed: because something changed, or to make room.",
        ("cache", "reason"),
    ),
    Metric("configsvc_cache_entries", "gauge", "Values in memory.", ("cache",)),
    Metric(
        "configsvc_cache_bytes",
        "gauge",
        "Memory of the values, for the caches that are bounded by it.",
        ("cache",),
    ),
    Metric("configsvc_cache_limit_bytes", "gauge", "Memory that the values may take.", ("cache",)),
    Metric("configsvc_waiters", "gauge", "Requests that wait for a change."),
    Metric("configsvc_waiters_limit", "gauge", "Requests that may wait for a change."),
    Metric(
        "configsvc_waits_refused_total",
        "counter",
        "Requests that wanted to wait and were answered at once: all slots were taken (full), or "
        "changes were not sure to be noticed (not_listening).",
        ("reason",),
    ),
    Metric(
        "configsvc_wake_delay_seconds",
        "histogram",
        "Time from the eviction that woke a waiting request to its response.",
        (),
        _WAIT_SECONDS,
    ),
    # Changes.
    Metric(
        "configsvc_changes_total",
        "counter",
        "Changes that this server was told of, whichever server made them.",
        ("entity", "action"),
    ),
    Metric(
        "configsvc_notification_lag_seconds",
        "histogram",
        "Time from the moment before a change was committed to its eviction here, by the clock of "
        "the database.",
        (),
        _WAIT_SECONDS,
    ),
    Metric(
        "configsvc_listener_up",
        "gauge",
        "Whether notifications of changes are sure to arrive; without them nothing is cached.",
    ),
    Metric(
        "configsvc_listener_heartbeat_age_seconds",
        "gauge",
        "Time since the last heartbeat over the connection of the listener arrived.",
    ),
    Metric(
        "configsvc_listener_connects_total",
        "counter",
        "Connections that the listener has made; more than one means that it lost some.",
    ),
    # The database.
    Metric(
        "configsvc_database_up",
        "gauge",
        "Whether the database answered the last time that it was asked.",
    ),
    Metric("configsvc_pool_connections", "gauge", "Connections of a pool.", ("pool",)),
    Metric(
        "configsvc_pool_connections_limit", "gauge", "Connections that a pool may have.", ("pool",)
    ),
    Metric("configsvc_pool_connections_in_use", "gauge", "Connections that work.", ("pool",)),
    Metric(
        "configsvc_pool_waiting_requests",
        "gauge",
        "Requests that wait for a connection.",
        ("pool",),
    ),
    Metric("configsvc_pool_requests_total", "counter", "Requests for a connection.", ("pool",)),
    Metric(
        "configsvc_pool_queued_requests_total",
        "counter",
        "Requests for a connection that had to wait.",
        ("pool",),
    ),
    Metric(
        "configsvc_pool_wait_seconds_total",
        "counter",
        "Time that requests have waited for a connection.",
        ("pool",),
    ),
    Metric(
        "configsvc_pool_usage_seconds_total",
        "counter",
        "Time that connections have been in use.",
        ("pool",),
    ),
    Metric(
        "configsvc_pool_errors_total",
        "counter",
        "Requests that got no connection in time (request), connections that could not be made "
        "(connect), and connections that were lost (lost).",
        ("pool", "kind"),
    ),
    Metric(
        "configsvc_query_duration_seconds",
        "histogram",
        "Time of the calls of a function of the repositories, round trips included. In a "
        "transaction, what nobody waits for is sent with the next statement and counts there.",
        ("query",),
        _QUERY_SECONDS,
    ),
    Metric(
        "configsvc_write_lock_wait_seconds",
        "histogram",
        "Time of the statements that wait for the write lock: of the one that acquires it alone, "
        "or of a write that is one statement as a whole.",
        ("statement",),
        _WAIT_SECONDS,
    ),
    Metric(
        "configsvc_write_lock_waiting",
        "gauge",
        "Sessions of all servers that wait for the write lock, up to 10 seconds ago.",
    ),
    Metric(
        "configsvc_entities",
        "gauge",
        "Rows that there are in the database, up to 10 seconds ago.",
        ("entity",),
    ),
    Metric(
        "configsvc_migrations",
        "gauge",
        "Migrations by state: applied, pending, changed or missing, up to 10 seconds ago.",
        ("state",),
    ),
    Metric(
        "configsvc_migration_seconds",
        "gauge",
        "Time that this server has spent on migrations when it started.",
    ),
    Metric(
        "configsvc_embedded_postgres_up",
        "gauge",
        "Whether the embedded PostgreSQL runs; missing where another one is used.",
    ),
    Metric(
        "configsvc_embedded_postgres_crashes_total",
        "counter",
        "Unexpected ends of the embedded PostgreSQL; missing where another one is used.",
    ),
    # The fleet.
    Metric(
        "configsvc_fleet_instances",
        "gauge",
        "Instances by what they have of what the environment serves now: current, behind, "
        "rejecting, or gone, as all servers together know them, up to 10 seconds ago; of the 200 "
        "environments with the most of them.",
        ("application", "environment", "state"),
    ),
    Metric(
        "configsvc_fleet_unconverged_seconds",
        "gauge",
        "Time for which some instance has been behind or rejecting without a break, 0 where none "
        "is; of the same environments, as far as this server has looked.",
        ("application", "environment"),
    ),
    Metric(
        "configsvc_fleet_known_instances",
        "gauge",
        "Instances that poll this server, as it keeps them in memory.",
    ),
    Metric(
        "configsvc_fleet_ignored_headers_total",
        "counter",
        "Headers of polls that say nothing of an instance that could be understood.",
    ),
    # Schemas.
    Metric(
        "configsvc_schema_checks_total",
        "counter",
        "Checks of schemas and of values by them: passed, violated, killed because they took too "
        "much, refused because too many waited, or failed.",
        ("outcome",),
    ),
    Metric(
        "configsvc_schema_check_duration_seconds",
        "histogram",
        "Time of the checks, with that for a process to become free, by where they ran.",
        ("place",),
        _WAIT_SECONDS,
    ),
    Metric(
        "configsvc_schema_checks_waiting", "gauge", "Checks that wait for a process of their own."
    ),
    # The process itself.
    Metric(
        "configsvc_build_info",
        "gauge",
        "Version of the server; always 1.",
        ("version", "python_version"),
    ),
    Metric("configsvc_start_time_seconds", "gauge", "When the server started, as Unix time."),
    Metric(
        "configsvc_scrape_errors_total",
        "counter",
        "Parts of a scrape that could not be read, and are missing from it or older.",
        ("source",),
    ),
)

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}
