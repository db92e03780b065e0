"""``client.environments``: the wrapper of the environment endpoints."""

from typing import Any

from configsvc_client._http.api import KEEP, Api, Keep, Pages
from configsvc_client._resources.ids import application_path, environment_path, if_match
from configsvc_client._resources.models import Application, Environment
from configsvc_client._resources.readers import read_environment

__all__ = ["Environments"]


class Environments:
    """Wrapper of the environment endpoints.

    Each application is created with the environment ``default``.

    Example:
        >>> client.environments.create("shop", name="prod", protected=True)
        <Environment 'prod' at position 1, protected>
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def __repr__(self) -> str:
        return "<environments: create, get, list, update, delete>"

    def create(
        self,
        application: Application | str,
        *,
        name: str,
        position: int | None = None,
        auto_release: bool | None = None,
        protected: bool = False,
        message: str | None = None,
    ) -> Environment:
        """Create an environment of an application.

        With ``auto_release`` it begins with the newest version of every configuration,
        otherwise empty.

        Args:
            application: the application, its id or its name.
            name: a letter or digit, then up to 63 of those and ``.``, ``_``, ``-``; for good.
            position: its position in the order of promotion; the server decides without.
            auto_release: whether it serves each new version at once; ``None``: true unless
                it is protected.
            protected: whether its versions change by explicit releases only.
            message: the reason, for the history.

        Raises:
            ConflictError: the name is taken.
            NotFoundError: there is no such application.
            ValidationError: the server refuses a value.

        Example:
            >>> client.environments.create("shop", name="staging").auto_release
            True
        """
        body: dict[str, Any] = {"name": name, "protected": protected}
        if position is not None:
            body["position"] = position
        if auto_release is not None:
            body["auto_release"] = auto_release
        path = f"{application_path(self._api, application)}/environments"
        response = self._api.call("POST", path, body=body, message=message)
        return self._api.read_with_etag(response, read_environment)

    def get(self, application: Application | str, environment: Environment | str) -> Environment:
        """Return an environment by its name, or a given one as it is now.

        Raises:
            NotFoundError: there is no such environment or application.

        Example:
            >>> client.environments.get("billing", "prod").protected
            True
        """
        response = self._api.call("GET", self._path(application, environment))
        return self._api.read_with_etag(response, read_environment)

    def list(self, application: Application | str, *, page_size: int = 200) -> Pages[Environment]:
        """Iterate over the environments of an application, in the order of promotion.

        Args:
            application: the application, its id or its name.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> [environment.name for environment in client.environments.list("billing")]
            ['default', 'staging', 'prod']
        """
        return self._api.pages(
            f"{application_path(self._api, application)}/environments",
            read_environment,
            what="environments",
            params={},
            page_size=page_size,
        )

    def update(
        self,
        application: Application | str,
        environment: Environment | str,
        *,
        position: int | Keep = KEEP,
        auto_release: bool | Keep = KEEP,
        protected: bool | Keep = KEEP,
        message: str | None = None,
    ) -> Environment:
        """Update parts of an environment.

        Given an :class:`Environment`, this fails if it has changed since it was read. Given
        a name, the last of several writers wins.

        Args:
            application: the application, its id or its name.
            environment: the environment or its name.
            position: a new position in the order of promotion.
            auto_release: whether it serves each new version at once.
            protected: whether its versions change by explicit releases only.
            message: the reason, for the history.

        Raises:
            ConflictError: it has changed.
            NotFoundError: there is no such environment or application.
            ValidationError: the server refuses a value, such as a protected environment
                that releases by itself.

        Example:
            >>> client.environments.update("billing", "prod", position=7)
            <Environment 'prod' at position 7, protected>
        """
        members = {"position": position, "auto_release": auto_release, "protected": protected}
        body = {member: value for member, value in members.items() if value is not KEEP}
        path = self._path(application, environment)
        etag = if_match(environment)
        response = self._api.call("PATCH", path, body=body, if_match=etag, message=message)
        return self._api.read_with_etag(response, read_environment)

    def delete(
        self,
        application: Application | str,
        environment: Environment | str,
        *,
        message: str | None = None,
    ) -> None:
        """Delete an environment; its releases stay in the history.

        Raises:
            ConflictError: it has changed since it was read, is protected, or is ``default``.
            NotFoundError: there is no such environment or application.

        Example:
            >>> client.environments.delete("billing", "staging", message="no longer used")
            >>> [environment.name for environment in client.environments.list("billing")]
            ['default', 'prod']
        """
        path = self._path(application, environment)
        self._api.call("DELETE", path, if_match=if_match(environment), message=message)

    def _path(self, application: Application | str, environment: Environment | str) -> str:
        return environment_path(application_path(self._api, application), environment)
