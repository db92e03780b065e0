"""Event loop: the one thread that owns all sockets, told by the system which of them are ready.

waitress's own loop asks every connection before each step what it waits for, which with
thousands of them takes longer than the requests.
"""

import selectors
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog

__all__ = ["EventLoop"]

_log = structlog.stdlib.get_logger(__name__)

_ALWAYS: Final = selectors.EVENT_READ
# Beside the events of the system: another thread has something for the loop to do.
_TOUCHED: Final = 1 << 10


class EventLoop:
    """Loop over the dispatchers in :attr:`dispatchers`."""

    SWEEP_INTERVAL = 0.5
    """Seconds between two calls of :attr:`on_sweep`."""

    SLICE = 0.02
    """Seconds for which events are handled before the loop looks for others. Peers take turns, so
    that one with a thousand connections does not keep another waiting for all of them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._events: dict[int, int] = {}
        self._changed: deque[Any] = deque()
        self._turns: OrderedDict[str, dict[int, int]] = OrderedDict()
        self._is_awake = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector.register(self._wake_reader, _ALWAYS)
        self._next_sweep = time.monotonic() + self.SWEEP_INTERVAL
        self.on_sweep: Callable[[float], None] = lambda _now: None
        """Called about every :attr:`SWEEP_INTERVAL` seconds with the monotonic time."""
        self.dispatchers = _Dispatchers(self)
        """Map from descriptors to waitress's dispatchers; adding one here watches it."""

    def step(self, timeout: float) -> None:
        """Wait for events, at most ``timeout`` seconds, and handle them for a :attr:`SLICE`."""
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + self.SWEEP_INTERVAL
            self.on_sweep(now)
        self._take_changes()
        timeout = 0.0 if self._turns else max(0.0, min(timeout, self._next_sweep - now))
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._wake_reader:
                self._clear_wakeup()
            else:
                self._add(key.fd, events)
        self._take_changes()
        end = time.monotonic() + self.SLICE
        while self._turns:
            self._handle_next()
            if time.monotonic() > end:
                break

    def touch(self, dispatcher: Any) -> None:
        """Tell the loop, from any thread, that a dispatcher may wait for something else now."""
        self._changed.append(dispatcher)
        self.wake()

    def wake(self) -> None:
        """End the wait of :meth:`step`; safe from any thread and in a signal handler."""
        # No lock: a signal handler would wait for the thread that it has interrupted.
        if not self._is_awake:
            self._is_awake = True
            with suppress(OSError):
                self._wake_writer.send(b"x")

    def close(self) -> None:
        """Close every dispatcher and the loop itself."""
        for dispatcher in list(self.dispatchers.values()):
            with suppress(OSError):
                dispatcher.close()
        self._is_awake = True
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def add(self, descriptor: int) -> None:
        """Watch a new descriptor."""
        self._selector.register(descriptor, _ALWAYS)
        self._events[descriptor] = _ALWAYS

    def remove(self, descriptor: int) -> None:
        """Watch a descriptor no more."""
        if self._events.pop(descriptor, 0):
            self._selector.unregister(descriptor)

    def _take_changes(self) -> None:
        # Those who change again meanwhile wait for the next step, so that none keeps the others.
        for _ in range(len(self._changed)):
            dispatcher: Any = self._changed.popleft()
            descriptor = dispatcher._fileno
            if self._has(descriptor, dispatcher):
                self._add(descriptor, _TOUCHED)

    def _add(self, descriptor: int, events: int) -> None:
        """Give a dispatcher a turn among those of its peer."""
        dispatcher = self.dispatchers.get(descriptor)
        if dispatcher is not None:
            queue = self._turns.setdefault(getattr(dispatcher, "peer", ""), {})
            queue[descriptor] = queue.get(descriptor, 0) | events

    def _handle_next(self) -> None:
        """Handle one dispatcher of the peer whose turn it is."""
        peer, queue = self._turns.popitem(last=False)
        descriptor = next(iter(queue))
        events = queue.pop(descriptor)
        if queue:
            self._turns[peer] = queue
        dispatcher = self.dispatchers.get(descriptor)
        if dispatcher is None or getattr(dispatcher, "peer", "") != peer:
            return
        if events & _TOUCHED:
            _guard(dispatcher, dispatcher.handle_touch)
        if events & selectors.EVENT_READ and self._has(descriptor, dispatcher):
            _guard(dispatcher, dispatcher.handle_read_event)
        if events & selectors.EVENT_WRITE and self._has(descriptor, dispatcher):
            _guard(dispatcher, dispatcher.handle_write_event)
        self._watch(dispatcher, descriptor)

    def _watch(self, dispatcher: Any, descriptor: int) -> None:
        if not self._has(descriptor, dispatcher):
            return
        events = 0
        if dispatcher.readable():
            events |= selectors.EVENT_READ
        if dispatcher.writable():
            events |= selectors.EVENT_WRITE
        before = self._events[descriptor]
        if events == before:
            return
        if not before:
            self._selector.register(descriptor, events)
        elif not events:
            self._selector.unregister(descriptor)
        else:
            self._selector.modify(descriptor, events)
        self._events[descriptor] = events

    def _has(self, descriptor: int, dispatcher: object) -> bool:
        # A descriptor may belong to another connection by now.
        return self.dispatchers.get(descriptor) is dispatcher

    def _clear_wakeup(self) -> None:
        with suppress(OSError):
            self._wake_reader.recv(4096)
        # After the read: whoever did not write because of it is heeded by this step.
        self._is_awake = False


class _Dispatchers(dict[int, Any]):
    """Map that waitress's dispatchers add themselves to."""

    def __init__(self, loop: EventLoop) -> None:
        super().__init__()
        self._loop = loop

    def __setitem__(self, descriptor: int, dispatcher: Any) -> None:
        self._loop.add(descriptor)
        super().__setitem__(descriptor, dispatcher)

    def __delitem__(self, descriptor: int) -> None:
        super().__delitem__(descriptor)
        self._loop.remove(descriptor)


def _guard(dispatcher: Any, handler: Callable[[], None]) -> None:
    """Call a handler; an error costs its own connection and nothing else."""
    try:
        handler()
    except Exception as error:  # noqa: BLE001 - the loop must survive every connection
        _log.error("a connection failed", exc_info=error)
        dispatcher.handle_close()
