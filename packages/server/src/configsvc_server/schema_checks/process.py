"""Child process of the schema checks: started, called with a timeout, and stopped.

It uses ``subprocess`` and pipes because the pools of the standard library do not fit here:
forking is unsafe where there are threads, and spawning by ``multiprocessing`` imports the main
module of the server a second time. A schema from an untrusted user must also not block the
parent while it is written to a process that has stopped reading, so every step has a deadline.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from typing import Any, cast

from configsvc_server.schema_checks.worker import LENGTH, Reply, Request

__all__ = ["ProcessEndedError", "SchemaProcess"]

_CHUNK_SIZE = 65_536


class ProcessEndedError(Exception):
    """The process ended before it replied."""


class SchemaProcess:
    """Running worker process; must be ended by :meth:`join`."""

    START_TIMEOUT = 15.0
    """Seconds that the start may take: more than on any busy machine."""

    STOP_TIMEOUT = 1.0
    """Seconds that the process may take to quit before it is killed."""

    def __init__(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            OSError: it can't be started.
            TimeoutError: it is not ready within :attr:`START_TIMEOUT`.
            ProcessEndedError: it ended before it was ready.
        """
        self._process = subprocess.Popen(
            # -P keeps modules in the current folder from shadowing ours.
            [sys.executable, "-P", "-W", "ignore", "-m", "configsvc_server.schema_checks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        assert self._process.stdout is not None  # noqa: S101
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        try:
            os.set_blocking(self._stdin.fileno(), False)
            os.set_blocking(self._stdout.fileno(), False)
            self._exchange(b"", self.START_TIMEOUT)
        except BaseException:
            self.kill()
            self.join()
            raise

    @property
    def is_running(self) -> bool:
        """``True`` until the process ends."""
        return self._process.poll() is None

    def call(self, request: Request) -> Reply:
        """Send a request and return the reply; after any error, the process can only be stopped.

        Args:
            request: what to check; its timeout is also that of the exchange.

        Raises:
            TimeoutError: there is no reply in time.
            ProcessEndedError: the process ended during the check.
        """
        body = json.dumps(request).encode()
        reply = self._exchange(LENGTH.pack(len(body)) + body, request["timeout"])
        return cast("Reply", reply)

    def quit(self) -> None:
        """Let the process quit after the request that it works on."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def kill(self) -> None:
        """End the process at once; safe from any thread."""
        self._process.kill()

    def join(self) -> None:
        """Let the process quit, kill it after :attr:`STOP_TIMEOUT`, and release its pipes."""
        self.quit()
        try:
            self._process.wait(self.STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()

    def _exchange(self, message: bytes, timeout: float) -> Any:
        """Write ``message``, if there is one, and return the next message of the process."""
        deadline = time.monotonic() + timeout
        unsent = memoryview(message)
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            if unsent:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            while (reply := _complete(received)) is None:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fileobj is self._stdout:
                        received += self._receive()
                        continue
                    unsent = unsent[self._send(unsent[:_CHUNK_SIZE]) :]
                    if not unsent:
                        selector.unregister(self._stdin)
        return json.loads(reply)

    def _send(self, data: memoryview) -> int:
        try:
            return os.write(self._stdin.fileno(), data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise ProcessEndedError from None

    def _receive(self) -> bytes:
        try:
            data = os.read(self._stdout.fileno(), _CHUNK_SIZE)
        except BlockingIOError:
            return b""
        if not data:
            raise ProcessEndedError
        return data


def _complete(received: bytearray) -> bytes | None:
    """Return the JSON text in ``received``, or ``None`` while a part of it is missing."""
    if len(received) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(received)
    body = received[LENGTH.size :]
    return bytes(body) if len(body) == length else None
