"""Fake client for tests of applications, with a server in memory.

:class:`FakeConfigClient` is a :class:`~configsvc_client.ConfigClient` in every respect, except
that its server is in memory and that it has no threads: a change is in every view, and every
callback has been called, when the line that makes it returns.

``client.changes.follow()`` returns the changes so far and ends where a real one would wait;
iterated again, it returns those since. JSON Schemas are kept, but nothing is checked by them, and
their defaults are not filled in.

Example:
    >>> from configsvc_client.testing import FakeConfigClient
    >>> client = FakeConfigClient({"billing": {"database": {"pool_size": 10}}})
    >>> app = client.application("billing")
    >>> app["database"]["pool_size"]
    10
    >>> client.set("billing", "database", {"pool_size": 20})
    >>> app["database"]["pool_size"]
    20

:class:`FakeAsyncConfigClient` is the same for :class:`~configsvc_client.AsyncConfigClient`.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from configsvc_client._aio.threads import Inline
from configsvc_client._fake import FakeServer
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.types import Request
from configsvc_client._resources.change_feed import ChangeFeed
from configsvc_client._resources.change_log import LogReader
from configsvc_client._view.poller import Updater
from configsvc_client._view.runtime import MakeUpdater
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.aio import AsyncConfigClient
from configsvc_client.client import ConfigClient
from configsvc_client.errors import ConfigSvcError, NotFoundError
from configsvc_client.options import Options

__all__ = ["FakeAsyncConfigClient", "FakeConfigClient"]


class FakeConfigClient(ConfigClient):
    """Client with a server in memory; see :mod:`configsvc_client.testing`.

    Args:
        applications: configurations by application and name, to begin with.

    Example:
        >>> client = FakeConfigClient({"billing": {"database": {"pool_size": 10}}})
        >>> client.application("billing")["database"]
        {'pool_size': 10}
    """

    def __init__(
        self, applications: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
    ) -> None:
        self._updaters: list[_InlineUpdater] = []
        self._server = FakeServer(self._refresh)
        self._open(Options(url="http://fake.invalid", start_timeout=0.0), self._server)
        for application, configurations in (applications or {}).items():
            self.applications.create(name=application)
            for name, config in configurations.items():
                self.set(application, name, config)

    @property
    def requests(self) -> list[Request]:
        """Requests so far, oldest first.

        Example:
            >>> application = client.applications.get("billing")
            >>> client.requests[-1].method, client.requests[-1].path
            ('GET', '/api/v1/applications/billing')
        """
        return self._server.requests

    def set(self, application: str, name: str, config: Mapping[str, Any]) -> None:
        """Set a configuration, as another client would.

        Application and configuration are created where they are missing.

        Args:
            application: the name of the application.
            name: the name of the configuration.
            config: all its values.

        Example:
            >>> client.set("billing", "database", {"pool_size": 20})
            >>> client.application("billing")["database"]
            {'pool_size': 20}
        """
        try:
            found = self.configurations.find(application, name)
        except NotFoundError:
            if not list(self.applications.list(name=application)):
                self.applications.create(name=application)
            self.configurations.create(application, name=name, config=config)
        else:
            self.configurations.replace(
                found,
                name=name,
                config=config,
                comments=found.comments,
                overlays=found.overlays,
                schema=found.schema,
            )

    def remove(self, application: str, name: str) -> None:
        """Delete a configuration, as another client would.

        Args:
            application: the name of the application.
            name: the name of the configuration.

        Example:
            >>> client.remove("billing", "limits")
            >>> list(client.application("billing"))
            ['database']
        """
        self.configurations.delete(self.configurations.find(application, name))

    def fail(self, error: ConfigSvcError | None) -> None:
        """Raise an error for every request from now on.

        Args:
            error: the error; ``None`` to answer requests again.

        Example:
            >>> client.fail(TransportError("the server is away"))
            >>> client.application("billing").status().stale
            True
        """
        self._server.failure = error
        self._refresh()

    def _updater(self, name: str, environment: str) -> MakeUpdater:
        source = SnapshotSource(self._server, name, environment)
        registry = self._updaters

        def make(store: SnapshotStore, sync: Synchronizer, report: Callable[[], None]) -> Updater:
            updater = _InlineUpdater(source, store, sync, registry, report)
            registry.append(updater)
            return updater

        return make

    def _open_feed(
        self, params: Mapping[str, str | None], cursor: str, wait: float | None
    ) -> ChangeFeed:
        reader = LogReader(self._api, params, cursor)
        return _DrainedFeed(reader, self._server, PollSchedule(interval=1.0, long_poll=0.0))

    def _refresh(self) -> None:
        for updater in tuple(self._updaters):
            updater.start()


class FakeAsyncConfigClient(AsyncConfigClient):
    """Async client with a server in memory; see :mod:`configsvc_client.testing`.

    A change is in every view when the line that makes it returns. Callbacks are called on the
    loop, which comes to them in an ``await``: a call of a wrapper is one, ``asyncio.sleep(0)``
    another.

    Args:
        applications: configurations by application and name, to begin with.

    Example:
        >>> client = FakeAsyncConfigClient({"billing": {"database": {"pool_size": 10}}})
        >>> app = client.application("billing")
        >>> await app.ready()
        >>> app["database"]
        {'pool_size': 10}
    """

    def __init__(
        self, applications: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
    ) -> None:
        self._fake = FakeConfigClient(applications)
        self._open(self._fake, Inline())

    @property
    def requests(self) -> list[Request]:
        """Requests so far, oldest first.

        Example:
            >>> application = await client.applications.get("billing")
            >>> client.requests[-1].method, client.requests[-1].path
            ('GET', '/api/v1/applications/billing')
        """
        return self._fake.requests

    def set(self, application: str, name: str, config: Mapping[str, Any]) -> None:
        """Set a configuration, as another client would.

        Application and configuration are created where they are missing.

        Args:
            application: the name of the application.
            name: the name of the configuration.
            config: all its values.

        Example:
            >>> client.set("billing", "database", {"pool_size": 20})
            >>> client.application("billing")["database"]
            {'pool_size': 20}
        """
        self._fake.set(application, name, config)

    def remove(self, application: str, name: str) -> None:
        """Delete a configuration, as another client would.

        Args:
            application: the name of the application.
            name: the name of the configuration.

        Example:
            >>> client.remove("billing", "limits")
            >>> list(client.application("billing"))
            ['database']
        """
        self._fake.remove(application, name)

    def fail(self, error: ConfigSvcError | None) -> None:
        """Raise an error for every request from now on.

        Args:
            error: the error; ``None`` to answer requests again.

        Example:
            >>> client.fail(TransportError("the server is away"))
            >>> client.application("billing").status().stale
            True
        """
        self._fake.fail(error)

    def close(self) -> None:
        """Close it where no event loop is running, as a fixture does.

        Example:
            >>> client.close()
            >>> client
            <FakeAsyncConfigClient http://fake.invalid, closed>
        """
        self._end()
        self._fake.close()


class _DrainedFeed(ChangeFeed):
    """Feed that ends where a real one waits; iterated again, it returns what has come since."""

    def _rest(self, seconds: float) -> bool:
        return False


class _InlineUpdater:
    """Updater that fetches at once, in the thread that makes a change."""

    mode = "in memory"

    def __init__(
        self,
        source: SnapshotSource,
        store: SnapshotStore,
        sync: Synchronizer,
        registry: "list[_InlineUpdater]",
        report: Callable[[], None],
    ) -> None:
        self._source = source
        self._store = store
        self._sync = sync
        self._registry = registry
        self._report = report

    def start(self) -> None:
        """Fetch the snapshot."""
        try:
            self._sync.update(self._source)
        except ConfigSvcError as error:
            self._store.fail(error)
        self._report()

    def stop(self) -> None:
        """Stop following changes."""
        with contextlib.suppress(ValueError):
            self._registry.remove(self)

    def join(self, timeout: float) -> None:
        """Return at once: there is no thread."""

    after_fork_in_child = stop
