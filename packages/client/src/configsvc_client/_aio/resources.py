"""Async wrappers of the endpoints: those of the core, called in threads."""

from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec

from configsvc_client._aio.instances import promote as _promote
from configsvc_client._aio.pages import AsyncChangeFeed, AsyncChangeLog
from configsvc_client._aio.wrapping import Wrapper, awaited, iterated, like, show
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


def _logged(
    method: Callable[Concatenate[Any, P], ChangeLog],
) -> Callable[Concatenate[Any, P], AsyncChangeLog]:
    def call(self: Wrapper[Any], /, *args: P.args, **kwargs: P.kwargs) -> AsyncChangeLog:
        return AsyncChangeLog(partial(method, self._wrapped, *args, **kwargs), self._runner)

    return like(call, method)


def _followed(
    method: Callable[Concatenate[Any, P], ChangeFeed],
) -> Callable[Concatenate[Any, P], AsyncChangeFeed]:
    def call(self: Wrapper[Any], /, *args: P.args, **kwargs: P.kwargs) -> AsyncChangeFeed:
        return AsyncChangeFeed(partial(method, self._wrapped, *args, **kwargs), self._runner)

    return like(call, method)


class AsyncApplications(Wrapper[Applications]):
    """Wrapper of the application endpoints, to be awaited.

    Example:
        >>> await client.applications.create(name="mail", comments="Letters and newsletters")
        <Application 'mail' ..., 0 configurations>
    """

    create: Final = awaited(Applications.create)
    show(
        create,
        """
        >>> (await client.applications.create(name="mail")).name
        'mail'
        """,
    )
    get: Final = awaited(Applications.get)
    show(
        get,
        """
        >>> (await client.applications.get("billing")).comments
        'Invoices and payments'
        """,
    )
    list: Final = iterated(Applications.list)
    show(
        list,  # noqa: A003 - the one above
        """
        >>> [application.name async for application in client.applications.list()]
        ['billing', 'shop']
        """,
    )
    update: Final = awaited(Applications.update)
    show(
        update,
        """
        >>> billing = await client.applications.get("billing")
        >>> (await client.applications.update(billing, comments="Invoices")).comments
        'Invoices'
        """,
    )
    replace: Final = awaited(Applications.replace)
    show(
        replace,
        """
        >>> (await client.applications.replace("billing", name="invoices")).name
        'invoices'
        """,
    )
    delete: Final = awaited(Applications.delete)
    show(
        delete,
        """
        >>> await client.applications.delete("shop", message="moved to billing")
        >>> [application.name async for application in client.applications.list()]
        ['billing']
        """,
    )


class AsyncConfigurations(Wrapper[Configurations]):
    """Wrapper of the configuration endpoints, to be awaited: reads, writes and history.

    Where a method takes a configuration, it takes the object, its id, or an application and
    the name of the configuration in it, which is looked up first.

    Example:
        >>> await client.configurations.create("shop", name="database", config={"pool_size": 10})
        <Configuration 'database' ... version 1, ... UTC by ...>
    """

    create: Final = awaited(Configurations.create)
    show(
        create,
        """
        >>> (await client.configurations.create("shop", name="limits", config={})).version
        1
        """,
    )
    get: Final = awaited(Configurations.get)
    show(
        get,
        """
        >>> (await client.configurations.get(database.id)).name
        'database'
        """,
    )
    find: Final = awaited(Configurations.find)
    show(
        find,
        """
        >>> (await client.configurations.find("billing", "database")).version
        3
        """,
    )
    list: Final = iterated(Configurations.list)
    show(
        list,  # noqa: A003 - the one above
        """
        >>> [configuration.name async for configuration in client.configurations.list("billing")]
        ['database', 'limits']
        """,
    )
    update: Final = awaited(Configurations.update)
    show(
        update,
        """
        >>> await client.configurations.update(database, config={"pool_size": 20}, message="load")
        <Configuration 'database' ... version 4, ... UTC by ...>
        """,
    )
    replace: Final = awaited(Configurations.replace)
    show(
        replace,
        """
        >>> await client.configurations.replace("billing", "limits", config={"per_minute": 90})
        <Configuration 'limits' ... version 2, ... UTC by ...>
        """,
    )
    delete: Final = awaited(Configurations.delete)
    show(
        delete,
        """
        >>> await client.configurations.delete(limits, message="no limits any more")
        """,
    )
    history: Final = iterated(Configurations.history)
    show(
        history,
        """
        >>> [revision.message async for revision in client.configurations.history(database)]
        [None, 'more load', 'still more load']
        """,
    )
    revision: Final = awaited(Configurations.revision)
    show(
        revision,
        """
        >>> (await client.configurations.revision(database, 1)).config["pool_size"]
        5
        """,
    )
    diff: Final = awaited(Configurations.diff)
    show(
        diff,
        """
        >>> await client.configurations.diff(database)  # what the last write changed
        version 2 → version 3
        ~ /config/pool_size: 8 → 10
        """,
    )
    rollback: Final = awaited(Configurations.rollback)
    show(
        rollback,
        """
        >>> await client.configurations.rollback(database, 1, message="too many connections")
        <Configuration 'database' ... version 4, ... UTC by ...>
        """,
    )
    restore: Final = awaited(Configurations.restore)
    show(
        restore,
        """
        >>> await client.configurations.delete(limits)
        >>> (await client.configurations.restore(limits)).version
        2
        """,
    )
    validate: Final = awaited(Configurations.validate)
    show(
        validate,
        """
        >>> await client.configurations.validate("billing", name="mail", config={"n": 1})
        <Validation: valid in 'default', 'prod', 'staging'>
        """,
    )


class AsyncEnvironments(Wrapper[Environments]):
    """Wrapper of the environment endpoints, to be awaited.

    Example:
        >>> await client.environments.create("shop", name="prod", protected=True)
        <Environment 'prod' at position 1, protected>
    """

    create: Final = awaited(Environments.create)
    show(
        create,
        """
        >>> (await client.environments.create("shop", name="staging")).auto_release
        True
        """,
    )
    get: Final = awaited(Environments.get)
    show(
        get,
        """
        >>> (await client.environments.get("billing", "prod")).protected
        True
        """,
    )
    list: Final = iterated(Environments.list)
    show(
        list,  # noqa: A003 - the one above
        """
        >>> [environment.name async for environment in client.environments.list("billing")]
        ['default', 'staging', 'prod']
        """,
    )
    update: Final = awaited(Environments.update)
    show(
        update,
        """
        >>> await client.environments.update("billing", "prod", position=7)
        <Environment 'prod' at position 7, protected>
        """,
    )
    delete: Final = awaited(Environments.delete)
    show(
        delete,
        """
        >>> await client.environments.delete("billing", "staging", message="no longer used")
        """,
    )


class AsyncReleases(Wrapper[Releases]):
    """Wrapper of the release endpoints, to be awaited.

    Example:
        >>> await client.releases.release(database, "prod", message="tested")
        <Release of 'database' in 'prod': version 3 after 2, ... UTC by ...: tested>
    """

    release: Final = awaited(Releases.release)
    show(
        release,
        """
        >>> (await client.releases.release(database, "prod", version=3)).version
        3
        """,
    )
    withdraw: Final = awaited(Releases.withdraw)
    show(
        withdraw,
        """
        >>> (await client.releases.withdraw(database, "staging")).version is None
        True
        """,
    )
    rollback: Final = awaited(Releases.rollback)
    show(
        rollback,
        """
        >>> await client.releases.rollback(database, "prod", message="too slow")
        <Release of 'database' in 'prod': version 1 after 2, ... UTC by ...: too slow>
        """,
    )
    list: Final = iterated(Releases.list)
    show(
        list,  # noqa: A003 - the one above
        """
        >>> current = client.releases.list(database, current=True)
        >>> {release.environment: release.version async for release in current}
        {'default': 3, 'staging': 3, 'prod': 2}
        """,
    )
    promote: Final = _promote
    show(
        promote,
        """
        >>> await client.releases.promote("billing", "staging", "prod", message="release 12")
        <Promotion from 'staging' to 'prod': 2 released, 0 unchanged>
        >>> await client.application("billing", environment="prod").ready()
        >>> await client.releases.promote("billing", "staging", "prod", wait=60)
        <Promotion ...: 0 released, 2 unchanged; the 1 instance serves this version>
        """,
    )


class AsyncChanges(Wrapper[Changes]):
    """Wrapper of the audit trail, for ``async for``: who did what, when and why.

    Example:
        >>> log = client.changes.list(configuration=database, action="update")
        >>> [change.message async for change in log]
        ['more load', 'still more load']
    """

    list: Final = _logged(Changes.list)
    show(
        list,  # noqa: A003 - the one above
        """
        >>> log = client.changes.list(configuration=database, environment=prod)
        >>> [(change.action, change.version) async for change in log]
        [('release', 1), ('release', 2)]
        """,
    )
    follow: Final = _followed(Changes.follow)
    show(
        follow,
        """
        >>> async with client.changes.follow(application="billing") as feed:
        ...     release = await client.releases.release(database, "prod")
        ...     async for change in feed:
        ...         print(change)
        <AuditChange ...: release 'database' version 3 in 'prod', ... UTC by ...>
        """,
    )
