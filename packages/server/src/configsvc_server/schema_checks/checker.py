"""Schema checker: checks untrusted schemas, and values by them, in bounded time and memory.

A regular expression or a web of references can take for ever, and nothing can interrupt the
thread that evaluates it. So a check without a small upper bound on its cost is done in
another process.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from configsvc_server.domain.errors import SchemaTooCostlyError, UnavailableError
from configsvc_server.domain.schema.cost import is_cheap
from configsvc_server.domain.schema.validator import SchemaValidator, schema_violations
from configsvc_server.domain.schema.violations import Violation
from configsvc_server.domain.strict_json import JsonValue
from configsvc_server.schema_checks.process import ProcessEndedError, SchemaProcess
from configsvc_server.schema_checks.worker import Reply, Request
from configsvc_server.turns import Turns

__all__ = ["SchemaChecker"]


class SchemaChecker:
    """Checker of schemas and of values, with a pool of processes; safe from any thread."""

    TIMEOUT = 2.0
    """Seconds that one check may take."""

    PROCESSES = 3
    """How many checks may run in other processes at the same time."""

    ACQUIRE_TIMEOUT = 5.0
    """Seconds to wait for a process while other checks use them all."""

    MAX_TIMEOUT_FACTOR = 5
    """Largest factor by which many values in one call extend the timeout."""

    def __init__(
        self,
        *,
        timeout: float | None = None,
        workers: int | None = None,
        max_waiting: int = 8,
        on_check: Callable[[str, str, float], None] = lambda *_: None,
    ) -> None:
        """Prepare an empty pool; processes are started when they are first needed.

        Args:
            timeout: how long one check may take, in seconds; by default :attr:`TIMEOUT`.
            workers: how many may run in other processes; by default :attr:`PROCESSES`.
            max_waiting: how many may wait for a process, each in its thread.
            on_check: called after each check: with what came of it (``passed``, ``violated``,
                ``killed``, ``refused`` or ``failed``), where it ran (``thread`` or ``process``),
                and how many seconds it took.
        """
        self._on_check = on_check
        self._timeout = self.TIMEOUT if timeout is None else timeout
        self._turns = Turns(
            at_once=self.PROCESSES if workers is None else workers,
            max_waiting=max_waiting,
            timeout=self.ACQUIRE_TIMEOUT,
            refusal="Too many schemas are being checked.",
        )
        self._lock = threading.Lock()
        self._idle: list[SchemaProcess] = []
        self._busy: set[SchemaProcess] = set()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """How many checks wait for a process now."""
        return self._turns.waiting

    def check_schema(self, schema: JsonValue, *, caller: str = "") -> list[Violation]:
        """Return the violations in a schema itself: the first by path, at most 20.

        Args:
            schema: any JSON value.
            caller: who shares the processes fairly with others.

        Raises:
            SchemaTooCostlyError: the check takes too much time or memory.
            UnavailableError: no process is free or can be started, or the checker is closed.
        """
        if is_cheap(schema, ()):
            with self._observed("thread") as found:
                found.append(schema_violations(schema))
        else:
            with self._observed("process") as found:
                found.extend(self._check({"schema": schema, "timeout": self._timeout}, caller))
        return found[0]

    def check_values(
        self, schema: JsonValue, values: Sequence[JsonValue], *, caller: str = ""
    ) -> list[list[Violation]]:
        """Return the violations in each of ``values``: the first by path, at most 20.

        Args:
            schema: a schema without violations.
            values: what to check by it.
            caller: who shares the processes fairly with others.

        Raises:
            SchemaTooCostlyError: the check takes too much time or memory.
            UnavailableError: no process is free or can be started, or the checker is closed.
        """
        if not values:
            return []
        if is_cheap(schema, values):
            with self._observed("thread") as found:
                validator = SchemaValidator(schema)
                found.extend(validator.violations(value) for value in values)
            return found
        # Each value has its own time, up to a limit: there is one for each environment.
        timeout = self._timeout * min(len(values), self.MAX_TIMEOUT_FACTOR)
        request: Request = {"schema": schema, "values": list(values), "timeout": timeout}
        with self._observed("process") as found:
            found.extend(self._check(request, caller))
        return found

    def close(self) -> None:
        """End every process at once; checks that are under way raise ``UnavailableError``."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for process in self._busy:
                process.kill()
        self._turns.close()
        for process in idle:
            process.quit()
        for process in idle:
            process.join()

    @contextmanager
    def _observed(self, place: str) -> Iterator[list[list[Violation]]]:
        """Yield where to put what a check finds, and tell what came of it."""
        found: list[list[Violation]] = []
        started = time.monotonic()
        outcome = "failed"
        try:
            yield found
            outcome = "violated" if any(found) else "passed"
        except SchemaTooCostlyError:
            outcome = "killed"
            raise
        except UnavailableError:
            outcome = "refused"
            raise
        finally:
            self._on_check(outcome, place, time.monotonic() - started)

    def _check(self, request: Request, caller: str) -> list[list[Violation]]:
        try:
            with self._turns.turn(caller):
                reply = self._call(request)
        except UnavailableError:
            # Closing the turns refuses what waits, but does not know why.
            if self._closed:
                raise _closed_error() from None
            raise
        if reply["violations"] is None:
            raise SchemaTooCostlyError(request["timeout"])
        return [
            [Violation(tuple(path), pointer, message) for path, pointer, message in found]
            for found in reply["violations"]
        ]

    def _call(self, request: Request) -> Reply:
        process = self._acquire()
        is_reusable = False
        try:
            reply = process.call(request)
            is_reusable = not reply["is_last"]
        except (TimeoutError, ProcessEndedError):
            if self._closed:
                raise _closed_error() from None
            # Late, or ended by its own limits or by the system's: the request is the cause.
            process.kill()
            raise SchemaTooCostlyError(request["timeout"]) from None
        finally:
            self._release(process, is_reusable=is_reusable)
        return reply

    def _acquire(self) -> SchemaProcess:
        """Return a running process that no other thread uses."""
        while (idle := self._acquire_idle()) is not None:
            if idle.is_running:
                return idle
            self._release(idle, is_reusable=False)
        try:
            process = SchemaProcess()
        except (OSError, TimeoutError, ProcessEndedError) as error:
            message = "No process can be started to check the schema."
            raise UnavailableError(message, retry_after=1) from error
        with self._lock:
            self._busy.add(process)
            is_closed = self._closed
        if is_closed:
            self._release(process, is_reusable=False)
            raise _closed_error()
        return process

    def _acquire_idle(self) -> SchemaProcess | None:
        with self._lock:
            if self._closed:
                raise _closed_error()
            if not self._idle:
                return None
            process = self._idle.pop()
            self._busy.add(process)
            return process

    def _release(self, process: SchemaProcess, *, is_reusable: bool) -> None:
        with self._lock:
            self._busy.discard(process)
            if is_reusable and not self._closed:
                self._idle.append(process)
                return
        process.join()


def _closed_error() -> UnavailableError:
    return UnavailableError("The server is stopping.", retry_after=1)
