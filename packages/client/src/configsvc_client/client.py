"""Client of one server: live views and resource wrappers."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from configsvc_client._fork import protect
from configsvc_client._http.api import Api
from configsvc_client._http.instance import Instance
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.token_file import TokenFile
from configsvc_client._http.transport import HttpTransport
from configsvc_client._http.types import Transport
from configsvc_client._http.untraced import Untraced
from configsvc_client._view.inline_poller import InlinePoller, threads_run
from configsvc_client._view.poller import Poller, Updater
from configsvc_client._view.runtime import MakeUpdater, ViewRuntime
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.status import Status, StatusListeners, StatusSubscription
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client._view.view import ConfigView
from configsvc_client.errors import ClosedError
from configsvc_client.options import Options, Token, environment_url

# Imported at their first use: see _LATER in __init__.
if TYPE_CHECKING:
    from datetime import datetime

    from configsvc_client._local.files import LocalFiles
    from configsvc_client._local.layers import ClientLayers, Fallback
    from configsvc_client._resources.access_models import Me
    from configsvc_client._resources.applications import Applications
    from configsvc_client._resources.change_feed import ChangeFeed
    from configsvc_client._resources.changes import Changes
    from configsvc_client._resources.configurations import Configurations
    from configsvc_client._resources.environments import Environments
    from configsvc_client._resources.fleet_models import Instance as FleetInstance
    from configsvc_client._resources.grants import Grants
    from configsvc_client._resources.instances import Instances
    from configsvc_client._resources.models import Application, Environment
    from configsvc_client._resources.releases import Releases
    from configsvc_client._resources.tokens import Tokens
    from configsvc_client._values.snapshot import Snapshot
    from configsvc_client._view.reporter import Reporter

__all__ = ["ConfigClient"]


class ConfigClient:
    """Client of a configsvc server; one for each process is enough.

    Creating one connects to nothing and starts nothing. Threads may share it, and forked
    children may go on using it. All durations are in seconds.

    Args:
        url: the base URL of the server; ``CONFIGSVC_URL`` by default. With ``file:``, such as
            ``file:./config``, a folder or file in its place.
        token: the token that is sent as ``Authorization: Bearer``, or a function that returns
            it and is called before each request; ``CONFIGSVC_TOKEN`` by default.
        token_file: file that has the token, in place of ``token``; it is read again whenever it
            is another, as one that Kubernetes mounts; ``CONFIGSVC_TOKEN_FILE`` by default.
        timeout: time to wait for a connection, and between two pieces of the response.
        retries: attempts after the first one, for requests that may be repeated safely.
        verify: whether to check the server's certificate, or a file of authorities.
        cert: file of a client certificate, or files of certificate and key.
        proxies: proxy by scheme, as in requests.
        poll_interval: time between polls of a live view where the server does not wait for
            changes.
        long_poll: time that the server may wait for a change, up to 60; 0 turns it off.
        start_timeout: time that the first reads of a view wait for its first snapshot.
        stale_after: age from which a view is stale, even without an error.
        cache_dir: folder for copies of snapshots, to start from while the server is unavailable;
            ``CONFIGSVC_CACHE_DIR`` by default; none without it.
        share_polls: whether the processes of a host that have the same ``cache_dir`` share one
            poller for each view: one polls, the others follow its copy.
        total_timeout: time for a whole request, from connecting to the last byte of the
            response, with its retries; a long poll may take as long as it waits in addition.
        max_response_size: bytes that a response may have, as it is sent and decompressed.
        fallback: configurations by application and name, or the folder or file that has them,
            for a first start without server and copy on disk.
        overrides: file of values that win over those of the server, if it exists;
            ``CONFIGSVC_OVERRIDES`` by default; none without it.
        env_overrides: whether variables such as ``CONFIGSVC_SET__billing__database__pool_size``
            win over all others.
        service: name of the program, for those who look which instances serve what;
            ``CONFIGSVC_SERVICE`` by default, or ``OTEL_SERVICE_NAME``, or the name of its file.
        service_version: version of the program; ``CONFIGSVC_SERVICE_VERSION`` by default.
        instance_id: id of this instance of it, 1 to 64 of ``A-Z a-z 0-9 . _ ~ -``, such as the
            name of a pod; random by default. A forked child has another.
        report: whether to tell the server who polls, and why a snapshot is rejected;
            ``CONFIGSVC_REPORT=0`` turns it off, too.

    Example:
        >>> from configsvc_client import ConfigClient
        >>> client = ConfigClient("https://config.internal", token="...")
        >>> app = client.application("billing")
        >>> app["database"]["pool_size"]
        10
    """

    _files: "LocalFiles | None" = None
    _layers: "ClientLayers | None" = None

    def __init__(
        self,
        url: str | None = None,
        *,
        token: Token | None = None,
        token_file: str | os.PathLike[str] | None = None,
        timeout: float | tuple[float, float] = (3.05, 10.0),
        retries: int = 3,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        poll_interval: float = 30.0,
        long_poll: float = 30.0,
        start_timeout: float = 10.0,
        stale_after: float = 90.0,
        cache_dir: str | os.PathLike[str] | None = None,
        share_polls: bool = False,
        total_timeout: float = 30.0,
        max_response_size: int = 64 * 1024 * 1024,
        fallback: "Fallback | None" = None,
        overrides: str | os.PathLike[str] | None = None,
        env_overrides: bool = False,
        service: str | None = None,
        service_version: str | None = None,
        instance_id: str | None = None,
        report: bool = True,
    ) -> None:
        folder = cache_dir or os.environ.get("CONFIGSVC_CACHE_DIR")
        options = Options(
            url=url or environment_url(),
            token=_token(token, token_file),
            timeout=timeout if isinstance(timeout, tuple) else (timeout, timeout),
            retries=retries,
            verify=verify,
            cert=cert,
            proxies=proxies,
            poll_interval=poll_interval,
            long_poll=long_poll,
            start_timeout=start_timeout,
            stale_after=stale_after,
            cache_dir=Path(folder) if folder else None,
            share_polls=share_polls,
            total_timeout=total_timeout,
            max_response_size=max_response_size,
            service=service,
            service_version=service_version,
            instance_id=instance_id,
            report=report and os.environ.get("CONFIGSVC_REPORT") != "0",
        )
        self._files = _files(options.url)
        self._layers = _layers(self._files, fallback, overrides, env_overrides=env_overrides)
        self._open(options, _transport(options, self._files, retries=options.retries))
        self._environment = os.environ.get("CONFIGSVC_ENVIRONMENT") or "default"

    def _open(self, options: Options, transport: Transport) -> None:
        self._options = options
        self._environment = "default"
        self._transport = transport
        self._views: dict[tuple[str, str], ConfigView] = {}
        self._closed = False
        self._api = Api(transport)
        self._feeds: weakref.WeakSet[ChangeFeed] = weakref.WeakSet()
        self._status_listeners = StatusListeners()
        self._instance = Instance(options)
        self._reset()
        # Each by itself, since a view and what came from it may outlive the client.
        protect(transport.after_fork_in_child)
        protect(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()

    @property
    def applications(self) -> "Applications":
        """Wrapper to create, get, list, update, replace and delete applications.

        Example:
            >>> [application.name for application in client.applications.list()]
            ['billing', 'shop']
        """
        from configsvc_client._resources.applications import Applications  # noqa: PLC0415 - see above

        return Applications(self._api)

    @property
    def configurations(self) -> "Configurations":
        """Wrapper to create, get, list, update and delete configurations, and for their versions.

        Example:
            >>> client.configurations.find("billing", "database").config["pool_size"]
            10
        """
        from configsvc_client._resources.configurations import Configurations  # noqa: PLC0415 - see above

        return Configurations(self._api)

    @property
    def environments(self) -> "Environments":
        """Wrapper to create, get, list, update and delete the environments of an application.

        Example:
            >>> client.environments.create("shop", name="prod", protected=True)
            <Environment 'prod' at position 1, protected>
        """
        from configsvc_client._resources.environments import Environments  # noqa: PLC0415 - see above

        return Environments(self._api)

    @property
    def releases(self) -> "Releases":
        """Wrapper to release, withdraw, roll back and promote versions in environments.

        Example:
            >>> client.releases.promote("billing", "staging", "prod", message="release 12")
            <Promotion from 'staging' to 'prod': 2 released, 0 unchanged>
        """
        from configsvc_client._resources.releases import Releases  # noqa: PLC0415 - see above

        return Releases(self._api)

    @property
    def changes(self) -> "Changes":
        """Wrapper to list the changes so far, and follow those that come.

        Example:
            >>> [change.action for change in client.changes.list(configuration=database)]
            ['create', 'update', 'update', 'release', 'release']
        """
        from configsvc_client._resources.changes import Changes  # noqa: PLC0415 - see above

        return Changes(self._api, self._open_feed)

    @property
    def tokens(self) -> "Tokens":
        """Wrapper to create, get, list, rotate and delete API tokens.

        Example:
            >>> created = client.tokens.create(name="app", grants=[Grant("reader", "billing")])
            >>> [token.name for token in client.tokens.list()]
            ['app']
        """
        from configsvc_client._resources.tokens import Tokens  # noqa: PLC0415 - see above

        return Tokens(self._api)

    @property
    def grants(self) -> "Grants":
        """Wrapper to create, list and delete grants: who has which role where.

        Example:
            >>> client.grants.create("corp:ada@example.com", "releaser", "billing", "prod")
            <StoredGrant ...: 'corp:ada@example.com' is releaser on billing/prod>
        """
        from configsvc_client._resources.grants import Grants  # noqa: PLC0415 - see above

        return Grants(self._api)

    def me(self) -> "Me":
        """Return whom the server takes this client for, and what that may do.

        Raises:
            AuthError: the server does not know the token.

        Example:
            >>> client.me()
            <Me 'anonymous': admin on everything>
        """
        from configsvc_client._resources.access_readers import read_me  # noqa: PLC0415 - see above

        return self._api.read(self._api.call("GET", "/me"), read_me)

    @property
    def instance_id(self) -> str:
        """Id by which the server knows this client in this process; a forked child has another.

        Example:
            >>> client.instance_id
            'instance-1'
        """
        return self._instance.id

    def instances(
        self, application: "Application | str", environment: "Environment | str | None" = None
    ) -> "Instances":
        """Return the instances that poll for an environment: what each serves, or rejects.

        Args:
            application: the application, its id or its name.
            environment: the environment or its name; as in :meth:`application` by default.

        Example:
            >>> client.instances("billing").convergence()
            the 1 instance serves this version
        """
        from configsvc_client._resources.instances import Instances  # noqa: PLC0415 - see above

        chosen = self._environment if environment is None else environment
        return Instances(self._api, application, chosen)

    def replay(
        self,
        instance: "FleetInstance | str",
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
            >>> (instance,) = client.instances("billing")
            >>> snapshot = client.replay(instance, instance.last_seen_at)
            >>> snapshot["database"]["pool_size"]
            10
        """
        if isinstance(instance, str):
            if application is None:
                raise TypeError("Of which application is the instance? An id alone does not say.")
            return self.instances(application, environment).at(instance, at).replay()
        chosen = self.instances(
            application or instance.application, environment or instance.environment
        )
        return chosen.at(instance, at).replay()

    def application(self, name: str, *, environment: str | None = None) -> ConfigView:
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
            <ConfigView shop/default: not started; the first use starts it>
        """
        environment = self._environment if environment is None else environment
        if not name or not environment:
            raise ValueError("The names of application and environment can't be empty.")
        with self._lock:
            if self._closed:
                raise ClosedError("This client is closed.")
            view = self._views.get((name, environment))
            if view is None:
                view = self._views[name, environment] = self._view(name, environment)
            return view

    def on_status(self, callback: Callable[[Status], object]) -> StatusSubscription:
        """Call ``callback`` whenever the status of a view becomes another.

        It is called after a poll, in the thread of that, where the state of a view, its
        version, its rejections or the problem of its copy on disk differ from before.

        Args:
            callback: gets the :class:`Status`, which names application and environment.

        Example:
            >>> subscription = client.on_status(
            ...     lambda status: print(status.application, "is", status.state)
            ... )
            >>> client.fail(TransportError("the server is away"))  # a FakeConfigClient can
            billing is stale
        """
        return self._status_listeners.subscribe(callback)

    def close(self) -> None:
        """Close every view, feed and connection, promptly.

        Example:
            >>> with ConfigClient("https://config.internal") as client:
            ...     client.applications.get("billing")
            <Application 'billing' ..., 2 configurations>
        """
        with self._lock:
            self._closed = True
            views, feeds = list(self._views.values()), list(self._feeds)
        # All are told to end before any is waited for: one that hangs takes no time of others.
        updaters = [view._stop() for view in views]
        for feed in feeds:
            feed.close()
        self._transport.close()
        deadline = time.monotonic() + ViewRuntime.JOIN
        for updater in updaters:
            if updater is not None:
                updater.join(max(0.0, deadline - time.monotonic()))
        for view in views:
            self._remove_view(view)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        views = len(self._views)
        count = f", {views} view{'' if views == 1 else 's'}" if views else ""
        return f"<{type(self).__name__} {self._options.url}{count}{', closed' * self._closed}>"

    def _view(self, name: str, environment: str) -> ConfigView:
        transport, this = self._transport, weakref.ref(self)

        def remove(view: ConfigView) -> None:
            client = this()
            if client is not None:
                client._remove_view(view)

        # A view refers to no client, so that one which is dropped is gone at once.
        return ConfigView(
            name,
            environment,
            options=self._options,
            sources=lambda environment: SnapshotSource(transport, name, environment),
            updater=self._updater(name, environment),
            remove=remove,
            status_listeners=self._status_listeners,
            layers=self._layers.of(name, environment) if self._layers is not None else None,
        )

    def _updater(self, name: str, environment: str) -> MakeUpdater:
        options, files, instance = self._options, self._files, self._instance

        def reporter(
            transport: Transport, store: SnapshotStore, sync: Synchronizer
        ) -> "Reporter | None":
            if files is not None or not options.report:
                return None
            # Not at import, which is to be quick.
            from configsvc_client._view.reporter import Reporter  # noqa: PLC0415

            return Reporter(
                instance,
                name,
                environment,
                transport=transport,
                sync=sync,
                store=store,
                options=options,
            )

        def make(store: SnapshotStore, sync: Synchronizer, report: Callable[[], None]) -> Updater:
            has_threads = threads_run()
            if options.share_polls and has_threads and files is None:
                from configsvc_client._view.shared_poller import share  # noqa: PLC0415 - seldom

                return share(
                    options,
                    name,
                    environment,
                    store=store,
                    sync=sync,
                    report=report,
                    make_reporter=lambda transport: reporter(transport, store, sync),
                )
            # A transport of its own: no retries, since a poll that fails comes again anyway,
            # and it can be closed without disturbing anybody else.
            transport = Untraced(_transport(options, files, retries=0))
            kind = Poller if has_threads else InlinePoller
            return kind(
                name=f"{name}/{environment}",
                transport=transport,
                source=SnapshotSource(
                    transport, name, environment, reporter(transport, store, sync)
                ),
                sync=sync,
                store=store,
                schedule=_schedule(options, files),
                report=report,
            )

        return make

    def _open_feed(
        self, params: Mapping[str, str | None], cursor: str, wait: float | None
    ) -> "ChangeFeed":
        if self._files is not None:
            from configsvc_client._local.transport import no_server  # noqa: PLC0415 - see above

            no_server(self._files, why="files have no log of changes")
        from configsvc_client._resources.change_feed import open_feed  # noqa: PLC0415 - see above

        feed = open_feed(self._options, params, cursor, wait)
        with self._lock:
            if self._closed:
                raise ClosedError("This client is closed.")
            self._feeds.add(feed)
        return feed

    def _remove_view(self, view: ConfigView) -> None:
        with self._lock:
            if self._views.get((view.application, view.environment)) is view:
                del self._views[view.application, view.environment]


def _token(token: Token | None, file: str | os.PathLike[str] | None) -> Token | None:
    """Return the token that is given, or the one of the environment.

    Raises:
        ValueError: there are two, or there is none in the file.
    """
    names = ("token", "token_file")
    if not (token or file):
        names = ("CONFIGSVC_TOKEN", "CONFIGSVC_TOKEN_FILE")
        token, file = (os.environ.get(name) for name in names)
    if token and file:
        raise ValueError(f"{names[0]} and {names[1]} exclude each other: which one is it?")
    return TokenFile(file) if file else token


def _files(url: str) -> "LocalFiles | None":
    """Return the files in place of a server, if the URL is one of files."""
    if not url.lower().startswith("file:"):
        return None
    from configsvc_client._local.addresses import path_of  # noqa: PLC0415 - see above
    from configsvc_client._local.files import LocalFiles  # noqa: PLC0415 - see above

    return LocalFiles(path_of(url))


def _layers(
    files: "LocalFiles | None",
    fallback: "Fallback | None",
    overrides: str | os.PathLike[str] | None,
    *,
    env_overrides: bool,
) -> "ClientLayers | None":
    """Return the values below and over those of the server, if there are to be any."""
    # Also variables that override nothing, to tell why they do not.
    has_variables = bool(os.environ.get("CONFIGSVC_OVERRIDES")) or any(
        name.startswith("CONFIGSVC_SET") for name in os.environ
    )
    if files is None and fallback is None and not overrides and not has_variables:
        return None
    from configsvc_client._local.layers import ClientLayers  # noqa: PLC0415 - see above

    return ClientLayers(
        files=files, fallback=fallback, overrides=overrides, env_overrides=env_overrides
    )


def _transport(options: Options, files: "LocalFiles | None", *, retries: int) -> Transport:
    if files is None:
        return HttpTransport(options, retries=retries)
    from configsvc_client._local.transport import LocalTransport  # noqa: PLC0415 - see above

    return LocalTransport(files)


def _schedule(options: Options, files: "LocalFiles | None") -> PollSchedule:
    if files is None:
        return PollSchedule(interval=options.poll_interval, long_poll=options.long_poll)
    from configsvc_client._local.transport import LocalSchedule  # noqa: PLC0415 - see above

    return LocalSchedule()
