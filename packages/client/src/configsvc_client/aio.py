"""Async client: the live views and wrappers of a server, for asyncio.

Example:
    >>> from configsvc_client import AsyncConfigClient
    >>> async with AsyncConfigClient("https://config.internal", token="...") as client:
    ...     app = client.application("billing")
    ...     await app.ready()
    ...     app["database"]["pool_size"]
    10
"""

import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self

from configsvc_client._aio.streams import ChangeStream
from configsvc_client._aio.subscriptions import AsyncSubscription
from configsvc_client._aio.threads import Runner, Threads
from configsvc_client._aio.view import AsyncConfigView
from configsvc_client._fork import protect
from configsvc_client._view.status import Status
from configsvc_client.client import ConfigClient

# Imported at their first use: a program that only reads its configuration needs none of them.
if TYPE_CHECKING:
    from datetime import datetime

    from configsvc_client._aio.access import AsyncGrants, AsyncTokens
    from configsvc_client._aio.instances import AsyncInstances
    from configsvc_client._aio.resources import (
        AsyncApplications,
        AsyncChanges,
        AsyncConfigurations,
        AsyncEnvironments,
        AsyncReleases,
    )
    from configsvc_client._resources.access_models import Me
    from configsvc_client._resources.fleet_models import Instance
    from configsvc_client._resources.models import Application, Environment
    from configsvc_client._values.snapshot import Snapshot

__all__ = ["AsyncConfigClient", "AsyncConfigView", "AsyncSubscription", "ChangeStream"]

P = ParamSpec("P")


def _with_parameters_of(
    kind: Callable[P, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Tell type checkers that a constructor takes what another one does."""

    def apply(method: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        # For people: help() and completion show these.
        method.__wrapped__ = kind.__init__  # type: ignore[attr-defined]
        return method

    return apply


class AsyncConfigClient:
    """Client of a configsvc server for asyncio; one for each process is enough.

    Creating one connects to nothing and starts nothing, and needs no event loop. Several loops
    may use it, one after the other or in several threads, and forked children may go on using
    it. It takes the arguments of :class:`ConfigClient`.

    It is another face of that client: each view has one daemon thread that keeps it up to date,
    and calls that send a request are made in a few daemon threads. Nothing waits for either.

    Example:
        >>> async with AsyncConfigClient("https://config.internal", token="...") as client:
        ...     app = client.application("billing")
        ...     await app.ready()
        ...     app["database"]["pool_size"]
        10
    """

    @_with_parameters_of(ConfigClient)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._open(ConfigClient(*args, **kwargs), Threads())

    def _open(self, client: ConfigClient, runner: Runner) -> None:
        self._client = client
        self._runner = runner
        self._views: dict[tuple[str, str], AsyncConfigView] = {}
        self._reset()
        protect(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()

    @property
    def applications(self) -> "AsyncApplications":
        """Wrapper to create, get, list, update, replace and delete applications.

        Example:
            >>> [application.name async for application in client.applications.list()]
            ['billing', 'shop']
        """
        from configsvc_client._aio.resources import AsyncApplications  # noqa: PLC0415 - see above

        return AsyncApplications(self._client.applications, self._runner)

    @property
    def configurations(self) -> "AsyncConfigurations":
        """Wrapper to create, get, list, update and delete configurations, and for their versions.

        Example:
            >>> (await client.configurations.find("billing", "database")).config["pool_size"]
            10
        """
        from configsvc_client._aio.resources import AsyncConfigurations  # noqa: PLC0415 - see above

        return AsyncConfigurations(self._client.configurations, self._runner)

    @property
    def environments(self) -> "AsyncEnvironments":
        """Wrapper to create, get, list, update and delete the environments of an application.

        Example:
            >>> await client.environments.create("shop", name="prod", protected=True)
            <Environment 'prod' at position 1, protected>
        """
        from configsvc_client._aio.resources import AsyncEnvironments  # noqa: PLC0415 - see above

        return AsyncEnvironments(self._client.environments, self._runner)

    @property
    def releases(self) -> "AsyncReleases":
        """Wrapper to release, withdraw, roll back and promote versions in environments.

        Example:
            >>> await client.releases.promote("billing", "staging", "prod", message="release 12")
            <Promotion from 'staging' to 'prod': 2 released, 0 unchanged>
        """
        from configsvc_client._aio.resources import AsyncReleases  # noqa: PLC0415 - see above

        return AsyncReleases(self._client.releases, self._runner)

    @property
    def changes(self) -> "AsyncChanges":
        """Wrapper to list the changes so far, and follow those that come.

        Example:
            >>> [change.action async for change in client.changes.list(configuration=limits)]
            ['create']
        """
        from configsvc_client._aio.resources import AsyncChanges  # noqa: PLC0415 - see above

        return AsyncChanges(self._client.changes, self._runner)

    @property
    def tokens(self) -> "AsyncTokens":
        """Wrapper to create, get, list, rotate and delete API tokens.

        Example:
            >>> grants = [Grant("reader", "billing")]
            >>> created = await client.tokens.create(name="app", grants=grants)
            >>> [token.name async for token in client.tokens.list()]
            ['app']
        """
        from configsvc_client._aio.access import AsyncTokens  # noqa: PLC0415 - see above

        return AsyncTokens(self._client.tokens, self._runner)

    @property
    def grants(self) -> "AsyncGrants":
        """Wrapper to create, list and delete grants: who has which role where.

        Example:
            >>> await client.grants.create("corp:ada@example.com", "releaser", "billing", "prod")
            <StoredGrant ...: 'corp:ada@example.com' is releaser on billing/prod>
        """
        from configsvc_client._aio.access import AsyncGrants  # noqa: PLC0415 - see above

        return AsyncGrants(self._client.grants, self._runner)

    @property
    def instance_id(self) -> str:
        """Id by which the server knows this client in this process; a forked child has another.

        Example:
            >>> client.instance_id
            'instance-1'
        """
        return self._client.instance_id

    def instances(
        self, application: "Application | str", environment: "Environment | str | None" = None
    ) -> "AsyncInstances":
        """Return the instances that poll for an environment: what each serves, or rejects.

        Args:
            application: the application, its id or its name.
            environment: the environment or its name; as in :meth:`application` by default.

        Example:
            >>> await client.instances("billing").convergence()
            the 1 instance serves this version
        """
        from configsvc_client._aio.instances import AsyncInstances  # noqa: PLC0415 - see above

        return AsyncInstances(self._client.instances(application, environment), self._runner)

    async def replay(
        self,
        instance: "Instance | str",
        at: "datetime",
        *,
        application: "Application | str | None" = None,
        environment: "Environment | str | None" = None,
    ) -> "Snapshot":
        """Return exactly what an instance served at a timestamp, such as to repeat it in a test.

        Args:
            instance: the instance or its id.
            at: a time that is not in the future, with a time zone.
            application: the application, its id or its name; that of ``instance`` by default.
            environment: the environment or its name; that of ``instance`` by default.

        Raises:
            NotFoundError: nothing is known of it then, or it had nothing yet.
            TypeError: an id is given without an application.
            ValueError: the timestamp has no time zone.

        Example:
            >>> instance = await client.instances("billing").get(client.instance_id)
            >>> (await client.replay(instance, instance.last_seen_at))["database"]["pool_size"]
            10
        """
        replay = partial(
            self._client.replay, instance, at, application=application, environment=environment
        )
        return await self._runner.run(replay)

    async def me(self) -> "Me":
        """Return whom the server takes this client for, and what that may do.

        Raises:
            AuthError: the server does not know the token.

        Example:
            >>> await client.me()
            <Me 'anonymous': admin on everything>
        """
        return await self._runner.run(self._client.me)

    def application(self, name: str, *, environment: str | None = None) -> AsyncConfigView:
        """Return the live view of an application.

        It is the same object every time, so this may be called wherever a view is needed.

        Args:
            name: name or id of the application.
            environment: name of the environment; ``CONFIGSVC_ENVIRONMENT`` by default, and
                ``default`` without it.

        Raises:
            ClosedError: the client is closed.
            ConfigFileError: a file of the fallback can't be read.

        Example:
            >>> client.application("shop")
            <AsyncConfigView shop/default: not started; await ready() starts it>
        """
        with self._lock:
            view = self._client.application(name, environment=environment)
            key = (view.application, view.environment)
            face = self._views.get(key)
            if face is None or face._view is not view:
                face = AsyncConfigView(view, self._runner, partial(_forget, weakref.ref(self)))
                self._views[key] = face
            return face

    def on_status(self, callback: Callable[[Status], object]) -> AsyncSubscription[Status]:
        """Call ``callback`` on the running loop whenever the status of a view becomes another.

        It may be an ``async def`` function, which is awaited in a task. Calls are made one after
        the other, each with the newest status of a view.

        Args:
            callback: gets the :class:`Status`, which names application and environment.

        Raises:
            RuntimeError: no event loop is running.

        Example:
            >>> subscription = client.on_status(
            ...     lambda status: print(status.application, "is", status.state)
            ... )
            >>> client.fail(TransportError("the server is away"))  # a FakeAsyncConfigClient can
            billing is stale
        """
        newest: dict[tuple[str, str], Status] = {}
        subscription = AsyncSubscription("the status of every view", callback)

        def note(status: Status) -> None:
            newest[status.application, status.environment] = status
            subscription._wake()

        subscription._start(
            # None but the loop takes any.
            lambda: newest.popitem()[1] if newest else None,
            self._client.on_status(note).cancel,
        )
        return subscription

    async def aclose(self) -> None:
        """Close every view, stream, feed and connection, promptly.

        Example:
            >>> client = AsyncConfigClient("https://config.internal")
            >>> try:
            ...     (await client.applications.get("billing")).name
            ... finally:
            ...     await client.aclose()
            'billing'
        """
        self._end()
        await self._runner.run_apart(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return repr(self._client).replace(type(self._client).__name__, type(self).__name__, 1)

    def _end(self) -> None:
        """End what waits for this client."""
        with self._lock:
            views = list(self._views.values())
            self._views.clear()
        for view in views:
            view._end()
        self._runner.close()


def _forget(reference: "weakref.ref[AsyncConfigClient]", view: AsyncConfigView) -> None:
    """Forget a view that is closed; it refers to no client, so that one is gone when dropped."""
    client = reference()
    key = (view.application, view.environment)
    if client is not None and client._views.get(key) is view:
        del client._views[key]
