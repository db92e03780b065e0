"""Requests: what is counted and measured of each, in one step."""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from configsvc_server.telemetry.instruments import Counter, Histogram, Labels, Sample

__all__ = ["OTHER", "UNMATCHED", "RequestMetrics", "known_method"]

OTHER: Final = "other"
"""Stands for every value of a label that is not one of a known few."""

UNMATCHED: Final = "unmatched"
"""Stands for every path that leads nowhere."""

_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


_Series: TypeAlias = tuple[list[list[float]], list[float]]
"""What requests with the same labels are counted in, and what has their durations."""


class RequestMetrics:
    """Requests of one server: counted under one lock, with one look for their labels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # One look finds all that is counted; parts are shared by several of the keys.
        self._known: dict[tuple[str, str, str, str, str], _Series] = {}
        self._requests: defaultdict[Labels, list[float]] = defaultdict(lambda: [0.0])
        self._authentications: defaultdict[Labels, list[float]] = defaultdict(lambda: [0.0])
        self._limited = Counter(
            "configsvc_rate_limited_requests_total", known=[("principal",), ("failures",)]
        )
        self._sign_ins = Counter("configsvc_sign_ins_total")
        self._durations = Histogram("configsvc_http_request_duration_seconds", lock=self._lock)
        self._request_sizes = Histogram("configsvc_http_request_size_bytes", lock=self._lock)
        self._response_sizes = Histogram("configsvc_http_response_size_bytes", lock=self._lock)

    @property
    def histograms(self) -> Sequence[Histogram]:
        """Those among the metrics."""
        return self._durations, self._request_sizes, self._response_sizes

    def count(
        self,
        labels: tuple[str, str, str, str, str],
        *,
        seconds: float | None,
        request_bytes: int,
        response_bytes: int,
    ) -> None:
        """Record the response to a request.

        Args:
            labels: route, method and status; what it has shown to authenticate itself, and what
                came of that. The last two are empty where nobody had to.
            seconds: how long it took; ``None`` where it has waited for a change.
            request_bytes: size of its body.
            response_bytes: size of the body of the response.
        """
        with self._lock:
            counts, durations = self._known.get(labels) or self._add(labels)
            for count in counts:
                count[0] += 1
            if seconds is not None:
                durations[bisect_left(self._durations.bounds, seconds)] += 1
                durations[-1] += seconds
            for sizes, size in (
                (self._request_sizes, request_bytes),
                (self._response_sizes, response_bytes),
            ):
                if size:
                    series = sizes.series(labels[:1])
                    series[bisect_left(sizes.bounds, size)] += 1
                    series[-1] += size

    def limited(self, limit: str) -> None:
        """Record that a request was refused by a rate limit."""
        self._limited.add(limit)

    def signed_in(self, kind: str, outcome: str) -> None:
        """Record an attempt to sign in."""
        self._sign_ins.add(kind, outcome)

    def samples(self) -> Iterator[Sample]:
        """Yield what is counted."""
        with self._lock:
            requests = [(labels, value) for labels, (value,) in self._requests.items()]
            authentications = [(key, value) for key, (value,) in self._authentications.items()]
        for labels, value in requests:
            yield "configsvc_http_requests_total", labels, value
        for labels, value in authentications:
            yield "configsvc_authentications_total", labels, value
        yield from self._limited.samples()
        yield from self._sign_ins.samples()

    def _add(self, labels: tuple[str, str, str, str, str]) -> _Series:
        route, method, status, kind, outcome = labels
        counts = [self._requests[route, method, status]]
        if kind:
            counts.append(self._authentications[kind, outcome])
        series = self._known[labels] = (counts, self._durations.series((route, method)))
        return series


def known_method(method: str | None) -> str:
    """Return a method as a label, the same for all that the server does not know."""
    return method if method is not None and method in _METHODS else OTHER
