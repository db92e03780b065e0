"""Health checks: the database and its migrations."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from configsvc_server.db.connections import Connection
from configsvc_server.db.database import Database
from configsvc_server.db.migrations import MigrationError, Migrator
from configsvc_server.domain.errors import UnavailableError

__all__ = ["Check", "HealthService"]


@dataclass(frozen=True, slots=True)
class Check:
    """Result of checking one thing that the service depends on."""

    name: str
    passed: bool
    detail: str


class HealthService:
    """Checks the database and its migrations, over a connection that nothing else uses.

    The service is ready when it can do its work, also while all other connections are busy.
    """

    def __init__(
        self,
        database: Database,
        migrator: Migrator,
        *,
        outage: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Prepare the checks.

        Args:
            database: the database to check.
            migrator: knows which migrations it should have.
            outage: returns why the database is away, for people; ``None`` if it is not known
                to be.
        """
        self._database = database
        self._migrator = migrator
        self._outage = outage
        self._is_draining = False

    @property
    def is_draining(self) -> bool:
        """Whether the server is about to stop, and still answers everything."""
        return self._is_draining

    def drain(self) -> None:
        """Be ready no more, so that load balancers send nothing new; safe in a signal handler."""
        self._is_draining = True

    def checks(self) -> list[Check]:
        """Check that the database answers and has every migration of this server."""
        started = time.monotonic()
        outage = self._outage()
        if outage is not None:
            return _unavailable(outage)
        try:
            with self._database.health() as connection:
                Database.ping(connection)
                elapsed = (time.monotonic() - started) * 1000
                database = Check("database", True, f"answered in {elapsed:.1f} ms")
                return [database, self._migrations(connection)]
        except UnavailableError as error:
            return _unavailable(self._outage() or str(error))

    def _migrations(self, connection: Connection) -> Check:
        try:
            statuses = self._migrator.status_with(connection)
        except MigrationError as error:
            return Check("migrations", False, str(error))
        wrong = [f"{s.filename} is {s.state}" for s in statuses if s.state != "applied"]
        if wrong:
            return Check("migrations", False, "; ".join(wrong))
        return Check("migrations", True, f"{len(statuses)} applied")


def _unavailable(reason: str) -> list[Check]:
    return [
        Check("database", False, reason),
        Check("migrations", False, "unknown while the database is unavailable"),
    ]
