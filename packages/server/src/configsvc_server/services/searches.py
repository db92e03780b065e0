"""Searches: at most a few at a time look through everything that there is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from configsvc_server.domain.errors import UnavailableError

__all__ = ["Searches"]


class Searches:
    """Slots of requests that search the whole database for a text.

    Where no index serves them, each reads every row, and takes a connection for as long as that is
    allowed to take.
    """

    LIMIT = 2
    """How many there are at the same time."""

    PATIENCE = 0.25
    """Seconds that another one waits for its turn."""

    RETRY_AFTER = 2.0
    """Seconds after which one that was refused should try again."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(self.LIMIT)

    @contextmanager
    def slot(self, text: str | None) -> Iterator[None]:
        """Keep a slot while the block runs; none is needed where there is no text to search for.

        Raises:
            UnavailableError: none is free.
        """
        if text is None:
            yield
            return
        if not self._slots.acquire(timeout=self.PATIENCE):
            raise UnavailableError(
                "Too many search by q at the same time; a search in one application need not wait.",
                retry_after=self.RETRY_AFTER,
            )
        try:
            yield
        finally:
            self._slots.release()
