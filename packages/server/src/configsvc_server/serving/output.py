"""Output: what a connection has yet to send, shared with the cache instead of copied."""

import threading
import time
from collections import deque
from itertools import islice
from socket import socket
from typing import Final

from configsvc_server.serving.connections import OutputMemory
from configsvc_server.serving.limits import Limits

__all__ = ["Output"]

_MAX_PARTS: Final = 16
# One call to the system for head and body, unless copying the body is dearer than the call.
_JOIN_BYTES: Final = 32 * 1024


class Output:
    """Bytes on their way to a client; safe from any thread, and never waits for the client."""

    def __init__(self, sock: socket, memory: OutputMemory, limits: Limits) -> None:
        self._socket: socket | None = sock
        self._memory = memory
        self._limits = limits
        self._lock = threading.Lock()
        self._parts: deque[tuple[memoryview, bytes]] = deque()
        self.size = 0
        """Bytes that the client has yet to take."""
        self.taken_at = 0.0
        """When the client last took something, by the monotonic clock."""
        self.deadline = 0.0
        """When everything has to be taken, by the monotonic clock."""
        self.is_broken = False
        """Whether the client can't be reached any more."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._socket is None

    def send(self, *parts: bytes) -> None:
        """Send what the client takes at once, and keep the rest."""
        size = sum(map(len, parts))
        if len(parts) > 1 and size <= _JOIN_BYTES:
            parts = (b"".join(parts),)
        with self._lock:
            if self._socket is None:
                return
            now = time.monotonic()
            if not self._parts:
                self.taken_at = now
                self.deadline = now + self._limits.RESPONSE_SECONDS
            self.deadline += size / self._limits.RESPONSE_RATE
            for part in parts:
                self._parts.append((memoryview(part), part))
                self._memory.add(part)
            self.size += size
            self._flush()

    def flush(self) -> None:
        """Send what the client takes at once."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Forget what is left."""
        with self._lock:
            self._socket = None
            self._forget()

    def _flush(self) -> None:
        while self._parts and self._socket is not None:
            try:
                sent = self._socket.sendmsg([view for view, _ in islice(self._parts, _MAX_PARTS)])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.is_broken = True
                self._forget()
                return
            self.taken_at = time.monotonic()
            self.size -= sent
            self._drop(sent)

    def _drop(self, sent: int) -> None:
        while sent:
            view, part = self._parts[0]
            if sent < len(view):
                self._parts[0] = view[sent:], part
                return
            sent -= len(view)
            self._parts.popleft()
            self._memory.remove(part)

    def _forget(self) -> None:
        for _, part in self._parts:
            self._memory.remove(part)
        self._parts.clear()
        self.size = 0
