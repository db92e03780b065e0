"""Instruments: counters and histograms that are cheap where they are used.

Those of ``prometheus_client`` look for the child of the labels first, and take a lock for each
bucket and sum: with all that a request observes, more than is left of the time for it. These take
one lock, and become families of ``prometheus_client`` when they are scraped.
"""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.utils import floatToGoString

from configsvc_server.telemetry.catalogue import BY_NAME, CATALOGUE, Metric

__all__ = ["Counter", "Histogram", "Labels", "Sample", "families"]

Labels: TypeAlias = tuple[str, ...]
"""Values of the labels, in the order of the metric."""

Sample: TypeAlias = tuple[str, Labels, float]
"""Name of a metric that is no histogram, the values of its labels, and its value."""


class Counter:
    """Number that only grows, for each combination of labels."""

    def __init__(self, name: str, *, known: Iterable[Labels] = ()) -> None:
        """Begin at 0.

        Args:
            name: of the metric in the catalogue.
            known: labels that are shown from the beginning: where a series begins with its first
                event, Prometheus does not see it as an increase.
        """
        self._name = name
        self._lock = threading.Lock()
        self._values: defaultdict[Labels, float] = defaultdict(float, dict.fromkeys(known, 0.0))

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count something."""
        with self._lock:
            self._values[labels] += amount

    def samples(self) -> Iterator[Sample]:
        """Yield the values."""
        with self._lock:
            values = list(self._values.items())
        for labels, value in values:
            yield self._name, labels, value


class Histogram:
    """Distribution of a value, for each combination of labels."""

    def __init__(self, name: str, *, lock: "threading.Lock | None" = None) -> None:
        """Begin with no value.

        Args:
            name: of the metric in the catalogue.
            lock: guards the values; by default one of its own.
        """
        self.metric = BY_NAME[name]
        self.bounds = self.metric.bounds
        self._lock = lock or threading.Lock()
        self._series: dict[Labels, list[float]] = {}
        if not self.metric.labels:
            self.series(())

    def observe(self, value: float, *labels: str) -> None:
        """Add a value."""
        bucket = bisect_left(self.bounds, value)
        with self._lock:
            series = self.series(labels)
            series[bucket] += 1
            series[-1] += value

    def series(self, labels: Labels) -> list[float]:
        """Return how many values are in each bucket, and their sum at the end.

        Whoever reads or changes it holds the lock.
        """
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = [0.0] * (len(self.bounds) + 2)
        return found

    def family(self) -> Family:
        """Return the distribution as it is now."""
        family = HistogramMetricFamily(
            self.metric.name, self.metric.help, labels=self.metric.labels
        )
        with self._lock:
            copies = [(labels, series.copy()) for labels, series in self._series.items()]
        bounds = [*map(floatToGoString, self.bounds), "+Inf"]
        for labels, (*counts, total) in copies:
            buckets, cumulated = [], 0.0
            for bound, count in zip(bounds, counts, strict=True):
                cumulated += count
                buckets.append((bound, cumulated))
            family.add_metric(labels, buckets, total)
        return family


def families(samples: Iterable[Sample]) -> Iterator[Family]:
    """Yield every metric that is no histogram, also one without a sample."""
    found = {metric.name: _family(metric) for metric in CATALOGUE if metric.kind != "histogram"}
    for name, labels, value in samples:
        found[name].add_metric(labels, value)
    yield from found.values()


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)
