"""``client.releases``: which version of a configuration each environment serves."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from configsvc_client._http.api import Api, Pages
from configsvc_client._resources.ids import application_path, configuration_path, environment_name
from configsvc_client._resources.models import (
    Application,
    Configuration,
    Environment,
    Promotion,
    Release,
)
from configsvc_client._resources.readers import read_promotion, read_release

if TYPE_CHECKING:
    from configsvc_client._resources.arrivals import Arrival
    from configsvc_client._resources.fleet_models import Convergence

__all__ = ["Releases"]


class Releases:
    """Wrapper of the release endpoints: the versions that environments serve, now and before.

    Example:
        >>> client.releases.release(database, "prod", message="tested")
        <Release of 'database' in 'prod': version 3 after 2, ... UTC by ...: tested>
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def __repr__(self) -> str:
        return "<releases: release, withdraw, rollback, list, promote>"

    def release(
        self,
        configuration: Configuration | str,
        environment: Environment | str,
        *,
        version: int | None = None,
        message: str | None = None,
    ) -> Release:
        """Release a version of a configuration in an environment, which serves it from then on.

        Where it serves that version already, nothing changes, and its release is returned.

        Args:
            configuration: the configuration or its id.
            environment: the environment or its name.
            version: the version; without it the newest on the server, which may be newer than
                ``configuration``.
            message: the reason, for the history.

        Raises:
            ConflictError: another configuration is served there under this name.
            NotFoundError: there is no such configuration.
            ValidationError: there is no such version or environment, or the version breaks its
                schema there.

        Example:
            >>> client.releases.release(database, "prod", version=database.version).version
            3
        """
        body = {} if version is None else {"version": version}
        return self._post(configuration, "/releases", environment, body, message)

    def withdraw(
        self,
        configuration: Configuration | str,
        environment: Environment | str,
        *,
        message: str | None = None,
    ) -> Release:
        """Withdraw a configuration from an environment, which serves it no more.

        Args:
            configuration: the configuration or its id.
            environment: the environment or its name.
            message: the reason, for the history.

        Raises:
            ConflictError: it does not serve it.
            NotFoundError: there is no such configuration.
            ValidationError: there is no such environment.

        Example:
            >>> client.releases.withdraw(database, "staging").version is None
            True
        """
        return self._post(configuration, "/releases", environment, {"version": None}, message)

    def rollback(
        self,
        configuration: Configuration | str,
        environment: Environment | str,
        *,
        message: str | None = None,
    ) -> Release:
        """Return an environment to the version of a configuration before its present release.

        Each further call goes one release further back. The configuration itself stays as it
        is; ``client.configurations.rollback`` is for that.

        Args:
            configuration: the configuration or its id.
            environment: the environment or its name.
            message: the reason, for the history.

        Raises:
            ConflictError: there is nothing before.
            NotFoundError: there is no such configuration.
            ValidationError: there is no such environment.

        Example:
            >>> client.releases.rollback(database, "prod", message="too slow")
            <Release of 'database' in 'prod': version 1 after 2, ... UTC by ...: too slow>
        """
        return self._post(configuration, "/releases/rollback", environment, {}, message)

    def list(
        self,
        configuration: Configuration | str,
        *,
        environment: Environment | str | None = None,
        current: bool = False,
        newest_first: bool = False,
        page_size: int = 200,
    ) -> Pages[Release]:
        """Iterate over the releases of a configuration, oldest first.

        Args:
            configuration: the configuration or its id.
            environment: only those in this one.
            current: only those that are in force: one for each environment that serves it.
            newest_first: whether to begin with the newest.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> current = client.releases.list(database, current=True)
            >>> {release.environment: release.version for release in current}
            {'default': 3, 'staging': 3, 'prod': 2}
        """
        return self._api.pages(
            f"{configuration_path(configuration)}/releases",
            read_release,
            what="releases",
            params={
                "environment": None if environment is None else environment_name(environment),
                "current": "true" if current else None,
                "sort": "-id" if newest_first else None,
            },
            page_size=page_size,
        )

    def promote(
        self,
        application: Application | str,
        from_: Environment | str,
        to: Environment | str,
        *,
        message: str | None = None,
        wait: bool | float = False,
        on_progress: "Callable[[Convergence], object] | None" = None,
    ) -> Promotion:
        """Release in one environment the versions that another serves, all of them or none.

        Configurations that only ``to`` serves stay. ``client.configurations.diff`` shows
        beforehand what will change in one configuration: give ``to`` as ``from_environment``
        and as ``environment``, and ``from_`` as ``to_environment``.

        Args:
            application: the application, its id or its name.
            from_: the environment to take from.
            to: the environment to bring forward.
            message: the reason, for the history.
            wait: whether to wait until every instance that polls ``to`` serves what was released,
                or one rejects it and none is behind; a number is how many seconds at most. What
                was released stays released, whatever the result's ``convergence`` says.
            on_progress: gets each :class:`Convergence` while it waits that is another than the
                one before; it is logged at level info by default.

        Raises:
            ConflictError: two configurations would be served under one name.
            NotFoundError: there is no such application.
            ValidationError: there is no such environment, or a version breaks its schema
                in ``to``.

        Example:
            >>> client.releases.promote("billing", "staging", "prod", message="release 12")
            <Promotion from 'staging' to 'prod': 2 released, 0 unchanged>
            >>> client.application("billing", environment="prod").wait_until_ready()
            >>> client.releases.promote("billing", "staging", "prod", wait=60)
            <Promotion ...: 0 released, 2 unchanged; the 1 instance serves this version>
        """
        path = f"{application_path(self._api, application)}/promote"
        body = {"from": environment_name(from_), "to": environment_name(to)}
        response = self._api.call("POST", path, body=body, message=message)
        promotion = self._api.read(response, read_promotion)
        if wait is False:
            return promotion
        arrival = self._arrival(application, to, wait, on_progress)
        while not arrival.is_over:
            arrival.step()
        return arrival.of(promotion)

    def _arrival(
        self,
        application: Application | str,
        environment: Environment | str,
        wait: bool | float,
        on_progress: "Callable[[Convergence], object] | None",
    ) -> "Arrival":
        # Not at import: most who release do not wait.
        from configsvc_client._resources.arrivals import Arrival  # noqa: PLC0415

        timeout = None if wait is True else float(wait)
        return Arrival(self._api, application, environment, timeout, on_progress)

    def _post(
        self,
        configuration: Configuration | str,
        action: str,
        environment: Environment | str,
        members: Mapping[str, int | None],
        message: str | None,
    ) -> Release:
        path = f"{configuration_path(configuration)}{action}"
        body = {"environment": environment_name(environment), **members}
        return self._api.read(
            self._api.call("POST", path, body=body, message=message), read_release
        )
