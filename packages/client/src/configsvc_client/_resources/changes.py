"""``client.changes``: the audit trail so far, and as it grows."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from configsvc_client._http.api import Api
from configsvc_client._resources.change_feed import ChangeFeed
from configsvc_client._resources.change_log import ChangeLog, LogReader
from configsvc_client._resources.ids import application_id, configuration_id, environment_name
from configsvc_client._resources.models import Application, Configuration, Environment
from configsvc_client.options import MAX_WAIT

__all__ = ["Changes"]

Follow: TypeAlias = Callable[[Mapping[str, str | None], str, float | None], ChangeFeed]
"""Function that opens a feed, given parameters, a cursor, and seconds to wait for a change."""

_PAGE_SIZE = "200"


class Changes:
    """Wrapper of the audit trail: who did what, when and why.

    Example:
        >>> log = client.changes.list(configuration=database, action="update")
        >>> [change.message for change in log]
        ['more load', 'still more load']
    """

    def __init__(self, api: Api, follow: Follow) -> None:
        self._api = api
        self._follow = follow

    def __repr__(self) -> str:
        return "<changes: list, follow>"

    def list(
        self,
        *,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        actor: str | None = None,
        action: str | None = None,
        entity: str | None = None,
        environment: Environment | str | None = None,
        after: str | None = None,
        newest_first: bool = False,
    ) -> ChangeLog:
        """Iterate over the changes so far; pages are fetched as they are needed.

        Args:
            application: only those of this one; the id of a deleted one, since its name is
                forgotten.
            configuration: only those of this one, or its id.
            actor: only those by this one.
            action: only these, such as ``update`` or ``release``.
            entity: only those of an ``application``, ``environment``, ``configuration``,
                ``release``, ``token``, ``grant`` or ``session``.
            environment: only those after which this one serves something else; a name needs
                ``application`` too.
            after: the cursor of an earlier log or feed with the same filters.
            newest_first: whether to begin with the newest.

        Raises:
            NotFoundError: there is no application of this name.
            ValueError: an environment's name says nothing without its application.

        Example:
            >>> log = client.changes.list(configuration=database, environment=prod)
            >>> [(change.action, change.version) for change in log]
            [('release', 1), ('release', 2)]
        """
        params = {
            **self._filters(application, configuration, actor, action, entity, environment),
            "sort": "-id" if newest_first else "id",
            "limit": _PAGE_SIZE,
        }
        return ChangeLog(lambda: LogReader(self._api, params, after or ""))

    def follow(
        self,
        *,
        after: str | None = None,
        from_start: bool = False,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        actor: str | None = None,
        action: str | None = None,
        entity: str | None = None,
        environment: Environment | str | None = None,
        wait: float | None = None,
    ) -> ChangeFeed:
        """Iterate over changes as they happen, without an end; filters are those of :meth:`list`.

        Without ``after`` it begins with what happens after this call, which therefore asks
        for the newest change and may fail. From then on failures of the network and of the
        server are waited out; what the server refuses (4xx) is raised.

        Args:
            after: the ``cursor`` of an earlier feed or log with the same filters.
            from_start: begin with the very first change instead.
            application: only those of this one.
            configuration: only those of this one.
            actor: only those by this one.
            action: only these.
            entity: only those of such an entity.
            environment: only those after which this one serves something else.
            wait: seconds that the server may wait for a change, up to 60; ``long_poll`` of the
                client by default; 0 asks every ``poll_interval`` seconds.

        Raises:
            ConfigSvcError: the request for the newest change failed.
            NotFoundError: there is no application of this name.
            ValueError: two arguments exclude each other, or the wait is too long.

        Example:
            >>> feed = client.changes.follow(application="billing")
            >>> release = client.releases.release(database, "prod")
            >>> for change in feed:
            ...     print(change)
            <AuditChange ...: release 'database' version 3 in 'prod', ... UTC by ...>
        """
        if from_start and after is not None:
            raise ValueError("It begins either at a cursor or at the very first change.")
        if wait is not None and not 0 <= wait <= MAX_WAIT:
            raise ValueError(f"wait must be 0 to {MAX_WAIT:g} seconds; 0 turns long polls off")
        filters = self._filters(application, configuration, actor, action, entity, environment)
        if after is None:
            after = "" if from_start else self._newest()
        return self._follow({**filters, "sort": "id", "limit": _PAGE_SIZE}, after, wait)

    def _newest(self) -> str:
        """Return the cursor after the newest change of all."""
        reader = LogReader(self._api, {"sort": "-id", "limit": "1"}, "")
        reader.fetch()
        reader.take()
        return reader.cursor

    def _filters(
        self,
        application: Application | str | None,
        configuration: Configuration | str | None,
        actor: str | None,
        action: str | None,
        entity: str | None,
        environment: Environment | str | None,
    ) -> dict[str, str | None]:
        if isinstance(environment, Environment) and application is None:
            application = environment.application_id
        if environment is not None and application is None:
            raise ValueError("Which application's? Give it beside the name of an environment.")
        return {
            "application_id": None
            if application is None
            else application_id(self._api, application),
            "configuration_id": None if configuration is None else configuration_id(configuration),
            "actor": actor,
            "action": action,
            "entity": entity,
            "environment": None if environment is None else environment_name(environment),
        }
