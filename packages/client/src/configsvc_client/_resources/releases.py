"""``client.releases``: which version of a configuration each environment serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from configsvc_client._http.api import Api, Pages
from configsvc_client._resources.ids import configuration_path, environment_name
from configsvc_client._resources.models import Application, Configuration, Environment
from configsvc_client._resources.parsing import moment, number, text, when_and_who

__all__ = ["Promotion", "Release", "Releases", "read_release"]


@dataclass(frozen=True, slots=True)
class Release:
    """From here on an environment serves a version, or nothing any more.

    Example:
        >>> release = client.releases.release(database, "prod")
        >>> release.previous_version, release.version
        (2, 3)
    """

    id: int
    """Larger than that of every release before."""
    configuration_id: str
    application_id: str
    name: str
    """What the configuration was called."""
    environment: str
    """Name of the environment."""
    version: int | None
    """``None`` where it was withdrawn."""
    previous_version: int | None
    """``None`` where the environment served none before."""
    author: str
    message: str | None
    """Why."""
    created_at: datetime
    """In UTC, and timezone-aware."""

    def __repr__(self) -> str:
        what = "withdrawn" if self.version is None else f"version {self.version}"
        before = "" if self.previous_version is None else f" after {self.previous_version}"
        about = when_and_who(self.created_at, self.author, self.message)
        return f"<Release of {self.name!r} in {self.environment!r}: {what}{before}, {about}>"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of releasing in one environment what another serves.

    Example:
        >>> client.releases.promote("billing", "staging", "prod")
        <Promotion from 'staging' to 'prod': 2 released, 5 unchanged>
    """

    from_: str
    """Name of the environment that was taken from."""
    to: str
    """Name of the environment that was brought forward."""
    released: Sequence[Release]
    """One for each configuration of which it served something else."""
    unchanged: int
    """How many configurations were the same already."""

    def __repr__(self) -> str:
        return (
            f"<Promotion from {self.from_!r} to {self.to!r}: {len(self.released)} released,"
            f" {self.unchanged} unchanged>"
        )


class Releases:
    """Moves what environments serve, and tells what they have served.

    Example:
        >>> client.releases.release(database, "prod", message="tested")
        <Release of 'database' in 'prod': version 3 after 2, 2026-11-24 08:05 UTC by ada: tested>
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
        """Have an environment serve a version of a configuration.

        Where it serves that version already, nothing changes, and its release is returned.

        Args:
            configuration: the configuration or its id.
            environment: the environment or its name.
            version: the version; without it the newest on the server, which may be newer than
                ``configuration``.
            message: why, for the history.

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
        """Have an environment serve a configuration no more.

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
        """Have an environment serve what it did before its present release.

        Done again, it goes one release further back. The configuration itself stays as it is;
        ``client.configurations.rollback`` is for that.

        Raises:
            ConflictError: there is nothing before.
            NotFoundError: there is no such configuration.
            ValidationError: there is no such environment.

        Example:
            >>> client.releases.rollback(database, "prod", message="too many connections")
            <Release of 'database' in 'prod': version 2 after 3, 2026-11-24 08:09 UTC by ada: …>
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
            current: only those that are in force: what each environment serves now.
            newest_first: whether to begin with the newest.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> now = client.releases.list(database, current=True)
            >>> {release.environment: release.version for release in now}
            {'default': 3, 'prod': 2}
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
    ) -> Promotion:
        """Release in one environment what another serves, all of it or nothing.

        What only ``to`` serves stays. ``client.configurations.diff`` shows beforehand what
        will change in one configuration: give ``to`` as ``from_environment`` and as
        ``environment``, and ``from_`` as ``to_environment``.

        Args:
            application: the application, its id or its name.
            from_: the environment to take from.
            to: the environment to bring forward.
            message: why, for the history.

        Raises:
            ConflictError: two configurations would be served under one name.
            NotFoundError: there is no such application.
            ValidationError: there is no such environment, or a version breaks its schema
                in ``to``.

        Example:
            >>> client.releases.promote("billing", "staging", "prod", message="release 12")
            <Promotion from 'staging' to 'prod': 2 released, 5 unchanged>
        """
        path = f"{self._api.application_path(application)}/promote"
        body = {"from": environment_name(from_), "to": environment_name(to)}
        answer = self._api.call("POST", path, body=body, message=message)
        return self._api.read(answer, _promotion)

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


def read_release(document: Mapping[str, Any]) -> Release:
    """Return the release that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    return Release(
        id=int(document["id"]),
        configuration_id=text(document["configuration_id"]),
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        environment=text(document["environment"]),
        version=number(document["version"]),
        previous_version=number(document["previous_version"]),
        author=text(document["author"]),
        message=document["message"],
        created_at=moment(document["created_at"]),
    )


def _promotion(document: Mapping[str, Any]) -> Promotion:
    return Promotion(
        from_=text(document["from"]),
        to=text(document["to"]),
        released=tuple(read_release(item) for item in document["released"]),
        unchanged=int(document["unchanged"]),
    )
