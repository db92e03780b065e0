"""The versions of configurations: history, differences, going back, and one to come."""

from collections.abc import Mapping
from typing import Any

from configsvc_client._http.api import Api, Pages
from configsvc_client._http.types import Answer
from configsvc_client._resources.ids import configuration_id, configuration_path, environment_name
from configsvc_client._resources.models import (
    Application,
    Configuration,
    Environment,
    read_configuration,
)
from configsvc_client._resources.revisions import (
    ConfigurationDiff,
    Revision,
    Validation,
    read_diff,
    read_revision,
    read_validation,
)
from configsvc_client.errors import ConflictError

__all__ = ["ConfigurationHistory", "document_of"]


class ConfigurationHistory:
    """What ``client.configurations`` can do with versions.

    Example:
        >>> for revision in client.configurations.history(database, newest_first=True):
        ...     print(revision)
        <Revision 2 of 'database', 2026-11-24 08:05 UTC by ada: more load>
        <Revision 1 of 'database', 2026-11-24 08:00 UTC by ada>
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def history(
        self,
        configuration: Configuration | str,
        *,
        newest_first: bool = False,
        page_size: int = 200,
    ) -> Pages[Revision]:
        """Iterate over the versions of a configuration, oldest first, also of a deleted one.

        Args:
            configuration: the configuration or its id.
            newest_first: whether to begin with the newest.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> [revision.message for revision in client.configurations.history(database)]
            [None, 'more load']
        """
        return self._api.pages(
            f"{configuration_path(configuration)}/revisions",
            read_revision,
            what="revisions",
            params={"sort": "-version" if newest_first else None},
            page_size=page_size,
        )

    def revision(self, configuration: Configuration | str, version: int) -> Revision:
        """Return a configuration as it was at a version, also a deleted one.

        Raises:
            NotFoundError: there is no such configuration or version.

        Example:
            >>> client.configurations.revision(database, 1).config["pool_size"]
            10
        """
        path = f"{configuration_path(configuration)}/revisions/{version:d}"
        return self._api.read(self._api.call("GET", path), read_revision)

    def diff(
        self,
        configuration: Configuration | str,
        from_: int | None = None,
        to: int | None = None,
        *,
        from_environment: Environment | str | None = None,
        to_environment: Environment | str | None = None,
        environment: Environment | str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> ConfigurationDiff:
        """Compare two versions, what two environments serve, or a version and a document.

        Args:
            configuration: the configuration or its id.
            from_: a version; without it, the one before ``to``, or, with ``to_environment``
                or ``document``, the newest.
            to: a version; without it, the newest.
            from_environment: compare from what this environment serves, instead of ``from_``.
            to_environment: compare to what this environment serves, instead of ``to``.
            environment: compare both as this environment would get them. With
                ``from_environment`` the same and ``to_environment`` another, this shows what
                a promotion from there would change.
            document: compare to this: an object with ``name``, ``config``, and maybe
                ``comments``, ``overlays`` and ``schema``, which is not written.

        Raises:
            NotFoundError: there has never been such a configuration.
            ValidationError: there is no such version or environment.
            ValueError: ``document`` is given, and another thing to compare to.

        Example:
            >>> client.configurations.diff(database)  # what the last write changed
            version 2 → version 3
            ~ /config/pool_size: 20 → 30
            >>> client.configurations.diff(database, from_environment="prod").patch[0]["op"]
            'replace'
        """
        path = f"{configuration_path(configuration)}/diff"
        names = {
            "from_environment": _name(from_environment),
            "to_environment": _name(to_environment),
            "environment": _name(environment),
        }
        if document is None:
            versions = {"from": _digits(from_), "to": _digits(to)}
            answer = self._api.call("GET", path, params={**versions, **names})
        else:
            if to is not None or names["to_environment"] or names["from_environment"]:
                raise ValueError("A document is compared with a version: give no more than from_.")
            given = {"from": from_, "environment": names["environment"], "document": document}
            body = {member: value for member, value in given.items() if value is not None}
            answer = self._api.call("POST", path, body=body)
        return self._api.read(answer, read_diff)

    def rollback(
        self, configuration: Configuration | str, version: int, *, message: str | None = None
    ) -> Configuration:
        """Make a new version with the content of an old one.

        Given a :class:`Configuration`, this fails if there is a newer version than the one
        read. Environments are moved as by any other write; to move only what one of them
        serves, there is ``client.releases.rollback``.

        Args:
            configuration: the configuration or its id.
            version: the version to bring back.
            message: why, for the history.

        Raises:
            ConflictError: it is at another version than the one read, or the old name is taken.
            NotFoundError: there is no such configuration.
            ValidationError: there is no such version, or its content is not valid any more.

        Example:
            >>> client.configurations.rollback(database, 1, message="too many connections")
            <Configuration 'database' 01K9YV… version 4, 2026-11-24 08:07 UTC by anonymous>
        """
        path = f"{configuration_path(configuration)}/rollback"
        based_on = configuration.version if isinstance(configuration, Configuration) else None
        return self._send("POST", path, {"version": version}, based_on, message)

    def restore(
        self,
        configuration: Configuration | str,
        *,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration:
        """Undo the deletion of a configuration, which gets a new version.

        Args:
            configuration: the configuration or its id.
            version: the version to bring back; without it, the newest.
            message: why, for the history.

        Raises:
            ConflictError: it is not deleted, its application is, or its name is taken.
            NotFoundError: there has never been such a configuration.
            ValidationError: there is no such version, or its content is not valid any more.

        Example:
            >>> client.configurations.delete(database)
            >>> client.configurations.restore(database).version
            5
        """
        body = {} if version is None else {"version": version}
        path = f"{configuration_path(configuration)}/restore"
        return self._send("POST", path, body, None, message)

    def validate(
        self,
        application: Application | str,
        *,
        name: str,
        config: Mapping[str, Any],
        comments: str | None = None,
        overlays: Mapping[str, Mapping[str, Any]] | None = None,
        schema: Mapping[str, Any] | None = None,
        configuration: Configuration | str | None = None,
    ) -> Validation:
        """Check whether a configuration could be written, without doing it.

        With ``configuration``, overlays and schema that are left out stay as they are.

        Args:
            application: the application, its id or its name.
            name: as for :meth:`create`.
            config: the values, a JSON object.
            comments: for people.
            overlays: JSON Merge Patches over ``config``, by environment.
            schema: the JSON Schema of the values.
            configuration: the one to replace, or its id; without it, a new one is checked.

        Returns:
            What the values would be in each environment.

        Raises:
            ConflictError: the name is taken.
            NotFoundError: there is no such application or configuration.
            ValidationError: the server would refuse a value.

        Example:
            >>> client.configurations.validate("billing", name="limits", config={"n": 1})
            <Validation: valid in 'default', 'prod'>
        """
        body = {
            "application_id": self._api.application_id(application),
            **document_of(name, config, comments, overlays, schema),
        }
        if configuration is not None:
            body["id"] = configuration_id(configuration)
        answer = self._api.call("POST", "/configurations/validate", body=body)
        return self._api.read(answer, read_validation)

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        based_on: int | None,
        message: str | None,
    ) -> Configuration:
        return self._api.read(self._call(method, path, body, based_on, message), read_configuration)

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        based_on: int | None,
        message: str | None,
    ) -> Answer:
        etag = None if based_on is None else str(based_on)
        try:
            return self._api.call(method, path, body=body, if_match=etag, message=message)
        except ConflictError as error:
            error.read_version = based_on
            raise


def document_of(
    name: str,
    config: Mapping[str, Any],
    comments: str | None,
    overlays: Mapping[str, Mapping[str, Any]] | None,
    schema: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the members of a whole configuration; what is left out takes its default."""
    document: dict[str, Any] = {"name": name, "comments": comments, "config": config}
    if overlays is not None:
        document["overlays"] = overlays
    if schema is not None:
        document["schema"] = schema
    return document


def _name(environment: Environment | str | None) -> str | None:
    return None if environment is None else environment_name(environment)


def _digits(version: int | None) -> str | None:
    return None if version is None else f"{version:d}"
