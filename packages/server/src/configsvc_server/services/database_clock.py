"""Clock of the database: its time at a moment that only the clock of this server has seen."""

from collections import deque
from datetime import datetime, timedelta

__all__ = ["DatabaseClock"]


class DatabaseClock:
    """Clock of the database, as far as it is known here.

    Servers that see the same instance one shortly after the other have to agree on the order.
    """

    SAMPLES = 6
    """Comparisons that are remembered; the one that took the least time is the best one."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, datetime]] = deque(maxlen=self.SAMPLES)

    def compare(self, before: float, after: float, time: datetime) -> None:
        """Note a time that the database has told.

        Args:
            before: when it was asked, by the clock of this server.
            after: when it had answered.
            time: what it has told.
        """
        middle = (before + after) / 2
        self._samples.append((after - before, time - timedelta(seconds=middle)))

    def forget(self) -> None:
        """Forget what was compared: it may be another database."""
        self._samples.clear()

    def at(self, moment: float) -> datetime:
        """Return the time of the database at a moment of the clock of this server.

        There has to be a comparison.
        """
        _, epoch = min(self._samples)
        return epoch + timedelta(seconds=moment)
