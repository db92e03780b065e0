"""Channel: one connection, the request that arrives on it, and the response that leaves it.

The thread of the event loop owns the socket. A thread of a lane leaves a response here and goes
on: it never waits for a client.
"""

import socket
import time
from contextlib import suppress
from typing import Any, Final

import structlog
from waitress.channel import ClientDisconnected, HTTPChannel

from configsvc_server.cache.parking import Parking
from configsvc_server.http.peers import client_address, peer_of
from configsvc_server.serving.connections import Phase
from configsvc_server.serving.lanes import Lane, is_health_check
from configsvc_server.serving.limits import Limits
from configsvc_server.serving.output import Output
from configsvc_server.serving.parser import ApiParser
from configsvc_server.serving.refusals import Refusal
from configsvc_server.serving.tasks import ApplicationTask, RefusalTask

__all__ = ["ApiChannel"]

_log = structlog.stdlib.get_logger(__name__)

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_RECEIVE_BYTES: Final = 64 * 1024
_MAX_REQUESTS: Final = 2


class ApiChannel(HTTPChannel):
    """Channel with deadlines, and without a buffer that a thread would wait for."""

    # waitress's stubs are wrong about these.
    server: Any
    socket: Any
    addr: Any
    request: Any
    requests: list[Any]
    requests_lock: Any

    limits: Limits
    """Its deadlines, and what it may take."""

    def __init__(self, server: Any, sock: socket.socket, addr: Any, *, only_health: bool) -> None:
        """Watch a connection that was just accepted.

        Args:
            server: the listener that accepted it.
            sock: its socket.
            addr: address of its peer.
            only_health: whether it has a place of the reserve for health checks.
        """
        self.limits = server.limits
        self.peer = peer_of(addr[0])
        """Who it comes from."""
        self.answered = 0
        """How many requests were answered."""
        self.parking: Parking | None = None
        """Where the first request is put aside while it waits; ``None`` if it may not."""
        self._since = time.monotonic()
        self._only_health = only_health
        self._unparsed = b""
        self._output = Output(sock, server.connections.output, self.limits)
        self._lane: Lane | None = None
        self._lane_peer = self.peer
        self._is_serving = False
        self._is_refused = False
        self._is_lingering = False
        self._counted_input = 0
        super().__init__(server, sock, addr, server.adj, map=server.event_loop.dispatchers)

    @property
    def phase(self) -> Phase:
        """What the connection is doing."""
        if self._is_lingering:
            return Phase.LINGER
        if self._output.size:
            return Phase.RESPONSE
        if self.requests:
            return Phase.WORK
        if self.request is not None:
            return Phase.BODY if self.request.headers_finished else Phase.HEAD
        return Phase.IDLE

    @property
    def since(self) -> float:
        """When the phase began, or something was last taken of the response; monotonic time."""
        return self._output.taken_at if self._output.size else self._since

    # What the event loop asks and calls.

    def readable(self) -> bool:
        """Return whether to read: not while a client sends more than it takes."""
        if self._is_lingering:
            return True
        return not (
            self.close_when_flushed
            or self._unparsed
            or self._output.size
            or len(self.requests) >= _MAX_REQUESTS
        )

    def writable(self) -> bool:
        """Return whether there is something to send."""
        return self._output.size > 0

    def handle_read(self) -> None:
        """Read what has arrived, if anything has."""
        if not self.connected:
            return
        try:
            data = self.socket.recv(_RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.handle_close()
        elif not self._is_lingering:
            self._unparsed += data
            self._parse()
            self.server.connections.limit_memory()

    def handle_write(self) -> None:
        """Send what is left, and go on if that was the last."""
        self._output.flush()
        self.handle_touch()

    def handle_touch(self) -> None:
        """Go on after a thread has finished a request or left something to send."""
        if self._output.is_broken:
            self.handle_close()
        elif self._output.size:
            self.server.connections.limit_memory()
        elif self.close_when_flushed:
            self._end()
        else:
            self._parse()

    def handle_close(self) -> None:
        """Close the connection and forget what was left to send."""
        self.connected = False
        self._output.close()
        self._unparsed = b""
        self._count_input(0)
        self.close()
        self._end_wait()

    def add_channel(self, map: Any = None) -> None:  # noqa: A002 - waitress's name
        """Watch the socket, and count the connection."""
        super().add_channel(map)
        self.server.connections.add(self)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002 - waitress's name
        """Watch the socket no more."""
        super().del_channel(map)
        self.server.connections.remove(self)

    # Deadlines.

    def sweep(self, now: float) -> None:
        """Heed the deadline of the phase that the connection is in."""
        phase, elapsed, limits = self.phase, now - self.since, self.limits
        if phase is Phase.IDLE and elapsed > limits.idle_timeout:
            self.server.connections.closed["idle"] += 1
            self.handle_close()
        elif phase is Phase.HEAD and elapsed > limits.head_timeout:
            self._time_out("the head of the request", limits.head_timeout)
        elif phase is Phase.BODY and elapsed > limits.body_timeout:
            self._time_out("the body of the request", limits.body_timeout)
        elif phase is Phase.WORK:
            parking = self.parking
            if parking is not None and parking.is_late(now):
                parking.wake()
            # The lane before the time: who is put aside and comes back has a new time first.
            if self._lane is not None and time.monotonic() - self._since > limits.queue_timeout:
                self.shed()
        elif phase is Phase.RESPONSE and (
            elapsed > limits.stall_timeout or now > self._output.deadline
        ):
            self.server.connections.closed["slow_response"] += 1
            self.cut("it takes its response too slowly")
        elif phase is Phase.LINGER and elapsed > limits.LINGER_SECONDS:
            self.handle_close()

    def cut(self, why: str) -> None:
        """Close a connection that takes more than it may, and say why in the log."""
        _log.info("connection cut", peer=self.addr[0], why=why, phase=self.phase.value)
        self.handle_close()

    def shed(self) -> bool:
        """Refuse the request if no thread has begun it, and return whether that was so."""
        lane = self._lane
        if lane is None or not lane.cancel(self._lane_peer, self):
            return False
        self.server.connections.shed += 1
        detail = "The server is busy: no thread became free for this request in time."
        self.requests[0].refuse(Refusal(503, detail, retry_after=2, keeps_connection=True))
        self.service()
        return True

    def _time_out(self, what: str, seconds: float) -> None:
        with self.requests_lock:
            self.request.refuse(Refusal(408, f"Within {seconds:g} seconds, {what} did not arrive."))
            self._take_request()
        self._start_next()

    # Requests.

    def _parse(self) -> None:
        """Make requests of what has arrived: the one to answer, and the one after it at most."""
        with self.requests_lock:
            while self._unparsed and len(self.requests) < _MAX_REQUESTS:
                if self.request is None:
                    self.request = ApiParser(self.adj, self.limits)
                    self._begin_phase()
                had_head = self.request.headers_finished
                consumed = self.request.received(self._unparsed)
                self._unparsed = self._unparsed[consumed:]
                if self.request.headers_finished and not had_head:
                    self._begin_phase()
                if self.request.completed:
                    self._take_request()
            self._send_continue()
            self._count_input(self._buffered_input())
        self._start_next()

    def _begin_phase(self) -> None:
        if not self.requests:
            self._since = time.monotonic()

    def _send_continue(self) -> None:
        request = self.request
        if request is None or self.requests or not request.headers_finished:
            return
        if request.expect_continue:
            request.expect_continue = False
            self._output.send(_CONTINUE)

    def _take_request(self) -> None:
        request, self.request = self.request, None
        if self._only_health and not request.error and not is_health_check(request):
            request.refuse(Refusal(503, "The server has no free connection.", retry_after=2))
        self.requests.append(request)
        if len(self.requests) >= _MAX_REQUESTS:
            self._end_wait()

    def _start_next(self) -> None:
        """Give the first request to a lane, or answer it at once.

        Not before the response to the one before it is taken: what is pending for a connection
        is one response at most.
        """
        with self.requests_lock:
            is_busy = self._is_serving or self._output.size or self.close_when_flushed
            if is_busy or not self.requests:
                return
            request = self.requests[0]
            self._is_serving = True
            self._since = time.monotonic()
            lane = self.server.lanes.choose(request)
            self.parking = Parking(self._resume) if request.may_wait else None
        if lane is None:
            self.service()
            return
        if self.limits.trusted_proxies:
            self._lane_peer = peer_of(
                client_address(self.addr[0], request.headers, self.limits.trusted_proxies)
            )
        self._lane = lane
        lane.submit(self._lane_peer, self)

    def _end_wait(self) -> None:
        """Have a request that waits for a change run again: its wait is over."""
        parking = self.parking
        if parking is not None:
            parking.wake()

    def _resume(self) -> None:
        """Give the request back to its lane after it was put aside; called in any thread."""
        self._since = time.monotonic()
        self._lane = lane = self.server.lanes.of_waiters()
        lane.submit(self._lane_peer, self)

    def service(self) -> None:
        """Answer the first request, in a thread of its lane or, if it has none, of the loop."""
        try:
            self._answer()
        finally:
            # What this thread logs next is of another request, or of none.
            structlog.contextvars.clear_contextvars()

    def _answer(self) -> None:
        # From here on the queue is not what the request waits in.
        self._lane = None
        request = self.requests[0]
        parking = self.parking
        is_resumed = parking is not None and parking.deadline is not None
        if parking is not None:
            parking.begin()
        task: Any = RefusalTask(self, request) if request.error else ApplicationTask(self, request)
        try:
            # Who was put aside has a line of the access log to come, gone or not.
            if self.connected or is_resumed:
                task.service()
        except ClientDisconnected:
            task.close_on_finish = True
        except Exception as error:  # noqa: BLE001 - whatever the application does, others go on
            _log.error("a response failed", exc_info=error)
            self._answer_failure(request, task)
            task.close_on_finish = True
        if parking is not None and parking.is_wanted and not task.close_on_finish:
            # From here on another thread may have the request.
            parking.park()
            return
        self._finish(request, closes=task.close_on_finish)

    def _answer_failure(self, request: Any, failed: Any) -> None:
        if not failed.wrote_header:
            request.error = Refusal(500, "Something went wrong in the server.")
            with suppress(ClientDisconnected):
                RefusalTask(self, request).service()

    def _finish(self, request: Any, *, closes: bool) -> None:
        request.close()
        if self.parking is not None:
            self.parking.close()
            self.parking = None
        with self.requests_lock:
            self._is_serving = False
            self.answered += 1
            self._since = time.monotonic()
            if closes:
                self._is_refused = request.error is not None
                self.close_when_flushed = True
                self.requests.clear()
            else:
                self.requests.pop(0)
            is_waiting = self.requests or self.request or self._unparsed or self._counted_input
        if closes or is_waiting or self._output.is_broken:
            self.server.event_loop.touch(self)

    def check_client_disconnected(self) -> bool:  # type: ignore[override]
        """Return whether nobody waits for the response.

        Whoever sends another request behind one that waits for a change ends the wait: behind
        it, an end of the connection would not be seen.
        """
        return not self.connected or len(self.requests) >= _MAX_REQUESTS

    def write_soon(self, data: bytes) -> int:
        """Send bytes, or keep them until the client takes them (see :meth:`write_all`)."""
        if data:
            self.write_all(data)
        return len(data)

    def write_all(self, *parts: bytes) -> None:
        """Send the parts of a response, and keep what the client does not take at once.

        Raises:
            ClientDisconnected: the connection is closed.
        """
        if self._output.is_closed:
            raise ClientDisconnected
        self._output.send(*parts)
        if self._output.size:
            self.server.event_loop.touch(self)

    # The end.

    def _end(self) -> None:
        """Close the connection, after reading for a while what the client still sends.

        A close with input left to read resets the connection, and what the client has not taken
        yet of the response is lost (RFC 9112, section 9.6).
        """
        if not (self._is_refused or self._unparsed):
            self.handle_close()
            return
        self._unparsed = b""
        self._is_lingering = True
        self._since = time.monotonic()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def _buffered_input(self) -> int:
        received = self.request.buffered if self.request is not None else 0
        return int(received + sum(request.buffered for request in self.requests))

    def _count_input(self, size: int) -> None:
        self.server.connections.count_input(size - self._counted_input)
        self._counted_input = size
