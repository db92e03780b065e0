"""Health checks: ``/health``, ``/health/live`` and ``/health/ready``."""

from http import HTTPStatus
from typing import Final

import falcon

from configsvc_server import __version__
from configsvc_server.domain.strict_json import dumps
from configsvc_server.services.health import Check, HealthService

__all__ = ["LIVENESS_PATH", "PATHS", "HealthResource", "LivenessResource"]

LIVENESS_PATH: Final = "/health/live"
PATHS: Final = ("/health", LIVENESS_PATH, "/health/ready")
"""Paths of the health checks, which the server answers when it answers nothing else."""


class HealthResource:
    """Readiness: whether the service can do its work, for load balancers and people."""

    def __init__(self, service: HealthService) -> None:
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check everything that the service depends on."""
        checks = self._service.checks()
        if not all(check.passed for check in checks):
            resp.status = HTTPStatus.SERVICE_UNAVAILABLE
            resp.set_header("Retry-After", "1")
        _show(resp, checks)

    on_head = on_get


class LivenessResource:
    """Liveness: whether the process answers; says nothing about the database on purpose.

    An orchestrator restarts what is not alive, and a restart does not bring a database back.
    """

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer."""
        _show(resp, [])

    on_head = on_get


def _show(resp: falcon.Response, checks: list[Check]) -> None:
    resp.set_header("Cache-Control", "no-store")
    resp.data = dumps(
        {
            "status": _word(all(check.passed for check in checks)),
            "version": __version__,
            "checks": {
                check.name: {"status": _word(check.passed), "detail": check.detail}
                for check in checks
            },
        }
    )


def _word(passed: bool) -> str:
    return "pass" if passed else "fail"
