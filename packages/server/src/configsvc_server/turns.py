"""Turns: who may do something costly now, who waits, and who is refused.

The callers take turns, however much each of them asks for, and one of them alone can neither
have everything that there is nor keep others from waiting.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from configsvc_server.domain.errors import UnavailableError

__all__ = ["Turns"]


class Turns:
    """Queue in front of something that only so many may use; safe from any thread."""

    def __init__(self, *, at_once: int, max_waiting: int, timeout: float, refusal: str) -> None:
        """Begin with nobody in a turn.

        Args:
            at_once: how many may have a turn at the same time. One caller may have all of these
                but one, so that another one can begin at once.
            max_waiting: how many may wait for a turn, each of them in a thread.
            timeout: how long each may wait, in seconds.
            refusal: what those are told who get no turn.
        """
        self._at_once = at_once
        self._per_caller = max(1, at_once - 1)
        self._refusal = refusal
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        # In the order in which the callers have their turns.
        self._waiting: dict[str, deque[_Ticket]] = {}
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait now."""
        with self._lock:
            return self._count_waiting()

    @contextmanager
    def turn(self, caller: str) -> Iterator[None]:
        """Wait for a turn, and have it for the block.

        Args:
            caller: whose turn it is.

        Raises:
            UnavailableError: too many wait already, it took too long, or the end has come.
        """
        ticket = self._enter(caller)
        if not ticket.decided.wait(self._timeout):
            self._give_up(caller, ticket)
        if not ticket.is_granted:
            raise UnavailableError(self._refusal, retry_after=1)
        try:
            yield
        finally:
            with self._lock:
                self._running[caller] -= 1
                if not self._running[caller]:
                    del self._running[caller]
                self._grant()

    def close(self) -> None:
        """Refuse all that wait, and everything from now on."""
        with self._lock:
            self._closed = True
            while self._waiting:
                self._refuse(next(iter(self._waiting)))

    def _enter(self, caller: str) -> "_Ticket":
        ticket = _Ticket()
        with self._lock:
            if self._closed:
                ticket.decided.set()
                return ticket
            self._waiting.setdefault(caller, deque()).append(ticket)
            self._grant()
            if self._count_waiting() > self._max_waiting:
                # Of those who have the most, the last to come: others may have come before it.
                self._refuse(max(reversed(self._waiting), key=lambda c: len(self._waiting[c])))
        return ticket

    def _count_waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _give_up(self, caller: str, ticket: "_Ticket") -> None:
        with self._lock:
            if not ticket.decided.is_set():
                self._waiting[caller].remove(ticket)
                self._forget_if_empty(caller)

    def _refuse(self, caller: str) -> None:
        self._waiting[caller].pop().decided.set()
        self._forget_if_empty(caller)

    def _grant(self) -> None:
        """Give the turns that are free to those who are next."""
        while self._running.total() < self._at_once:
            eligible = (c for c in self._waiting if self._running[c] < self._per_caller)
            caller = next(eligible, None)
            if caller is None:
                return
            tickets = self._waiting.pop(caller)
            ticket = tickets.popleft()
            if tickets:
                self._waiting[caller] = tickets  # at the end
            self._running[caller] += 1
            ticket.is_granted = True
            ticket.decided.set()

    def _forget_if_empty(self, caller: str) -> None:
        if not self._waiting[caller]:
            del self._waiting[caller]


class _Ticket:
    """What waits, until it is granted or refused."""

    def __init__(self) -> None:
        self.decided = threading.Event()
        self.is_granted = False
