"""The log of changes, read page by page, with a place to come back to after each of them."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from configsvc_client._http.api import Api
from configsvc_client._resources.parsing import moment, number, text, when_and_who

__all__ = ["AuditChange", "ChangeLog", "LogReader"]


@dataclass(frozen=True, slots=True)
class AuditChange:
    """One thing that was done, by whom and why; never changed, and never lost.

    Example:
        >>> for change in client.changes.list(application="billing"):
        ...     print(change)
        <AuditChange 7: update configuration 'database' version 2, 2026-11-24 08:05 UTC by ada>
    """

    id: int
    """Larger than that of every change before."""
    action: str
    """``create``, ``update``, ``delete``, ``rollback``, ``restore``, ``release``,
    ``promote`` or ``withdraw``."""
    entity: str
    """``application``, ``environment``, ``configuration`` or ``release``."""
    application_id: str
    configuration_id: str | None
    """``None`` for applications and environments."""
    name: str
    """What it was called; of a release, the name of the configuration."""
    previous_name: str | None
    """What it was called before, if that is something else."""
    version: int | None
    """The version written or released; ``None`` where there is none."""
    previous_version: int | None
    """Of a release: what the environment served before."""
    source_version: int | None
    """The version whose content a rollback or a restoration has brought back."""
    environments: tuple[str, ...]
    """Names of the environments that serve something else by it."""
    actor: str
    request_id: str | None
    """Finds the request in the server's log."""
    message: str | None
    """Why."""
    created_at: datetime
    """In UTC, and timezone-aware."""

    def __repr__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        is_release = self.entity == "release"
        kind = "" if is_release else f" {self.entity}"
        where = f" in {', '.join(map(repr, self.environments))}" if is_release else ""
        about = when_and_who(self.created_at, self.actor, self.message)
        return (
            f"<AuditChange {self.id}: {self.action}{kind} {self.name!r}{version}{where}, {about}>"
        )


class LogReader:
    """Fetches pages, hands their changes out one by one, and knows where it is.

    The server has a cursor for the place after a page. The place after a change amid a page
    is written as the cursor before that page and the id of the change, with a ``~`` between.
    """

    def __init__(self, api: Api, params: Mapping[str, str | None], cursor: str) -> None:
        """Prepare.

        Args:
            api: where to ask.
            params: filters, order and page size.
            cursor: the place to begin at; empty for the very beginning.
        """
        self._api = api
        self._params = params
        self._descending = (params.get("sort") or "").startswith("-")
        before, mark, last = cursor.rpartition("~")
        is_amid = bool(mark) and last.isascii() and last.isdigit()
        self._before = before if is_amid else cursor
        self._seen = int(last) if is_amid else None
        self._after = self._before
        self._waiting: deque[AuditChange] = deque()
        self.cursor = cursor
        """The place after the change that was handed out last."""
        self.given = 0
        """How many changes were handed out."""

    @property
    def has_waiting(self) -> bool:
        """Whether there are changes to hand out."""
        return bool(self._waiting)

    def fetch(self, *, wait: float = 0.0) -> tuple[bool, bool]:
        """Ask for the next page; tell whether there are more, and whether the server waited.

        Raises:
            ConfigSvcError: it can't be had now; asking again goes on at the same place.
        """
        params = {**self._params, "after": self._after or None}
        answer = self._api.call("GET", "/changes", params=params, wait=wait)
        changes, after, has_more = self._api.read(answer, _page)
        self._before, self._after = self._after, after
        self._waiting.extend(change for change in changes if self._is_new(change))
        self._seen = None
        if not self._waiting:
            self.cursor = after
        return has_more, answer.has_waited

    def take(self) -> AuditChange | None:
        """Hand out the next change of the page; ``None`` where there is none left."""
        if not self._waiting:
            return None
        change = self._waiting.popleft()
        self.given += 1
        self.cursor = f"{self._before}~{change.id}" if self._waiting else self._after
        return change

    def _is_new(self, change: AuditChange) -> bool:
        if self._seen is None:
            return True
        return change.id < self._seen if self._descending else change.id > self._seen


class ChangeLog(Iterator[AuditChange]):
    """The changes that there are, oldest first or newest first; it ends.

    Example:
        >>> log = client.changes.list(application="billing")
        >>> [change.action for change in log]
        ['create', 'create', 'update']
        >>> later = client.changes.list(application="billing", after=log.cursor)
    """

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._has_more = True

    @property
    def cursor(self) -> str:
        """The place after the change that was given last, to go on from some other time.

        It is good for the same filters and the same order.

        Example:
            >>> state.write_text(log.cursor)
        """
        return self._reader.cursor

    def __next__(self) -> AuditChange:
        while True:
            change = self._reader.take()
            if change is not None:
                return change
            if not self._has_more:
                raise StopIteration
            self._has_more, _ = self._reader.fetch()

    def __repr__(self) -> str:
        return f"<ChangeLog: {self._reader.given} given>"


def _page(document: Mapping[str, Any]) -> tuple[list[AuditChange], str, bool]:
    changes = [_read(item) for item in document["items"]]
    return changes, text(document["next"]), bool(document["has_more"])


def _read(document: Mapping[str, Any]) -> AuditChange:
    return AuditChange(
        id=int(document["id"]),
        action=text(document["action"]),
        entity=text(document["entity"]),
        application_id=text(document["application_id"]),
        configuration_id=document["configuration_id"],
        name=text(document["name"]),
        previous_name=document["previous_name"],
        version=number(document["version"]),
        previous_version=number(document["previous_version"]),
        source_version=number(document["source_version"]),
        environments=tuple(text(name) for name in document["environments"]),
        actor=text(document["actor"]),
        request_id=document["request_id"],
        message=document["message"],
        created_at=moment(document["created_at"]),
    )
