"""Health checks: ``/health``, ``/health/live`` and ``/health/ready``; and the health report."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import falcon

from configsvc_server import __version__
from configsvc_server.domain.strict_json import JsonObject, dumps
from configsvc_server.http.context import principal_of
from configsvc_server.services.health import Check, HealthService
from configsvc_server.services.health_report import HealthReport

__all__ = [
    "LIVENESS_PATH",
    "PATHS",
    "HealthReportResource",
    "HealthResource",
    "LivenessResource",
    "OpenHealthReportResource",
]

LIVENESS_PATH: Final = "/health/live"
PATHS: Final = ("/health", LIVENESS_PATH, "/health/ready")
"""Paths of the health checks, which the server answers when it answers nothing else."""


_DRAINING: Final = Check(
    "shutdown", False, "the server is about to stop, and answers everything until then"
)


class HealthResource:
    """Readiness: whether the service can do its work, for load balancers and people."""

    def __init__(self, service: HealthService) -> None:
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check everything that the service depends on."""
        checks = [_DRAINING] if self._service.is_draining else self._service.checks()
        passed = all(check.passed for check in checks)
        if not passed:
            resp.status = HTTPStatus.SERVICE_UNAVAILABLE
            resp.set_header("Retry-After", "1")
        _show(resp, checks, "draining" if self._service.is_draining else _word(passed))

    on_head = on_get


class LivenessResource:
    """Liveness: whether the process answers; says nothing about the database on purpose.

    An orchestrator restarts what is not alive, and a restart does not bring a database back.
    """

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer."""
        _show(resp, [], _word(passed=True))

    on_head = on_get


class HealthReportResource:
    """Health report, for whoever administers the installation."""

    def __init__(self, report: HealthReport) -> None:
        self._report = report

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Get the report; a service that is not well has one, too."""
        _show_report(resp, self._report.get(principal_of(req)))

    on_head = on_get


class OpenHealthReportResource:
    """Health report on a port that is for those who operate the server alone."""

    def __init__(self, read: Callable[[], JsonObject]) -> None:
        self._read = read

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Get the report."""
        _show_report(resp, self._read())

    on_head = on_get


def _show_report(resp: falcon.Response, report: JsonObject) -> None:
    resp.set_header("Cache-Control", "no-store")
    resp.data = dumps(report)


def _show(resp: falcon.Response, checks: list[Check], status: str) -> None:
    resp.set_header("Cache-Control", "no-store")
    resp.data = dumps(
        {
            "status": status,
            "version": __version__,
            "checks": {
                check.name: {"status": _word(check.passed), "detail": check.detail}
                for check in checks
            },
        }
    )


def _word(passed: bool) -> str:
    return "pass" if passed else "fail"
