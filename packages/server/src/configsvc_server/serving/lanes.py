"""Lanes: threads of their own for each kind of request, so that none can keep another waiting.

Reads, writes, waiters, health checks and what takes long to compute have a lane each. Within a
lane, peers take turns. While nothing has changed, a waiter is put aside and has no thread.
"""

import threading
import time
from collections import OrderedDict, deque
from typing import Any, Final, Protocol

import structlog

from configsvc_server.http.conditional import has_wait
from configsvc_server.http.resources.health import LIVENESS_PATH
from configsvc_server.http.resources.health import PATHS as HEALTH_PATHS
from configsvc_server.telemetry.readings import LaneReading

__all__ = ["Job", "Lane", "Lanes", "is_health_check"]

_log = structlog.stdlib.get_logger(__name__)

_PREFIX: Final = "configsvc-"

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

# They walk through whole documents, or through all of an application.
_COSTLY: Final = ("/diff", "/promote")


class Job(Protocol):
    """What a thread of a lane works on."""

    def service(self) -> None:
        """Do the work; must not raise."""


class Lane:
    """Threads for one kind of request, started when they are first needed."""

    STUCK_SECONDS = 0.1
    """Seconds after which threads that begin nothing, though jobs wait, count as stuck."""

    def __init__(self, name: str, *, threads: int) -> None:
        """Prepare a lane.

        Args:
            name: name of the threads.
            threads: how many there may be.
        """
        self._name = name
        self._limit = threads
        self._condition = threading.Condition(threading.Lock())
        self._queues: OrderedDict[str, deque[Job]] = OrderedDict()
        self._queued = 0
        self._idle = 0
        self._moved_at = 0.0
        self._threads: set[threading.Thread] = set()
        self._stopped = False

    @property
    def is_stuck(self) -> bool:
        """Whether jobs wait for a thread, and for a while none has begun one."""
        with self._condition:
            return self._queued > 0 and time.monotonic() - self._moved_at > self.STUCK_SECONDS

    def reading(self) -> LaneReading:
        """Return how many threads there are, what they do, and how many jobs wait."""
        with self._condition:
            threads = len(self._threads)
            return LaneReading(
                name=self._name.removeprefix(_PREFIX),
                queued=self._queued,
                threads=threads,
                limit=self._limit,
                busy=max(0, threads - self._idle),
            )

    def submit(self, peer: str, job: Job) -> None:
        """Let a thread do ``job`` as soon as one is free and it is the peer's turn."""
        with self._condition:
            self._queues.setdefault(peer, deque()).append(job)
            if not self._queued:
                self._moved_at = time.monotonic()
            self._queued += 1
            if self._queued > self._idle and len(self._threads) < self._limit:
                self._start_thread()
            else:
                self._condition.notify()

    def cancel(self, peer: str, job: Job) -> bool:
        """Take back a job, and return whether no thread had begun it."""
        with self._condition:
            queue = self._queues.get(peer)
            if queue is None or job not in queue:
                return False
            queue.remove(job)
            self._queued -= 1
            if not queue:
                del self._queues[peer]
            return True

    def stop(self, *, deadline: float) -> None:
        """End the threads, and wait for them until ``deadline``, by the monotonic clock."""
        with self._condition:
            self._stopped = True
            self._queues.clear()
            self._queued = 0
            self._condition.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system has no more threads for us; those that there are go on.
            _log.warning("no thread could be started", lane=self._name, threads=len(self._threads))
        else:
            self._threads.add(thread)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.service()
            except Exception as error:  # noqa: BLE001 - a thread must survive every request
                _log.error("a request failed", exc_info=error)
            # Not until the next one comes: it is a whole connection.
            del job

    def _next(self) -> Job | None:
        with self._condition:
            self._idle += 1
            while not self._queues and not self._stopped:
                self._condition.wait()
            self._idle -= 1
            if self._stopped:
                return None
            peer, queue = self._queues.popitem(last=False)
            job = queue.popleft()
            self._queued -= 1
            self._moved_at = time.monotonic()
            if queue:
                self._queues[peer] = queue
            return job


class Lanes:
    """All the lanes of a server."""

    HEALTH_THREADS = 2
    """Threads for readiness; liveness needs none."""

    COSTLY_THREADS = 2
    """Threads for what takes long to compute. Each of them keeps the interpreter for as long as it
    may, so with more of them the event loop would have to wait."""

    WAIT_THREADS = 4
    """Threads for those who may wait, before and after they do. A change wakes hundreds of them at
    once, and the more threads contend for the interpreter, the later the last is answered."""

    COSTLY_BYTES = 64 * 1024
    """Bytes of a body from which on a request counts as costly."""

    def __init__(self, *, threads: int) -> None:
        """Prepare the lanes.

        Args:
            threads: how many reads, and how many writes, are served at the same time.
        """
        self._reads = Lane(f"{_PREFIX}read", threads=threads)
        self._writes = Lane(f"{_PREFIX}write", threads=threads)
        self._waits = Lane(f"{_PREFIX}wait", threads=self.WAIT_THREADS)
        self._costly = Lane(f"{_PREFIX}costly", threads=self.COSTLY_THREADS)
        self._health = Lane(f"{_PREFIX}health", threads=self.HEALTH_THREADS)

    def choose(self, request: Any) -> Lane | None:
        """Return the lane of a request; ``None`` if it is answered by the thread that read it."""
        request.may_wait = False
        if request.error is not None or request.path == LIVENESS_PATH:
            return None
        if is_health_check(request):
            return self._health
        if request.path.rstrip("/").endswith(_COSTLY) or request.buffered > self.COSTLY_BYTES:
            return self._costly
        if request.command not in _READS:
            return self._writes
        if has_wait(request.headers.get("PREFER", "")):
            request.may_wait = True
            return self.of_waiters()
        return self._reads

    def of_waiters(self) -> Lane:
        """Return the lane of a request that may wait for a change, before and after it does.

        Where those that are there wait for the database, more threads are what helps.
        """
        return self._reads if self._waits.is_stuck else self._waits

    def stop(self, *, deadline: float) -> None:
        """End all threads, and wait for them until ``deadline``, by the monotonic clock."""
        for lane in self._all():
            lane.stop(deadline=deadline)

    def readings(self) -> list[LaneReading]:
        """Return the state of each."""
        return [lane.reading() for lane in self._all()]

    def _all(self) -> tuple[Lane, ...]:
        return self._reads, self._writes, self._waits, self._costly, self._health


def is_health_check(request: Any) -> bool:
    """Return whether a request asks for the health of the server."""
    return request.command in _READS and request.path in HEALTH_PATHS
