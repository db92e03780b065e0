"""Panels of the dashboard: what each shows, in which unit, and what it means.

In expressions, ``@`` stands for the servers that are looked at. What all servers of a database
know alike is not summed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["ROWS", "Panel"]

Query: TypeAlias = tuple[str, str]
"""Expression, and the legend of its series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Graph over time, or a number."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    is_number: bool = False
    is_stacked: bool = False
    color: str = "green"
    """Of a small number."""
    colors: Sequence[tuple[float, str]] = ()
    """From which values on a number has another color."""

    @property
    def width(self) -> int:
        """Of the 24 columns."""
        return 4 if self.is_number else 8

    @property
    def height(self) -> int:
        """Rows of the grid."""
        return 4 if self.is_number else 8


def _graph(
    title: str, description: str, unit: str, *queries: Query, stacked: bool = False
) -> Panel:
    return Panel(
        title=title, description=description, unit=unit, queries=queries, is_stacked=stacked
    )


def _number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *colors: tuple[float, str],
    color: str = "green",
) -> Panel:
    return Panel(
        title=title,
        description=description,
        unit=unit,
        queries=(query,),
        is_number=True,
        color=color,
        colors=colors,
    )


def _rate(metric: str, *, by: str = "", where: str = "") -> str:
    """Return the events a second, by some labels."""
    return f"sum by ({by}) (rate({metric}{{@{where}}}[$__rate_interval]))"


def _quantiles(metric: str, *, by: str = "", where: str = "") -> Iterator[Query]:
    """Yield the median and the 95th and 99th percentile of a histogram."""
    labels, legend = (f"le, {by}", f"{{{{{by}}}}} ") if by else ("le", "")
    buckets = _rate(f"{metric}_bucket", by=labels, where=where)
    for share in (0.5, 0.95, 0.99):
        yield f"histogram_quantile({share}, {buckets})", f"{legend}p{share * 100:.0f}"


_API: Final = ', route=~"/api/.+"'
_FAILED: Final = 'route=~"/api/.+|refused", status=~"50[0234]"'

_OVERVIEW: Final = (
    _number(
        "Servers",
        "Servers that Prometheus reaches.",
        "none",
        ('sum(up{job="$job"})', ""),
    ),
    _number(
        "Requests",
        "Requests that are answered each second.",
        "reqps",
        (_rate("configsvc_http_requests_total"), ""),
    ),
    _number(
        "Failures",
        "Share of the requests to the API that get 500, 502, 503 or 504.",
        "percentunit",
        (
            f"({_rate('configsvc_http_requests_total', where=f', {_FAILED}')} or vector(0)) / "
            + _rate("configsvc_http_requests_total", where=', route=~"/api/.+|refused"'),
            "",
        ),
        (0.001, "orange"),
        (0.01, "red"),
    ),
    _number(
        "Latency",
        "99 % of the requests to the API take less than this; those that wait are left out.",
        "s",
        list(_quantiles("configsvc_http_request_duration_seconds", where=_API))[2],
        (0.1, "orange"),
        (1.0, "red"),
    ),
    _number(
        "Budget left",
        "Share of the error budget of 30 days that is left, of the promise that is worst off.",
        "percentunit",
        ('1 - max(configsvc:slo_burn:rate30d{job="$job"})', ""),
        (0.0, "orange"),
        (0.25, "green"),
        color="red",
    ),
    _number(
        "Alerts",
        "Alerts that fire.",
        "none",
        (
            'count(ALERTS{alertname=~"Configsvc.+", alertstate="firing", job="$job"}) or vector(0)',
            "",
        ),
        (1.0, "red"),
    ),
    _graph(
        "Requests by status",
        "Requests that are answered each second.",
        "reqps",
        (_rate("configsvc_http_requests_total", by="status"), "{{status}}"),
        stacked=True,
    ),
    _graph(
        "Latency",
        "Time to answer a request to the API; those that wait for a change are left out.",
        "s",
        *_quantiles("configsvc_http_request_duration_seconds", where=_API),
    ),
    _graph(
        "Burn rate",
        "How many times as fast as allowed the error budgets were used up in the last hour: 1 uses "
        "one up in 30 days, and from 14.4 on somebody is woken.",
        "none",
        ('configsvc:slo_burn:rate1h{job="$job"}', "{{slo}}"),
    ),
    _graph(
        "Requests by route",
        "The ten routes with most requests.",
        "reqps",
        (
            f"topk(10, {_rate('configsvc_http_requests_total', by='method, route')})",
            "{{method}} {{route}}",
        ),
    ),
    _graph(
        "Slowest routes",
        "The ten routes with the highest 95th percentile of the time to answer.",
        "s",
        (
            "topk(10, histogram_quantile(0.95, "
            + _rate("configsvc_http_request_duration_seconds_bucket", by="le, method, route")
            + "))",
            "{{method}} {{route}}",
        ),
    ),
    _graph(
        "Alerts",
        "Alerts that fire.",
        "none",
        (
            "count by (alertname, slo) "
            '(ALERTS{alertname=~"Configsvc.+", alertstate="firing", job="$job"})',
            "{{alertname}} {{slo}}",
        ),
        stacked=True,
    ),
)

_READS: Final = (
    _graph(
        "Cache hits",
        "Share of the lookups that find a value in memory.",
        "percentunit",
        (
            f"{_rate('configsvc_cache_hits_total', by='cache')} / "
            f"({_rate('configsvc_cache_hits_total', by='cache')} + "
            f"{_rate('configsvc_cache_misses_total', by='cache')})",
            "{{cache}}",
        ),
    ),
    _graph(
        "Cache memory",
        "Memory of the values, as a share of what they may take.",
        "percentunit",
        (
            "max by (cache) (configsvc_cache_bytes{@} / configsvc_cache_limit_bytes{@})",
            "{{cache}}",
        ),
    ),
    _graph(
        "Evictions",
        "Values that are removed each second: because something changed, or to make room.",
        "ops",
        (_rate("configsvc_cache_evictions_total", by="cache, reason"), "{{cache}} {{reason}}"),
    ),
    _graph(
        "Waiters",
        "Requests that wait for a change, and how many there may be.",
        "none",
        ("sum(configsvc_waiters{@})", "waiting"),
        ("sum(configsvc_waiters_limit{@})", "limit"),
    ),
    _graph(
        "Wake delay",
        "Time from the eviction that woke a waiting request to its response.",
        "s",
        *_quantiles("configsvc_wake_delay_seconds"),
    ),
    _graph(
        "Notification lag",
        "Time from just before the commit of a change to its eviction in a server.",
        "s",
        *_quantiles("configsvc_notification_lag_seconds"),
    ),
    _graph(
        "Waits refused",
        "Requests each second that wanted to wait and were answered at once.",
        "reqps",
        (_rate("configsvc_waits_refused_total", by="reason"), "{{reason}}"),
    ),
    _graph(
        "Listener",
        "Time since the last heartbeat over the connection on which changes are heard of.",
        "s",
        ("configsvc_listener_heartbeat_age_seconds{@}", "{{instance}}"),
    ),
    _graph(
        "Size of responses",
        "Bytes that are sent each second in the bodies of responses.",
        "Bps",
        (
            f"topk(10, {_rate('configsvc_http_response_size_bytes_sum', by='route')})",
            "{{route}}",
        ),
    ),
)

_WRITES: Final = (
    _graph(
        "Changes",
        "Changes each second, whichever server made them.",
        "ops",
        (
            "max by (entity, action) (rate(configsvc_changes_total{@}[$__rate_interval]))",
            "{{entity}} {{action}}",
        ),
        stacked=True,
    ),
    _graph(
        "Wait for the write lock",
        "Time of the statements that wait for it: alone, or with a whole write.",
        "s",
        *_quantiles("configsvc_write_lock_wait_seconds", by="statement"),
    ),
    _graph(
        "Writes that wait",
        "Sessions of all servers that wait for the write lock now.",
        "none",
        ("max(configsvc_write_lock_waiting{@})", "waiting"),
    ),
    _graph(
        "Pools",
        "Connections that work, as a share of those that a pool may have.",
        "percentunit",
        (
            "max by (pool) "
            "(configsvc_pool_connections_in_use{@} / configsvc_pool_connections_limit{@})",
            "{{pool}}",
        ),
    ),
    _graph(
        "Wait for a connection",
        "Mean time that a request waits for a connection of a pool.",
        "s",
        (
            f"{_rate('configsvc_pool_wait_seconds_total', by='pool')} / "
            + _rate("configsvc_pool_requests_total", by="pool"),
            "{{pool}}",
        ),
    ),
    _graph(
        "Errors of pools",
        "Requests without a connection, connections that could not be made or were lost.",
        "ops",
        (_rate("configsvc_pool_errors_total", by="pool, kind"), "{{pool}} {{kind}}"),
    ),
    _graph(
        "Time of queries",
        "The ten functions that the database works on most: seconds of work each second.",
        "percentunit",
        (
            f"topk(10, {_rate('configsvc_query_duration_seconds_sum', by='query')})",
            "{{query}}",
        ),
    ),
    _graph(
        "Slowest queries",
        "The ten functions with the highest 95th percentile.",
        "s",
        (
            "topk(10, histogram_quantile(0.95, "
            + _rate("configsvc_query_duration_seconds_bucket", by="le, query")
            + "))",
            "{{query}}",
        ),
    ),
    _graph(
        "Rows",
        "What is in the database.",
        "none",
        ("max by (entity) (configsvc_entities{@})", "{{entity}}"),
    ),
)

_CHECKS: Final = (
    _graph(
        "Schema checks",
        "Checks each second by what came of them.",
        "ops",
        (_rate("configsvc_schema_checks_total", by="outcome"), "{{outcome}}"),
        stacked=True,
    ),
    _graph(
        "Time of checks",
        "By where they run, with the time for a process to become free.",
        "s",
        *_quantiles("configsvc_schema_check_duration_seconds", by="place"),
    ),
    _graph(
        "Checks that wait",
        "Checks that wait for a process of their own.",
        "none",
        ("sum(configsvc_schema_checks_waiting{@})", "waiting"),
    ),
)

_PROCESS: Final = (
    _graph(
        "Processor",
        "Cores that each server uses.",
        "percentunit",
        ("rate(process_cpu_seconds_total{@}[$__rate_interval])", "{{instance}}"),
    ),
    _graph(
        "Memory",
        "Resident memory of each server, without child processes.",
        "bytes",
        ("process_resident_memory_bytes{@}", "{{instance}}"),
    ),
    _graph(
        "Buffers",
        "Memory of request bodies, and of responses that clients have yet to take.",
        "bytes",
        ("sum by (direction) (configsvc_buffered_bytes{@})", "{{direction}}"),
    ),
    _graph(
        "Threads",
        "Threads that work on a request, as a share of those that there may be.",
        "percentunit",
        (
            "max by (lane) (configsvc_lane_busy_threads{@} / configsvc_lane_threads_limit{@})",
            "{{lane}}",
        ),
    ),
    _graph(
        "Requests in queues",
        "Requests that wait for a thread.",
        "none",
        ("sum by (lane) (configsvc_lane_queued_requests{@})", "{{lane}}"),
    ),
    _graph(
        "Refused for want of room",
        "Requests without a thread or memory, and connections that were refused or closed.",
        "ops",
        (_rate("configsvc_requests_shed_total"), "requests"),
        (_rate("configsvc_connections_closed_total", by="reason"), "connections: {{reason}}"),
    ),
    _graph(
        "Connections",
        "Open connections by what they are doing.",
        "none",
        ("sum by (phase) (configsvc_connections{@})", "{{phase}}"),
        ("sum(configsvc_connections_limit{@})", "limit"),
    ),
    _graph(
        "Open files",
        "As a share of those that a server may open.",
        "percentunit",
        ("process_open_fds{@} / process_max_fds{@}", "{{instance}}"),
    ),
    _graph(
        "Uptime",
        "Time since each server started, by its version.",
        "s",
        (
            "(time() - configsvc_start_time_seconds{@}) * on (job, instance) "
            "group_left (version) configsvc_build_info{@}",
            "{{instance}} {{version}}",
        ),
    ),
    _graph(
        "Database",
        "1 where it answered the last time that it was asked; the embedded one: where it runs.",
        "none",
        ("configsvc_database_up{@}", "{{instance}}"),
        ("configsvc_embedded_postgres_up{@}", "{{instance}} embedded"),
    ),
    _graph(
        "Migrations",
        "By state; anything but applied is a reason to look.",
        "none",
        ("max by (state) (configsvc_migrations{@})", "{{state}}"),
    ),
    _graph(
        "Scrape errors",
        "Parts of the metrics that could not be read.",
        "ops",
        (_rate("configsvc_scrape_errors_total", by="source"), "{{source}}"),
    ),
)

_FLEET: Final = (
    _graph(
        "Instances",
        "Instances of all environments by what they serve.",
        "none",
        (
            "sum by (state) "
            "(max by (application, environment, state) (configsvc_fleet_instances{@}))",
            "{{state}}",
        ),
        stacked=True,
    ),
    _graph(
        "Instances that are behind, or reject",
        "By environment: those that do not serve what they should, or can't use it.",
        "none",
        (
            "max by (application, environment, state) "
            '(configsvc_fleet_instances{@, state=~"behind|rejecting"}) > 0',
            "{{application}} {{environment}} {{state}}",
        ),
    ),
    _graph(
        "Releases under way",
        "Time for which some instance has been behind, or rejects what it should serve, by "
        "environment.",
        "s",
        (
            "max by (application, environment) (configsvc_fleet_unconverged_seconds{@}) > 0",
            "{{application}} {{environment}}",
        ),
    ),
    _graph(
        "Instances in memory",
        "Instances that poll each server.",
        "none",
        ("configsvc_fleet_known_instances{@}", "{{instance}}"),
    ),
    _graph(
        "Headers that are ignored",
        "Polls that say nothing of an instance that could be understood.",
        "reqps",
        (_rate("configsvc_fleet_ignored_headers_total"), "ignored"),
    ),
    _graph(
        "Stale applications",
        "Processes that may not know the newest version, as they say themselves, where Prometheus "
        "scrapes them.",
        "none",
        (
            "sum by (application, environment) (configsvc_client_stale)",
            "{{application}} {{environment}}",
        ),
    ),
    _graph(
        "Age of snapshots",
        "Longest time since a process last knew that its snapshot was current.",
        "s",
        (
            "max by (application, environment) (configsvc_client_snapshot_age_seconds)",
            "{{application}} {{environment}}",
        ),
    ),
    _graph(
        "Objects that do not follow",
        "Bound objects in applications that a configuration does not fit.",
        "none",
        (
            "sum by (application, environment) (configsvc_client_rejected_bindings)",
            "{{application}} {{environment}}",
        ),
    ),
)

_ACCESS: Final = (
    _graph(
        "Authentication",
        "Requests to the API by what they showed, and what came of it.",
        "reqps",
        (_rate("configsvc_authentications_total", by="kind, outcome"), "{{kind}} {{outcome}}"),
    ),
    _graph(
        "Sign-ins",
        "Attempts to sign in with a browser.",
        "ops",
        (_rate("configsvc_sign_ins_total", by="kind, outcome"), "{{kind}} {{outcome}}"),
    ),
    _graph(
        "Refused",
        "Requests that get 401 or 403, or are refused by a rate limit.",
        "reqps",
        (
            _rate("configsvc_http_requests_total", by="status", where=', status=~"401|403"'),
            "{{status}}",
        ),
        (_rate("configsvc_rate_limited_requests_total", by="limit"), "429 {{limit}}"),
    ),
)

ROWS: Final[Sequence[tuple[str, Sequence[Panel]]]] = (
    ("Overview", _OVERVIEW),
    ("Reads", _READS),
    ("Writes and the database", _WRITES),
    ("Schema checks", _CHECKS),
    ("Process", _PROCESS),
    ("Fleet", _FLEET),
    ("Authentication", _ACCESS),
)
"""All of them, from top to bottom."""
