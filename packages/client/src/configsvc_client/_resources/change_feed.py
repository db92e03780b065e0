"""Change feed: the audit trail as it grows, without an end."""

import threading
from collections.abc import Iterator, Mapping
from typing import Self

from configsvc_client._fork import protect
from configsvc_client._http.api import Api
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.polling import PollRecorder
from configsvc_client._http.transport import HttpTransport
from configsvc_client._http.types import Transport
from configsvc_client._http.untraced import Untraced
from configsvc_client._resources.change_log import LogReader
from configsvc_client._resources.models import AuditChange
from configsvc_client.errors import ClosedError, ConfigSvcError, ServerError, TransportError
from configsvc_client.options import Options

__all__ = ["ChangeFeed", "open_feed"]


class ChangeFeed(Iterator[AuditChange]):
    """Iterator over changes as they happen; it ends only by :meth:`close`.

    Each change comes once, and in order. While the server is unavailable the feed waits, and
    goes on where it was. One thread iterates; any may close the feed, or read the cursor.

    Example:
        >>> with client.changes.follow(application="billing", from_start=True) as feed:
        ...     for change in feed:
        ...         if change.entity == "environment":
        ...             print(change.action, change.name)
        ...         saved = feed.cursor
        create staging
        create prod
    """

    def __init__(self, reader: LogReader, transport: Transport, schedule: PollSchedule) -> None:
        """Create a feed without sending a request.

        Args:
            reader: the reader of the log.
            transport: the transport of ``reader``, closed with the feed.
            schedule: decides on the delays.
        """
        self._reader = reader
        self._transport = transport
        self._error: ConfigSvcError | None = None
        self._reset()
        protect(self._after_fork_in_child)
        self._recorder = PollRecorder(
            schedule,
            activity="Following changes",
            consequence=lambda: "it is tried again",
            is_stopping=self._is_stopping,
        )

    def _reset(self) -> None:
        self._stopping = threading.Event()

    @property
    def cursor(self) -> str:
        """Position after the change that was returned last, to follow from some other time.

        Store it once a change is dealt with, and give it as ``after``, with the same filters:
        what comes then is what came after that change.

        Example:
            >>> feed = client.changes.follow(application="billing", from_start=True)
            >>> first = next(feed)
            >>> later = client.changes.follow(application="billing", after=feed.cursor)
            >>> next(later).id > first.id
            True
        """
        return self._reader.cursor

    @property
    def error(self) -> ConfigSvcError | None:
        """Failure that is being waited out; ``None`` where requests succeed.

        Example:
            >>> feed = client.changes.follow(application="billing", from_start=True)
            >>> change = next(feed)
            >>> feed.error is None
            True
        """
        return self._error

    def __next__(self) -> AuditChange:
        while not self._stopping.is_set():
            change = self._reader.take()
            if change is not None:
                return change
            delay = self._poll_once()
            if delay > 0 and not self._rest(delay):
                break
        raise StopIteration

    def close(self) -> None:
        """End the feed, promptly: also in a thread that waits for the next change.

        Example:
            >>> feed = client.changes.follow(application="billing", from_start=True)
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

    def _poll_once(self) -> float:
        """Fetch once and return the seconds before the next time."""
        wait = self._recorder.begin()
        was_failing = self._error is not None
        try:
            has_more, granted = self._reader.fetch(wait=wait)
        except (TransportError, ServerError) as error:
            delay, is_failure = self._recorder.failed(error, was_failing=was_failing)
            if is_failure:
                self._error = error
            return delay
        except ClosedError:
            if self._stopping.is_set():
                return 0.0
            raise
        self._error = None
        delay = self._recorder.succeeded(
            has_change=self._reader.has_pending, granted=granted, was_failing=was_failing
        )
        # Changes that are there already need no delay.
        return 0.0 if has_more or self._reader.has_pending else delay

    def _is_stopping(self) -> bool:
        return self._stopping.is_set()

    def _rest(self, seconds: float) -> bool:
        """Sleep, and return whether to go on then."""
        return not self._stopping.wait(seconds)

    def _after_fork_in_child(self) -> None:
        """Replace the event, whose lock may have been held, and drop the connections."""
        was_stopping = self._stopping.is_set()
        self._reset()
        if was_stopping:
            self._stopping.set()
        self._transport.after_fork_in_child()


def open_feed(
    options: Options, params: Mapping[str, str | None], cursor: str, wait: float | None
) -> ChangeFeed:
    """Return a feed over HTTP.

    Args:
        options: the settings of the client.
        params: filters, order and page size.
        cursor: the position to begin at; empty for the very beginning.
        wait: seconds that the server may wait for a change; ``long_poll`` of the options
            without.
    """
    # A transport of its own, without retries, as ConfigClient._updater makes one for a view.
    transport = Untraced(HttpTransport(options, retries=0))
    schedule = PollSchedule(
        interval=options.poll_interval, long_poll=options.long_poll if wait is None else wait
    )
    return ChangeFeed(LogReader(Api(transport), params, cursor), transport, schedule)
