"""Audit log, read page by page, with a cursor after each change."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from configsvc_client._http.api import Api
from configsvc_client._resources.models import AuditChange
from configsvc_client._resources.parsing import text
from configsvc_client._resources.readers import read_change

__all__ = ["ChangeLog", "LogReader"]


class LogReader:
    """Reader of the audit trail that fetches pages and returns their changes one by one.

    The server has a cursor for the position after a page. The position after a change amid a
    page is written as the cursor before that page and the id of the change, with a ``~``
    between.
    """

    def __init__(self, api: Api, params: Mapping[str, str | None], cursor: str) -> None:
        """Create a reader without sending a request.

        Args:
            api: the API of the server.
            params: filters, order and page size.
            cursor: the position to begin at; empty for the very beginning.
        """
        self._api = api
        self._params = params
        self._descending = (params.get("sort") or "").startswith("-")
        page_cursor, mark, last = cursor.rpartition("~")
        is_amid = bool(mark) and last.isascii() and last.isdigit()
        self._page_cursor = page_cursor if is_amid else cursor
        self._next_cursor = self._page_cursor
        self._last_taken = int(last) if is_amid else None
        self._pending: deque[AuditChange] = deque()
        self.cursor: str = cursor
        """Position after the change that was taken last."""
        self.given: int = 0
        """Number of changes that were taken."""

    @property
    def has_pending(self) -> bool:
        """Whether there are changes to take."""
        return bool(self._pending)

    def fetch(self, *, wait: float = 0.0) -> tuple[bool, bool]:
        """Fetch the next page.

        Args:
            wait: seconds that the server may wait for a change.

        Returns:
            Whether there are more pages, and whether the server has waited.

        Raises:
            ConfigSvcError: the request failed; the next call repeats it.
        """
        params = {**self._params, "after": self._next_cursor or None}
        response = self._api.call("GET", "/changes", params=params, wait=wait)
        changes, cursor, has_more = self._api.read(response, _page)
        self._page_cursor, self._next_cursor = self._next_cursor, cursor
        self._pending.extend(change for change in changes if self._is_beyond(change))
        self._last_taken = None
        if not self._pending:
            self.cursor = cursor
        return has_more, response.has_waited

    def take(self) -> AuditChange | None:
        """Return the next change of the page; ``None`` where there is none left."""
        if not self._pending:
            return None
        change = self._pending.popleft()
        self.given += 1
        self.cursor = f"{self._page_cursor}~{change.id}" if self._pending else self._next_cursor
        return change

    def _is_beyond(self, change: AuditChange) -> bool:
        if self._last_taken is None:
            return True
        return change.id < self._last_taken if self._descending else change.id > self._last_taken


class ChangeLog(Iterator[AuditChange]):
    """Changes so far, oldest or newest first; pages are fetched as it is iterated over.

    Each iteration begins at the beginning and asks the server anew. ``next`` goes through the
    changes once, whatever else iterates over them.

    Example:
        >>> log = client.changes.list(configuration=limits)
        >>> [change.action for change in log]
        ['create']
        >>> client.configurations.delete(limits)
        >>> later = client.changes.list(configuration=limits, after=log.cursor)
        >>> [change.action for change in later]
        ['delete']
    """

    def __init__(self, reader: Callable[[], LogReader]) -> None:
        """Create a log without sending a request.

        Args:
            reader: returns a reader at the beginning of the log.
        """
        self._reader = reader
        self._once: _Entries | None = None
        self._latest = _Entries(reader())

    @property
    def cursor(self) -> str:
        """Position after the change that was returned last, to go on from some other time.

        It is good for the same filters and the same order.

        Example:
            >>> log = client.changes.list(application="billing")
            >>> first = next(log)
            >>> saved = log.cursor
            >>> next(client.changes.list(application="billing", after=saved)).id > first.id
            True
        """
        return self._latest.reader.cursor

    def __iter__(self) -> Iterator[AuditChange]:
        self._latest = _Entries(self._reader())
        return self._latest

    def __next__(self) -> AuditChange:
        if self._once is None:
            self._once = _Entries(self._reader())
        self._latest = self._once
        return next(self._once)

    def __repr__(self) -> str:
        return f"<ChangeLog: {self._latest.reader.given} given>"


class _Entries(Iterator[AuditChange]):
    """One iteration over a log; a page that can't be fetched is asked for again by ``next``."""

    def __init__(self, reader: LogReader) -> None:
        self.reader = reader
        self._has_more = True

    def __next__(self) -> AuditChange:
        while True:
            change = self.reader.take()
            if change is not None:
                return change
            if not self._has_more:
                raise StopIteration
            self._has_more, _ = self.reader.fetch()


def _page(document: Mapping[str, Any]) -> tuple[list[AuditChange], str, bool]:
    changes = [read_change(item) for item in document["items"]]
    return changes, text(document["next"]), bool(document["has_more"])
