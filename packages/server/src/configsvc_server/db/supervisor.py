"""Supervisor: notices that the embedded PostgreSQL ended, and has it started again."""

import itertools
import threading
import time
from collections.abc import Callable

import structlog

from configsvc_server.db.embedded_errors import EmbeddedPostgresError, StartCancelledError

__all__ = ["Supervisor"]

_log = structlog.stdlib.get_logger(__name__)


class Supervisor:
    """Thread that watches PostgreSQL, in every process that uses it."""

    INTERVAL = 0.25
    """Seconds between two looks at whether PostgreSQL runs."""

    RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    """Seconds to wait after a start that failed; the last repeats."""

    JOIN_TIMEOUT = 15.0
    """Seconds that :meth:`stop` waits for the thread, which may be killing what a dead
    PostgreSQL left."""

    def __init__(
        self,
        *,
        is_running: Callable[[], bool],
        restart: Callable[[Callable[[], bool]], None],
        cancelled: Callable[[], bool],
    ) -> None:
        """Prepare the thread; :meth:`start` starts it.

        Args:
            is_running: whether PostgreSQL runs.
            restart: starts it unless it runs; is given a function that says whether to give up.
            cancelled: whether the process is to stop. What ends from then on ends for good.
        """
        self._is_running = is_running
        self._restart = restart
        self._cancelled = cancelled
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="configsvc-postgres", daemon=True)
        self.outage: str | None = None
        """What is known while PostgreSQL is away, for people; ``None`` if it runs."""
        self.crashes = 0
        """How often it has ended unexpectedly."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Leave PostgreSQL alone from now on, and give up a start that is under way."""
        self._stop.set()
        self._thread.join(self.JOIN_TIMEOUT)

    def _run(self) -> None:
        while not self._stop.wait(self.INTERVAL):
            try:
                if not self._is_stopping() and not self._is_running():
                    self._recover()
            except Exception:  # noqa: BLE001 - the thread must outlive whatever it meets
                _log.exception("supervisor of the embedded PostgreSQL failed")
                self._stop.wait(self.RETRY_DELAYS[-1])

    def _is_stopping(self) -> bool:
        return self._stop.is_set() or self._cancelled()

    def _recover(self) -> None:
        ended_at = time.monotonic()
        self.crashes += 1
        self.outage = "the embedded PostgreSQL ended unexpectedly; it is being started again"
        _log.warning("embedded PostgreSQL ended unexpectedly")
        for failures in itertools.count():
            try:
                self._restart(self._is_stopping)
            except StartCancelledError:
                return
            except EmbeddedPostgresError as error:
                delay = self.RETRY_DELAYS[min(failures, len(self.RETRY_DELAYS) - 1)]
                # Paths are for the log only: everybody may read this.
                self.outage = (
                    "the embedded PostgreSQL ended unexpectedly and did not start again; the log "
                    "of the server has the reason"
                )
                _log.error(
                    "embedded PostgreSQL does not start", error=str(error), retry_in_seconds=delay
                )
                if self._stop.wait(delay):
                    return
            else:
                self.outage = None
                away = round(time.monotonic() - ended_at, 3)
                _log.info("embedded PostgreSQL is back", seconds=away)
                return
