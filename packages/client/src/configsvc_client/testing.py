"""Fake client for tests of applications, with a server in memory.

:class:`FakeConfigClient` is a :class:`~configsvc_client.ConfigClient` in every respect, except
that its server is in memory and that it has no threads: a change is in every view, and every
callback has been called, when the line that makes it returns.

``client.changes.follow()`` returns the changes so far and ends where a real one would wait;
iterated again, it returns those since. JSON Schemas are kept, but nothing is checked by them, and
their defaults are not filled in.

Such a client may do everything. ``client.as_token()`` returns another one of the same server that
sends a token, and may do what ``client.tokens.create()`` has granted that: what it may not read is
not there, and what it may not change is an ``AuthError``.

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
from configsvc_client._http.types import Request, Response
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
from configsvc_client.options import Options, Token

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
        self._begin(None)
        for application, configurations in (applications or {}).items():
            self.applications.create(name=application)
            for name, config in configurations.items():
                self.set(application, name, config)

    def _begin(self, token: Token | None) -> None:
        options = Options(
            url="http://fake.invalid",
            token=token,
            start_timeout=0.0,
            instance_id=self._server.new_instance_id(),
        )
        self._open(options, self._server if token is None else _Signed(self._server, options))

    def as_token(self, token: Token) -> "FakeConfigClient":
        """Return another client of the same server, which sends a token.

        It may do what that token is granted, as with a real server; the client that made the
        server may do everything. The clock of the fake stands still: no token expires.

        Args:
            token: the text of a token that ``tokens.create()`` has returned, or a function that
                returns it and is called before each request.

        Example:
            >>> created = client.tokens.create(name="app", grants=[Grant("reader", "billing")])
            >>> with client.as_token(created.token) as reader:
            ...     reader.application("billing")["database"]["pool_size"]
            ...     reader.configurations.update(database, config={"pool_size": 20})
            Traceback (most recent call last):
              ...
            configsvc_client.errors.AuthError: ... (It needs the role editor on billing.) ...
        """
        other = FakeConfigClient.__new__(FakeConfigClient)
        other._server, other._updaters = self._server, self._updaters
        other._begin(token)
        return other

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
        source = SnapshotSource(self._transport, name, environment)
        registry, server, instance = self._updaters, self._server, self._instance

        def meet(store: SnapshotStore, sync: Synchronizer) -> None:
            if store.held is not None:
                rejections = [reason._asdict() for reason in sync.reasons()]
                server.meet(name, environment, instance.id, store.held.version, rejections)

        def make(store: SnapshotStore, sync: Synchronizer, report: Callable[[], None]) -> Updater:
            def lose() -> None:
                server.lose(name, environment, instance.id)

            updater = _InlineUpdater(
                source, store, sync, registry, report, lambda: meet(store, sync), lose
            )
            registry.append(updater)
            return updater

        return make

    def _open_feed(
        self, params: Mapping[str, str | None], cursor: str, wait: float | None
    ) -> ChangeFeed:
        reader = LogReader(self._api, params, cursor)
        return _DrainedFeed(reader, self._transport, PollSchedule(interval=1.0, long_poll=0.0))

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
        self._begin(FakeConfigClient(applications))

    def _begin(self, fake: FakeConfigClient) -> None:
        self._fake = fake
        self._open(fake, Inline())

    def as_token(self, token: Token) -> "FakeAsyncConfigClient":
        """Return another client of the same server, which sends a token.

        It may do what that token is granted, as with a real server; the client that made the
        server may do everything. The clock of the fake stands still: no token expires.

        Args:
            token: the text of a token that ``tokens.create()`` has returned, or a function that
                returns it and is called before each request.

        Example:
            >>> grants = [Grant("reader", "billing")]
            >>> created = await client.tokens.create(name="app", grants=grants)
            >>> reader = client.as_token(created.token)
            >>> (await reader.me()).grants
            (<Grant: reader on billing>,)
        """
        other = FakeAsyncConfigClient.__new__(FakeAsyncConfigClient)
        other._begin(self._fake.as_token(token))
        return other

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


class _Signed:
    """Transport to the server in memory that sends a token."""

    def __init__(self, server: FakeServer, options: Options) -> None:
        self._server = server
        self._options = options

    def send(self, request: Request) -> Response:
        """Have a request answered as one with the token."""
        token = self._options.token
        return self._server.send(request, token() if callable(token) else token)

    def close(self) -> None:
        """Do nothing; there is nothing to close."""

    def has_other_token(self) -> bool:
        """Return that it has not; nothing waits for one."""
        return False

    def after_fork_in_child(self) -> None:
        """Do nothing; the server does it."""


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
        meet: Callable[[], None],
        lose: Callable[[], None],
    ) -> None:
        self._source = source
        self._store = store
        self._sync = sync
        self._registry = registry
        self._report = report
        self._meet = meet
        self._lose = lose

    def start(self) -> None:
        """Fetch the snapshot."""
        try:
            self._sync.update(self._source)
        except ConfigSvcError as error:
            self._store.fail(error)
        else:
            self._meet()
        self._report()

    def report(self) -> None:
        """Tell of rejections that came up since the last update."""
        if not self._store.failing:
            self._meet()

    def stop(self) -> None:
        """Stop following changes."""
        with contextlib.suppress(ValueError):
            self._registry.remove(self)
        self._lose()

    def join(self, timeout: float) -> None:
        """Return at once: there is no thread."""

    after_fork_in_child = stop
