"""Health report: everything that the server knows of how it is, for those who operate it."""

import platform
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from configsvc_server.db.database import Database
from configsvc_server.db.migrations import MigrationError, Migrator
from configsvc_server.domain.access.decisions import Permission
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import require
from configsvc_server.services.health import Check, HealthService
from configsvc_server.telemetry.readings import ListenerReading

__all__ = ["HealthReport"]


class HealthReport:
    """Report of all parts. It names no user, no application, no value, and no other machine."""

    MAX_AGE = 1.0
    """Seconds for which a report counts, so that nobody can keep the database busy by it."""

    def __init__(
        self,
        health: HealthService,
        database: Database,
        migrator: Migrator,
        *,
        version: str,
        listener: Callable[[], ListenerReading],
        embedded: bool,
    ) -> None:
        """Prepare the report.

        Args:
            health: says whether the service is ready.
            database: is asked, over the connection that is kept for metrics.
            migrator: knows which migrations there should be.
            version: of the server.
            listener: returns the state of the listener.
            embedded: whether the database is one of this server's own.
        """
        self._health = health
        self._database = database
        self._migrator = migrator
        self._version = version
        self._listener = listener
        self._kind = "embedded" if embedded else "external"
        self._parts: list[tuple[str, Callable[[], JsonObject]]] = []
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._report: JsonObject = {}

    def watch(self, part: str, read: Callable[[], JsonObject]) -> None:
        """Have the report tell of a part.

        Args:
            part: name of the part.
            read: returns what it knows of itself, at once and without raising.
        """
        self._parts.append((part, read))

    def get(self, principal: Principal) -> JsonObject:
        """Return the report for whoever administers the installation.

        Raises:
            ForbiddenError: somebody else asks.
        """
        require(principal, Permission.READ_HEALTH)
        return self.read()

    def read(self) -> JsonObject:
        """Return the report; who comes while it is made waits for it."""
        with self._lock:
            if time.monotonic() - self._read_at > self.MAX_AGE:
                self._report = self._make()
                self._read_at = time.monotonic()
            return self._report

    def _make(self) -> JsonObject:
        checks = self._health.checks()
        database, stored = self._stored()
        listener = self._listener()
        warnings = [
            Check("listener", listener.is_listening, _describe_listener(listener)),
            Check("role", database.get("role") != "standby", str(database.get("role", "unknown"))),
        ]
        if not all(check.passed for check in checks):
            status = "fail"
        else:
            status = "pass" if all(check.passed for check in warnings) else "warn"
        return {
            "status": "draining" if self._health.is_draining else status,
            "version": self._version,
            "python_version": platform.python_version(),
            "started_at": self._started_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "checks": {
                **{check.name: _node(check, "fail") for check in checks},
                **{check.name: _node(check, "warn") for check in warnings},
            },
            "database": {"kind": self._kind, **database},
            **stored,
            "listener": {
                "listening": listener.is_listening,
                "heartbeat_age_seconds": _rounded(listener.heartbeat_age),
                "lag_seconds": _rounded(listener.lag),
                "connects": listener.connects,
            },
            **{part: read() for part, read in self._parts},
        }

    def _stored(self) -> tuple[JsonObject, JsonObject]:
        """Return what the database says of itself, and what is in it; nothing while it is away."""
        try:
            with self._database.monitoring() as connection:
                monitoring = Repositories(connection).monitoring
                started = time.monotonic()
                Database.ping(connection)
                latency = time.monotonic() - started
                version, is_standby = monitoring.server()
                states = Counter[str](s.state for s in self._migrator.status_with(connection))
                database: JsonObject = {
                    "latency_ms": round(latency * 1000, 2),
                    "role": "standby" if is_standby else "primary",
                    "version": version,
                }
                return database, {
                    "migrations": {"applied": 0, "pending": 0, **states},
                    "write_lock": {"waiting": monitoring.write_lock_waiting()},
                }
        except (UnavailableError, MigrationError):
            # The checks say why.
            return {}, {}


def _node(check: Check, word: str) -> JsonObject:
    return {"status": "pass" if check.passed else word, "detail": check.detail}


def _describe_listener(listener: ListenerReading) -> str:
    if listener.is_listening:
        return "hears of changes"
    return "is not sure to hear of changes: everything is read anew, and nobody may wait"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
