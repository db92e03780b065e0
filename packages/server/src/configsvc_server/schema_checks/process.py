"""One process that checks by schemas, as its parent sees it.

It is made of ``subprocess`` and pipes because the ready-made pools are unfit here: forking is
unsafe where there are threads, and spawning by ``multiprocessing`` imports the main module of
the server a second time. A schema of a stranger must also not block us while it is written to
a process that has stopped reading, so everything has a deadline.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from configsvc_server.schema_checks.worker import LENGTH

__all__ = ["ProcessEndedError", "SchemaProcess"]

_CHUNK = 65_536


class ProcessEndedError(Exception):
    """The process is no more, and owes an answer."""


class SchemaProcess:
    """A running process; it must be stopped in the end."""

    _START = 15.0
    """How long it may take to start, in seconds: longer than on any busy machine."""

    _STOP = 1.0
    """How long it may take to quit, in seconds."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: it can't be started.
            TimeoutError: it does not become ready.
            ProcessEndedError: it quit at once.
        """
        self._process = subprocess.Popen(
            # -P keeps modules in the current folder from coming in the place of ours.
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
            self._exchange(b"", self._START)
        except BaseException:
            self.kill()
            self.join()
            raise

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, question: Mapping[str, Any], *, timeout: float) -> Any:
        """Return its answer; after any error, it can only be stopped.

        Args:
            question: what to ask.
            timeout: how long everything may take, in seconds.

        Raises:
            TimeoutError: there is no answer in time.
            ProcessEndedError: it died over it.
        """
        body = json.dumps({**question, "timeout": timeout}).encode()
        return self._exchange(LENGTH.pack(len(body)) + body, timeout)

    def quit(self) -> None:
        """Ask it to quit, when it is done with what it is doing."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def kill(self) -> None:
        """End it, whatever it is doing; from any thread."""
        self._process.kill()

    def join(self) -> None:
        """Wait until it has ended, which is brought about if it takes long."""
        self.quit()
        try:
            self._process.wait(self._STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()

    def _exchange(self, message: bytes, timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        unsent = memoryview(message)
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            if unsent:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            while (answer := _complete(received)) is None:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fileobj is self._stdout:
                        received += self._receive()
                        continue
                    unsent = unsent[self._send(unsent[:_CHUNK]) :]
                    if not unsent:
                        selector.unregister(self._stdin)
        return json.loads(answer)

    def _send(self, data: memoryview) -> int:
        try:
            return os.write(self._stdin.fileno(), data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise ProcessEndedError from None

    def _receive(self) -> bytes:
        try:
            data = os.read(self._stdout.fileno(), _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            raise ProcessEndedError
        return data


def _complete(received: bytearray) -> bytes | None:
    """Return the message that has been received, if that is all of it."""
    if len(received) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(received)
    body = received[LENGTH.size :]
    return bytes(body) if len(body) == length else None
