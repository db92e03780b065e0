"""Metrics for Prometheus: ``/metrics``, on the port of the API or on one of its own."""

from collections.abc import Callable
from typing import Final, Protocol

import falcon

from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.http import errors
from configsvc_server.http.content_coding import accepts_gzip
from configsvc_server.http.errors import WsgiApp
from configsvc_server.http.resources.health import OpenHealthReportResource
from configsvc_server.telemetry.exposition import Exposition

__all__ = ["METRICS_PATH", "Expose", "MetricsResource", "create_metrics_api"]

METRICS_PATH: Final = "/metrics"


class Expose(Protocol):
    """Renders everything that the process exports."""

    def __call__(self, *, accept: str = "", compressed: bool = False) -> Exposition:
        """Return it in a format that the scraper takes."""


class MetricsResource:
    """Metrics of this process."""

    def __init__(self, expose: Expose) -> None:
        self._expose = expose

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Get the metrics, as OpenMetrics where that is asked for."""
        found = self._expose(accept=req.get_header("Accept") or "", compressed=accepts_gzip(req))
        resp.content_type = found.content_type
        if found.content_encoding is not None:
            resp.set_header("Content-Encoding", found.content_encoding)
        resp.set_header("Vary", "Accept, Accept-Encoding")
        resp.set_header("Cache-Control", "no-store")
        resp.data = found.body

    on_head = on_get


def create_metrics_api(expose: Expose, report: Callable[[], JsonObject] | None = None) -> WsgiApp:
    """Return the WSGI application of a port for those who operate the server.

    Args:
        expose: renders the metrics.
        report: returns the health report; ``None`` where there is none.
    """
    app = falcon.App()
    errors.register(app)
    app.add_route(METRICS_PATH, MetricsResource(expose))
    if report is not None:
        app.add_route("/health", OpenHealthReportResource(report))
    return app
