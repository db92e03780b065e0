"""Changes as they happen: a log that is followed, and does not end."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from logging import getLogger
from typing import Self

from configsvc_client._http.api import Api
from configsvc_client._http.poll_schedule import Pace, may_be_cut
from configsvc_client._http.transport import HttpTransport
from configsvc_client._http.types import Transport
from configsvc_client._resources.change_log import AuditChange, LogReader
from configsvc_client.errors import ClosedError, ConfigSvcError, ServerError, TransportError
from configsvc_client.options import Options

__all__ = ["ChangeFeed", "open_feed"]

_log = getLogger("configsvc_client")


class ChangeFeed(Iterator[AuditChange]):
    """Gives each change once, in order, and waits for the next; ends only by :meth:`close`.

    While the server is away it waits, and goes on where it was: nothing is lost or told twice.
    One thread iterates; any may close it, or ask for the cursor.

    Example:
        >>> with client.changes.follow(application="billing", after=saved) as feed:
        ...     for change in feed:
        ...         announce(change)
        ...         saved = feed.cursor
    """

    def __init__(
        self,
        reader: LogReader,
        transport: Transport,
        pace: Pace,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked before the first change is wanted.

        Args:
            reader: where the changes come from.
            transport: what the reader asks by, for nobody else.
            pace: when to ask again.
            clock: counts seconds.
        """
        self._reader = reader
        self._transport = transport
        self._pace = pace
        self._clock = clock
        self._error: ConfigSvcError | None = None
        self._stopping = threading.Event()

    @property
    def cursor(self) -> str:
        """The place after the change that was given last, to follow from some other time.

        Store it once a change is dealt with, and give it as ``after``, with the same filters:
        what comes then is what came after that change.

        Example:
            >>> state.write_text(feed.cursor)
        """
        return self._reader.cursor

    @property
    def error(self) -> ConfigSvcError | None:
        """Why no news come at the moment; ``None`` where all is well.

        Example:
            >>> feed.error is None
            True
        """
        return self._error

    def __next__(self) -> AuditChange:
        while not self._stopping.is_set():
            change = self._reader.take()
            if change is not None:
                return change
            delay = self._turn()
            if delay > 0 and not self._rest(delay):
                break
        raise StopIteration

    def close(self) -> None:
        """End, promptly: also a thread that waits for the next change comes back.

        Example:
            >>> feed.close()
            >>> list(feed)
            []
        """
        self._stopping.set()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self._stopping.is_set() else ""
        if self._error is not None and not state:
            state = f", failing: {self._error}"
        return f"<ChangeFeed: {self._reader.given} given, cursor {self.cursor!r}{state}>"

    def _turn(self) -> float:
        """Ask once and return how long to sleep before the next time."""
        started = self._clock()
        asked = self._pace.wait()
        try:
            has_more, granted = self._reader.fetch(wait=asked)
        except (TransportError, ServerError) as error:
            return self._failed(error, asked, self._clock() - started)
        except ClosedError:
            if self._stopping.is_set():
                return 0.0
            raise
        if self._error is not None:
            _log.info("Following changes works again")
            self._error = None
        delay = self._pace.answered(
            changed=self._reader.has_waiting,
            asked=asked,
            granted=granted,
            took=self._clock() - started,
        )
        # What is there already needs no patience.
        return 0.0 if has_more or self._reader.has_waiting else delay

    def _failed(self, error: TransportError | ServerError, asked: float, took: float) -> float:
        if self._stopping.is_set() or sys.is_finalizing():
            return 0.0
        delay, is_failure = self._pace.failed(
            asked=asked,
            took=took,
            may_be_cut=may_be_cut(error),
            retry_after=error.retry_after if isinstance(error, ServerError) else None,
        )
        if is_failure:
            # One line when it begins; the rest is in error and at debug level.
            level = "debug" if self._error is not None else "warning"
            getattr(_log, level)("Following changes failed; it is tried again. %s", error)
            self._error = error
        return delay

    def _rest(self, seconds: float) -> bool:
        """Sleep; tell whether to go on then."""
        return not self._stopping.wait(seconds)

    def _after_fork(self) -> None:
        """Begin anew in a child: what the parent has open is the parent's."""
        was_stopping = self._stopping.is_set()
        self._stopping = threading.Event()
        if was_stopping:
            self._stopping.set()
        self._transport.forget_parent()


def open_feed(
    options: Options, params: Mapping[str, str | None], cursor: str, wait: float | None
) -> ChangeFeed:
    """Return a feed over HTTP.

    Args:
        options: those of the client.
        params: filters, order and page size.
        cursor: the place to begin at; empty for the very beginning.
        wait: seconds that the server may wait for a change; as the options say without.
    """
    # A transport of its own, as views have: no retries, since the feed makes its own, and it
    # can be closed without disturbing anybody else.
    transport = HttpTransport(options, retries=0)
    pace = Pace(
        interval=options.poll_interval, long_poll=options.long_poll if wait is None else wait
    )
    return ChangeFeed(LogReader(Api(transport), params, cursor), transport, pace)
