"""Clock of the database, which all servers of it have in common."""

import time
from collections import deque
from datetime import UTC, datetime

__all__ = ["DatabaseClock"]


class DatabaseClock:
    """Clock of the database, as far as it is known here, whatever the clock of this machine says.

    Servers that see the same thing one shortly after the other have to agree on the order.
    """

    def __init__(self, *, samples: int) -> None:
        """Create a clock that is not known yet.

        Args:
            samples: comparisons that are remembered; the one that took the least time is the best.
        """
        self._samples: deque[tuple[float, float]] = deque(maxlen=samples)

    def compare(self, before: float, after: float, timestamp: datetime) -> None:
        """Note a time that the database has told.

        Args:
            before: when it was asked, by the monotonic clock.
            after: when it had answered.
            timestamp: what it has told.
        """
        offset = timestamp.timestamp() - (before + after) / 2
        self._samples.append((after - before, offset))

    def forget(self) -> None:
        """Forget what was compared: it may be another database."""
        self._samples.clear()

    def at(self, moment: float) -> datetime:
        """Return the time of the database at a moment of the monotonic clock.

        There has to be a comparison.
        """
        return datetime.fromtimestamp(moment + min(self._samples)[1], UTC)

    def since(self, timestamp: float) -> float:
        """Return how many seconds ago it was that Unix time; 0 where it is yet to come.

        There has to be a comparison. It is as exact as half of the quickest of them was quick.
        """
        return max(0.0, time.monotonic() + min(self._samples)[1] - timestamp)
