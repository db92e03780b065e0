"""Collector of Prometheus metrics about the views of a client (extra ``prometheus``)."""

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from configsvc_client._view.status import Status

__all__ = ["ConfigCollector"]

_LABELS: Final = ("application", "environment")


class _View(Protocol):
    def status(self) -> "Status": ...


class _Client(Protocol):
    @property
    def _views(self) -> "Mapping[tuple[str, str], _View]": ...


class ConfigCollector(Collector):
    """Collector that reads the status of each view at each scrape, also of views to come.

    It sends no request and starts no view. It does not keep the client alive; without the
    client there are no metrics any more.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> registry = CollectorRegistry()
        >>> registry.register(ConfigCollector(client))
        >>> view = {"application": "billing", "environment": "default"}
        >>> registry.get_sample_value("configsvc_client_configurations", view)
        2
    """

    def __init__(self, client: _Client) -> None:
        """Create a collector, to be registered with a registry.

        Args:
            client: a ``ConfigClient``; one registry takes the collector of one client.
        """
        self._client = weakref.ref(client)

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without samples, so that registering them reads no status.

        Example:
            >>> [metric.name for metric in ConfigCollector(client).describe()][:2]
            ['configsvc_client_snapshot_age_seconds', 'configsvc_client_stale']
        """
        return _metrics(())

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all views.

        Example:
            >>> [metric.type for metric in ConfigCollector(client).collect()][:2]
            ['gauge', 'gauge']
        """
        client = self._client()
        views = () if client is None else tuple(client._views.values())
        return _metrics([view.status() for view in views])


def _metrics(statuses: "Sequence[Status]") -> Iterator[Metric]:
    """Yield the metrics, each with a sample for each view."""
    age = GaugeMetricFamily(
        "configsvc_client_snapshot_age_seconds",
        "Seconds since the snapshot was last known to be current; absent where there is none.",
        labels=_LABELS,
    )
    stale = GaugeMetricFamily(
        "configsvc_client_stale",
        "1 where a newer snapshot may exist unnoticed, or where there is none yet; 0 otherwise.",
        labels=_LABELS,
    )
    configurations = GaugeMetricFamily(
        "configsvc_client_configurations", "Configurations of the snapshot.", labels=_LABELS
    )
    rejected = GaugeMetricFamily(
        "configsvc_client_rejected_bindings",
        "Bound objects that do not follow, since the configuration does not fit them.",
        labels=_LABELS,
    )
    polls = CounterMetricFamily(
        "configsvc_client_polls", "Requests for the snapshot, also failed ones.", labels=_LABELS
    )
    failures = CounterMetricFamily(
        "configsvc_client_poll_failures", "Requests for the snapshot that failed.", labels=_LABELS
    )
    changes = CounterMetricFamily(
        "configsvc_client_changes", "Snapshots put in place, the first included.", labels=_LABELS
    )
    info = InfoMetricFamily(
        "configsvc_client_snapshot",
        "Version of the snapshot, where it is from, and how changes come.",
        labels=_LABELS,
    )
    for status in statuses:
        labels = (status.application, status.environment)
        if status.age is not None:
            age.add_metric(labels, status.age)
        stale.add_metric(labels, status.stale)
        configurations.add_metric(labels, status.configurations)
        rejected.add_metric(labels, len(status.rejected))
        polls.add_metric(labels, status.polls)
        failures.add_metric(labels, status.failures)
        changes.add_metric(labels, status.changes)
        info.add_metric(
            labels,
            {
                "version": status.version or "",
                "source": status.source or "",
                "mode": status.mode or "",
            },
        )
    yield from (age, stale, configurations, rejected, polls, failures, changes, info)
