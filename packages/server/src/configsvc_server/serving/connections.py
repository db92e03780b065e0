"""Connections: how many there may be, in all and of a peer, and what they may have in memory."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from enum import Enum
from typing import Final, Protocol

from configsvc_server.http.peers import is_within, peer_of
from configsvc_server.serving.limits import Limits

__all__ = ["Connection", "Connections", "OutputMemory", "Phase"]

_NEVER: Final = 9
_REASONS: Final = ("refused", "room", "memory", "slow_response", "idle")
# In place of a peer.
_ALL: Final = ""


class Phase(Enum):
    """What a connection is doing."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    WORK = "work"
    RESPONSE = "response"
    LINGER = "linger"


class Connection(Protocol):
    """What is counted: a channel."""

    peer: str
    """Who it comes from (see :func:`~configsvc_server.http.peers.peer_of`)."""
    answered: int
    """How many requests were answered."""

    @property
    def since(self) -> float:
        """When the phase began; in a response, when something was last taken of it."""

    @property
    def phase(self) -> Phase:
        """What it is doing."""

    def sweep(self, now: float) -> None:
        """Heed the deadline of its phase, by the monotonic clock."""

    def handle_read(self) -> None:
        """Read what has arrived, if anything has."""

    def handle_close(self) -> None:
        """Close it; does nothing if it is closed."""

    def cut(self, why: str) -> None:
        """Close it, and say why in the log."""

    def shed(self) -> bool:
        """Refuse its request if no thread has begun it, and return whether that was so."""


class OutputMemory:
    """Bytes of responses that clients have yet to take; a body that many share counts once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: dict[int, int] = {}
        self.total = 0
        """How many bytes they are."""

    def add(self, part: bytes) -> None:
        """Count one that is to be sent."""
        with self._lock:
            shares = self._shares.get(id(part), 0)
            self._shares[id(part)] = shares + 1
            if not shares:
                self.total += len(part)

    def remove(self, part: bytes) -> None:
        """Count one no more that is sent."""
        with self._lock:
            shares = self._shares[id(part)] - 1
            if shares:
                self._shares[id(part)] = shares
            else:
                del self._shares[id(part)]
                self.total -= len(part)


class Connections:
    """All open connections of a server; used by the thread of the event loop."""

    EVICTED_SHARE = 20
    """One in this many connections is closed at once to make room, so that a flood of new ones
    does not look for the next victim each time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._peers: defaultdict[str, set[Connection]] = defaultdict(set)
        self._count = 0
        self._input = 0
        self._without_room: set[str] = set()
        self.output = OutputMemory()
        """Responses in memory."""
        self.accepted = 0
        """How many there have been."""
        self.closed: Counter[str] = Counter(dict.fromkeys(_REASONS, 0))
        """How many were refused or closed, by reason."""
        self.shed = 0
        """Requests that were refused because no thread began them in time, or for memory."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Requests that the application has not seen, by method and status."""

    @property
    def input_bytes(self) -> int:
        """Bytes of request bodies in memory."""
        return self._input

    def phases(self) -> Counter[str]:
        """Return how many connections there are in each phase; safe in any thread."""
        counts = Counter({phase.value: 0 for phase in Phase})
        # Each copy is one step of the interpreter, between which the event loop may go on.
        for members in list(self._peers.values()):
            counts.update(connection.phase.value for connection in list(members))
        return counts

    def __len__(self) -> int:
        return self._count

    def add(self, connection: Connection) -> None:
        """Count a connection."""
        self._peers[connection.peer].add(connection)
        self._count += 1
        self.accepted += 1

    def remove(self, connection: Connection) -> None:
        """Count a connection no more; does nothing if it is not counted."""
        members = self._peers.get(connection.peer, set())
        if connection in members:
            members.discard(connection)
            self._count -= 1
            if not members:
                del self._peers[connection.peer]

    def all(self) -> list[Connection]:
        """Return the connections."""
        return [connection for members in self._peers.values() for connection in members]

    def admit(self, address: str) -> bool | None:
        """Return whether a new connection may have requests; ``None`` for health checks alone.

        Connections without a request make room: those of the peer where it has too many, those
        of all where there are too many.
        """
        limits = self._limits
        peer = peer_of(address)
        members = self._peers.get(peer, set())
        is_full = len(members) >= limits.max_connections_per_peer
        is_proxy = is_full and is_within(address, limits.trusted_proxies)
        if is_full and not is_proxy and not self._has_room(peer, members):
            return False
        if self._count >= limits.max_connections and not self._has_room(_ALL, None):
            return None if self._count < limits.max_connections + limits.RESERVE else False
        return True

    def sweep(self, now: float) -> None:
        """Heed the deadlines of all connections, by the monotonic clock, and the memory."""
        self._without_room.clear()
        for connection in self.all():
            connection.sweep(now)
        self.limit_memory()

    def _has_room(self, whose: str, members: Iterable[Connection] | None) -> bool:
        # Who has none is not asked again before the next sweep: to look at every connection
        # for each one that is refused would let a flood of them take all the time there is.
        if whose in self._without_room:
            return False
        has_room = self.make_room(members)
        if not has_room:
            self._without_room.add(whose)
        return has_room

    def make_room(self, members: Iterable[Connection] | None = None) -> bool:
        """Close some connections without a request, and return whether there were any.

        First those that have never had one, then those that have sent nothing for the longest
        time, then those whose request is not complete.
        """
        candidates = self.all() if members is None else list(members)
        ranks: defaultdict[int, list[Connection]] = defaultdict(list)
        for connection in candidates:
            ranks[_rank(connection)].append(connection)
        wanted = max(1, len(candidates) // self.EVICTED_SHARE)
        before = self._count
        for rank in sorted(ranks.keys() - {_NEVER}):
            for connection in sorted(ranks[rank], key=lambda connection: connection.since):
                # Its request may have arrived since the event loop last looked.
                connection.handle_read()
                if _rank(connection) == rank:
                    self.closed["room"] += 1
                    connection.handle_close()
                if before - self._count >= wanted:
                    return True
            if self._count < before:
                return True
        return False

    def count_input(self, change: int) -> None:
        """Count bytes of request bodies in memory."""
        self._input += change

    def limit_memory(self) -> None:
        """Free memory where too much is held for clients.

        It costs those who have taken nothing of a response for the longest, then those who
        have been sending a body for the longest, then the last of those who wait for a thread.
        """
        limit = self._limits.max_buffered_bytes
        if self._input + self.output.total <= limit:
            return
        for phase, why in (
            (Phase.RESPONSE, "its response takes memory that others need"),
            (Phase.BODY, "its body takes memory that others need"),
        ):
            for connection in self._in_phase(phase):
                if self._input + self.output.total <= limit:
                    return
                self.closed["memory"] += 1
                connection.cut(why)
        for connection in reversed(self._in_phase(Phase.WORK)):
            if self._input + self.output.total <= limit:
                return
            connection.shed()

    def _in_phase(self, phase: Phase) -> list[Connection]:
        found = [connection for connection in self.all() if connection.phase is phase]
        return sorted(found, key=lambda connection: connection.since)


def _rank(connection: Connection) -> int:
    phase = connection.phase
    if phase is Phase.LINGER:
        return 0
    if phase in {Phase.IDLE, Phase.HEAD} and not connection.answered:
        return 1
    return {Phase.IDLE: 2, Phase.HEAD: 3, Phase.BODY: 4}.get(phase, _NEVER)
