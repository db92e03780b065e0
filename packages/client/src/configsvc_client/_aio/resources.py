"""Async wrappers of the endpoints: those of the core, called in threads.

Each has the parameters of its model, overloads included, since type checkers apply a decorator
to every one of them.
"""

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from inspect import cleandoc
from textwrap import indent
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from configsvc_client._aio.pages import AsyncChangeFeed, AsyncChangeLog, AsyncPages
from configsvc_client._aio.threads import Runner
from configsvc_client._http.api import Pages
from configsvc_client._resources.applications import Applications
from configsvc_client._resources.change_feed import ChangeFeed
from configsvc_client._resources.change_log import ChangeLog
from configsvc_client._resources.changes import Changes
from configsvc_client._resources.configurations import Configurations
from configsvc_client._resources.environments import Environments
from configsvc_client._resources.releases import Releases

__all__ = [
    "AsyncApplications",
    "AsyncChanges",
    "AsyncConfigurations",
    "AsyncEnvironments",
    "AsyncReleases",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
W = TypeVar("W")


class _Wrapper(Generic[W]):
    """Wrapper whose calls are those of another one, made by a runner."""

    def __init__(self, wrapped: W, runner: Runner) -> None:
        self._wrapped = wrapped
        self._runner = runner

    def __repr__(self) -> str:
        return f"<async {repr(self._wrapped).removeprefix('<')}"


def _awaited(
    method: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    async def call(self: _Wrapper[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._runner.run(partial(method, self._wrapped, *args, **kwargs))

    return _like(call, method)


def _iterated(
    method: Callable[Concatenate[Any, P], Pages[T]],
) -> Callable[Concatenate[Any, P], AsyncPages[T]]:
    def call(self: _Wrapper[Any], /, *args: P.args, **kwargs: P.kwargs) -> AsyncPages[T]:
        # Not yet, since some ask the server which configuration is meant.
        return AsyncPages(partial(method, self._wrapped, *args, **kwargs), self._runner)

    return _like(call, method)


def _logged(
    method: Callable[Concatenate[Any, P], ChangeLog],
) -> Callable[Concatenate[Any, P], AsyncChangeLog]:
    def call(self: _Wrapper[Any], /, *args: P.args, **kwargs: P.kwargs) -> AsyncChangeLog:
        return AsyncChangeLog(partial(method, self._wrapped, *args, **kwargs), self._runner)

    return _like(call, method)


def _followed(
    method: Callable[Concatenate[Any, P], ChangeFeed],
) -> Callable[Concatenate[Any, P], AsyncChangeFeed]:
    def call(self: _Wrapper[Any], /, *args: P.args, **kwargs: P.kwargs) -> AsyncChangeFeed:
        return AsyncChangeFeed(partial(method, self._wrapped, *args, **kwargs), self._runner)

    return _like(call, method)


C = TypeVar("C", bound=Callable[..., Any])


def _like(call: C, method: Callable[..., Any]) -> C:
    wraps(method, assigned=("__name__", "__qualname__", "__annotations__", "__doc__"))(call)
    return call


def _show(call: Callable[..., object], example: str) -> None:
    """Replace the example in the description that a call has from its model.

    As an argument of the functions above, it would cost type checkers the overloads.
    """
    text, _, _ = cleandoc(call.__doc__ or "").partition("\nExample:")
    call.__doc__ = f"{text}\nExample:\n{indent(cleandoc(example), '    ')}\n"


class AsyncApplications(_Wrapper[Applications]):
    """Wrapper of the application endpoints, to be awaited.

    Example:
        >>> await client.applications.create(name="mail", comments="Letters and newsletters")
        <Application 'mail' ..., 0 configurations>
    """

    create: Final = _awaited(Applications.create)
    _show(
        create,
        """
        >>> (await client.applications.create(name="mail")).name
        'mail'
        """,
    )
    get: Final = _awaited(Applications.get)
    _show(
        get,
        """
        >>> (await client.applications.get("billing")).comments
        'Invoices and payments'
        """,
    )
    list: Final = _iterated(Applications.list)
    _show(
        list,  # noqa: A003 - the one above
        """
        >>> [application.name async for application in client.applications.list()]
        ['billing', 'shop']
        """,
    )
    update: Final = _awaited(Applications.update)
    _show(
        update,
        """
        >>> billing = await client.applications.get("billing")
        >>> (await client.applications.update(billing, comments="Invoices")).comments
        'Invoices'
        """,
    )
    replace: Final = _awaited(Applications.replace)
    _show(
        replace,
        """
        >>> (await client.applications.replace("billing", name="invoices")).name
        'invoices'
        """,
    )
    delete: Final = _awaited(Applications.delete)
    _show(
        delete,
        """
        >>> await client.applications.delete("shop", message="moved to billing")
        >>> [application.name async for application in client.applications.list()]
        ['billing']
        """,
    )


class AsyncConfigurations(_Wrapper[Configurations]):
    """Wrapper of the configuration endpoints, to be awaited: reads, writes and history.

    Where a method takes a configuration, it takes the object, its id, or an application and
    the name of the configuration in it, which is looked up first.

    Example:
        >>> await client.configurations.create("shop", name="database", config={"pool_size": 10})
        <Configuration 'database' ... version 1, ... UTC by ...>
    """

    create: Final = _awaited(Configurations.create)
    _show(
        create,
        """
        >>> (await client.configurations.create("shop", name="limits", config={})).version
        1
        """,
    )
    get: Final = _awaited(Configurations.get)
    _show(
        get,
        """
        >>> (await client.configurations.get(database.id)).name
        'database'
        """,
    )
    find: Final = _awaited(Configurations.find)
    _show(
        find,
        """
        >>> (await client.configurations.find("billing", "database")).version
        3
        """,
    )
    list: Final = _iterated(Configurations.list)
    _show(
        list,  # noqa: A003 - the one above
        """
        >>> [configuration.name async for configuration in client.configurations.list("billing")]
        ['database', 'limits']
        """,
    )
    update: Final = _awaited(Configurations.update)
    _show(
        update,
        """
        >>> await client.configurations.update(database, config={"pool_size": 20}, message="load")
        <Configuration 'database' ... version 4, ... UTC by ...>
        """,
    )
    replace: Final = _awaited(Configurations.replace)
    _show(
        replace,
        """
        >>> await client.configurations.replace("billing", "limits", config={"per_minute": 90})
        <Configuration 'limits' ... version 2, ... UTC by ...>
        """,
    )
    delete: Final = _awaited(Configurations.delete)
    _show(
        delete,
        """
        >>> await client.configurations.delete(limits, message="no limits any more")
        """,
    )
    history: Final = _iterated(Configurations.history)
    _show(
        history,
        """
        >>> [revision.message async for revision in client.configurations.history(database)]
        [None, 'more load', 'still more load']
        """,
    )
    revision: Final = _awaited(Configurations.revision)
    _show(
        revision,
        """
        >>> (await client.configurations.revision(database, 1)).config["pool_size"]
        5
        """,
    )
    diff: Final = _awaited(Configurations.diff)
    _show(
        diff,
        """
        >>> await client.configurations.diff(database)  # what the last write changed
        version 2 → version 3
        ~ /config/pool_size: 8 → 10
        """,
    )
    rollback: Final = _awaited(Configurations.rollback)
    _show(
        rollback,
        """
        >>> await client.configurations.rollback(database, 1, message="too many connections")
        <Configuration 'database' ... version 4, ... UTC by ...>
        """,
    )
    restore: Final = _awaited(Configurations.restore)
    _show(
        restore,
        """
        >>> await client.configurations.delete(limits)
        >>> (await client.configurations.restore(limits)).version
        2
        """,
    )
    validate: Final = _awaited(Configurations.validate)
    _show(
        validate,
        """
        >>> await client.configurations.validate("billing", name="mail", config={"n": 1})
        <Validation: valid in 'default', 'prod', 'staging'>
        """,
    )


class AsyncEnvironments(_Wrapper[Environments]):
    """Wrapper of the environment endpoints, to be awaited.

    Example:
        >>> await client.environments.create("shop", name="prod", protected=True)
        <Environment 'prod' at position 1, protected>
    """

    create: Final = _awaited(Environments.create)
    _show(
        create,
        """
        >>> (await client.environments.create("shop", name="staging")).auto_release
        True
        """,
    )
    get: Final = _awaited(Environments.get)
    _show(
        get,
        """
        >>> (await client.environments.get("billing", "prod")).protected
        True
        """,
    )
    list: Final = _iterated(Environments.list)
    _show(
        list,  # noqa: A003 - the one above
        """
        >>> [environment.name async for environment in client.environments.list("billing")]
        ['default', 'staging', 'prod']
        """,
    )
    update: Final = _awaited(Environments.update)
    _show(
        update,
        """
        >>> await client.environments.update("billing", "prod", position=7)
        <Environment 'prod' at position 7, protected>
        """,
    )
    delete: Final = _awaited(Environments.delete)
    _show(
        delete,
        """
        >>> await client.environments.delete("billing", "staging", message="no longer used")
        """,
    )


class AsyncReleases(_Wrapper[Releases]):
    """Wrapper of the release endpoints, to be awaited.

    Example:
        >>> await client.releases.release(database, "prod", message="tested")
        <Release of 'database' in 'prod': version 3 after 2, ... UTC by ...: tested>
    """

    release: Final = _awaited(Releases.release)
    _show(
        release,
        """
        >>> (await client.releases.release(database, "prod", version=3)).version
        3
        """,
    )
    withdraw: Final = _awaited(Releases.withdraw)
    _show(
        withdraw,
        """
        >>> (await client.releases.withdraw(database, "staging")).version is None
        True
        """,
    )
    rollback: Final = _awaited(Releases.rollback)
    _show(
        rollback,
        """
        >>> await client.releases.rollback(database, "prod", message="too slow")
        <Release of 'database' in 'prod': version 1 after 2, ... UTC by ...: too slow>
        """,
    )
    list: Final = _iterated(Releases.list)
    _show(
        list,  # noqa: A003 - the one above
        """
        >>> current = client.releases.list(database, current=True)
        >>> {release.environment: release.version async for release in current}
        {'default': 3, 'staging': 3, 'prod': 2}
        """,
    )
    promote: Final = _awaited(Releases.promote)
    _show(
        promote,
        """
        >>> await client.releases.promote("billing", "staging", "prod", message="release 12")
        <Promotion from 'staging' to 'prod': 2 released, 0 unchanged>
        """,
    )


class AsyncChanges(_Wrapper[Changes]):
    """Wrapper of the audit trail, for ``async for``: who did what, when and why.

    Example:
        >>> log = client.changes.list(configuration=database, action="update")
        >>> [change.message async for change in log]
        ['more load', 'still more load']
    """

    list: Final = _logged(Changes.list)
    _show(
        list,  # noqa: A003 - the one above
        """
        >>> log = client.changes.list(configuration=database, environment=prod)
        >>> [(change.action, change.version) async for change in log]
        [('release', 1), ('release', 2)]
        """,
    )
    follow: Final = _followed(Changes.follow)
    _show(
        follow,
        """
        >>> async with client.changes.follow(application="billing") as feed:
        ...     release = await client.releases.release(database, "prod")
        ...     async for change in feed:
        ...         print(change)
        <AuditChange ...: release 'database' version 3 in 'prod', ... UTC by ...>
        """,
    )
