"""Checks schemas of strangers, and documents by them, without being kept up by any of them.

A regular expression or a web of references can take for ever, and nothing can interrupt a
thread that is in the midst of it. So what is not cheap for certain is done in another process.
"""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from configsvc_server.domain.errors import SchemaTooCostlyError, UnavailableError
from configsvc_server.domain.schema.cost import is_cheap
from configsvc_server.domain.schema.validator import SchemaValidator, schema_violations
from configsvc_server.domain.schema.violations import Violation
from configsvc_server.domain.strict_json import JsonValue
from configsvc_server.schema_checks.process import ProcessEndedError, SchemaProcess

__all__ = ["SchemaChecker"]


class SchemaChecker:
    """Checks schemas and documents within bounds of time and memory; for any thread."""

    _PATIENCE = 5.0
    """How long to wait for a process that others are using, in seconds."""

    _LONGEST = 5
    """How many times the time for one value many may take together."""

    def __init__(self, *, timeout: float = 2.0, workers: int = 2) -> None:
        """Start nothing yet: processes are started when they are needed.

        Args:
            timeout: how long one check may take, in seconds.
            workers: how many checks may run in other processes at the same time.
        """
        self._timeout = timeout
        self._free = threading.BoundedSemaphore(workers)
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

    def check_schema(self, schema: JsonValue) -> list[Violation]:
        """Return what is wrong with a schema.

        Raises:
            SchemaTooCostlyError: that takes too much to find out.
            UnavailableError: it can't be found out now.
        """
        if is_cheap(schema, ()):
            return schema_violations(schema)
        return self._ask({"schema": schema}, self._timeout)[0]

    def check_values(self, schema: JsonValue, values: Sequence[JsonValue]) -> list[list[Violation]]:
        """Return what is wrong with each of ``values``.

        Args:
            schema: a schema in which nothing is wrong.
            values: what to check by it.

        Raises:
            SchemaTooCostlyError: that takes too much to find out.
            UnavailableError: it can't be found out now.
        """
        if not values:
            return []
        if is_cheap(schema, values):
            validator = SchemaValidator(schema)
            return [validator.violations(value) for value in values]
        # Each value has its own time, within reason: there is one for each environment.
        timeout = self._timeout * min(len(values), self._LONGEST)
        return self._ask({"schema": schema, "values": list(values)}, timeout)

    def close(self) -> None:
        """End every process, at once; who waits for one gets an error."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for process in self._busy:
                process.kill()
        for process in idle:
            process.quit()
        for process in idle:
            process.join()

    def _ask(self, question: dict[str, Any], timeout: float) -> list[list[Violation]]:
        answer = self._answer(question, timeout)
        if answer["violations"] is None:
            raise SchemaTooCostlyError(timeout)
        return [
            [Violation(tuple(path), rule, message) for path, rule, message in found]
            for found in answer["violations"]
        ]

    def _answer(self, question: dict[str, Any], timeout: float) -> Any:
        if not self._free.acquire(timeout=self._PATIENCE):
            raise UnavailableError("Too many schemas are being checked.", retry_after=1)
        try:
            process = self._take()
            is_reusable = False
            try:
                answer = process.ask(question, timeout=timeout)
                is_reusable = not answer["is_last"]
            except (TimeoutError, ProcessEndedError):
                if self._closed:
                    raise _stopping() from None
                # Late, or dead by its own limits or by the system's: it is the question.
                process.kill()
                raise SchemaTooCostlyError(timeout) from None
            finally:
                self._give_back(process, is_reusable=is_reusable)
        finally:
            self._free.release()
        return answer

    def _take(self) -> SchemaProcess:
        """Return a process that nobody else uses."""
        while (idle := self._take_idle()) is not None:
            if idle.is_running:
                return idle
            self._give_back(idle, is_reusable=False)
        try:
            process = SchemaProcess()
        except (OSError, TimeoutError, ProcessEndedError) as error:
            message = "No process can be started to check the schema."
            raise UnavailableError(message, retry_after=1) from error
        with self._lock:
            self._busy.add(process)
            is_late = self._closed
        if is_late:
            self._give_back(process, is_reusable=False)
            raise _stopping()
        return process

    def _take_idle(self) -> SchemaProcess | None:
        with self._lock:
            if self._closed:
                raise _stopping()
            if not self._idle:
                return None
            process = self._idle.pop()
            self._busy.add(process)
            return process

    def _give_back(self, process: SchemaProcess, *, is_reusable: bool) -> None:
        with self._lock:
            self._busy.discard(process)
            if is_reusable and not self._closed:
                self._idle.append(process)
                return
        process.join()


def _stopping() -> UnavailableError:
    return UnavailableError("The server is stopping.", retry_after=1)
